//! Corrections: a void or an amend changes its target's record and the rollups by the difference, in the one
//! transaction that also writes the correction's own record.

use jiff::Timestamp;
use shared::clock::Clock;
use shared::event::Body;
use shared::id::{EventIndex, RecordKey};
use shared::ledger::{Commit, CommitError, LedgerError, RecordStore, RecordWrite};
use shared::metrics::Metrics;
use shared::record::{Content, Record, RecordData};
use shared::rollup::Additions;
use shared::wire::Entry;

use crate::Aggregator;
use crate::batch::{Batch, Unit};
use crate::commit::{RACES, lost_races};

impl<L: RecordStore, M: Metrics, C: Clock> Aggregator<L, M, C> {
    /// Applies one correction, once, whether its target has come or not.
    pub(crate) async fn correct(
        &self,
        lane: u32,
        unit: &Unit,
        closed_before: Option<Timestamp>,
        batch: &mut Batch,
    ) -> Result<(), LedgerError> {
        let Entry::Single(single) = &unit.entry else { return Ok(()) };
        let (content, corrects) = match &single.body {
            Body::Void(void) => (Content::Void(void.clone()), &void.corrects),
            Body::Amend(amend) => (Content::Amend(amend.clone()), &amend.corrects),
            Body::Usage(_) | Body::TaskOutcome(_) => return Ok(()),
        };
        let agent = &single.agent;
        let own_key = RecordKey::Single(single.id.clone());
        let target_key = corrects.usage_record();
        for _ in 0..RACES {
            let keys = [(agent.clone(), own_key.clone()), (agent.clone(), target_key.clone())];
            let [own, target] = <[Option<Record>; 2]>::try_from(self.ledger.get(&keys).await?)
                .map_err(|_| LedgerError::Broken("the ledger answered for other than two keys".to_owned()))?;
            let mut data = RecordData::other(single.hash.clone(), content.clone());
            let own_expected = match own {
                None => None,
                // Someone tried to correct this correction, which changes nothing but is not forgotten.
                Some(known) if known.data.content == Content::Awaited => {
                    data.corrections = known.data.corrections;
                    Some(known.version)
                }
                Some(known) => return self.repeated(lane, unit, known, batch).await,
            };
            let own = write(agent, &own_key, own_expected, data);
            let (records, additions) = if target_key == own_key {
                (vec![own], Additions::default())
            } else {
                match target {
                    None => {
                        let awaited = corrected(RecordData::awaited(), corrects.index(), single);
                        (vec![own, write(agent, &target_key, None, awaited)], Additions::default())
                    }
                    Some(target) if target.data.made.is_some() => {
                        self.complete(lane, target).await?;
                        continue;
                    }
                    Some(target) => {
                        let index = corrects.index();
                        if let Some(closed) = closed_before
                            && booked_at(&target.data, index).is_some_and(|time| time < closed)
                        {
                            let reason = format!("the period of {corrects} was closed before {closed}");
                            return self.put_aside_unit(unit, "closed_period", reason, batch).await;
                        }
                        let changed = corrected(target.data.clone(), index, single);
                        let additions = match changed.difference(&target.data, agent) {
                            Ok(additions) => additions,
                            Err(error) => {
                                return self.put_aside_unit(unit, "overflow", error.to_string(), batch).await;
                            }
                        };
                        (vec![own, write(agent, &target_key, Some(target.version), changed)], additions)
                    }
                }
            };
            match self.ledger.commit(Commit { records, additions: additions.clone(), lane }).await {
                Ok(()) => {
                    batch.committed(agent, &additions);
                    return Ok(());
                }
                Err(CommitError::Refused(_)) => {}
                Err(CommitError::Overflow(error)) => {
                    return self.put_aside_unit(unit, "overflow", error.to_string(), batch).await;
                }
                Err(CommitError::Ledger(error)) => return Err(error),
            }
        }
        Err(lost_races(agent, &target_key))
    }
}

fn corrected(mut data: RecordData, index: EventIndex, single: &shared::wire::Single) -> RecordData {
    let correction = data.corrections.entry(index).or_default();
    match &single.body {
        Body::Void(_) => correction.void(&single.id),
        Body::Amend(amend) => correction.amend(&single.id, amend),
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

fn write(
    agent: &shared::id::AgentId,
    key: &RecordKey,
    expected: Option<u64>,
    data: RecordData,
) -> RecordWrite {
    let version = expected.unwrap_or(0) + 1;
    RecordWrite { expected, record: Record { agent: agent.clone(), key: key.clone(), version, data } }
}
