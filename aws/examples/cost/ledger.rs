//! A ledger that keeps nothing and counts what the table would be asked to write.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws::table::size::{self, Transaction};
use jiff::Timestamp;
use shared::id::{AgentId, RecordKey};
use shared::ledger::{
    Commit, CommitError, Conflict, LedgerError, QuarantineState, Quarantined, RecordQuery, RecordStore,
    Sender, SequenceStore,
};
use shared::metrics::{BatchMetrics, Metrics};
use shared::record::Record;
use shared::rollup::{Parts, RollupKey};
use shared::sequence::SenderKey;
use shared::window::WindowKind;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) commits: usize,
    pub(crate) records: usize,
    pub(crate) record_bytes: usize,
    pub(crate) record_units: usize,
    /// Pages, put before the transactions, their units, and the calls that put them.
    pub(crate) pages: usize,
    pub(crate) page_units: usize,
    pub(crate) page_calls: usize,
    pub(crate) entry_bytes: usize,
    pub(crate) journal_units: usize,
    /// Updates of rollups, and their units.
    pub(crate) updates: usize,
    pub(crate) update_units: usize,
    /// Settlings of a lane with anything to settle, the notes of how far they came, and the longest that an event
    /// waited from its arrival until one began.
    pub(crate) settles: usize,
    pub(crate) settle_notes: usize,
    pub(crate) waited_ms: u64,
    /// Those that the alerter is called for.
    pub(crate) watched: usize,
    pub(crate) notes: BTreeSet<(String, String)>,
    pub(crate) record: Option<Record>,
}

/// A lane: the number of its last entry, and what the entries hold that are not settled: places in [`State::rollups`].
#[derive(Default)]
struct Lane {
    n: u64,
    open: Vec<Vec<usize>>,
    /// When the first event of these arrived.
    since: u64,
    /// When it was last settled.
    settled: u64,
}

#[derive(Default)]
struct State {
    counted: Counted,
    lanes: HashMap<u32, Lane>,
    places: HashMap<RollupKey, usize>,
    /// What writing each costs, and whether the alerter is called for it.
    rollups: Vec<(usize, bool)>,
    /// The time, and when the first event of the batch arrived.
    now: u64,
    began: u64,
}

#[derive(Default)]
pub(crate) struct Counting {
    state: Mutex<State>,
    /// For how long full batches leave it to the next to settle.
    settle_every: u64,
}

impl Counting {
    pub(crate) fn settling_every(ms: u64) -> Self {
        Self { settle_every: ms, ..Self::default() }
    }

    fn held(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counted(&self) -> Counted {
        self.held().counted.clone()
    }

    /// A batch comes at that time, whose first event arrived at that.
    pub(crate) fn batch(&self, now: u64, began: u64) {
        let mut held = self.held();
        (held.now, held.began) = (now, began);
    }

    /// Whether nothing of a lane is open.
    pub(crate) fn is_settled(&self, lane: u32) -> bool {
        self.held().lanes.get(&lane).is_some_and(|lane| lane.open.is_empty())
    }
}

/// Settles a lane.
fn bring(counted: &mut Counted, rollups: &[(usize, bool)], lane: &mut Lane, now: u64) {
    let (read, most, room) = size::SETTLED_TOGETHER;
    let entries = std::mem::take(&mut lane.open);
    if entries.is_empty() {
        return;
    }
    counted.settles += 1;
    counted.waited_ms = counted.waited_ms.max(now - lane.since);
    lane.settled = now;
    let mut left = &entries[..];
    while !left.is_empty() {
        let (mut taken, mut adds) = (0, 0);
        while taken < left.len().min(most) && adds < room {
            let upto = left.len().min(taken + read);
            adds += left[taken..upto].iter().map(Vec::len).sum::<usize>();
            taken = upto;
        }
        let (group, rest) = left.split_at(taken);
        left = rest;
        let written: BTreeSet<usize> = group.iter().flatten().copied().collect();
        counted.settle_notes += 1 + written.len().saturating_sub(1) / size::SETTLE_STRIDE;
        counted.updates += written.len();
        for (units, is_watched) in written.iter().filter_map(|place| rollups.get(*place)) {
            counted.update_units += units;
            counted.watched += usize::from(*is_watched);
        }
    }
}

impl RecordStore for Counting {
    fn max_commit_items(&self) -> usize {
        size::MAX_COMMIT_ITEMS
    }

    fn max_commit_records(&self) -> usize {
        size::MAX_COMMIT_RECORDS
    }

