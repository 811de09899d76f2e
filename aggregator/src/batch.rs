//! From a delivered batch to units of de-duplication, and what became of them.

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use jiff::Timestamp;
use shared::clock::Clock;
use shared::hash::ContentHash;
use shared::id::{AgentId, PART_EVENTS};
use shared::ledger::{LedgerError, RecordStore, SequenceStore};
use shared::metrics::{AgentDelta, BatchMetrics, Metrics, NameDelta};
use shared::rollup::{Additions, Places, RollupKey, ScopeKind};
use shared::sequence::SequenceMark;
use shared::totals::Totals;
use shared::window::WindowKind;
use shared::wire::{Entry, StreamRecord};

use crate::{Aggregator, Aside};

/// One unit of de-duplication, as it was delivered.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Index of its stream record in the batch.
    pub(crate) origin: usize,
    /// Where in the stream it came from.
    pub(crate) position: String,
    /// What it is.
    pub(crate) entry: Entry,
}

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The ledger holds this content: since now, or already.
    Stands,
    /// It was put aside, or the ledger holds other content in its place.
    Refused,
}

/// What a batch did so far.
#[derive(Default)]
pub(crate) struct Batch {
    /// Stream records that have to come again.
    pub(crate) failed: BTreeSet<usize>,
    /// Where its events belong.
    pub(crate) places: Places,
    /// The numbers of submissions, by their stream record.
    pub(crate) marks: BTreeMap<usize, SequenceMark>,
    /// When ingest received a stream record, while nothing of it was committed here.
    received: Vec<Option<Timestamp>>,
    /// The same, since something was.
    fresh: Vec<Timestamp>,
    agents: BTreeMap<String, Totals>,
    models: BTreeMap<String, Totals>,
    teams: BTreeMap<String, Totals>,
    pub(crate) duplicates: u64,
    pub(crate) conflicts: u64,
    pub(crate) quarantined: u64,
}

impl Batch {
    /// Counts what a commit added.
    pub(crate) fn committed(&mut self, added: Added) {
        for (kind, name, totals) in added.0 {
            match kind {
                ScopeKind::Agent => add(&mut self.agents, name, &totals),
                ScopeKind::Model => add(&mut self.models, name, &totals),
                ScopeKind::Team => add(&mut self.teams, name, &totals),
                _ => {}
            }
        }
    }

    /// Notes that something of a stream record is new. What was there already says nothing of the lag: a replay
    /// brings records that are days old.
    pub(crate) fn is_new(&mut self, origin: usize) {
        self.fresh.extend(self.received.get_mut(origin).and_then(Option::take));
    }

    /// Lets the stream record of a unit come again.
    pub(crate) fn fail(&mut self, origin: usize, error: &LedgerError) {
        tracing::warn!(%error, "a record was not committed; it will come again");
        self.failed.insert(origin);
    }

    pub(crate) fn metrics(self, now: Timestamp) -> BatchMetrics {
        let named = |(name, totals)| NameDelta { name, totals };
        let lag =
            |received: &Timestamp| u64::try_from(now.duration_since(*received).as_millis()).unwrap_or(0);
        let of_agent = |(name, totals)| Some(AgentDelta { agent: AgentId::try_from(name).ok()?, totals });
        BatchMetrics {
            agents: nonzero(self.agents).filter_map(of_agent).collect(),
            models: nonzero(self.models).map(named).collect(),
            teams: nonzero(self.teams).map(named).collect(),
            lag_ms: self.fresh.iter().map(lag).collect(),
            duplicates: self.duplicates,
            conflicts: self.conflicts,
            quarantined: self.quarantined,
        }
    }
}

/// What a commit adds to the metrics; the ledger takes the commit itself.
pub(crate) struct Added(Vec<(ScopeKind, String, Totals)>);

impl Added {
    pub(crate) fn of(additions: &Additions) -> Self {
        let counts = |key: &RollupKey| {
            key.window == WindowKind::Month
                && matches!(key.scope.kind, ScopeKind::Agent | ScopeKind::Model | ScopeKind::Team)
        };
        let rows = additions.iter().filter(|(key, _)| counts(key));
        let sums = rows.flat_map(|(key, parts)| parts.0.iter().map(move |part| (&key.scope, part)));
        Self(sums.map(|(scope, part)| (scope.kind, scope.a.clone(), part.clone())).collect())
    }
}

fn add(sums: &mut BTreeMap<String, Totals>, name: String, totals: &Totals) {
    // A metric that would pass what it can hold is left out; the ledger has the sum.
    let _ = sums.entry(name).or_default().add(totals);
}

fn nonzero<K>(sums: BTreeMap<K, Totals>) -> impl Iterator<Item = (K, Totals)> {
    sums.into_iter().filter(|(_, totals)| !totals.is_zero())
}

