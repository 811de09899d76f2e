//! A ledger in memory: records, and rollups made of their additions.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use shared::alert::{Alert, AlertState, StateKey};
use shared::budget::{Budget, BudgetSpec};
use shared::delivery::{DeliveryAttempt, DeliveryStore};
use shared::id::{AgentId, BudgetName, OwnId, RecordKey};
use shared::ledger::{
    AlertQuery, AlertStore, BudgetStore, Commit, CommitError, Conflict, LedgerError, QuarantineState,
    Quarantined, RecordQuery, RecordStore, RollupQuery, RollupRow, RollupStore, Sender, SequenceStore,
    TakeRow,
};
use shared::record::{Listed, Record};
use shared::repricing::{RepricingStore, Run};
use shared::rollup::{Additions, ScopeKind};
use shared::sequence::SenderKey;
use shared::window::{Range, WindowKind};

#[derive(Debug, Default)]
pub(crate) struct Fake {
    pub(crate) records: Vec<Record>,
    pub(crate) rollups: Additions,
    pub(crate) alerts: Vec<Alert>,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) senders: Vec<Sender>,
    pub(crate) deliveries: Vec<DeliveryAttempt>,
    /// How many records were listed so far.
    pub(crate) listed: AtomicUsize,
}

impl Fake {
    pub(crate) fn of(records: Vec<Record>) -> Self {
        let mut rollups = Additions::default();
        for record in &records {
            rollups.merge(&record.data.additions(&record.agent).unwrap()).unwrap();
        }
        Self { records, rollups, ..Self::default() }
    }
}

fn unused<T>() -> Result<T, LedgerError> {
    Err(LedgerError::Broken("a report writes nothing".to_owned()))
}

impl RecordStore for Fake {
    async fn commit(&self, _: Commit) -> Result<(), CommitError> {
        Ok(unused()?)
    }

    async fn get(&self, keys: &[(AgentId, RecordKey)]) -> Result<Vec<Option<Record>>, LedgerError> {
        let find = |(agent, key): &(AgentId, RecordKey)| {
            self.records.iter().find(|record| record.agent == *agent && record.key == *key).cloned()
        };
        Ok(keys.iter().map(find).collect())
    }

    async fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, LedgerError> {
        let after = query.after.as_ref().map(|c| (c.latest, c.agent.clone(), c.key.to_string()));
        let mut listed: BTreeMap<Reverse<(Timestamp, AgentId, String)>, &Record> = BTreeMap::new();
        for record in &self.records {
            let Some((earliest, latest)) = record.data.span() else { continue };
            let place = (latest, record.agent.clone(), record.key.to_string());
            let wanted = query.agent.as_ref().is_none_or(|agent| *agent == record.agent)
                && query.range.is_none_or(|r| latest.as_second() >= r.from && earliest.as_second() < r.to)
                && after.as_ref().is_none_or(|after| place < *after);
            if wanted {
                listed.insert(Reverse(place), record);
            }
        }
        let listed: Vec<_> = listed.into_values().take(query.limit).cloned().collect();
        self.listed.fetch_add(listed.len(), Ordering::Relaxed);
        Ok(listed)
    }

    /// As JSON, as a ledger keeps them.
    async fn listed(&self, query: &RecordQuery) -> Result<Vec<Listed>, LedgerError> {
        let text = |record: Record| {
            let latest = record.data.span().unwrap().1;
            let data = serde_json::to_string(&record.data).unwrap();
            Listed::text(record.agent, record.key, latest, data)
        };
        Ok(self.records(query).await?.into_iter().map(text).collect())
    }

    async fn put_conflict(&self, _: Conflict) -> Result<bool, LedgerError> {
        unused()
    }

    async fn conflicts(&self, limit: usize) -> Result<Vec<Conflict>, LedgerError> {
        Ok(self.conflicts.iter().take(limit).cloned().collect())
    }

    async fn quarantine(&self, _: Quarantined) -> Result<bool, LedgerError> {
        unused()
    }

    async fn quarantined(&self, _: usize) -> Result<Vec<Quarantined>, LedgerError> {
        Ok(Vec::new())
    }

    async fn quarantined_item(&self, _: &str) -> Result<Option<Quarantined>, LedgerError> {
        Ok(None)
    }

    async fn mark_quarantined(&self, _: &str, _: &QuarantineState) -> Result<bool, LedgerError> {
        unused()
    }

    async fn remove_quarantined(&self, _: &str) -> Result<bool, LedgerError> {
        unused()
    }

    async fn awaited(&self, limit: usize) -> Result<Vec<Record>, LedgerError> {
        Ok(self.records.iter().filter(|r| r.data.unmet().next().is_some()).take(limit).cloned().collect())
    }

    async fn closed_before(&self) -> Result<Option<Timestamp>, LedgerError> {
        unused()
    }

