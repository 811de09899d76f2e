//! A ledger that writes nothing: it reads what is there, keeps what is committed beside it, and refuses what the real
//! one would refuse.
//!
//! What it keeps is bounded. A sum that would pass what it can hold is not noticed: the sums of one lane cannot be read.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use shared::id::{AgentId, RecordKey};
use shared::ledger::{
    Commit, CommitError, Conflict, LedgerError, QuarantineState, Quarantined, RecordQuery, RecordStore,
    Refusal, Sender, SequenceStore,
};
use shared::record::{Listed, Record};
use shared::sequence::SenderKey;

/// The most bytes of records that are kept, by their weight.
const MOST_BYTES: usize = 256 << 20;
/// The most conflicts that are known from before.
const KNOWN_CONFLICTS: usize = 10_000;

type Key = (AgentId, RecordKey);

/// What would be there besides.
#[derive(Default)]
struct Overlay {
    records: HashMap<Key, Record>,
    bytes: usize,
    conflicts: Option<HashSet<(AgentId, String, String)>>,
    quarantine: HashSet<String>,
    is_full: bool,
}

/// A ledger that is only read.
pub struct Dry<L> {
    inner: L,
    overlay: Mutex<Overlay>,
    most_bytes: usize,
}

impl<L: RecordStore> Dry<L> {
    /// Over this ledger.
    pub fn new(inner: L) -> Self {
        Self { inner, overlay: Mutex::default(), most_bytes: MOST_BYTES }
    }

    /// With another bound of what is kept.
    #[must_use]
    pub fn keeping(self, most_bytes: usize) -> Self {
        Self { most_bytes, ..self }
    }

    /// Whether a commit was refused because nothing more can be kept.
    pub fn is_full(&self) -> bool {
        self.overlay().is_full
    }

    fn overlay(&self) -> MutexGuard<'_, Overlay> {
        self.overlay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn known_conflicts(&self) -> Result<(), LedgerError> {
        if self.overlay().conflicts.is_some() {
            return Ok(());
        }
        let known = self.inner.conflicts(KNOWN_CONFLICTS).await?;
        let known = known.into_iter().map(|c| identity(&c)).collect();
        self.overlay().conflicts.get_or_insert(known);
        Ok(())
    }
}

fn identity(conflict: &Conflict) -> (AgentId, String, String) {
    (conflict.agent.clone(), conflict.key.clone(), conflict.refused.as_str().to_owned())
}

impl<L: RecordStore> RecordStore for Dry<L> {
    fn max_commit_items(&self) -> usize {
        self.inner.max_commit_items()
    }

    fn max_commit_records(&self) -> usize {
        self.inner.max_commit_records()
    }

    fn max_commit_bytes(&self) -> usize {
        self.inner.max_commit_bytes()
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let key = |record: &Record| (record.agent.clone(), record.key.clone());
        let keys: Vec<Key> = commit.records.iter().map(|write| key(&write.record)).collect();
        let found = self.get(&keys).await?;
        let mut overlay = self.overlay();
        let mut refused = Vec::new();
        for (index, (write, read)) in commit.records.iter().zip(found).enumerate() {
            // What was kept since then is newer than what was read.
            let existing = overlay.records.get(&keys[index]).cloned().or(read);
            if existing.as_ref().map(|record| record.version) != write.expected {
                refused.push(Refusal { index, existing });
            }
        }
        if !refused.is_empty() {
            return Err(CommitError::Refused(refused));
        }
        let more: usize = commit.records.iter().map(|write| write.record.data.weight()).sum();
        if overlay.bytes.saturating_add(more) > self.most_bytes {
            overlay.is_full = true;
            let full = "a dry run keeps no more than this of what it would write";
            return Err(LedgerError::Broken(full.to_owned()).into());
        }
        for (write, key) in commit.records.into_iter().zip(keys) {
            overlay.bytes += write.record.data.weight();
            if let Some(before) = overlay.records.insert(key, write.record) {
                overlay.bytes = overlay.bytes.saturating_sub(before.data.weight());
            }
        }
        Ok(())
    }

    async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, LedgerError> {
        let mut found: Vec<Option<Record>> = {
            let overlay = self.overlay();
            keys.iter().map(|key| overlay.records.get(key).cloned()).collect()
        };
        let (places, missing): (Vec<usize>, Vec<Key>) = keys
            .iter()
            .enumerate()
            .filter(|(n, _)| found[*n].is_none())
            .map(|(n, key)| (n, key.clone()))
            .unzip();
        if !missing.is_empty() {
            for (n, record) in places.into_iter().zip(self.inner.get(&missing).await?) {
                found[n] = record;
            }
        }
        Ok(found)
    }

    async fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, LedgerError> {
        self.inner.records(query).await
    }

    async fn listed(&self, query: &RecordQuery) -> Result<Vec<Listed>, LedgerError> {
        self.inner.listed(query).await
    }

    async fn put_conflict(&self, conflict: Conflict) -> Result<bool, LedgerError> {
        self.known_conflicts().await?;
        Ok(self.overlay().conflicts.get_or_insert_default().insert(identity(&conflict)))
    }

    async fn conflicts(&self, limit: usize) -> Result<Vec<Conflict>, LedgerError> {
        self.inner.conflicts(limit).await
    }

    async fn quarantine(&self, item: Quarantined) -> Result<bool, LedgerError> {
        let is_known = self.inner.quarantined_item(&item.id).await?.is_some();
        Ok(!is_known && self.overlay().quarantine.insert(item.id))
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, LedgerError> {
        self.inner.quarantined(limit).await
    }

    async fn quarantined_item(&self, id: &str) -> Result<Option<Quarantined>, LedgerError> {
        self.inner.quarantined_item(id).await
    }

    async fn mark_quarantined(&self, _: &str, _: &QuarantineState) -> Result<bool, LedgerError> {
        Err(only_read())
    }

    async fn remove_quarantined(&self, _: &str) -> Result<bool, LedgerError> {
        Err(only_read())
    }

    async fn awaited(&self, limit: usize) -> Result<Vec<Record>, LedgerError> {
        self.inner.awaited(limit).await
    }

    async fn closed_before(&self) -> Result<Option<Timestamp>, LedgerError> {
        self.inner.closed_before().await
    }

    async fn close_before(&self, _: Timestamp) -> Result<(), LedgerError> {
        Err(only_read())
    }
}

impl<L: SequenceStore> SequenceStore for Dry<L> {
    async fn note_arrived(&self, _: &SenderKey, _: &[u64], _: Timestamp) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn senders(&self, after: Option<&SenderKey>, limit: usize) -> Result<Vec<Sender>, LedgerError> {
        self.inner.senders(after, limit).await
    }
}

fn only_read() -> LedgerError {
    LedgerError::Broken("this ledger is only read".to_owned())
}
