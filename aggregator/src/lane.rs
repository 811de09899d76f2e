//! One lane's units of a batch: first what happened, then what corrects it, so that a correction in the same
//! batch finds its target.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use shared::clock::Clock;
use shared::id::EventId;
use shared::ledger::{RecordStore, SequenceStore};
use shared::metrics::Metrics;
use shared::wire::Entry;

use crate::Aggregator;
use crate::batch::{Batch, Fate, Unit};
use crate::correct::Correction;
use crate::prepare::Prepared;

/// The lane that is being committed.
pub(crate) struct Lane<'b> {
    /// Which partial rollups to add to.
    pub(crate) number: u32,
    /// Events from before this instant are refused.
    pub(crate) closed_before: Option<Timestamp>,
    /// By unit; none while it is not known, and in the end if it failed.
    pub(crate) fates: Vec<Option<Fate>>,
    pub(crate) batch: &'b mut Batch,
}

impl Lane<'_> {
    fn fate(&self, n: usize) -> Option<Fate> {
        self.fates.get(n).copied().flatten()
    }
}

impl<L: RecordStore + SequenceStore, M: Metrics, C: Clock> Aggregator<L, M, C> {
    /// Commits a lane's units.
    pub(crate) async fn commit_lane(
        &self,
        number: u32,
        units: Vec<Unit>,
        closed_before: Option<Timestamp>,
        batch: &mut Batch,
    ) {
        let mut lane = Lane { number, closed_before, fates: vec![None; units.len()], batch };
        let mut queue = VecDeque::new();
        let (mut corrections, mut repeated) = (Vec::new(), Vec::new());
        let came_before = came_before(&units);
        for ((n, unit), before) in units.into_iter().enumerate().zip(came_before) {
            match before {
                Some(Before::Same) => lane.batch.duplicates += 1,
                // Not decided here: the first of this batch may itself lose to what the ledger holds.
                Some(Before::Other(of)) => repeated.push((n, of, unit)),
                None => {
                    if corrects(&unit.entry) {
                        corrections.push((n, unit.clone()));
                    }
                    self.enqueue(n, unit, &mut queue, &mut lane).await;
                }
            }
        }
        // What an agent's records add is much the same names. Each is there once, and corrections come after all of
        // them, so that no other order matters; within an agent it stays.
        queue.make_contiguous().sort_by(|a, b| a.record.agent.cmp(&b.record.agent));
        self.commit_queue(queue, &mut lane).await;
        for (n, unit) in corrections {
            self.correct_unit(n, &unit, &mut lane).await;
        }
        for (n, of, unit) in repeated {
            // While it is open what the first will be, the second must not take its place.
            if lane.fate(of).is_none() {
                lane.batch.failed.insert(unit.origin);
                continue;
            }
            let mut alone = VecDeque::new();
            self.enqueue(n, unit.clone(), &mut alone, &mut lane).await;
            self.commit_queue(alone, &mut lane).await;
            self.correct_unit(n, &unit, &mut lane).await;
        }
    }

    /// Queues what a unit adds, unless it is only a correction.
    async fn enqueue(&self, n: usize, unit: Unit, queue: &mut VecDeque<Box<Prepared>>, lane: &mut Lane<'_>) {
        if matches!(&unit.entry, Entry::Single(single) if single.body.is_correction()) {
            return;
        }
        let closed_before = lane.closed_before;
        queue.extend(self.prepared(n, unit, closed_before, lane).await);
    }

    /// What a unit adds; none, and its fate or failure is noted, if that is nothing.
    pub(crate) async fn prepared(
        &self,
        n: usize,
        unit: Unit,
        closed_before: Option<Timestamp>,
        lane: &mut Lane<'_>,
    ) -> Option<Box<Prepared>> {
        let origin = unit.origin;
        match self.prepare(n, unit, closed_before, lane.batch).await {
            Ok(Some(ready)) => return Some(ready),
            Ok(None) => lane.fates[n] = Some(Fate::Refused),
            Err(error) => lane.batch.fail(origin, &error),
        }
        None
    }

    /// Applies the corrections of a unit: the one that it is, or those of a part that stands.
    async fn correct_unit(&self, n: usize, unit: &Unit, lane: &mut Lane<'_>) {
        match &unit.entry {
            Entry::Single(single) if single.body.is_correction() => {
                let id = EventId::Own(single.id.clone());
                let own = Some((&single.id, &single.hash));
                let correction = Correction { agent: &single.agent, id, body: &single.body, own };
                if self.apply(unit, &correction, lane).await {
                    lane.fates[n] = Some(Fate::Stands);
                }
            }
            Entry::Part(part) if lane.fate(n) == Some(Fate::Stands) => {
                for (index, body) in &part.corrections {
                    let id = EventId::Sealed(part.key.clone(), *index);
                    let correction = Correction { agent: &part.agent, id, body, own: None };
                    self.apply(unit, &correction, lane).await;
                }
            }
            Entry::Single(_) | Entry::Part(_) => {}
        }
    }

    async fn apply(&self, unit: &Unit, correction: &Correction<'_>, lane: &mut Lane<'_>) -> bool {
        let done = self.correct(lane.number, unit, correction, lane.closed_before, lane.batch).await;
        if let Err(error) = &done {
            lane.batch.fail(unit.origin, error);
        }
        done.is_ok()
    }
}

/// A unit of the same identity that came before.
enum Before {
    /// With the same content.
    Same,
    /// With other content: the first one, which it is.
    Other(usize),
}

/// What came before each unit.
fn came_before(units: &[Unit]) -> Vec<Option<Before>> {
    let mut first: HashMap<_, usize> = HashMap::with_capacity(units.len());
    let mut all = Vec::with_capacity(units.len());
    for (n, unit) in units.iter().enumerate() {
        let of = *first.entry((unit.entry.agent(), unit.entry.name())).or_insert(n);
        let is_same = || units.get(of).is_some_and(|of| of.entry.hash() == unit.entry.hash());
        all.push((of != n).then(|| if is_same() { Before::Same } else { Before::Other(of) }));
    }
    all
}

/// Whether there is a correction in it.
fn corrects(entry: &Entry) -> bool {
    match entry {
        Entry::Part(part) => !part.corrections.is_empty(),
        Entry::Single(single) => single.body.is_correction(),
    }
}
