//! The commit protocol: as many records with their additions as fit a transaction, each under the condition
//! that it was not there.

use std::collections::{HashMap, VecDeque};

use shared::clock::Clock;
use shared::id::{AgentId, RecordKey};
use shared::ledger::{
    Commit, CommitError, Conflict, LedgerError, RecordStore, RecordWrite, Refusal, SequenceStore,
};
use shared::metrics::Metrics;
use shared::record::{Content, Record};
use shared::rollup::{Places, RollupKey, Sums};

use crate::Aggregator;
use crate::batch::{Added, Batch, Fate, Unit};
use crate::lane::Lane;
use crate::prepare::Prepared;

/// How many records are looked for at once, as DynamoDB's `BatchGetItem` takes.
const LOOK: usize = 100;
/// How often a write is tried again after someone else wrote the same item in between.
pub(crate) const RACES: usize = 32;

impl<L: RecordStore + SequenceStore, M: Metrics, C: Clock> Aggregator<L, M, C> {
    /// Commits what a queue holds. What has no fate in the end has failed.
    pub(crate) async fn commit_queue(&self, mut queue: VecDeque<Box<Prepared>>, lane: &mut Lane<'_>) {
        let mut look_first = false;
        let mut fresh = 0_usize;
        let mut alone = 0_usize;
        let most = self.ledger.max_commit_items();
        while !queue.is_empty() {
            if look_first && fresh == 0 {
                // One duplicate mostly means a replay: then all of them are.
                fresh = self.settle_known(&mut queue, lane).await;
                continue;
            }
            if alone > 0 || queue.front().is_some_and(|first| first.items > most) {
                alone = alone.saturating_sub(1);
                fresh = fresh.saturating_sub(1);
                if let Some(ready) = queue.pop_front() {
                    self.settle(ready, None, lane).await;
                }
                continue;
            }
            let room = Room::of(&self.ledger);
            let (chunk, commit) = take_chunk(&mut queue, lane.number, &room, &lane.batch.places);
            if chunk.is_empty() {
                // It would not even fit alone: the ledger says what to do with it.
                alone = 1;
                continue;
            }
            let added = Added::of(&commit.additions);
            fresh = fresh.saturating_sub(chunk.len());
            match self.ledger.commit(commit).await {
                Ok(()) => {
                    lane.batch.committed(added);
                    for (n, unit) in chunk {
                        lane.batch.is_new(unit.origin);
                        lane.fates[n] = Some(Fate::Stands);
                    }
                }
                Err(CommitError::Refused(refusals)) => {
                    look_first = true;
                    fresh = 0;
                    self.settle_refused(chunk, refusals, &mut queue, lane).await;
                }
                Err(CommitError::Overflow(_)) => {
                    // One of them is too much: find it by committing each alone.
                    for (n, unit) in chunk.into_iter().rev() {
                        if let Some(ready) = self.prepared(n, unit, None, lane).await {
                            queue.push_front(ready);
                            alone += 1;
                        }
                    }
                }
                Err(CommitError::Ledger(error)) => {
                    let units =
                        chunk.iter().map(|(_, unit)| unit).chain(queue.iter().map(|ready| &ready.unit));
                    units.for_each(|unit| lane.batch.fail(unit.origin, &error));
                    return;
                }
            }
        }
    }

    /// Commits one record, and notes its fate or that it failed.
    pub(crate) async fn settle(&self, ready: Box<Prepared>, existing: Option<Record>, lane: &mut Lane<'_>) {
        let (n, origin) = (ready.n, ready.unit.origin);
        match self.commit_alone(lane.number, ready, existing, lane.batch).await {
            Ok(fate) => lane.fates[n] = Some(fate),
            Err(error) => lane.batch.fail(origin, &error),
        }
    }

    /// Takes what is in the ledger already out of the next records of the queue; answers how many are left of
    /// those looked at.
    async fn settle_known(&self, queue: &mut VecDeque<Box<Prepared>>, lane: &mut Lane<'_>) -> usize {
        let next: Vec<_> = queue.drain(..queue.len().min(LOOK)).collect();
        let keys: Vec<_> = next.iter().map(|r| (r.record.agent.clone(), r.record.key.clone())).collect();
        match self.ledger.get(&keys).await {
            Ok(found) => {
                let mut fresh = Vec::new();
                for (ready, existing) in next.into_iter().zip(found) {
                    match existing {
                        None => fresh.push(ready),
                        Some(existing) => self.settle(ready, Some(existing), lane).await,
                    }
                }
                let left = fresh.len();
                fresh.into_iter().rev().for_each(|ready| queue.push_front(ready));
                left
            }
            Err(error) => {
                next.iter().for_each(|ready| lane.batch.fail(ready.unit.origin, &error));
                0
            }
        }
    }

    async fn settle_refused(
        &self,
        chunk: Vec<(usize, Unit)>,
        refusals: Vec<Refusal>,
        queue: &mut VecDeque<Box<Prepared>>,
        lane: &mut Lane<'_>,
    ) {
        let mut refused: HashMap<usize, Option<Record>> =
            refusals.into_iter().map(|refusal| (refusal.index, refusal.existing)).collect();
        let mut rest = Vec::new();
        for (index, (n, unit)) in chunk.into_iter().enumerate() {
            let Some(ready) = self.prepared(n, unit, None, lane).await else { continue };
            match refused.remove(&index) {
                None => rest.push(ready),
                Some(existing) => self.settle(ready, existing, lane).await,
            }
        }
        rest.into_iter().rev().for_each(|ready| queue.push_front(ready));
    }

