//! Corrections: a void or an amend changes its target's record and the rollups by the difference, in one
//! transaction, which also writes the record of a correction with an id of its own.
//!
//! Applying one again changes nothing: a target keeps the smallest void and the highest amend.

use jiff::Timestamp;
use serde::Serialize;
use shared::clock::Clock;
use shared::event::Body;
use shared::hash::ContentHash;
use shared::id::{AgentId, EventId, EventIndex, OwnId, RecordKey};
use shared::ledger::{Commit, CommitError, LedgerError, RecordStore, RecordWrite, SequenceStore};
use shared::metrics::Metrics;
use shared::record::{Content, Record, RecordData};
use shared::rollup::Additions;

use crate::Aggregator;
use crate::batch::{Added, Batch, Unit};
use crate::commit::{RACES, complete, lost_races};

/// A correction to apply.
#[derive(Serialize)]
pub(crate) struct Correction<'a> {
    pub(crate) agent: &'a AgentId,
    /// Its own id.
    pub(crate) id: EventId,
    pub(crate) body: &'a Body,
    /// Its id and hash if it has a record of its own. A sealed one is in the record of its part.
    #[serde(skip)]
    pub(crate) own: Option<(&'a OwnId, &'a ContentHash)>,
}

impl<L: RecordStore + SequenceStore, M: Metrics, C: Clock> Aggregator<L, M, C> {
    /// Applies one correction, once, whether its target has come or not.
    pub(crate) async fn correct(
        &self,
        lane: u32,
        unit: &Unit,
        correction: &Correction<'_>,
        closed_before: Option<Timestamp>,
        batch: &mut Batch,
    ) -> Result<(), LedgerError> {
        let (content, corrects) = match correction.body {
            Body::Void(void) => (Content::Void(void.clone()), &void.corrects),
            Body::Amend(amend) => (Content::Amend(amend.clone()), &amend.corrects),
            Body::Usage(_) | Body::TaskOutcome(_) => return Ok(()),
        };
        let (agent, index) = (correction.agent, corrects.index());
        let target_key = corrects.record();
        for _ in 0..RACES {
            let mut writes = Vec::new();
            if let Some((id, hash)) = correction.own {
                let key = RecordKey::Single(id.clone());
                let mut data = RecordData::other(hash.clone(), content.clone());
                let expected = match self.find(agent, &key).await? {
                    None => None,
                    // Someone corrects this correction, which changes nothing but is not forgotten.
                    Some(known) if known.data.content == Content::Awaited => {
                        data.corrections = known.data.corrections;
                        Some(known.version)
                    }
                    Some(known) => return self.repeated(lane, unit, known, batch).await.map(|_| ()),
                };
                if key == target_key {
                    data = corrected(data, index, correction);
                }
                writes.push(write(agent, &key, expected, data));
            }
            let mut additions = Additions::default();
            if writes.first().is_none_or(|own| own.record.key != target_key) {
                match self.find(agent, &target_key).await? {
                    None => {
                        let awaited = corrected(RecordData::awaited(), index, correction);
                        writes.push(write(agent, &target_key, None, awaited));
                    }
                    Some(target) if target.data.made.is_some() => {
                        complete(&self.ledger, lane, target).await?;
                        continue;
                    }
                    Some(target) => {
                        let changed = corrected(target.data.clone(), index, correction);
                        if changed != target.data {
                            if let Some(closed) = closed_before
                                && booked_at(&target.data, index).is_some_and(|time| time < closed)
                            {
                                let reason = format!("the period of {corrects} was closed before {closed}");
                                let code = "closed_period";
                                return self
                                    .put_correction_aside(unit, correction, code, reason, batch)
                                    .await;
                            }
                            additions = changed
                                .difference(&target.data, agent)
                                .map_err(|e| LedgerError::Broken(e.to_string()))?;
                            writes.push(write(agent, &target_key, Some(target.version), changed));
                        }
                    }
                }
            }
            if writes.is_empty() {
                return Ok(());
            }
            let added = Added::of(&additions);
            let commit = Commit { records: writes, additions, lane };
            match self.ledger.commit(commit).await {
                Ok(()) => {
                    batch.committed(added);
                    batch.is_new(unit.origin);
                    return Ok(());
                }
                Err(CommitError::Refused(_)) => {}
                Err(CommitError::Overflow(error)) => {
                    let reason = error.to_string();
                    return self.put_correction_aside(unit, correction, "overflow", reason, batch).await;
                }
                Err(CommitError::Ledger(error)) => return Err(error),
            }
        }
        Err(lost_races(agent, &target_key))
    }

    async fn find(&self, agent: &AgentId, key: &RecordKey) -> Result<Option<Record>, LedgerError> {
        let found = self.ledger.get(&[(agent.clone(), key.clone())]).await?;
        Ok(found.into_iter().next().flatten())
    }

    async fn put_correction_aside(
        &self,
        unit: &Unit,
        correction: &Correction<'_>,
        code: &'static str,
        reason: String,
        batch: &mut Batch,
    ) -> Result<(), LedgerError> {
        let name = format!("{} {}", correction.agent, correction.id);
        self.put_value_aside(&unit.position, code, &name, reason, correction, batch).await
    }
}

fn corrected(mut data: RecordData, index: EventIndex, correction: &Correction<'_>) -> RecordData {
    let kept = data.corrections.entry(index).or_default();
    match correction.body {
        Body::Void(_) => kept.void(&correction.id),
        Body::Amend(amend) => kept.amend(&correction.id, amend),
        Body::Usage(_) | Body::TaskOutcome(_) => {}
    }
    data
}

fn booked_at(data: &RecordData, index: EventIndex) -> Option<Timestamp> {
    match &data.content {
        Content::Usage(events) => {
            let outcome = || data.outcomes.iter().find(|(i, _)| *i == index).map(|(_, task)| task.time);
            events.iter().find(|e| e.i == index).map(|e| e.event.time).or_else(outcome)
        }
        Content::TaskOutcome(task) => Some(task.time),
        Content::Awaited | Content::Void(_) | Content::Amend(_) => None,
    }
}

fn write(agent: &AgentId, key: &RecordKey, expected: Option<u64>, data: RecordData) -> RecordWrite {
    let version = expected.unwrap_or(0) + 1;
    RecordWrite { expected, record: Record { agent: agent.clone(), key: key.clone(), version, data } }
}
