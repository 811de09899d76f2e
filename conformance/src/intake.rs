//! The client's side of a history: POSTs through the real ingest handler into a stream in memory that loses
//! acknowledgements, until there is a receipt.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::ledger::Ledger;
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


/// INTERIM
pub struct Intake {
    stream: Arc<MemoryStream>,
    clock: Arc<ManualClock>,
    rng: Mutex<Rng>,
}

impl Intake {
    /// x
    pub fn new<L: Ledger>(world: &World<L>, seed: u64) -> Self {
        Self { stream: Arc::clone(&world.stream), clock: Arc::clone(&world.clock), rng: Mutex::new(Rng::with_seed(seed)) }
    }
    /// x
    pub async fn post(&self, s: &Submission) -> Result<Vec<String>, String> {
        use shared::wire::*; use shared::event::*; use shared::id::*;
        let mut ids = vec![]; let mut parts: BTreeMap<(AgentId,u32),(Vec<(u32,UsageEvent)>,Vec<(u32,TaskOutcome)>)> = BTreeMap::new();
        let mut entries = vec![];
        for (i, e) in (0u32..).zip(&s.events) {
            let mut e = e.clone();
            let m = e.as_object_mut().unwrap();
            let agent = AgentId::parse(m.remove("agent_id").unwrap().as_str().unwrap()).unwrap();
            if !m.contains_key("time") { m.insert("time".into(), json!(self.clock.now().to_string())); m.insert("time_assigned".into(), json!(true)); }
            let ty = m.remove("type"); let id = m.remove("id");
            let v: Value = Value::Object(m.clone());
            let body = match ty.as_ref().and_then(|t| t.as_str()) {
                None => Body::Usage(serde_json::from_value(v).map_err(|e| e.to_string())?),
                Some("void") => Body::Void(serde_json::from_value(v).map_err(|e| e.to_string())?),
                Some("amend") => Body::Amend(serde_json::from_value(v).map_err(|e| e.to_string())?),
                _ => Body::TaskOutcome(serde_json::from_value(v).map_err(|e| e.to_string())?),
            };
            let id = match (id, &s.key) { (Some(id), _) => EventId::parse(id.as_str().unwrap()).unwrap(), (None, Some(k)) => EventId::Sealed(SealKey::parse(k).unwrap(), i),
               (None, None) => EventId::parse(&format!("u{}", self.rng.lock().unwrap().u64(..))).unwrap() };
            ids.push(id.to_string());
            match (&id, body) {
                (EventId::Sealed(..), Body::Usage(e)) => parts.entry((agent, i/100)).or_default().0.push((i,e)),
                (EventId::Sealed(..), Body::TaskOutcome(e)) => parts.entry((agent, i/100)).or_default().1.push((i,e)),
                (_, body) => entries.push(Entry::Single(Single{agent, id: id.clone(), hash: body.content_hash().unwrap(), body})),
            }
        }
        for ((agent, part), (events, outcomes)) in parts {
            entries.push(Entry::Part(Part{agent, key: SealKey::parse(s.key.as_ref().unwrap()).unwrap(), part, hash: part_hash(&events,&outcomes).unwrap(), events, outcomes}));
        }
        let lane = self.rng.lock().unwrap().u32(..2);
        let fail = if s.is_repeatable() { self.rng.lock().unwrap().u32(..8) == 0 } else { false };
        for _ in 0..(1 + u32::from(fail)) {
            let r = StreamRecord::new(self.clock.now(), entries.clone());
            self.stream.put(vec![PutRecord{partition_key: lane.to_string(), data: r.encode().unwrap().into()}]).await;
        }
        let _ = SignedDuration::ZERO;
        self.stream.lose(None);
        Ok(ids)
    }
}
