//! The commit protocol: as many records with their additions as fit a transaction, each under the condition
//! that it was not there.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use shared::clock::Clock;
use shared::id::{AgentId, RecordKey};
use shared::ledger::{Commit, CommitError, Conflict, LedgerError, RecordStore, RecordWrite, Refusal};
use shared::metrics::Metrics;
use shared::record::{Content, Record};
use shared::rollup::Additions;
use shared::wire::Entry;

use crate::Aggregator;
use crate::batch::{Batch, Unit};
use crate::prepare::Prepared;

/// How many records are looked for at once, as DynamoDB's `BatchGetItem` takes.
const LOOK: usize = 100;
/// How often a write is tried again after someone else wrote the same item in between.
pub(crate) const RACES: usize = 32;

impl<L: RecordStore, M: Metrics, C: Clock> Aggregator<L, M, C> {
    /// Commits a lane's units: first what happened, then what corrects it, so that a correction in the same
    /// batch finds its target.
    pub(crate) async fn commit_lane(
        &self,
        lane: u32,
        units: Vec<Unit>,
        closed_before: Option<Timestamp>,
        batch: &mut Batch,
    ) {
        let (mut queue, mut corrections) = (VecDeque::new(), Vec::new());
        let mut seen: HashMap<(AgentId, RecordKey), Unit> = HashMap::new();
        for unit in units {
            let origin = unit.origin;
            let id = (unit.entry.agent().clone(), unit.entry.key());
            let done = match seen.get(&id) {
                Some(first) if first.entry.hash() == unit.entry.hash() => {
                    batch.duplicates += 1;
                    Ok(())
                }
                // Not decided here: the first of this batch may itself lose to what the ledger holds.
                Some(_) => {
                    corrections.push(unit);
                    Ok(())
                }
                None => {
                    seen.insert(id, unit.clone());
                    if matches!(&unit.entry, Entry::Single(s) if s.body.is_correction()) {
                        corrections.push(unit);
                        Ok(())
                    } else {
                        self.prepare(unit, closed_before, batch).await.map(|ready| queue.extend(ready))
                    }
                }
            };
            failed_if(done, [origin], batch);
        }
        self.commit_queue(lane, queue, batch).await;
        for unit in corrections {
            let origin = unit.origin;
            let done = if matches!(&unit.entry, Entry::Single(s) if s.body.is_correction()) {
                self.correct(lane, &unit, closed_before, batch).await
            } else {
                match self.prepare(unit, closed_before, batch).await {
                    Ok(Some(ready)) => self.commit_alone(lane, ready, None, batch).await,
                    Ok(None) => Ok(()),
                    Err(error) => Err(error),
                }
            };
            failed_if(done, [origin], batch);
        }
    }

    async fn commit_queue(&self, lane: u32, mut queue: VecDeque<Prepared>, batch: &mut Batch) {
        let mut look_first = false;
        let mut fresh = 0_usize;
        let mut alone = 0_usize;
        let most = self.ledger.max_commit_items();
        while !queue.is_empty() {
            if look_first && fresh == 0 {
                // One duplicate mostly means a replay: then all of them are.
                fresh = self.settle_known(lane, &mut queue, batch).await;
                continue;
            }
            if alone > 0 || queue.front().is_some_and(|first| first.items() > most) {
                alone = alone.saturating_sub(1);
                fresh = fresh.saturating_sub(1);
                if let Some(ready) = queue.pop_front() {
                    let origin = ready.unit.origin;
                    let done = self.commit_alone(lane, ready, None, batch).await;
                    failed_if(done, [origin], batch);
                }
                continue;
            }
            let (chunk, commit) = take_chunk(&mut queue, lane, most);
            fresh = fresh.saturating_sub(chunk.len());
            match self.ledger.commit(commit).await {
                Ok(()) => {
                    for ready in &chunk {
                        batch.committed(&ready.record.agent, &ready.additions);
                    }
                }
                Err(CommitError::Refused(refusals)) => {
                    look_first = true;
                    fresh = 0;
                    self.settle_refused(lane, chunk, refusals, &mut queue, batch).await;
                }
                Err(CommitError::Overflow(_)) => {
                    // One of them is too much: find it by committing each alone.
                    alone = chunk.len();
                    chunk.into_iter().rev().for_each(|ready| queue.push_front(ready));
                }
                Err(CommitError::Ledger(error)) => {
                    tracing::warn!(%error, "a commit had no answer; its records will come again");
                    let origins = chunk.iter().chain(&queue).map(|ready| ready.unit.origin);
                    batch.failed.extend(origins);
                    return;
                }
            }
        }
    }

