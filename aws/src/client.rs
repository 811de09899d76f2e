//! How AWS is called: regions and credentials from the environment, TLS by rustls with ring, time limits and
//! retries on every call.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// How patient calls are.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To connect.
    pub connect: Duration,
    /// For one attempt.
    pub attempt: Duration,
    /// For all attempts of one call, pauses included.
    pub call: Duration,
    /// Attempts, the first one included.
    pub attempts: u32,
}

impl Patience {
    /// Of a request that someone waits for.
    pub const REQUEST: Self = Self {
        connect: Duration::from_millis(1_500),
        attempt: Duration::from_secs(3),
        call: Duration::from_secs(8),
        attempts: 4,
    };
    /// Of a consumer, whose batch comes again.
    pub const CONSUMER: Self = Self {
        connect: Duration::from_secs(2),
        attempt: Duration::from_secs(8),
        call: Duration::from_secs(25),
        attempts: 6,
    };
}

/// What sends requests: TLS by rustls with ring, the roots of the system.
pub fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https()
}

/// The configuration of the environment: region, credentials and `AWS_ENDPOINT_URL` as the SDKs read them.
///
/// Attempts are repeated with exponential back-off and jitter, as the SDKs' standard mode does.
pub async fn load(patience: Patience) -> SdkConfig {
    loader(patience).load().await
}

/// The same within a function: Lambda puts the role's credentials into the environment, so none of the other places where
/// they may be is made ready to be asked, which would take memory and a part of the start.
pub async fn load_in_function(patience: Patience) -> SdkConfig {
    loader(patience).credentials_provider(EnvironmentVariableCredentialsProvider::new()).load().await
}

fn loader(patience: Patience) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(patience.connect)
        .operation_attempt_timeout(patience.attempt)
        .operation_timeout(patience.call)
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http())
        .retry_config(RetryConfig::standard().with_max_attempts(patience.attempts))
        .timeout_config(timeouts)
}
