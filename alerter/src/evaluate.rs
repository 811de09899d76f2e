//! One budget in one period: read the state, then the totals, then move the state if nobody else did.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shared::alert::{Alert, Delivery, StateKey};
use shared::budget::Budget;
use shared::clock::Clock;
use shared::id::BudgetName;
use shared::ledger::{AlertQuery, AlertStore, BudgetStore, LedgerError, RollupStore};
use shared::notifier::Notifier;
use shared::window::Range;

use crate::{Alerter, contributors, period_totals, state_key};

/// How many undelivered alerts are taken on at once.
const PENDING: usize = 1_000;
/// How often a decision is made anew after someone else moved the state in between.
const RACES: usize = 32;

impl<L: RollupStore + BudgetStore + AlertStore, N: Notifier, C: Clock> Alerter<L, N, C> {
    /// Decides, stores the decision with its alerts, and delivers what is not delivered of this period.
    pub(crate) async fn evaluate(&self, budget: &Budget, period: Range) -> Result<(), LedgerError> {
        let spec = &budget.spec;
        let key = state_key(budget, period);
        for _ in 0..RACES {
            // In this order: whatever moves the state after this read makes the write below fail.
            let state = self.ledger.alert_state(&key).await?;
            let totals = period_totals(&self.ledger, &spec.scope.scope(), period).await?;
            let (next, transitions) = state.advance(budget, &totals, self.clock.now());
            if transitions.is_empty() {
                return self.deliver_pending(&key).await;
            }
            let top = contributors::top(&self.ledger, &spec.scope, spec.limit, period).await?;
            let alerts: Vec<Alert> = transitions
                .into_iter()
                .map(|transition| Alert::new(budget, period, transition, &totals, top.clone()))
                .collect();
            if self.ledger.advance_alerts(&key, state.revision, &next, &alerts).await? {
                return self.deliver_pending(&key).await;
            }
        }
        Err(LedgerError::Retry(format!(
            "the state of budget {} was moved by others {RACES} times in between",
            spec.name
        )))
    }

    /// Delivers what was decided here, and what someone who died before delivering had decided.
    async fn deliver_pending(&self, key: &StateKey) -> Result<(), LedgerError> {
        let pending = AlertQuery {
            budget: Some(key.budget.clone()),
            period_start: Some(key.period_start),
            ..pending()
        };
        self.deliver(&pending).await
    }

    /// Delivers pending alerts, oldest first, each noted when it has arrived: a crash in between delivers
    /// again, under the same id. What is not taken holds up what comes after it in its period, so that a
    /// crossing is told before its end, and the newest word is the last.
    pub(crate) async fn deliver(&self, pending: &AlertQuery) -> Result<(), LedgerError> {
        let mut held: BTreeSet<(BudgetName, Timestamp)> = BTreeSet::new();
        for alert in self.ledger.alerts(pending).await? {
            let period = (alert.budget.clone(), alert.period_start);
            if held.contains(&period) {
                continue;
            }
            match self.notifier.notify(&alert).await {
                Ok(()) => self.ledger.mark_delivered(&alert.id).await?,
                Err(error) => {
                    tracing::warn!(%error, alert = alert.id, "the sweep will send it again");
                    held.insert(period);
                }
            }
        }
        Ok(())
    }
}

/// What is not known to have arrived.
pub(crate) fn pending() -> AlertQuery {
    AlertQuery { state: Some(Delivery::Pending), oldest_first: true, limit: PENDING, ..AlertQuery::default() }
}
