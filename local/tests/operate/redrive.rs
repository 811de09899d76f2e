//! Retries: what is counted leaves, what can never be counted stays with the reason, and nothing is counted twice.

use std::sync::Arc;

use aggregator::Aggregator;
use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use conformance::drive::Published;
use conformance::faulty::{Fault, Faulty, Feed};
use conformance::intake::ManualClock;
use local::ledger::SqliteLedger;
use operate::redrive::{DeadLetter, Positions, Redriver, retry_letter};
use operate::replay::Ports;
use serde_json::json;
use shared::event::{Body, UsageEvent, Void, part_hash};
use shared::id::{AgentId, EventId, OwnId, SealKey};
use shared::ledger::{QuarantineState, Quarantined, RecordStore, SequenceStore};
use shared::metrics::Metrics;
use shared::price::{Books, PriceBook};
use shared::quarantine::{Retried, RetryAnswer};
use shared::rollup::ScopeKind;
use shared::usage::{Bucket, Usage};
use shared::window::WindowKind;
use shared::wire::{Entry, Part, Single, StreamRecord};

use super::support::{Records, rollups};

fn book() -> Arc<PriceBook> {
    Arc::new(PriceBook::from_json(r#"{"version":"v","source":"test","models":[]}"#).unwrap())
}

async fn deliver(ledger: &Arc<SqliteLedger>, data: Vec<u8>) {
    let mut record = KinesisEventRecord::default();
    record.event_id = Some("shardId-0:1".to_owned());
    record.kinesis.sequence_number = "1".to_owned();
    record.kinesis.partition_key = "0".to_owned();
    record.kinesis.data.0 = data;
    let mut event = KinesisEvent::default();
    event.records = vec![record];
    let (published, clock) = (Arc::<Published>::default(), Arc::<ManualClock>::default());
    let response = Aggregator::new(Arc::clone(ledger), published, clock, book()).handle(event).await;
    assert!(response.batch_item_failures.is_empty());
}

fn redriver<L: RecordStore + SequenceStore>(
    ledger: &Arc<L>,
) -> Redriver<L, impl Metrics + use<L>, Arc<ManualClock>> {
    Redriver::new(Arc::clone(ledger), Arc::new(Published::default()), Arc::default(), Books::new(book()))
}

async fn retry(ledger: &Arc<SqliteLedger>, id: &str, payload: Option<&[u8]>) -> RetryAnswer {
    redriver(ledger).retry(id, payload).await.unwrap().unwrap()
}

async fn tokens(ledger: &SqliteLedger) -> i128 {
    let of_org = |(key, _): &(&shared::rollup::RollupKey, _)| {
        key.scope.kind == ScopeKind::Org && key.window == WindowKind::Month
    };
    rollups(ledger).await.iter().filter(of_org).map(|(_, parts)| parts.0[0].tokens()).sum()
}

async fn only(ledger: &SqliteLedger) -> Quarantined {
    let mut all = ledger.quarantined(9).await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn call(time: &str, tokens: u64) -> UsageEvent {
    UsageEvent::new(time.parse().unwrap(), Usage::new([(Bucket::Input, tokens)]).unwrap())
}

fn single(id: &str, body: Body) -> Entry {
    let hash = body.content_hash().unwrap();
    let (agent, id) = (AgentId::parse("a").unwrap(), OwnId::parse(id).unwrap());
    Entry::Single(Box::new(Single { agent, id, hash, body }))
}

fn void(corrects: &str) -> Body {
    let time = "2026-03-07T11:00:00Z".parse().unwrap();
    Body::Void(Void { time, time_assigned: false, corrects: EventId::parse(corrects).unwrap() })
}

fn part(events: Vec<(u32, UsageEvent)>, corrections: Vec<(u32, Body)>) -> Part {
    Part {
        agent: AgentId::parse("a").unwrap(),
        key: SealKey::parse("k").unwrap(),
        part: 0,
        hash: part_hash(&events, &[], &corrections).unwrap(),
        events,
        outcomes: Vec::new(),
        corrections,
    }
}

fn encoded(entries: Vec<Entry>) -> Vec<u8> {
    StreamRecord::new("2026-03-07T12:00:00Z".parse().unwrap(), entries).encode().unwrap()
}

#[tokio::test]
async fn what_cannot_be_read_stays_until_it_is_mended_and_is_counted_once() {
    let native = json!({"agent_id": "a", "time": "2026-03-07T10:00:00Z", "usage": {"input": 5}}).to_string();
    let stream = encoded(vec![single("x", Body::Usage(call("2026-03-07T10:00:00Z", 5)))]);
    for (broken, mended) in [(&b"\xff\x00"[..], native.as_bytes()), (br#"{"v":9}"#, &stream)] {
        let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
        deliver(&ledger, broken.to_vec()).await;
        let id = only(&ledger).await.id;
        let answer = retry(&ledger, &id, None).await;
        assert_eq!(answer.outcome, Retried::Stuck, "{answer:?}");
        for wrong in [&br#"{"usage":{"input":1}}"#[..], br#"{"v":9,"entries":[]}"#, b"[]"] {
            let answer = retry(&ledger, &id, Some(wrong)).await;
            assert_eq!(answer.outcome, Retried::Stuck, "{answer:?}");
        }
        let marked = only(&ledger).await;
        assert!(matches!(marked.state, QuarantineState::Stuck { .. }), "{marked:?}");
        let answer = retry(&ledger, &id, Some(mended)).await;
        assert_eq!((answer.outcome, answer.reason), (Retried::Counted, None));
        assert!(ledger.quarantined(9).await.unwrap().is_empty());
        assert_eq!(tokens(&ledger).await, 5);
        assert!(redriver(&ledger).retry(&id, Some(mended)).await.unwrap().is_none(), "it has left");
    }
}

#[tokio::test]
async fn a_retry_that_dies_anywhere_counts_once_when_it_is_tried_again() {
    // Without an id of its own: only the key that is made of what is tried again tells it from another.
    let mended = json!({"agent_id": "a", "time": "2026-03-07T10:00:00Z", "usage": {"input": 5}}).to_string();
    for call in 0..24 {
        let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
        deliver(&ledger, b"broken".to_vec()).await;
        let id = only(&ledger).await.id;
        let fault = Fault::Dies { call: call / 2, after: call % 2 == 0 };
        let process = Arc::new(Faulty::new(Arc::clone(&ledger), Arc::new(Feed::default()), fault, 40));
        let _ = redriver(&process).retry(&id, Some(mended.as_bytes())).await;
        // It is gone only if it is counted.
        if let Some(answer) = redriver(&ledger).retry(&id, Some(mended.as_bytes())).await.unwrap() {
            assert!(matches!(answer.outcome, Retried::Counted | Retried::Known), "{answer:?}");
        }
        assert_eq!(tokens(&ledger).await, 5, "died at call {call}");
        assert!(ledger.quarantined(9).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn events_that_were_too_old_are_not_taken_for_counted_by_the_hash_of_the_rest() {
    let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
    ledger.close_before("2026-03-01T00:00:00Z".parse().unwrap()).await.unwrap();
    let events = vec![(0, call("2026-02-01T00:00:00Z", 3)), (1, call("2026-03-07T10:00:00Z", 5))];
    let whole = encoded(vec![Entry::Part(part(events, Vec::new()))]);
    deliver(&ledger, whole.clone()).await;
    assert_eq!(tokens(&ledger).await, 5);
    let item = only(&ledger).await;
    assert_eq!(item.code, "closed_period");
    for _ in 0..2 {
        let answer = retry(&ledger, &item.id, None).await;
        assert_eq!(answer.outcome, Retried::Stuck);
        assert!(answer.reason.as_ref().unwrap().contains("k#0"), "{answer:?}");
    }
    assert_eq!((tokens(&ledger).await, only(&ledger).await.id), (5, item.id.clone()));
    // As another event, at a time that is open, it can be.
    let moved = json!({"id": "late", "agent_id": "a", "time": "2026-03-01T00:00:00Z", "usage": {"input": 3}});
    let answer = retry(&ledger, &item.id, Some(moved.to_string().as_bytes())).await;
    assert_eq!((answer.outcome, tokens(&ledger).await), (Retried::Counted, 8));

    // What is put aside anew of something that was unreadable is there by its own name.
    let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
    ledger.close_before("2026-03-01T00:00:00Z".parse().unwrap()).await.unwrap();
    deliver(&ledger, b"broken".to_vec()).await;
    let answer = retry(&ledger, &only(&ledger).await.id, Some(&whole)).await;
    assert_eq!((answer.outcome, tokens(&ledger).await), (Retried::Counted, 5));
    assert_eq!(answer.put_aside, [only(&ledger).await.id]);
    assert_eq!(only(&ledger).await.code, "closed_period");
}

#[tokio::test]
async fn what_is_wholly_too_old_stays_and_what_came_otherwise_is_a_conflict() {
    let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
    ledger.close_before("2026-03-01T00:00:00Z".parse().unwrap()).await.unwrap();
    deliver(&ledger, encoded(vec![single("old", Body::Usage(call("2026-02-01T00:00:00Z", 3)))])).await;
    let item = only(&ledger).await;
    assert_eq!(retry(&ledger, &item.id, None).await.outcome, Retried::Stuck);
    assert_eq!(only(&ledger).await.reason, item.reason, "why it was put aside is kept");
    // Mended to what another event has become meanwhile.
    deliver(&ledger, encoded(vec![single("y", Body::Usage(call("2026-03-07T10:00:00Z", 5)))])).await;
    let other = encoded(vec![single("y", Body::Usage(call("2026-03-07T10:00:00Z", 6)))]);
    assert_eq!(retry(&ledger, &item.id, Some(&other)).await.outcome, Retried::Conflict);
    assert_eq!((ledger.conflicts(9).await.unwrap().len(), tokens(&ledger).await), (1, 5));
    assert!(ledger.quarantined(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn corrections_that_were_put_aside_are_applied_however_they_came() {
    let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
    let first = single("x", Body::Usage(call("2026-03-07T10:00:00Z", 5)));
    let sealed = part(vec![(0, call("2026-03-07T10:00:00Z", 7))], vec![(1, void("z"))]);
    let target = single("z", Body::Usage(call("2026-03-07T10:00:00Z", 11)));
    deliver(&ledger, encoded(vec![first, Entry::Part(sealed)])).await;
    deliver(&ledger, encoded(vec![target])).await;
    assert_eq!(tokens(&ledger).await, 12, "the sealed void was waiting for its target");
    let aside = |id: &str, correction: serde_json::Value| Quarantined {
        id: id.to_owned(),
        position: "shardId-0:2".to_owned(),
        code: "overflow".to_owned(),
        reason: "as the test wants".to_owned(),
        payload: correction.to_string(),
        base64: false,
        at: "2026-03-07T12:00:00Z".parse().unwrap(),
        state: QuarantineState::Open,
    };
    let own = json!({"agent": "a", "id": "v", "body": void("x")});
    ledger.quarantine(aside("own", own)).await.unwrap();
    assert_eq!(retry(&ledger, "own", None).await.outcome, Retried::Counted);
    assert_eq!(tokens(&ledger).await, 7);
    let of_part = json!({"agent": "a", "id": "k#1", "body": void("z")});
    ledger.quarantine(aside("sealed", of_part)).await.unwrap();
    assert_eq!(retry(&ledger, "sealed", None).await.outcome, Retried::Known);
    let of_nothing = json!({"agent": "a", "id": "gone#1", "body": void("z")});
    ledger.quarantine(aside("gone", of_nothing)).await.unwrap();
    assert_eq!(retry(&ledger, "gone", None).await.outcome, Retried::Stuck);
    let purged = redriver(&ledger).purge("gone").await.unwrap().unwrap();
    assert_eq!((purged.id.as_str(), redriver(&ledger).purge("gone").await.unwrap()), ("gone", None));
    // One whose target's period is closed by now stays.
    ledger.close_before("2026-03-08T00:00:00Z".parse().unwrap()).await.unwrap();
    deliver(&ledger, encoded(vec![single("w", void("k#0"))])).await;
    let item = only(&ledger).await;
    assert_eq!(retry(&ledger, &item.id, None).await.outcome, Retried::Stuck);
    assert_eq!(tokens(&ledger).await, 7);
}

#[tokio::test]
async fn a_dead_letter_is_read_from_the_stream_again() {
    let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
    let mut records = Records::default();
    for n in 1..=9_u64 {
        let body = Body::Usage(call("2026-03-07T10:00:00Z", 10_u64.pow(u32::try_from(n).unwrap() - 1)));
        records.push("0", encoded(vec![single(&format!("e{n}"), body)]));
    }
    let about = Positions { shard: "shardId-0".to_owned(), from: "2".to_owned(), to: "3".to_owned() };
    let letter = DeadLetter {
        id: "m".to_owned(),
        queue: "q".to_owned(),
        at: "2026-03-07T12:00:00Z".parse().unwrap(),
        reason: "RetryAttemptsExhausted".to_owned(),
        about: Some(about),
        body: String::new(),
    };
    let ports = || Ports {
        ledger: Arc::clone(&ledger),
        metrics: Arc::<Published>::default(),
        clock: Arc::<ManualClock>::default(),
        books: Books::new(book()),
    };
    let report = retry_letter(ports(), &mut records, &letter).await.unwrap().unwrap();
    assert!(report.complete && report.applied, "{report:?}");
    assert_eq!(tokens(&ledger).await, 110);
    let of_nothing = DeadLetter { about: None, ..letter };
    assert!(retry_letter(ports(), &mut records, &of_nothing).await.unwrap().is_none());
}