    /// Commits one record, whatever may be there already and however many rollups it adds to.
    pub(crate) async fn commit_alone(
        &self,
        lane: u32,
        mut ready: Box<Prepared>,
        mut existing: Option<Record>,
        batch: &mut Batch,
    ) -> Result<Fate, LedgerError> {
        for _ in 0..RACES {
            let expected = match existing.take() {
                None => None,
                Some(known) if known.data.content == Content::Awaited => {
                    ready.record.data.corrections = known.data.corrections;
                    Some(known.version)
                }
                Some(known) => return self.repeated(lane, &ready.unit, known, batch).await,
            };
            let whole = match ready.record.data.additions(&ready.record.agent) {
                Ok(additions) => additions.without_zeros(),
                Err(error) => {
                    self.put_aside_unit(&ready.unit, "overflow", error.to_string(), batch).await?;
                    return Ok(Fate::Refused);
                }
            };
            let (additions, all) = whole.after(None, step(&self.ledger));
            ready.record.version = expected.unwrap_or(0) + 1;
            ready.record.data.made = if all { None } else { additions.last().map(RollupKey::item_key) };
            let records = vec![RecordWrite { expected, record: ready.record.clone() }];
            let commit = Commit { records, additions, lane };
            match self.ledger.commit(commit).await {
                Ok(()) => {
                    if !all {
                        complete(&self.ledger, lane, ready.record).await?;
                    }
                    batch.committed(Added::of(&whole));
                    batch.is_new(ready.unit.origin);
                    return Ok(Fate::Stands);
                }
                Err(CommitError::Refused(refusals)) => {
                    existing = refusals.into_iter().next().and_then(|refusal| refusal.existing);
                }
                Err(CommitError::Overflow(error)) => {
                    self.put_aside_unit(&ready.unit, "overflow", error.to_string(), batch).await?;
                    return Ok(Fate::Refused);
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
    ) -> Result<Fate, LedgerError> {
        let standing_hash = standing.data.hash.clone();
        // Whoever wrote it may have died between two steps: then this delivery is what finishes it.
        if standing.data.made.is_some() {
            complete(&self.ledger, lane, standing).await?;
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
                Ok(Fate::Refused)
            }
            _ => {
                batch.duplicates += 1;
                Ok(Fate::Stands)
            }
        }
    }
}

/// Makes the additions of a record that needs several transactions. Each notes on the record how far it
/// came, so that each addition is made once, whoever makes it and however many fit its transactions.
pub(crate) async fn complete<L: RecordStore>(
    ledger: &L,
    lane: u32,
    mut record: Record,
) -> Result<(), LedgerError> {
    let broken = |record: &Record, what: &str| {
        LedgerError::Broken(format!("record {} {}: {what}", record.agent, record.key))
    };
    let all = match record.data.additions(&record.agent) {
        Ok(additions) => additions.without_zeros(),
        Err(error) => return Err(broken(&record, &error.to_string())),
    };
    let mut races = 0;
    while let Some((pk, sk)) = record.data.made.take() {
        let Some(made) = RollupKey::from_item_key(&pk, &sk) else {
            return Err(broken(&record, "it is not readable how many of its additions are made"));
        };
        let (additions, is_last) = all.after(Some(&made), step(ledger));
        let expected = record.version;
        record.version += 1;
        record.data.made = if is_last { None } else { additions.last().map(RollupKey::item_key) };
        let write = RecordWrite { expected: Some(expected), record: record.clone() };
        match ledger.commit(Commit { records: vec![write], additions, lane }).await {
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

/// Rollups beside one record in a transaction.
pub(crate) fn step<L: RecordStore>(ledger: &L) -> usize {
    ledger.max_commit_items().saturating_sub(1).max(1)
}

pub(crate) fn lost_races(agent: &AgentId, key: &RecordKey) -> LedgerError {
    LedgerError::Retry(format!("record {agent} {key} was written by others {RACES} times in between"))
}

/// What fits a transaction.
struct Room {
    items: usize,
    records: usize,
    bytes: usize,
}

impl Room {
    fn of<L: RecordStore>(ledger: &L) -> Self {
        Self {
            items: ledger.max_commit_items(),
            records: ledger.max_commit_records(),
            bytes: ledger.max_commit_bytes(),
        }
    }
}

/// Takes records off the queue as long as they fit one transaction with their merged additions. The units stay, to
/// make the records of again if the commit does not happen.
fn take_chunk(
    queue: &mut VecDeque<Box<Prepared>>,
    lane: u32,
    room: &Room,
    places: &Places,
) -> (Vec<(usize, Unit)>, Commit) {
    let most = queue.len().min(room.records).min(room.items);
    let (mut chunk, mut records) = (Vec::with_capacity(most), Vec::with_capacity(most));
    let mut sums = Sums::default();
    let mut bytes = 0_usize;
    while let Some(ready) = queue.front() {
        let items = chunk.len() + 1 + sums.len_with(&ready.shares, places);
        let more = if room.bytes == usize::MAX { 0 } else { ready.record.data.weight() };
        let is_full = chunk.len() == room.records || bytes.saturating_add(more) > room.bytes;
        if items > room.items || (is_full && !chunk.is_empty()) {
            break;
        }
        // Their sum would not fit: this one goes into the next transaction.
        if sums.add(&ready.shares, places).is_err() {
            break;
        }
        bytes = bytes.saturating_add(more);
        let Some(ready) = queue.pop_front() else { break };
        let Prepared { n, unit, record, .. } = *ready;
        chunk.push((n, unit));
        records.push(RecordWrite { expected: None, record });
    }
    (chunk, Commit { records, additions: sums.additions(places), lane })
}
