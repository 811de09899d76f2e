//! The ledger on DynamoDB against the suites of the port, on an emulator. Second tier: `scripts/aws-tests.sh`.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "ledger/dying.rs"]
mod dying;
mod support;

use std::time::Duration;

use aggregator::Aggregator;
use aws::table::Table;
use aws::table::size::MAX_OPEN_ENTRIES;
use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use conformance::port;
use jiff::Timestamp;
use shared::clock::Clock;
use shared::event::{Body, UsageEvent};
use shared::id::{AgentId, OwnId};
use shared::ledger::{RollupQuery, RollupStore};
use shared::metrics::{BatchMetrics, Metrics};
use shared::price::PriceBook;
use shared::rollup::ScopeKind;
use shared::usage::{Bucket, Usage};
use shared::window::WindowKind;
use shared::wire::{Entry, Single, StreamRecord};

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

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Clone, Copy)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }
}

struct Nowhere;

impl Metrics for Nowhere {
    async fn publish(&self, _: BatchMetrics) {}
}

/// A function of its own, for which two records are a full batch.
fn process(table: &Table, settle_every: Duration) -> Aggregator<Table, Nowhere, Noon> {
    let table = Table::new(support::client(), table.name().to_owned()).settling_every(settle_every);
    Aggregator::new(table, Nowhere, Noon, PriceBook::embedded().unwrap()).with_full_batches_of(2)
}

/// Records of lane 7 with a token each.
fn batch(ids: std::ops::Range<usize>) -> KinesisEvent {
    let mut event = KinesisEvent::default();
    event.records = ids
        .map(|id| {
            let usage = Usage::new([(Bucket::Input, 1)]).unwrap();
            let body = Body::Usage(UsageEvent::new(Noon.now(), usage));
            let single = Single {
                agent: AgentId::parse(&format!("agent-{}", id % 3)).unwrap(),
                id: OwnId::parse(&format!("event-{id}")).unwrap(),
                hash: body.content_hash().unwrap(),
                body,
            };
            let entries = vec![Entry::Single(Box::new(single))];
            let mut record = KinesisEventRecord::default();
            record.kinesis.partition_key = "7".to_owned();
            record.kinesis.sequence_number = format!("{id:056}");
            record.kinesis.data.0 = StreamRecord::new(Noon.now(), entries).encode().unwrap();
            record
        })
        .collect();
    event
}

async fn tokens(table: &Table) -> i128 {
    let mut sums = Vec::new();
    for window in WindowKind::ALL {
        let start = window.start(Noon.now().as_second());
        let (kind, to) = (ScopeKind::Org, window.end(start));
        let query = RollupQuery { kind, a: None, b: None, window, from: start, to };
        let rows = table.rollup_rows(&query).await.unwrap();
        sums.push(rows.iter().flat_map(|row| &row.parts.0).map(shared::totals::Totals::tokens).sum());
    }
    assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
    sums[0]
}

async fn counted(aggregator: &Aggregator<Table, Nowhere, Noon>, event: KinesisEvent) {
    assert!(aggregator.handle(event).await.batch_item_failures.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an emulator: scripts/aws-tests.sh"]
async fn what_a_full_batch_leaves_is_settled_by_the_next_or_by_the_sweep() {
    let table = support::table().await;
    let patient = process(&table, HOUR);
    // Nobody knows when this lane was settled.
    counted(&patient, batch(0..2)).await;
    assert_eq!((table.backlog().await.unwrap(), tokens(&table).await), (0, 2));
    counted(&patient, batch(2..4)).await;
    counted(&process(&table, HOUR), batch(4..6)).await;
    assert_eq!((table.backlog().await.unwrap(), tokens(&table).await), (2, 6), "open entries count");
    // The same again, as after a lost answer: it is not counted twice, open as it is.
    counted(&process(&table, HOUR), batch(2..6)).await;
    assert_eq!((table.backlog().await.unwrap(), tokens(&table).await), (2, 6));
    // The batch that is not full, of a process that knows nothing of the ones before.
    counted(&process(&table, HOUR), batch(6..7)).await;
    assert_eq!((table.backlog().await.unwrap(), tokens(&table).await), (0, 7));
    // No batch comes any more, or whoever had to settle is gone.
    counted(&patient, batch(7..9)).await;
    let sweep =
        |settle_every| Table::new(support::client(), table.name().to_owned()).settling_every(settle_every);
    sweep(HOUR).settle_overdue().await.unwrap();
    assert_eq!((table.backlog().await.unwrap(), tokens(&table).await), (1, 9), "it is not overdue");
    tokio::time::sleep(Duration::from_millis(20)).await;
    sweep(Duration::from_millis(10)).settle_overdue().await.unwrap();
    assert_eq!((table.backlog().await.unwrap(), tokens(&table).await), (0, 9));
    support::drop_table(&table).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an emulator: scripts/aws-tests.sh"]
async fn more_than_readers_can_bear_is_settled_whatever_the_time() {
    let table = support::table().await;
    let patient = process(&table, HOUR);
    counted(&patient, batch(0..2)).await;
    let more = MAX_OPEN_ENTRIES + 1;
    for n in 1..=more {
        assert_eq!(table.backlog().await.unwrap(), n as u64 - 1);
        counted(&patient, batch(2 * n..2 * n + 2)).await;
    }
    assert_eq!(table.backlog().await.unwrap(), 0);
    assert_eq!(tokens(&table).await, 2 * (1 + i128::try_from(more).unwrap()));
    support::drop_table(&table).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an emulator: scripts/aws-tests.sh"]
async fn one_submission_in_two_lanes_counts_once() {
    let table = support::table().await;
    let elsewhere = || {
        let mut event = batch(0..40);
        event.records.iter_mut().for_each(|record| record.kinesis.partition_key = "8".to_owned());
        event
    };
    let (one, other) = (process(&table, HOUR), process(&table, HOUR));
    let (first, second) = tokio::join!(one.handle(batch(0..40)), other.handle(elsewhere()));
    assert!(first.batch_item_failures.is_empty() && second.batch_item_failures.is_empty());
    assert_eq!(tokens(&table).await, 40);
    table.settle_all().await.unwrap();
    assert_eq!(tokens(&table).await, 40);
    support::drop_table(&table).await;
}