    fn max_commit_bytes(&self) -> usize {
        size::MAX_COMMIT_BYTES
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let mut held = self.held();
        let State { counted, lanes, places, rollups, began, .. } = &mut *held;
        let lane = lanes.entry(commit.lane).or_default();
        lane.n += 1;
        // Numbers of a ledger that has been at it for some time.
        let made = Transaction::of(&commit, 1_000_000 + lane.n)?;
        counted.commits += 1;
        counted.records += made.records.len();
        counted.record_bytes += made.records.iter().sum::<usize>();
        counted.record_units += made.record_units();
        let pages = size::pages(&commit);
        counted.pages += pages.len();
        counted.page_units += pages.iter().map(|bytes| size::write_units(*bytes)).sum::<usize>();
        counted.page_calls += pages.len().div_ceil(size::MAX_PUTS);
        counted.entry_bytes += made.entry.iter().sum::<usize>();
        counted.journal_units += made.journal_units();
        counted.notes.extend(size::notes(&commit));
        if counted.record.is_none() {
            counted.record = commit.records.first().map(|write| write.record.clone());
        }
        if lane.open.is_empty() {
            lane.since = *began;
        }
        let place = |(key, parts): (&RollupKey, &Parts)| match places.get(key) {
            Some(place) => *place,
            None => {
                let bytes = size::rollup(key, commit.lane, 1_000_000 + lane.n, &grown(parts));
                let is_watched = key.window == WindowKind::Hour && !key.scope.kind.is_pair();
                rollups.push((size::write_units(bytes), is_watched));
                places.insert(key.clone(), rollups.len() - 1);
                rollups.len() - 1
            }
        };
        let entry = commit.additions.iter().map(place).collect();
        lane.open.push(entry);
        Ok(())
    }

    async fn settle(&self, lanes: &[u32]) -> Result<(), LedgerError> {
        let mut held = self.held();
        let State { counted, lanes: all, rollups, now, .. } = &mut *held;
        for number in lanes {
            if let Some(lane) = all.get_mut(number) {
                bring(counted, rollups, lane, *now);
            }
        }
        Ok(())
    }

    async fn settle_if_due(&self, lanes: &[u32]) -> Result<(), LedgerError> {
        let mut held = self.held();
        let State { counted, lanes: all, rollups, now, .. } = &mut *held;
        for number in lanes {
            if let Some(lane) = all.get_mut(number)
                && (lane.open.len() > size::MAX_OPEN_ENTRIES || *now >= lane.settled + self.settle_every)
            {
                bring(counted, rollups, lane, *now);
            }
        }
        Ok(())
    }

    async fn get(&self, keys: &[(AgentId, RecordKey)]) -> Result<Vec<Option<Record>>, LedgerError> {
        Ok(vec![None; keys.len()])
    }

    async fn records(&self, _: &RecordQuery) -> Result<Vec<Record>, LedgerError> {
        Ok(Vec::new())
    }

    async fn put_conflict(&self, conflict: Conflict) -> Result<bool, LedgerError> {
        Err(LedgerError::Broken(format!("{conflict:?}")))
    }

    async fn conflicts(&self, _: usize) -> Result<Vec<Conflict>, LedgerError> {
        Ok(Vec::new())
    }

    async fn quarantine(&self, item: Quarantined) -> Result<bool, LedgerError> {
        Err(LedgerError::Broken(item.reason))
    }

    async fn quarantined(&self, _: usize) -> Result<Vec<Quarantined>, LedgerError> {
        Ok(Vec::new())
    }

    async fn quarantined_item(&self, _: &str) -> Result<Option<Quarantined>, LedgerError> {
        Ok(None)
    }

    async fn mark_quarantined(&self, _: &str, _: &QuarantineState) -> Result<bool, LedgerError> {
        Ok(false)
    }

    async fn remove_quarantined(&self, _: &str) -> Result<bool, LedgerError> {
        Ok(false)
    }

    async fn awaited(&self, _: usize) -> Result<Vec<Record>, LedgerError> {
        Ok(Vec::new())
    }

    async fn closed_before(&self) -> Result<Option<Timestamp>, LedgerError> {
        Ok(None)
    }

    async fn close_before(&self, _: Timestamp) -> Result<(), LedgerError> {
        Ok(())
    }
}

impl SequenceStore for Counting {
    async fn note_arrived(&self, _: &SenderKey, _: &[u64], _: Timestamp) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn senders(&self, _: Option<&SenderKey>, _: usize) -> Result<Vec<Sender>, LedgerError> {
        Ok(Vec::new())
    }
}

/// A rollup late in its window: each of its parts has been added to. It is a little smaller than a real one, whose
/// sums have more digits.
pub(crate) fn grown(parts: &Parts) -> Parts {
    let some = parts.0.iter().find(|part| !part.is_zero()).cloned().unwrap_or_default();
    Parts(vec![some; parts.0.len()])
}

/// Metrics that go nowhere.
pub(crate) struct Nowhere;

impl Metrics for Nowhere {
    async fn publish(&self, _: BatchMetrics) {}
}
