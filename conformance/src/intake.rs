//! The client's side of a history: POSTs through the real ingest handler into a stream in memory that loses
//! acknowledgements, until there is a receipt.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use std::time::Duration;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::encodings::Body;
use fastrand::Rng;
use http::{HeaderValue, Method};
use ingest::{Ingest, IngestConfig};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::id::OwnId;
use shared::ledger::Ledger;
use shared::mint::Mint;
use shared::stream::{EventStream, PutError, PutRecord};

use crate::drive::World;
use crate::history::{START, Submission};

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Moves it on.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let start: Timestamp = START.parse().unwrap_or(Timestamp::UNIX_EPOCH);
        start.checked_add(SignedDuration::from_secs(self.0.load(Ordering::Relaxed))).unwrap_or(start)
    }
}

/// Numbers instead of UUIDs: from an id come a lane and an order of keys, so with random ones a seed would not
/// be the same history twice.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Mint for Counter {
    fn mint(&self) -> OwnId {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        match OwnId::parse(&format!("minted-{number}")) {
            Ok(id) => id,
            Err(_) => unreachable!("a word and a number are an id"),
        }
    }
}

/// A stream in memory. While `loses` is set it refuses puts at random, sometimes after taking them: a
/// producer's retry then puts the same record twice.
#[derive(Debug, Default)]
pub struct MemoryStream {
    records: Mutex<Vec<(String, Vec<u8>)>>,
    faults: Mutex<Option<Rng>>,
}

impl MemoryStream {
    /// What each partition key holds, in order.
    pub fn by_partition(&self) -> BTreeMap<String, Vec<Vec<u8>>> {
        let mut partitions: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
        for (key, data) in self.records.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            partitions.entry(key.clone()).or_default().push(data.clone());
        }
        partitions
    }

    fn lose(&self, rng: Option<Rng>) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = rng;
    }
}

impl EventStream for MemoryStream {
    async fn put(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        let mut stored = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let put = |record: PutRecord| {
            let fault = faults.as_mut().map_or(9, |rng| rng.u32(..10));
            if fault == 0 {
                return Err(PutError::Retry("throttled".to_owned()));
            }
            stored.push((record.partition_key, record.data.to_vec()));
            if fault == 1 {
                return Err(PutError::Retry("the answer was lost".to_owned()));
            }
            Ok(stored.len().to_string())
        };
        records.into_iter().map(put).collect()
    }
}

/// The ingest handler with a client that does not give up.
pub struct Intake {
    handler: Ingest<Arc<MemoryStream>, Arc<ManualClock>, Counter>,
    stream: Arc<MemoryStream>,
    rng: Mutex<Rng>,
}

impl Intake {
    /// A client of this world.
    pub fn new<L: Ledger>(world: &World<L>, seed: u64) -> Self {
        let config =
            IngestConfig { lanes: 2, attempts: 2, backoff: Duration::ZERO, ..IngestConfig::default() };
        Self {
            handler: Ingest::with_mint(
                Arc::clone(&world.stream),
                Arc::clone(&world.clock),
                Counter::default(),
                config,
                auth::Access::open(),
            ),
            stream: Arc::clone(&world.stream),
            rng: Mutex::new(Rng::with_seed(seed)),
        }
    }

    /// Sends a submission until there is a receipt; answers the ids in it.
    pub async fn post(&self, submission: &Submission) -> Result<Vec<String>, String> {
        // Without a key or ids of its own a retry is another submission: such a client must not lose answers.
        let fork = self.rng.lock().unwrap_or_else(PoisonError::into_inner).fork();
        self.stream.lose(submission.is_repeatable().then_some(fork));
        for _ in 0..50 {
            let response = self.handler.handle(request(submission)).await;
            let body = match response.body {
                Some(Body::Text(text)) => serde_json::from_str::<Value>(&text).map_err(|e| e.to_string())?,
                _ => Value::Null,
            };
            match response.status_code {
                200 => {
                    let ids = body["event_ids"].as_array().into_iter().flatten();
                    return Ok(ids.filter_map(|id| id.as_str().map(str::to_owned)).collect());
                }
                503 => {}
                status => return Err(format!("a valid submission was answered {status}: {body}")),
            }
        }
        Err("50 tries brought no receipt".to_owned())
    }
}

fn request(submission: &Submission) -> ApiGatewayV2httpRequest {
    let mut request = ApiGatewayV2httpRequest::default();
    request.raw_path = Some("/v1/usage".to_owned());
    request.request_context.http.method = Method::POST;
    if let Some(key) = submission.key.as_ref().and_then(|key| HeaderValue::from_str(key).ok()) {
        request.headers.insert("idempotency-key", key);
    }
    request.body = Some(json!({"events": submission.events}).to_string());
    request
}
