//! A record whose additions did not all fit one transaction, and whose writer died between two of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use aggregator::{Aggregator, Repricer};
use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use conformance::drive::Published;
use conformance::faulty::{Fault, Faulty, Feed};
use conformance::intake::ManualClock;
use local::ledger::SqliteLedger;
use shared::event::{Body, UsageEvent, Void, part_hash};
use shared::id::{AgentId, EventId, OwnId, SealKey, TaskId};
use shared::ledger::{RollupQuery, RollupStore};
use shared::price::PriceBook;
use shared::repricing::Selection;
use shared::rollup::ScopeKind;
use shared::totals::Totals;
use shared::usage::{Bucket, Usage};
use shared::window::WindowKind;
use shared::wire::{Entry, Part, Single, StreamRecord};

async fn consume(ledger: &Arc<SqliteLedger>, entry: Entry, fault: Fault) {
    let process = Arc::new(Faulty::new(Arc::clone(ledger), Arc::new(Feed::default()), fault, 40));
    let book = PriceBook::from_json(r#"{"version":"v","source":"test","models":[]}"#).unwrap();
    let (published, clock) = (Arc::new(Published::default()), Arc::new(ManualClock::default()));
    let received = "2026-03-07T12:00:00Z".parse().unwrap();
    let mut record = KinesisEventRecord::default();
    record.kinesis.sequence_number = "0".to_owned();
    record.kinesis.partition_key = "0".to_owned();
    record.kinesis.data.0 = StreamRecord::new(received, vec![entry]).encode().unwrap();
    let mut event = KinesisEvent::default();
    event.records = vec![record];
    Aggregator::new(process, published, clock, Arc::new(book)).handle(event).await;
}

/// Twenty calls of as many tasks: more rollups than a transaction of 40 items holds.
fn part() -> Part {
    let time = "2026-03-07T10:00:00Z".parse().unwrap();
    let call = |i: u32| {
        let mut call = UsageEvent::new(time, Usage::new([(Bucket::Input, 1_u64 << i)]).unwrap());
        call.task_id = Some(TaskId::parse(&format!("t{i:02}")).unwrap());
        (i, call)
    };
    let events: Vec<_> = (0..20).map(call).collect();
    Part {
        agent: AgentId::parse("a").unwrap(),
        key: SealKey::parse("k").unwrap(),
        part: 0,
        hash: part_hash(&events, &[], &[]).unwrap(),
        events,
        outcomes: Vec::new(),
        corrections: Vec::new(),
    }
}

fn void(index: u32) -> Entry {
    let corrects = EventId::parse(&format!("k#{index}")).unwrap();
    let time = "2026-03-07T11:00:00Z".parse().unwrap();
    let body = Body::Void(Void { time, time_assigned: false, corrects });
    Entry::Single(Box::new(Single {
        agent: AgentId::parse("a").unwrap(),
        id: OwnId::parse(&format!("v{index}")).unwrap(),
        hash: body.content_hash().unwrap(),
        body,
    }))
}

async fn tokens(ledger: &SqliteLedger, kind: ScopeKind, window: WindowKind) -> i128 {
    let query = RollupQuery { kind, a: None, b: None, window, from: 1_772_323_200, to: 1_775_001_600 };
    let rows = ledger.rollup_rows(&query).await.unwrap();
    rows.iter().flat_map(|row| &row.parts.0).map(Totals::tokens).sum()
}

/// Prices everything at a dollar a token, with so many items in a transaction; the process may die, too.
async fn reprice(ledger: &Arc<SqliteLedger>, fault: Fault, most: usize) {
    let process = Arc::new(Faulty::new(Arc::clone(ledger), Arc::new(Feed::default()), fault, most));
    let json = r#"{"version":"w","source":"test","models":[]}"#;
    let book = PriceBook::from_json(json).unwrap().with_fallback("1".parse().unwrap());
    let (published, clock) = (Arc::new(Published::default()), Arc::new(ManualClock::default()));
    let repricer = Repricer::new(process, published, clock);
    let selection = Selection {
        from: "2026-03-01T00:00:00Z".parse().unwrap(),
        to: "2026-03-08T00:00:00Z".parse().unwrap(),
        agents: Vec::new(),
        models: Vec::new(),
        unpriced: true,
        closed: false,
    };
    let Ok(run) = repricer.begin(&OwnId::parse("run").unwrap(), &selection, &book).await else { return };
    // What dies is taken up by the next.
    let _ = repricer.advance(run, &book).await;
}

async fn cost(ledger: &SqliteLedger, kind: ScopeKind, window: WindowKind) -> (String, i64) {
    let query = RollupQuery { kind, a: None, b: None, window, from: 1_772_323_200, to: 1_775_001_600 };
    let mut sum = Totals::default();
    for part in ledger.rollup_rows(&query).await.unwrap().iter().flat_map(|row| &row.parts.0) {
        sum.add(part).unwrap();
    }
    (sum.cost.to_string(), sum.unpriced_events)
}

#[tokio::test]
async fn a_correction_that_meets_it_finishes_it_first() {
    let voided = [0, 10, 19];
    let left = (1 << 20) - 1 - voided.iter().map(|i| 1_i128 << i).sum::<i128>();
    for call in 0..8 {
        let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
        consume(&ledger, Entry::Part(part()), Fault::Dies { call, after: true }).await;
        for index in voided {
            consume(&ledger, void(index), Fault::None).await;
        }
        consume(&ledger, Entry::Part(part()), Fault::None).await;
        for kind in [ScopeKind::Org, ScopeKind::Task, ScopeKind::AgentTask] {
            for window in WindowKind::ALL {
                let found = tokens(&ledger, kind, window).await;
                assert_eq!(found, left, "{kind:?} by {window:?}, died after call {call}");
            }
        }
    }
}

#[tokio::test]
async fn a_repricing_that_meets_it_finishes_it_first_and_is_exact_wherever_it_dies() {
    for call in 0..8 {
        for dies in [0, 3, 4, 5, 6, 7, 9, 11, 14, 18] {
            let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
            consume(&ledger, Entry::Part(part()), Fault::Dies { call, after: true }).await;
            // What was too much for one transaction of the writer may fit one of the repricing.
            let most = if dies % 3 == 0 { 1_000 } else { 40 };
            reprice(&ledger, Fault::Dies { call: dies, after: dies % 2 == 0 }, most).await;
            reprice(&ledger, Fault::None, most).await;
            consume(&ledger, Entry::Part(part()), Fault::None).await;
            for kind in [ScopeKind::Org, ScopeKind::Task, ScopeKind::AgentTask] {
                for window in WindowKind::ALL {
                    let found = cost(&ledger, kind, window).await;
                    // Nothing, where the record was not there yet; all of it elsewhere, and never a part.
                    let whole = [("1048575".to_owned(), 0), ("0".to_owned(), 20)];
                    assert!(whole.contains(&found), "{kind:?} by {window:?}, {call}, {dies}: {found:?}");
                }
            }
        }
    }
}
