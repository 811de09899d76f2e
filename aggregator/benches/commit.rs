//! How many events a second the aggregator takes on one core, over a ledger that accepts everything: decoding,
//! pricing, packing into commits, metrics.
//!
//! `cargo bench -p aggregator --bench commit`. Times are of the processor, which other programs on the machine change
//! less than the time that passes. Making the batches is not in them; dropping all that was made of them is. Batches of 10,000 events from 50 agents and 8 models, made by ingest: as
//! events with ids of their own, each in a stream record; and as sealed submissions of 100, each packed as one.

#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aggregator::Aggregator;
use auth::Access;
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::Method;
use ingest::{Ingest, IngestConfig};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::clock::SystemClock;
use shared::id::{AgentId, RecordKey};
use shared::ledger::{
    Commit, CommitError, Conflict, LedgerError, QuarantineState, Quarantined, RecordQuery, RecordStore,
    Sender, SequenceStore,
};
use shared::metrics::{BatchMetrics, Metrics};
use shared::price::PriceBook;
use shared::record::Record;
use shared::sequence::SenderKey;
use shared::stream::{EventStream, PutError, PutRecord};

/// The time that this thread had a processor.
struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.try_into().expect("a processor was had for some time, not a negative one")
    }

    fn end(&self, start: Duration) -> Duration {
        self.start().saturating_sub(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

const EVENTS: usize = 10_000;
const SEALED: usize = 100;
const MODELS: [&str; 8] = [
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "o3",
    "claude-sonnet-4-5",
    "claude-3-5-haiku-20241022",
    "gemini-2.5-pro",
    "no-such-model",
];

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

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<PutRecord>>>);

impl EventStream for Kept {
    async fn put(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        let answers = records.iter().map(|_| Ok("1".to_owned())).collect();
        self.0.lock().expect("nothing panics").extend(records);
        answers
    }
}

/// A future's value, which waits for nothing here.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the ports wait for nothing"),
    }
}

fn event(n: usize) -> Value {
    json!({
        "agent_id": format!("agent-{:02}", n % 50), "task_id": format!("task-{}", n % 400), "team_id": format!("team-{}", n % 5),
        "model": MODELS[n % MODELS.len()],
        "usage": {"input": 812 + n % 300, "cache_read": 512, "output": 310 + n % 70, "reasoning": 64},
    })
}

/// What Lambda delivers of submissions.
fn delivered(submissions: impl Iterator<Item = (String, Value)>) -> KinesisEvent {
    let kept = Kept::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let ingest = Ingest::new(kept.clone(), SystemClock, IngestConfig::default(), Access::open());
    for (key, body) in submissions {
        let mut request = ApiGatewayV2httpRequest::default();
        request.raw_path = Some("/v1/usage".to_owned());
        request.request_context.http.method = Method::POST;
        if !key.is_empty() {
            request.headers.insert("idempotency-key", key.parse().expect("a key is a header's value"));
        }
        request.body = Some(body.to_string());
        let answer = runtime.block_on(ingest.handle(request));
        assert_eq!(answer.status_code, 200, "{:?}", answer.body);
    }
    let records = std::mem::take(&mut *kept.0.lock().expect("nothing panics"));
    let mut batch = KinesisEvent::default();
    batch.records = (0..)
        .zip(records)
        .map(|(n, put): (u64, PutRecord)| {
            let mut record = KinesisEventRecord::default();
            record.kinesis.partition_key = put.partition_key;
            record.kinesis.sequence_number = format!("{n:056}");
            record.kinesis.data.0 = put.data.to_vec();
            record
        })
        .collect();
    batch
}

fn single() -> KinesisEvent {
    delivered((0..EVENTS).map(|n| {
        let mut event = event(n);
        event["id"] = format!("event-{n}").into();
        (String::new(), event)
    }))
}

/// An agent's sender batches what that agent did.
fn sealed() -> KinesisEvent {
    delivered((0..EVENTS / SEALED).map(|key| {
        let events: Vec<_> = (0..SEALED).map(|n| event(key % 50 + 50 * n)).collect();
        (format!("0199aa00-0000-7000-8000-{key:012}"), json!({"events": events}))
    }))
}

fn commit(criterion: &mut Criterion<ProcessorTime>) {
    let mut group = criterion.benchmark_group("aggregator");
    group.throughput(Throughput::Elements(EVENTS as u64)).sample_size(20);
    for (name, batch, records) in [("single", single(), EVENTS), ("sealed-by-100", sealed(), EVENTS / SEALED)]
    {
        assert_eq!(batch.records.len(), records);
        let book = PriceBook::embedded().expect("the book that is compiled in");
        let aggregator = Aggregator::new(Accepting::default(), Nowhere, SystemClock, book);
        group.bench_function(name, |bencher| {
            let run = |batch| {
                let answer = now(aggregator.handle(batch));
                assert!(answer.batch_item_failures.is_empty());
            };
            bencher.iter_batched(|| batch.clone(), run, BatchSize::LargeInput);
        });
        // As Lambda gives it: the batch as JSON, which the function reads.
        let json = serde_json::to_vec(&batch).expect("an event is JSON");
        group.bench_function(format!("{name}-from-json"), |bencher| {
            bencher.iter(|| {
                let batch: KinesisEvent = serde_json::from_slice(&json).expect("an event");
                let answer = now(aggregator.handle(batch));
                assert!(answer.batch_item_failures.is_empty());
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = commit
}
criterion_main!(benches);