    /// Takes what is in the ledger already out of the next records of the queue; answers how many are left of
    /// those looked at.
    async fn settle_known(&self, lane: u32, queue: &mut VecDeque<Prepared>, batch: &mut Batch) -> usize {
        let next: Vec<_> = queue.drain(..queue.len().min(LOOK)).collect();
        let keys: Vec<_> = next.iter().map(|r| (r.record.agent.clone(), r.record.key.clone())).collect();
        match self.ledger.get(&keys).await {
            Ok(found) => {
                let mut fresh = Vec::new();
                for (ready, existing) in next.into_iter().zip(found) {
                    match existing {
                        None => fresh.push(ready),
                        Some(existing) => {
                            let origin = ready.unit.origin;
                            let done = self.commit_alone(lane, ready, Some(existing), batch).await;
                            failed_if(done, [origin], batch);
                        }
                    }
                }
                let left = fresh.len();
                fresh.into_iter().rev().for_each(|ready| queue.push_front(ready));
                left
            }
            Err(error) => {
                failed_if(Err(error), next.iter().map(|ready| ready.unit.origin), batch);
                0
            }
        }
    }

    async fn settle_refused(
        &self,
        lane: u32,
        chunk: Vec<Prepared>,
        refusals: Vec<Refusal>,
        queue: &mut VecDeque<Prepared>,
        batch: &mut Batch,
    ) {
        let mut refused: HashMap<usize, Option<Record>> =
            refusals.into_iter().map(|refusal| (refusal.index, refusal.existing)).collect();
        let mut rest = Vec::new();
        for (index, ready) in chunk.into_iter().enumerate() {
            match refused.remove(&index) {
                None => rest.push(ready),
                Some(existing) => {
                    let origin = ready.unit.origin;
                    let done = self.commit_alone(lane, ready, existing, batch).await;
                    failed_if(done, [origin], batch);
                }
            }
        }
        rest.into_iter().rev().for_each(|ready| queue.push_front(ready));
    }

    /// Commits one record, whatever may be there already and however many rollups it adds to.
    pub(crate) async fn commit_alone(
        &self,
        lane: u32,
        mut ready: Prepared,
        mut existing: Option<Record>,
        batch: &mut Batch,
    ) -> Result<(), LedgerError> {
        for _ in 0..RACES {
            let expected = match existing.take() {
                None => None,
                Some(known) if known.data.content == Content::Awaited => {
                    ready.record.data.corrections = known.data.corrections;
                    match ready.record.data.additions(&ready.record.agent) {
                        Ok(additions) => ready.additions = additions.without_zeros(),
                        Err(error) => {
                            return self
                                .put_aside_unit(&ready.unit, "overflow", error.to_string(), batch)
                                .await;
                        }
                    }
                    Some(known.version)
                }
                Some(known) => return self.repeated(lane, &ready.unit, known, batch).await,
            };
            let step = self.step();
            let in_steps = ready.additions.len() > step;
            ready.record.version = expected.unwrap_or(0) + 1;
            ready.record.data.made = in_steps.then_some(step);
            let commit = Commit {
                records: vec![RecordWrite { expected, record: ready.record.clone() }],
                additions: ready.additions.slice(0, step),
                lane,
            };
            match self.ledger.commit(commit).await {
                Ok(()) => {
                    let agent = ready.record.agent.clone();
                    if in_steps {
                        self.complete(lane, ready.record).await?;
                    }
                    batch.committed(&agent, &ready.additions);
                    return Ok(());
                }
                Err(CommitError::Refused(refusals)) => {
                    existing = refusals.into_iter().next().and_then(|refusal| refusal.existing);
                }
                Err(CommitError::Overflow(error)) => {
                    return self.put_aside_unit(&ready.unit, "overflow", error.to_string(), batch).await;
                }
                Err(CommitError::Ledger(error)) => return Err(error),
            }
        }
        Err(lost_races(&ready.record.agent, &ready.record.key))
    }