impl<L: RecordStore + SequenceStore, M: Metrics, C: Clock> Aggregator<L, M, C> {
    /// Reads the records; one that cannot be read is put aside, or failed if that does not work either.
    pub(crate) async fn read(&self, event: &KinesisEvent, batch: &mut Batch) -> BTreeMap<u32, Vec<Unit>> {
        let mut lanes: BTreeMap<u32, Vec<Unit>> = BTreeMap::new();
        batch.received = vec![None; event.records.len()];
        for (origin, record) in event.records.iter().enumerate() {
            let position = position(record);
            let payload = record.kinesis.data.as_slice();
            let reason = match StreamRecord::decode(payload) {
                Ok(read) => match read.entries.iter().find_map(malformed) {
                    None => {
                        batch.received[origin] = Some(read.received);
                        if let Some(mark) = read.mark {
                            batch.marks.insert(origin, mark);
                        }
                        let lane = record.kinesis.partition_key.parse().unwrap_or(0);
                        // Mostly there is one, which takes it.
                        let positions = std::iter::repeat_n(position, read.entries.len());
                        let units = positions.zip(read.entries).map(|(position, entry)| Unit {
                            origin,
                            position,
                            entry,
                        });
                        lanes.entry(lane).or_default().extend(units);
                        continue;
                    }
                    Some(reason) => reason,
                },
                Err(error) => error.to_string(),
            };
            // With its content: a stream made anew counts its positions from the beginning.
            let id = format!("unreadable {position} {}", ContentHash::of_bytes(payload).as_str());
            let aside = Aside { id, position: &position, code: "unreadable", reason, payload };
            if let Err(error) = self.put_aside(aside, batch).await {
                batch.fail(origin, &error);
            }
        }
        lanes
    }
}

fn position(record: &KinesisEventRecord) -> String {
    match &record.event_id {
        Some(id) => id.clone(),
        None => record.kinesis.sequence_number.clone(),
    }
}

/// Why an entry breaks a rule that its identity rests on; none if it breaks none.
fn malformed(entry: &Entry) -> Option<String> {
    let Entry::Part(part) = entry else { return None };
    let key = &part.key;
    let mut indexes = BTreeSet::new();
    let calls = part.events.iter().map(|(i, _)| *i);
    let outcomes = part.outcomes.iter().map(|(i, _)| *i);
    let corrections = part.corrections.iter().map(|(i, _)| *i);
    for index in calls.chain(outcomes).chain(corrections) {
        if index / PART_EVENTS != part.part {
            return Some(format!("event {index} of key {key} does not belong to part {}", part.part));
        }
        if !indexes.insert(index) {
            return Some(format!("event {index} of key {key} is there twice"));
        }
    }
    if !part.events.is_sorted_by_key(|(i, _)| *i) {
        return Some(format!("the events of key {key} are not in order"));
    }
    let other = part.corrections.iter().find(|(_, body)| !body.is_correction());
    other.map(|(index, _)| format!("event {index} of key {key} is no correction"))
}

#[cfg(test)]
mod tests {
    use shared::rollup::Scope;
    use shared::usage::{Bucket, Usage};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn one(agent: &str, team: &str, model: &str, tokens: u64) -> Added {
        let agent = Scope::one(ScopeKind::Agent, agent);
        let scopes =
            [Scope::org(), Scope::one(ScopeKind::Team, team), agent, Scope::one(ScopeKind::Model, model)];
        let mut additions = Additions::default();
        let totals = Totals::of_call(&Usage::new([(Bucket::Input, tokens)]).unwrap(), None);
        additions.add(&scopes, at(1_795_000_000), &totals).unwrap();
        Added::of(&additions)
    }

    #[test]
    fn each_call_counts_once_for_its_agent_its_model_and_its_team() {
        let mut batch = Batch::default();
        batch.committed(one("a", "growth", "gpt", 1));
        batch.committed(one("a", "", "", 2));
        batch.committed(one("b", "growth", "gpt", 4));
        let metrics = batch.metrics(at(0));
        let agents = metrics.agents.iter().map(|delta| (delta.agent.as_str(), delta.totals.tokens()));
        assert_eq!(agents.collect::<Vec<_>>(), [("a", 3), ("b", 4)]);
        let named = |deltas: &[NameDelta]| {
            deltas.iter().map(|delta| (delta.name.clone(), delta.totals.tokens())).collect::<Vec<_>>()
        };
        assert_eq!(named(&metrics.models), [(String::new(), 2), ("gpt".to_owned(), 5)]);
        assert_eq!(named(&metrics.teams), [(String::new(), 2), ("growth".to_owned(), 5)]);
    }

    #[test]
    fn lag_is_told_once_of_each_record_that_held_anything_new() {
        let mut batch = Batch::default();
        batch.received.extend([10, 11, 99].map(|second| Some(at(second))));
        batch.is_new(0);
        batch.is_new(0);
        batch.is_new(2);
        // Clocks differ: a receipt in the future is no time at all.
        assert_eq!(batch.metrics(at(12)).lag_ms, [2_000, 0]);
    }
}
