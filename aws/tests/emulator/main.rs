//! Each adapter against an emulator of AWS, whose address `AGENTLEDGER_ENDPOINT` says.
//!
//! Run with `AGENTLEDGER_ENDPOINT=http://127.0.0.1:4620 cargo test -p aws --features testing -- --ignored`.

#![cfg(all(
    feature = "testing",
    feature = "cloudwatch",
    feature = "dynamodb",
    feature = "kinesis",
    feature = "s3",
    feature = "sns",
    feature = "sqs"
))]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod archive;
mod inbox;
mod metrics;
mod stream;
mod topic;

use aws_config::SdkConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use jiff::Timestamp;
use shared::clock::{Clock as _, SystemClock};
use shared::stream::PutRecord;
use shared::wire::StreamRecord;

/// The emulator's configuration.
async fn config() -> SdkConfig {
    let endpoint = std::env::var("AGENTLEDGER_ENDPOINT").expect("AGENTLEDGER_ENDPOINT names the emulator");
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https();
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(http)
        .endpoint_url(endpoint)
        .region("us-east-1")
        .credentials_provider(aws_credential_types::Credentials::new("test", "test", None, None, "test"))
        .load()
        .await
}

/// A name that no other run has.
fn name(of: &str) -> String {
    format!("{of}-{:08x}", fastrand::u32(..))
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn seconds(n: i64) -> jiff::SignedDuration {
    jiff::SignedDuration::from_secs(n)
}

/// Records of all sizes, each with another content.
fn records(count: usize) -> Vec<PutRecord> {
    (0..count)
        .map(|n| {
            let mut data = StreamRecord::new(now(), Vec::new()).encode().unwrap();
            data.extend(format!(" {n}").into_bytes());
            data.extend(vec![b' '; n * 7 % 2_000]);
            PutRecord { partition_key: (n % 4).to_string(), spread: 0, data: data.into() }
        })
        .collect()
}
