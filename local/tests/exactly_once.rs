//! Exactly once, over the embedded ledger: random histories against a model, and proof that each guard of the
//! protocol is needed.

use conformance::exactly_once::{Coverage, play};
use conformance::sabotage::Guard;
use local::ledger::SqliteLedger;
use shared::hash::ContentHash;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

async fn run(seed: u64, missing: Option<Guard>) -> Result<Coverage, String> {
    play(SqliteLedger::in_memory().map_err(|e| e.to_string())?, seed, missing).await
}

#[tokio::test]
async fn exactly_once_over_random_histories() {
    let first = number("AGENTLEDGER_FIRST_SEED", 0);
    let seeds = number("AGENTLEDGER_SEEDS", 1_000);
    let mut sum = Coverage::default();
    for seed in first..first + seeds {
        match run(seed, None).await {
            Ok(coverage) => {
                sum.submissions += coverage.submissions;
                sum.records += coverage.records;
                sum.elsewhere += coverage.elsewhere;
                sum.conflicts += coverage.conflicts;
                sum.awaited += coverage.awaited;
                sum.crossed += coverage.crossed;
                sum.recovered += coverage.recovered;
                sum.repriced += coverage.repriced;
                sum.repriced_again += coverage.repriced_again;
                let both = format!("{}{}", sum.digest, coverage.digest);
                sum.digest = ContentHash::of_bytes(both.as_bytes()).as_str().to_owned();
            }
            Err(violation) => panic!("{violation}"),
        }
    }
    println!("{seeds} histories from seed {first}: {sum:?}");
    // A suite that reaches nothing proves nothing.
    assert!(sum.conflicts > 0 && sum.awaited > 0 && sum.crossed > 0 && sum.recovered > 0, "{sum:?}");
    assert!(sum.elsewhere > 0, "{sum:?}");
    assert!(sum.repriced > 0 && sum.repriced_again > 0, "{sum:?}");
}

#[tokio::test]
async fn a_seed_is_one_history() {
    for seed in 0..60 {
        let (first, again) = (run(seed, None).await, run(seed, None).await);
        assert_eq!(first, again, "seed {seed}");
    }
}

#[tokio::test]
async fn every_guard_of_the_protocol_is_needed() {
    for guard in Guard::ALL {
        let mut shown = None;
        for seed in 0..2_000 {
            if let Err(violation) = run(seed, Some(guard)).await {
                shown = Some(violation);
                break;
            }
        }
        let shown = shown.unwrap_or_else(|| panic!("without {guard:?} no history of 2000 fails"));
        println!("without {guard:?}: {shown}");
    }
}
