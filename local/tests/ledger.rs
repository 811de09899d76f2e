//! The embedded ledger against the suite of the port.

use conformance::port;
use local::ledger::SqliteLedger;
use shared::event::UsageEvent;
use shared::hash::ContentHash;
use shared::id::{AgentId, OwnId, RecordKey};
use shared::ledger::{Commit, RecordStore, RecordWrite, RollupQuery, RollupRow, RollupStore};
use shared::price::PriceBook;
use shared::record::{Record, RecordData};
use shared::rollup::ScopeKind;
use shared::usage::{Bucket, Usage};
use shared::window::WindowKind;

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

/// The value of a future that never waits: the embedded ledger answers where it is awaited.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the embedded ledger waits for nothing"),
    }
}

#[test]
fn totals_are_read_as_of_one_instant() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(&dir.path().join("ledger.db")).unwrap();
    let call = |id: &str| {
        let time = "2026-03-07T10:05:00Z".parse().unwrap();
        let usage = Usage::new([(Bucket::Input, 7)]).unwrap();
        let book = PriceBook::from_json(r#"{"version":"v","source":"test","models":[]}"#).unwrap();
        let data = RecordData::usage(ContentHash::from(id), vec![(0, UsageEvent::new(time, usage))], &book);
        let agent = AgentId::parse("a").unwrap();
        let additions = data.additions(&agent).unwrap();
        let record = Record { agent, key: RecordKey::Single(OwnId::parse(id).unwrap()), version: 1, data };
        Commit { records: vec![RecordWrite { expected: None, record }], additions, lane: 0 }
    };
    now(ledger.commit(call("first"))).unwrap();
    let month = RollupQuery {
        kind: ScopeKind::Org,
        a: None,
        b: None,
        window: WindowKind::Month,
        from: 1_772_323_200,
        to: 1_775_001_600,
    };
    let mut seen = Vec::new();
    let mut take = |_, row: RollupRow| {
        if seen.is_empty() {
            // Someone commits between two of the reads.
            now(ledger.commit(call("second"))).unwrap();
        }
        seen.push(row.parts.0[0].tokens());
        Ok(())
    };
    now(ledger.rollups(&[month.clone(), month.clone()], &mut take)).unwrap();
    assert_eq!(seen, [7, 7]);
    let later = now(ledger.rollup_rows(&month)).unwrap();
    assert_eq!(later[0].parts.0[0].tokens(), 14);
}
