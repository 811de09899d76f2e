//! From what was put aside, or what an operator made of it, to records that a stream could have delivered.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use auth::Access;
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::encodings::Body as AnswerBody;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method};
use ingest::{Ingest, IngestConfig};
use serde::Deserialize;
use shared::clock::Clock;
use shared::event::Body;
use shared::hash::ContentHash;
use shared::id::{AgentId, EventId, RecordKey};
use shared::ledger::{LedgerError, Quarantined, RecordStore, SequenceStore};
use shared::metrics::Metrics;
use shared::record::Content;
use shared::stream::{EventStream, PutError, PutRecord};
use shared::wire::{Entry, Part, Single, StreamRecord};

use super::{Redriver, Unreadable};

type Records = Result<Vec<StreamRecord>, Unreadable>;

/// A correction, as it is put aside.
#[derive(Deserialize)]
struct Correction {
    agent: AgentId,
    id: EventId,
    body: Body,
}

impl<L: RecordStore + SequenceStore, M: Metrics, C: Clock + Clone> Redriver<L, M, C> {
    /// Reads what was put aside: a newer version may read what an older one could not.
    pub(super) async fn stored(&self, item: &Quarantined) -> Result<Records, LedgerError> {
        let bytes = if item.base64 {
            match STANDARD.decode(&item.payload) {
                Ok(bytes) => bytes,
                Err(error) => return Ok(unreadable(&error)),
            }
        } else {
            item.payload.clone().into_bytes()
        };
        if item.code == "unreadable" {
            return Ok(
                StreamRecord::decode(&bytes).map_or_else(|e| unreadable(&e), |record| Ok(vec![record]))
            );
        }
        let entry = match serde_json::from_slice::<Entry>(&bytes) {
            Ok(entry) => entry,
            Err(no_entry) => match serde_json::from_slice::<Correction>(&bytes) {
                Ok(correction) => match self.of_correction(correction).await? {
                    Ok(entry) => entry,
                    Err(error) => return Ok(Err(error)),
                },
                Err(_) => return Ok(unreadable(&no_entry)),
            },
        };
        Ok(Ok(vec![StreamRecord::new(item.at, vec![entry])]))
    }

    /// What brought a correction: an event of its own, or the part that it was sealed in, which is in the ledger.
    async fn of_correction(&self, correction: Correction) -> Result<Result<Entry, Unreadable>, LedgerError> {
        let Correction { agent, id, body } = correction;
        let (key, part) = match id.record() {
            RecordKey::Part(key, part) => (key, part),
            RecordKey::Single(id) => {
                let hash =
                    body.content_hash().map_err(|e| LedgerError::Broken(format!("{id} has no hash: {e}")))?;
                return Ok(Ok(Entry::Single(Box::new(Single { agent, id, hash, body }))));
            }
        };
        let place = (agent.clone(), RecordKey::Part(key.clone(), part));
        let found = self.ledger.get(std::slice::from_ref(&place)).await?.into_iter().next().flatten();
        let Some((hash, data)) = found.and_then(|record| Some((record.data.hash.clone()?, record.data)))
        else {
            let reason =
                format!("the record {} {} that it was sent in is not in the ledger", place.0, place.1);
            return Ok(Err(Unreadable(reason)));
        };
        let events = match data.content {
            Content::Usage(events) => events.into_iter().map(|stored| (stored.i, stored.event)).collect(),
            _ => Vec::new(),
        };
        let (outcomes, corrections) = (data.outcomes, data.sealed_corrections);
        Ok(Ok(Entry::Part(Part { agent, key, part, hash, events, outcomes, corrections })))
    }

    /// Reads what an operator made of it: a stream record, or what a sender could have sent.
    pub(super) async fn mended(&self, item: &Quarantined, bytes: &[u8]) -> Result<Records, LedgerError> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(rename = "v")]
            _v: u32,
            #[serde(rename = "entries")]
            _entries: serde::de::IgnoredAny,
        }
        match StreamRecord::decode(bytes) {
            Ok(record) => return Ok(Ok(vec![record])),
            Err(error) if serde_json::from_slice::<Wire>(bytes).is_ok() => return Ok(unreadable(&error)),
            Err(_) => {}
        }
        let stream = Caught::default();
        let config =
            IngestConfig { lanes: 1, attempts: 1, backoff: Duration::ZERO, ..IngestConfig::default() };
        let ingest = Ingest::new(&stream, self.clock.clone(), config, Access::open());
        if let Some(closed) = self.ledger.closed_before().await? {
            ingest.closed_before().set(closed);
        }
        let mut request = ApiGatewayV2httpRequest::default();
        request.raw_path = Some("/v1/usage".to_owned());
        request.request_context.http.method = Method::POST;
        // So that the same, tried again after an answer that was lost, is the same.
        let hash = ContentHash::of_bytes(&[item.id.as_bytes(), &[0], bytes].concat());
        let key = format!("redrive-{}", hash.as_str());
        let key = HeaderValue::from_str(&key).map_err(|e| LedgerError::Broken(e.to_string()))?;
        request.headers.insert("idempotency-key", key);
        request.body = Some(String::from_utf8_lossy(bytes).into_owned());
        let response = ingest.handle(request).await;
        if response.status_code != 200 {
            let said = match response.body {
                Some(AnswerBody::Text(text)) => text,
                _ => String::new(),
            };
            return Ok(Err(Unreadable(format!("what was given in its place is refused: {}", detail(&said)))));
        }
        let mut records = Vec::new();
        for put in stream.take() {
            match StreamRecord::decode(&put.data) {
                Ok(record) => records.push(record),
                Err(error) => return Ok(unreadable(&error)),
            }
        }
        Ok(Ok(records))
    }
}

fn unreadable<T>(error: &dyn std::fmt::Display) -> Result<T, Unreadable> {
    Err(Unreadable(error.to_string()))
}

/// What a problem says, and of which fields.
fn detail(problem: &str) -> String {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
        #[serde(default)]
        errors: Vec<Fault>,
    }
    #[derive(Deserialize)]
    struct Fault {
        field: String,
        reason: String,
    }
    let Ok(problem) = serde_json::from_str::<Problem>(problem) else { return problem.to_owned() };
    let faults = problem.errors.iter().take(3).map(|fault| format!("; `{}` {}", fault.field, fault.reason));
    problem.detail + &faults.collect::<String>()
}

/// A stream that leads nowhere: what is put is taken out again at once.
#[derive(Default)]
struct Caught(Mutex<Vec<PutRecord>>);

impl Caught {
    fn take(&self) -> Vec<PutRecord> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EventStream for &Caught {
    async fn put(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        let mut caught = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = (0..records.len()).map(|n| Ok(n.to_string())).collect();
        caught.extend(records);
        answers
    }
}
