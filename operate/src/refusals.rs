//! A ledger that shows what the aggregator puts aside, and need not keep all of it.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use shared::id::{AgentId, RecordKey};
use shared::ledger::{
    Commit, CommitError, Conflict, LedgerError, QuarantineState, Quarantined, RecordQuery, RecordStore,
    Sender, SequenceStore,
};
use shared::record::{Listed, Record};
use shared::sequence::SenderKey;

/// Something that the aggregator put aside.
pub(crate) struct Refused {
    pub(crate) item: Quarantined,
    /// Whether it is in the quarantine since now.
    pub(crate) is_new: bool,
}

/// Says whether something is to be kept in the quarantine.
pub(crate) type Keeps = Box<dyn Fn(&Quarantined) -> bool + Send + Sync>;

/// A ledger whose refusals are looked at.
pub(crate) struct Refusals<L> {
    inner: L,
    keeps: Keeps,
    seen: Mutex<Vec<Refused>>,
}

impl<L: RecordStore> Refusals<L> {
    pub(crate) fn new(inner: L, keeps: Keeps) -> Self {
        Self { inner, keeps, seen: Mutex::default() }
    }

    /// What was refused since the last call.
    pub(crate) fn take(&self) -> Vec<Refused> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<L: RecordStore> RecordStore for Refusals<L> {
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
        self.inner.commit(commit).await
    }

    async fn settle(&self, lanes: &[u32]) -> Result<(), LedgerError> {
        self.inner.settle(lanes).await
    }

    async fn settle_if_due(&self, lanes: &[u32]) -> Result<(), LedgerError> {
        self.inner.settle_if_due(lanes).await
    }

    async fn get(&self, keys: &[(AgentId, RecordKey)]) -> Result<Vec<Option<Record>>, LedgerError> {
        self.inner.get(keys).await
    }

    async fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, LedgerError> {
        self.inner.records(query).await
    }

    async fn listed(&self, query: &RecordQuery) -> Result<Vec<Listed>, LedgerError> {
        self.inner.listed(query).await
    }

    async fn put_conflict(&self, conflict: Conflict) -> Result<bool, LedgerError> {
        self.inner.put_conflict(conflict).await
    }

    async fn conflicts(&self, limit: usize) -> Result<Vec<Conflict>, LedgerError> {
        self.inner.conflicts(limit).await
    }

    async fn quarantine(&self, item: Quarantined) -> Result<bool, LedgerError> {
        // What is not kept is nothing new either: nobody is told of it as if it were.
        let is_new = (self.keeps)(&item) && self.inner.quarantine(item.clone()).await?;
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(Refused { item, is_new });
        Ok(is_new)
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, LedgerError> {
        self.inner.quarantined(limit).await
    }

    async fn quarantined_item(&self, id: &str) -> Result<Option<Quarantined>, LedgerError> {
        self.inner.quarantined_item(id).await
    }

    async fn mark_quarantined(&self, id: &str, state: &QuarantineState) -> Result<bool, LedgerError> {
        self.inner.mark_quarantined(id, state).await
    }

    async fn remove_quarantined(&self, id: &str) -> Result<bool, LedgerError> {
        self.inner.remove_quarantined(id).await
    }

    async fn awaited(&self, limit: usize) -> Result<Vec<Record>, LedgerError> {
        self.inner.awaited(limit).await
    }

    async fn closed_before(&self) -> Result<Option<Timestamp>, LedgerError> {
        self.inner.closed_before().await
    }

    async fn close_before(&self, at: Timestamp) -> Result<(), LedgerError> {
        self.inner.close_before(at).await
    }
}

impl<L: SequenceStore> SequenceStore for Refusals<L> {
    async fn note_arrived(
        &self,
        sender: &SenderKey,
        sequences: &[u64],
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        self.inner.note_arrived(sender, sequences, at).await
    }

    async fn senders(&self, after: Option<&SenderKey>, limit: usize) -> Result<Vec<Sender>, LedgerError> {
        self.inner.senders(after, limit).await
    }
}
