//! A ledger that keeps nothing and counts what the table would be asked to write.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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

/// Entries that `settle` brings in together.
const GROUP: usize = 64;

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
    pub(crate) updates_by_window: BTreeMap<&'static str, usize>,
    /// Those that the alerter is called for.
    pub(crate) watched: usize,
    pub(crate) notes: BTreeSet<(String, String)>,
    pub(crate) record: Option<Record>,
}

/// Of each lane, the number of its last entry, and what the entries hold that are not settled.
type Lanes = HashMap<u32, (u64, Vec<BTreeMap<RollupKey, Parts>>)>;

#[derive(Default)]
pub(crate) struct Counting(Mutex<(Counted, Lanes)>);

type Held<'a> = MutexGuard<'a, (Counted, Lanes)>;

impl Counting {
    fn held(&self) -> Held<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counted(&self) -> Counted {
        self.held().0.clone()
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
        let (counted, lanes) = &mut *held;
        let lane = lanes.entry(commit.lane).or_default();
        lane.0 += 1;
        // Numbers of a ledger that has been at it for some time.
        let made = Transaction::of(&commit, 1_000_000 + lane.0)?;
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
        lane.1.push(commit.additions.iter().map(|(key, parts)| (key.clone(), parts.clone())).collect());
        Ok(())
    }

    async fn settle(&self, lanes: &[u32]) -> Result<(), LedgerError> {
        let mut held = self.held();
        let (counted, open) = &mut *held;
        for number in lanes {
            let Some((n, entries)) = open.get_mut(number) else { continue };
            for group in std::mem::take(entries).chunks(GROUP) {
                let rollups: BTreeMap<&RollupKey, &Parts> = group.iter().flatten().collect();
                for (key, parts) in rollups {
                    counted.updates += 1;
                    counted.update_units += size::write_units(size::rollup(key, *number, *n, &grown(parts)));
                    let window = match key.window {
                        WindowKind::Hour => "hour",
                        WindowKind::Day => "day",
                        WindowKind::Month => "month",
                    };
                    *counted.updates_by_window.entry(window).or_default() += 1;
                    let is_watched = key.window == WindowKind::Hour && !key.scope.kind.is_pair();
                    counted.watched += usize::from(is_watched);
                }
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