    async fn close_before(&self, _: Timestamp) -> Result<(), LedgerError> {
        unused()
    }
}

impl RollupStore for Fake {
    async fn rollups(&self, queries: &[RollupQuery], take: TakeRow<'_>) -> Result<(), LedgerError> {
        for (n, query) in queries.iter().enumerate() {
            self.rows(query).into_iter().try_for_each(|row| take(n, row))?;
        }
        Ok(())
    }

    async fn extent(&self) -> Result<Option<Range>, LedgerError> {
        let months = || {
            let months = |(key, _): (&shared::rollup::RollupKey, _)| {
                (key.window == WindowKind::Month && key.scope.kind == ScopeKind::Org).then_some(key.start)
            };
            self.rollups.iter().filter_map(months)
        };
        let ends = months().min().zip(months().max());
        Ok(ends.map(|(first, last)| Range { from: first, to: WindowKind::Month.end(last) }))
    }
}

impl Fake {
    fn rows(&self, query: &RollupQuery) -> Vec<RollupRow> {
        let mut rows: Vec<RollupRow> = self
            .rollups
            .iter()
            .filter(|(key, _)| {
                key.scope.kind == query.kind
                    && key.window == query.window
                    && query.a.as_ref().is_none_or(|a| *a == key.scope.a)
                    && query.b.as_ref().is_none_or(|b| *b == key.scope.b)
                    && (query.from..query.to).contains(&key.start)
            })
            .map(|(key, parts)| RollupRow {
                scope: key.scope.clone(),
                start: key.start,
                parts: parts.clone(),
            })
            .collect();
        rows.sort_by(|a, b| (a.start, &a.scope).cmp(&(b.start, &b.scope)));
        rows
    }
}

impl SequenceStore for Fake {
    async fn note_arrived(&self, _: &SenderKey, _: &[u64], _: Timestamp) -> Result<(), LedgerError> {
        unused()
    }

    async fn senders(&self, after: Option<&SenderKey>, limit: usize) -> Result<Vec<Sender>, LedgerError> {
        let later = self.senders.iter().filter(|sender| after.is_none_or(|after| sender.key > *after));
        Ok(later.take(limit).cloned().collect())
    }
}

impl BudgetStore for Fake {
    async fn budgets(&self) -> Result<Vec<Budget>, LedgerError> {
        Ok(self.budgets.clone())
    }

    async fn set_budget(&self, _: &BudgetSpec, _: Timestamp) -> Result<Budget, LedgerError> {
        unused()
    }

    async fn remove_budget(&self, _: &BudgetName) -> Result<bool, LedgerError> {
        unused()
    }
}

impl RepricingStore for Fake {
    async fn repricing(&self, _: &OwnId) -> Result<Option<Run>, LedgerError> {
        unused()
    }

    async fn put_repricing(&self, _: &Run) -> Result<bool, LedgerError> {
        unused()
    }

    async fn repricings(&self, _: usize) -> Result<Vec<Run>, LedgerError> {
        Ok(Vec::new())
    }
}

impl AlertStore for Fake {
    async fn alert_state(&self, _: &StateKey) -> Result<AlertState, LedgerError> {
        unused()
    }

    async fn advance_alerts(
        &self,
        _: &StateKey,
        _: u64,
        _: &AlertState,
        _: &[Alert],
    ) -> Result<bool, LedgerError> {
        unused()
    }

    async fn mark_delivered(&self, _: &str) -> Result<(), LedgerError> {
        unused()
    }

    async fn note_due(&self, _: &StateKey) -> Result<(), LedgerError> {
        unused()
    }

    async fn due(&self, _: usize) -> Result<Vec<StateKey>, LedgerError> {
        unused()
    }

    async fn clear_due(&self, _: &StateKey) -> Result<(), LedgerError> {
        unused()
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>, LedgerError> {
        let mut alerts: Vec<Alert> = self
            .alerts
            .iter()
            .filter(|alert| {
                query.budget.as_ref().is_none_or(|budget| *budget == alert.budget)
                    && query.state.is_none_or(|state| state == alert.state)
                    && query.after.as_ref().is_none_or(|after| (alert.at, &alert.id) < (after.0, &after.1))
            })
            .cloned()
            .collect();
        assert!(!query.oldest_first, "lists are newest first");
        alerts.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
        alerts.truncate(query.limit);
        Ok(alerts)
    }
}

impl DeliveryStore for Fake {
    async fn note_delivery(&self, _: &DeliveryAttempt) -> Result<(), LedgerError> {
        unused()
    }

    async fn deliveries(
        &self,
        alert_id: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeliveryAttempt>, LedgerError> {
        let wanted = self.deliveries.iter().filter(|d| alert_id.is_none_or(|id| id == d.alert_id));
        Ok(wanted.take(limit).cloned().collect())
    }
}
