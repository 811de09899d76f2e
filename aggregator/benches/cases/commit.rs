//! Batches of stream records, made by ingest, from what Lambda delivers to commits that a ledger would take: as events
//! with ids of their own, each in a record; and as sealed submissions of 100, each packed as one. 50 agents, 8 models.

use std::rc::Rc;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use aggregator::Aggregator;
use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::id::{AgentId, RecordKey};
use shared::ledger::{
    Commit, CommitError, Conflict, LedgerError, QuarantineState, Quarantined, RecordQuery, RecordStore,
    Sender, SequenceStore,
};
use shared::metrics::{BatchMetrics, Metrics};
use shared::price::PriceBook;
use shared::record::Record;
use shared::sequence::SenderKey;

use crate::case::{Amount, Case};
use crate::submission::{Still, event, ingest, records};

const SEALED: usize = 100;

/// Accepts everything, within the limits of the table on DynamoDB.
#[derive(Default)]
struct Accepting(Mutex<usize>);

impl RecordStore for Accepting {
    fn max_commit_items(&self) -> usize {
        1_000
    }

    fn max_commit_records(&self) -> usize {
        90
    }

    fn max_commit_bytes(&self) -> usize {
        2 << 20
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        *self.0.lock().expect("nothing panics") += commit.records.len();
        Ok(())
    }

    async fn get(&self, keys: &[(AgentId, RecordKey)]) -> Result<Vec<Option<Record>>, LedgerError> {
        Ok(vec![None; keys.len()])
    }

    async fn records(&self, _: &RecordQuery) -> Result<Vec<Record>, LedgerError> {
        Ok(Vec::new())
    }

    async fn put_conflict(&self, conflict: Conflict) -> Result<bool, LedgerError> {
        Err(LedgerError::Broken(format!("{conflict:?}")))
    }

    async fn conflicts(&self, _: usize) -> Result<Vec<Conflict>, LedgerError> {
        Ok(Vec::new())
    }

    async fn quarantine(&self, item: Quarantined) -> Result<bool, LedgerError> {
        Err(LedgerError::Broken(item.reason))
    }

    async fn quarantined(&self, _: usize) -> Result<Vec<Quarantined>, LedgerError> {
        Ok(Vec::new())
    }

    async fn quarantined_item(&self, _: &str) -> Result<Option<Quarantined>, LedgerError> {
        Ok(None)
    }

    async fn mark_quarantined(&self, _: &str, _: &QuarantineState) -> Result<bool, LedgerError> {
        Ok(false)
    }

    async fn remove_quarantined(&self, _: &str) -> Result<bool, LedgerError> {
        Ok(false)
    }

    async fn awaited(&self, _: usize) -> Result<Vec<Record>, LedgerError> {
        Ok(Vec::new())
    }

    async fn closed_before(&self) -> Result<Option<Timestamp>, LedgerError> {
        Ok(Some(Timestamp::UNIX_EPOCH))
    }

    async fn close_before(&self, _: Timestamp) -> Result<(), LedgerError> {
        Ok(())
    }
}

impl SequenceStore for Accepting {
    async fn note_arrived(&self, _: &SenderKey, _: &[u64], _: Timestamp) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn senders(&self, _: Option<&SenderKey>, _: usize) -> Result<Vec<Sender>, LedgerError> {
        Ok(Vec::new())
    }
}

struct Nowhere;

impl Metrics for Nowhere {
    async fn publish(&self, batch: BatchMetrics) {
        std::hint::black_box(batch);
    }
}

/// A future's value, which waits for nothing here.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the ports wait for nothing"),
    }
}

/// What Lambda delivers of submissions.
fn delivered(submissions: impl Iterator<Item = (Option<String>, Value)>) -> KinesisEvent {
    let ingest = ingest();
    let mut batch = KinesisEvent::default();
    let puts = submissions.flat_map(|(key, body)| records(&ingest, key.as_deref(), &body));
    batch.records = (0..)
        .zip(puts)
        .map(|(n, put)| {
            let n: u64 = n;
            let mut record = KinesisEventRecord::default();
            record.kinesis.partition_key = put.partition_key;
            record.kinesis.sequence_number = format!("{n:056}");
            record.kinesis.data.0 = put.data.to_vec();
            record
        })
        .collect();
    batch
}

fn single(events: usize) -> KinesisEvent {
    delivered((0..events).map(|n| {
        let mut event = event(n);
        event["id"] = format!("event-{n}").into();
        (None, event)
    }))
}

/// An agent's sender batches what that agent did.
fn sealed(events: usize) -> KinesisEvent {
    delivered((0..events / SEALED).map(|key| {
        let events: Vec<_> = (0..SEALED).map(|n| event(key % 50 + 50 * n)).collect();
        (Some(format!("0199aa00-0000-7000-8000-{key:012}")), json!({"events": events}))
    }))
}

pub(crate) fn cases(events: usize) -> Vec<Case> {
    let amount = Amount::Events(events);
    let mut cases = Vec::new();
    for (name, batch, records) in
        [("single", single(events), events), ("sealed-by-100", sealed(events), events / SEALED)]
    {
        assert_eq!(batch.records.len(), records);
        let book = PriceBook::embedded().expect("the book that is compiled in");
        let aggregator = Rc::new(Aggregator::new(Accepting::default(), Nowhere, Still, book));
        let handle = move |batch| {
            let answer = now(aggregator.handle(batch));
            assert!(answer.batch_item_failures.is_empty());
        };
        // As Lambda gives it: the batch as JSON, which the function reads.
        let json = serde_json::to_vec(&batch).expect("an event is JSON");
        cases.push(Case::once(name, amount, move || batch.clone(), handle.clone()));
        cases.push(Case::again(format!("{name}-from-json"), amount, move || {
            handle(serde_json::from_slice(&json).expect("an event"));
        }));
    }
    cases
}
