//! A ledger whose commits may be answered too early: "no answer", and done later, when nobody thinks of them any more.

use std::sync::{Arc, Mutex};

use fastrand::Rng;
use jiff::Timestamp;
use local::ledger::SqliteLedger;
use shared::id::{AgentId, RecordKey};
use shared::ledger::{
    Commit, CommitError, Conflict, LedgerError, QuarantineState, Quarantined, RecordQuery, RecordStore,
    RollupQuery, RollupStore, TakeRow,
};
use shared::record::Record;
use shared::window::Range;

pub(crate) struct Late {
    inner: Arc<SqliteLedger>,
    waiting: Mutex<Vec<Commit>>,
    rng: Mutex<Rng>,
    /// Whether records without content are left out of commits, as if nobody needed a condition.
    unconditional: bool,
}

impl Late {
    pub(crate) fn new(inner: &Arc<SqliteLedger>, seed: u64, unconditional: bool) -> Self {
        let (waiting, rng) = (Mutex::default(), Mutex::new(Rng::with_seed(seed)));
        Self { inner: Arc::clone(inner), waiting, rng, unconditional }
    }

    /// What was thought lost arrives, if its condition still holds.
    pub(crate) async fn arrive(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        for commit in waiting {
            let _ = self.inner.commit(commit).await;
        }
    }
}

impl RecordStore for Late {
    fn max_commit_items(&self) -> usize {
        20
    }

    async fn commit(&self, mut commit: Commit) -> Result<(), CommitError> {
        if self.unconditional {
            commit.records.clear();
        }
        let (luck, now) = {
            let mut rng = self.rng.lock().unwrap();
            (rng.u32(..6), rng.bool())
        };
        if luck == 0 {
            self.waiting.lock().unwrap().push(commit);
            return Err(LedgerError::Retry("no answer yet".to_owned()).into());
        }
        if now {
            self.arrive().await;
        }
        let done = self.inner.commit(commit).await;
        if luck == 1 { Err(LedgerError::Retry("the answer was lost".to_owned()).into()) } else { done }
    }

    async fn get(&self, keys: &[(AgentId, RecordKey)]) -> Result<Vec<Option<Record>>, LedgerError> {
        self.inner.get(keys).await
    }

    async fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, LedgerError> {
        self.inner.records(query).await
    }

    async fn put_conflict(&self, conflict: Conflict) -> Result<bool, LedgerError> {
        self.inner.put_conflict(conflict).await
    }

    async fn conflicts(&self, limit: usize) -> Result<Vec<Conflict>, LedgerError> {
        self.inner.conflicts(limit).await
    }

    async fn quarantine(&self, item: Quarantined) -> Result<bool, LedgerError> {
        self.inner.quarantine(item).await
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

impl RollupStore for Late {
    async fn rollups(&self, queries: &[RollupQuery], take: TakeRow<'_>) -> Result<(), LedgerError> {
        self.inner.rollups(queries, take).await
    }

    async fn extent(&self) -> Result<Option<Range>, LedgerError> {
        self.inner.extent().await
    }
}
