//! Exactly once, over the ledger on DynamoDB: random histories against a model, on an emulator. Second tier:
//! `scripts/aws-tests.sh`.
#![cfg(feature = "testing")]

mod support;

use std::time::Duration;

use conformance::exactly_once::{Coverage, play};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an emulator: scripts/aws-tests.sh"]
async fn exactly_once_over_random_histories() {
    let first = number("AGENTLEDGER_FIRST_SEED", 0);
    let seeds = number("AGENTLEDGER_AWS_SEEDS", 40);
    let mut sum = Coverage::default();
    for seed in first..first + seeds {
        let table = support::table().await;
        // In every other history nothing is settled before the end where it need not be.
        let patient = if seed % 2 == 0 { Duration::ZERO } else { Duration::from_secs(3_600) };
        match Box::pin(play(table.clone().settling_every(patient), seed, None)).await {
            Ok(coverage) => {
                sum.submissions += coverage.submissions;
                sum.records += coverage.records;
                sum.elsewhere += coverage.elsewhere;
                sum.conflicts += coverage.conflicts;
                sum.awaited += coverage.awaited;
                sum.crossed += coverage.crossed;
                sum.recovered += coverage.recovered;
                sum.repriced += coverage.repriced;
            }
            Err(violation) => panic!("{violation}"),
        }
        support::drop_table(&table).await;
    }
    println!("{seeds} histories from seed {first}: {sum:?}");
    assert!(sum.conflicts > 0 && sum.awaited > 0 && sum.crossed > 0 && sum.repriced > 0, "{sum:?}");
}