    /// What is there already stands: a duplicate if it is the same, a conflict if not.
    pub(crate) async fn repeated(
        &self,
        lane: u32,
        unit: &Unit,
        standing: Record,
        batch: &mut Batch,
    ) -> Result<(), LedgerError> {
        let standing_hash = standing.data.hash.clone();
        // Whoever wrote it may have died between two steps: then this delivery is what finishes it.
        if standing.data.made.is_some() {
            self.complete(lane, standing).await?;
        }
        let refused = unit.entry.hash();
        match standing_hash {
            Some(standing) if standing != *refused => {
                let content = serde_json::to_string(&unit.entry)
                    .map_err(|e| LedgerError::Broken(format!("a conflict cannot be written as JSON: {e}")))?;
                let conflict = Conflict {
                    agent: unit.entry.agent().clone(),
                    key: unit.entry.key().to_string(),
                    standing,
                    refused: refused.clone(),
                    content,
                    at: self.clock.now(),
                };
                batch.conflicts += u64::from(self.ledger.put_conflict(conflict).await?);
            }
            _ => batch.duplicates += 1,
        }
        Ok(())
    }

    /// Rollups beside one record in a transaction.
    fn step(&self) -> usize {
        self.ledger.max_commit_items().saturating_sub(1).max(1)
    }

    /// Makes the additions of a record that needs several transactions. Each notes on the record how many are
    /// made, so that each addition is made once, whoever makes it and however many fit its transactions.
    pub(crate) async fn complete(&self, lane: u32, mut record: Record) -> Result<(), LedgerError> {
        let broken = |record: &Record, what: &str| {
            LedgerError::Broken(format!("record {} {}: {what}", record.agent, record.key))
        };
        let additions = match record.data.additions(&record.agent) {
            Ok(additions) => additions.without_zeros(),
            Err(error) => return Err(broken(&record, &error.to_string())),
        };
        let mut races = 0;
        while let Some(made) = record.data.made {
            let expected = record.version;
            let upto = made + self.step();
            record.version += 1;
            record.data.made = (upto < additions.len()).then_some(upto);
            let write = RecordWrite { expected: Some(expected), record: record.clone() };
            let commit = Commit { records: vec![write], additions: additions.slice(made, self.step()), lane };
            match self.ledger.commit(commit).await {
                Ok(()) => {}
                Err(CommitError::Refused(refusals)) if races < RACES => {
                    races += 1;
                    match refusals.into_iter().next().and_then(|refusal| refusal.existing) {
                        Some(newer) => record = newer,
                        None => return Err(broken(&record, "it vanished between two steps")),
                    }
                }
                Err(CommitError::Refused(_)) => return Err(lost_races(&record.agent, &record.key)),
                Err(CommitError::Overflow(error)) => return Err(broken(&record, &error.to_string())),
                Err(CommitError::Ledger(error)) => return Err(error),
            }
        }
        Ok(())
    }
}

pub(crate) fn lost_races(agent: &AgentId, key: &RecordKey) -> LedgerError {
    LedgerError::Retry(format!("record {agent} {key} was written by others {RACES} times in between"))
}

fn failed_if(done: Result<(), LedgerError>, origins: impl IntoIterator<Item = usize>, batch: &mut Batch) {
    if let Err(error) = done {
        tracing::warn!(%error, "a record was not committed; it will come again");
        batch.failed.extend(origins);
    }
}

/// Takes records off the queue as long as they fit one transaction with their merged additions.
fn take_chunk(queue: &mut VecDeque<Prepared>, lane: u32, most: usize) -> (Vec<Prepared>, Commit) {
    let mut chunk: Vec<Prepared> = Vec::new();
    let mut additions = Additions::default();
    while let Some(ready) = queue.front() {
        let items = chunk.len() + 1 + additions.len_with(&ready.additions);
        if items > most {
            break;
        }
        if additions.merge(&ready.additions).is_err() {
            // Their sum would not fit: this one goes into the next transaction.
            additions = chunk.iter().fold(Additions::default(), |mut sum, ready| {
                // It was merged before without an error.
                let _ = sum.merge(&ready.additions);
                sum
            });
            break;
        }
        chunk.extend(queue.pop_front());
    }
    let write = |ready: &Prepared| RecordWrite { expected: None, record: ready.record.clone() };
    let records = chunk.iter().map(write).collect();
    (chunk, Commit { records, additions, lane })
}
