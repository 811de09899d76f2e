//! The ledger on DynamoDB against the suites of the port, on an emulator. Second tier: `scripts/aws-tests.sh`.
#![cfg(feature = "testing")]

#[path = "ledger/dying.rs"]
mod dying;
mod support;

use conformance::port;

macro_rules! suite {
    ($($name:ident),*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        #[ignore = "needs an emulator: scripts/aws-tests.sh"]
        async fn $name() {
            let table = support::table().await;
            port::$name(&table).await.unwrap();
            support::drop_table(&table).await;
        })*
    };
}

suite!(
    commits,
    overflow,
    listings,
    rollups,
    budgets,
    alerts,
    aside,
    sequences,
    deliveries,
    repricings,
    revocations,
    books
);
