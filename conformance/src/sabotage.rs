//! The protocol without one of its guards. The suite has to notice: a guard whose absence goes unnoticed is
//! either not needed or not tested.

use jiff::Timestamp;
use shared::alert::{Alert, AlertState, StateKey};
use shared::budget::{Budget, BudgetSpec};
use shared::id::{AgentId, BudgetName, OwnId, RecordKey};
use shared::ledger::{
    AlertQuery, AlertStore, BudgetStore, Commit, CommitError, Conflict, Ledger, LedgerError, QuarantineState,
    Quarantined, RecordQuery, RecordStore, RollupQuery, RollupStore, Sender, SequenceStore, TakeRow,
};
use shared::record::{Listed, Record};
use shared::repricing::{REPRICING_LANE, RepricingStore, Run};
use shared::rollup::Additions;
use shared::sequence::SenderKey;
use shared::window::Range;

/// A guard of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A record is written only if what its writer saw is still there.
    Condition,
    /// A record and its additions commit together: without it, the additions are made first.
    Transaction,
    /// Nothing is claimed before it is written: without it, the record is written first.
    ClaimAfterWrite,
    /// Alert state moves only from the revision that its writer saw.
    AlertState,
    /// A repricing writes a record only if what it read is still there.
    RepricingCondition,
    /// A repricing's record and its additions commit together: without it, the record is written first.
    RepricingTransaction,
}

impl Guard {
    /// Every guard.
    pub const ALL: [Guard; 6] = [
        Guard::Condition,
        Guard::Transaction,
        Guard::ClaimAfterWrite,
        Guard::AlertState,
        Guard::RepricingCondition,
        Guard::RepricingTransaction,
    ];
}

/// A ledger behind which one guard may be missing.
pub struct Sabotaged<L> {
    inner: L,
    missing: Option<Guard>,
}

impl<L: Ledger> Sabotaged<L> {
    /// Takes `missing` away.
    pub fn new(inner: L, missing: Option<Guard>) -> Self {
        Self { inner, missing }
    }

    /// The ledger below.
    pub fn inner(&self) -> &L {
        &self.inner
    }

    async fn overwrite(&self, mut commit: Commit) -> Result<(), CommitError> {
        loop {
            match self.inner.commit(commit.clone()).await {
                Err(CommitError::Refused(refusals)) => {
                    for refusal in refusals {
                        let write = &mut commit.records[refusal.index];
                        write.expected = refusal.existing.map(|record| record.version);
                        write.record.version = write.expected.unwrap_or(0) + 1;
                    }
                }
                done => return done,
            }
        }
    }
}

impl<L: Ledger> RecordStore for Sabotaged<L> {
    fn max_commit_items(&self) -> usize {
        self.inner.max_commit_items()
    }

    fn max_commit_records(&self) -> usize {
        self.inner.max_commit_records()
    }

    fn max_commit_bytes(&self) -> usize {
        self.inner.max_commit_bytes()
    }

    async fn settle(&self, lanes: &[u32]) -> Result<(), LedgerError> {
        self.inner.settle(lanes).await
    }

    async fn settle_if_due(&self, lanes: &[u32]) -> Result<(), LedgerError> {
        self.inner.settle_if_due(lanes).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let repricing = commit.lane == REPRICING_LANE;
        let records = || Commit { additions: Additions::default(), ..commit.clone() };
        let additions = || Commit { records: Vec::new(), ..commit.clone() };
        match self.missing {
            Some(Guard::Condition) => self.overwrite(commit).await,
            Some(Guard::Transaction) => {
                self.inner.commit(additions()).await?;
                self.inner.commit(records()).await
            }
            Some(Guard::ClaimAfterWrite) => {
                self.inner.commit(records()).await?;
                self.inner.commit(additions()).await
            }
            Some(Guard::RepricingCondition) if repricing => self.overwrite(commit).await,
            Some(Guard::RepricingTransaction) if repricing => {
                self.inner.commit(records()).await?;
                self.inner.commit(additions()).await
            }
            Some(Guard::AlertState | Guard::RepricingCondition | Guard::RepricingTransaction) | None => {
                self.inner.commit(commit).await
            }
        }
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

impl<L: Ledger> RollupStore for Sabotaged<L> {
    async fn rollups(&self, queries: &[RollupQuery], take: TakeRow<'_>) -> Result<(), LedgerError> {
        self.inner.rollups(queries, take).await
    }

    async fn extent(&self) -> Result<Option<Range>, LedgerError> {
        self.inner.extent().await
    }
}

impl<L: Ledger> SequenceStore for Sabotaged<L> {
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

impl<L: Ledger> BudgetStore for Sabotaged<L> {
    async fn budgets(&self) -> Result<Vec<Budget>, LedgerError> {
        self.inner.budgets().await
    }

    async fn set_budget(&self, spec: &BudgetSpec, at: Timestamp) -> Result<Budget, LedgerError> {
        self.inner.set_budget(spec, at).await
    }

    async fn remove_budget(&self, name: &BudgetName) -> Result<bool, LedgerError> {
        self.inner.remove_budget(name).await
    }
}

impl<L: Ledger> AlertStore for Sabotaged<L> {
    async fn alert_state(&self, key: &StateKey) -> Result<AlertState, LedgerError> {
        self.inner.alert_state(key).await
    }

    async fn advance_alerts(
        &self,
        key: &StateKey,
        expected: u64,
        next: &AlertState,
        alerts: &[Alert],
    ) -> Result<bool, LedgerError> {
        let moved = self.inner.advance_alerts(key, expected, next, alerts).await?;
        if moved || self.missing != Some(Guard::AlertState) {
            return Ok(moved);
        }
        // Writes its state over whatever is there, with those of its alerts that are new.
        let known = self.inner.alerts(&AlertQuery { limit: usize::MAX, ..AlertQuery::default() }).await?;
        let fresh: Vec<Alert> =
            alerts.iter().filter(|alert| known.iter().all(|k| k.id != alert.id)).cloned().collect();
        let current = self.inner.alert_state(key).await?.revision;
        let next = AlertState { revision: current + 1, ..next.clone() };
        self.inner.advance_alerts(key, current, &next, &fresh).await
    }

    async fn mark_delivered(&self, id: &str) -> Result<(), LedgerError> {
        self.inner.mark_delivered(id).await
    }

    async fn note_due(&self, key: &StateKey) -> Result<(), LedgerError> {
        self.inner.note_due(key).await
    }

    async fn due(&self, limit: usize) -> Result<Vec<StateKey>, LedgerError> {
        self.inner.due(limit).await
    }

    async fn clear_due(&self, key: &StateKey) -> Result<(), LedgerError> {
        self.inner.clear_due(key).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>, LedgerError> {
        self.inner.alerts(query).await
    }
}

impl<L: Ledger> RepricingStore for Sabotaged<L> {
    async fn repricing(&self, run: &OwnId) -> Result<Option<Run>, LedgerError> {
        self.inner.repricing(run).await
    }

    async fn put_repricing(&self, run: &Run) -> Result<bool, LedgerError> {
        self.inner.put_repricing(run).await
    }

    async fn repricings(&self, limit: usize) -> Result<Vec<Run>, LedgerError> {
        self.inner.repricings(limit).await
    }
}
