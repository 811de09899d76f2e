//! The embedded ledger against the suite of the port.

use conformance::port;
use local::ledger::SqliteLedger;

macro_rules! suite {
    ($($name:ident),*) => {
        $(#[tokio::test]
        async fn $name() {
            port::$name(&SqliteLedger::in_memory().unwrap()).await.unwrap();
            let dir = tempfile::tempdir().unwrap();
            port::$name(&SqliteLedger::open(&dir.path().join("ledger.db")).unwrap()).await.unwrap();
        })*
    };
}

suite!(commits, overflow, listings, rollups, budgets, alerts, aside);
