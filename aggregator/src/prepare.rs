//! From a unit to the record it becomes, priced, with its additions to the rollups.

use jiff::Timestamp;
use serde::Serialize;
use shared::clock::Clock;
use shared::event::Body;
use shared::hash::ContentHash;
use shared::id::{AgentId, RecordKey};
use shared::ledger::{LedgerError, RecordStore, SequenceStore};
use shared::metrics::Metrics;
use shared::record::{Content, Record, RecordData};
use shared::rollup::{Share, Sums};
use shared::wire::{Entry, Part};

use crate::batch::{Batch, Unit};
use crate::{Aggregator, Aside};

/// A record ready to be committed for the first time. It is large, and moved often: in a box.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// Which unit of its lane.
    pub(crate) n: usize,
    pub(crate) unit: Unit,
    pub(crate) record: Record,
    /// What it adds, of the places of its batch.
    pub(crate) shares: Vec<Share>,
    /// Items of its transaction, were it alone.
    pub(crate) items: usize,
}

impl<L: RecordStore + SequenceStore, M: Metrics, C: Clock> Aggregator<L, M, C> {
    /// Prices a unit that is no correction. None if nothing of it is left to commit.
    pub(crate) async fn prepare(
        &self,
        n: usize,
        mut unit: Unit,
        closed_before: Option<Timestamp>,
        batch: &mut Batch,
    ) -> Result<Option<Box<Prepared>>, LedgerError> {
        if let Some(closed) = closed_before
            && !self.refuse_closed(&mut unit, closed, batch).await?
        {
            return Ok(None);
        }
        let data = self.record_data(&unit.entry);
        let agent = unit.entry.agent().clone();
        match data.shares(&agent, &mut batch.places) {
            Ok(shares) => {
                let items = 1 + Sums::default().len_with(&shares, &batch.places);
                let record = Record { agent, key: unit.entry.key(), version: 1, data };
                Ok(Some(Box::new(Prepared { n, unit, record, shares, items })))
            }
            Err(error) => {
                self.put_aside_unit(&unit, "overflow", error.to_string(), batch).await?;
                Ok(None)
            }
        }
    }

    fn record_data(&self, entry: &Entry) -> RecordData {
        match entry {
            Entry::Part(part) => RecordData {
                outcomes: part.outcomes.clone(),
                sealed_corrections: part.corrections.clone(),
                ..RecordData::usage(part.hash.clone(), part.events.iter().cloned(), &self.books.current())
            },
            Entry::Single(single) => {
                let hash = single.hash.clone();
                match &single.body {
                    Body::Usage(event) => {
                        RecordData::usage(hash, [(0, event.clone())], &self.books.current())
                    }
                    Body::TaskOutcome(task) => RecordData::other(hash, Content::TaskOutcome(task.clone())),
                    Body::Void(void) => RecordData::other(hash, Content::Void(void.clone())),
                    Body::Amend(amend) => RecordData::other(hash, Content::Amend(amend.clone())),
                }
            }
        }
    }

    /// Puts events from before the watermark aside by name; the others of the unit go on. False if none is
    /// left. What was committed before its period closed is a duplicate, so look before refusing.
    async fn refuse_closed(
        &self,
        unit: &mut Unit,
        closed: Timestamp,
        batch: &mut Batch,
    ) -> Result<bool, LedgerError> {
        let is_closed = |time: Timestamp| time < closed;
        let any = match &unit.entry {
            Entry::Part(part) => {
                part.events.iter().any(|(_, e)| is_closed(e.time))
                    || part.outcomes.iter().any(|(_, t)| is_closed(t.time))
            }
            Entry::Single(single) => is_closed(single.body.time()),
        };
        if !any || self.exists(unit.entry.agent(), unit.entry.key()).await? {
            return Ok(true);
        }
        let reason = format!("its period was closed: events from before {closed} are not counted any more");
        match &mut unit.entry {
            Entry::Single(_) => {
                self.put_aside_unit(unit, "closed_period", reason, batch).await?;
                Ok(false)
            }
            Entry::Part(part) => {
                // Whether a correction is too late is for the time of its target to say.
                let open = Part {
                    events: part.events.extract_if(.., |(_, e)| !is_closed(e.time)).collect(),
                    outcomes: part.outcomes.extract_if(.., |(_, t)| !is_closed(t.time)).collect(),
                    corrections: std::mem::take(&mut part.corrections),
                    ..part.clone()
                };
                self.put_aside_unit(unit, "closed_period", reason, batch).await?;
                let left =
                    !(open.events.is_empty() && open.outcomes.is_empty() && open.corrections.is_empty());
                unit.entry = Entry::Part(open);
                Ok(left)
            }
        }
    }

    async fn exists(&self, agent: &AgentId, key: RecordKey) -> Result<bool, LedgerError> {
        let found = self.ledger.get(&[(agent.clone(), key)]).await?;
        Ok(found.into_iter().flatten().any(|record| record.data.content != Content::Awaited))
    }

    /// Puts a readable unit aside.
    pub(crate) async fn put_aside_unit(
        &self,
        unit: &Unit,
        code: &'static str,
        reason: String,
        batch: &mut Batch,
    ) -> Result<(), LedgerError> {
        let name = format!("{} {}", unit.entry.agent(), unit.entry.key());
        self.put_value_aside(&unit.position, code, &name, reason, &unit.entry, batch).await
    }

    /// Puts something readable aside, once for each content: the same unit may come again with another rest.
    pub(crate) async fn put_value_aside<T: Serialize>(
        &self,
        position: &str,
        code: &'static str,
        name: &str,
        reason: String,
        value: &T,
        batch: &mut Batch,
    ) -> Result<(), LedgerError> {
        let payload = serde_json::to_vec(value)
            .map_err(|e| LedgerError::Broken(format!("{name} cannot be written as JSON: {e}")))?;
        let id = format!("{code} {name} {}", ContentHash::of_bytes(&payload).as_str());
        self.put_aside(Aside { id, position, code, reason, payload: &payload }, batch).await
    }
}
