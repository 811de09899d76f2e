//! One budget in one period: read the state, then the totals, then move the state if nobody else did.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use shared::alert::{Alert, Delivery, StateKey};
use shared::budget::Budget;
use shared::clock::Clock;
use shared::ledger::{AlertQuery, AlertStore, BudgetStore, LedgerError, RollupStore};
use shared::notifier::Notifier;
use shared::window::Range;

use crate::{AlertPeriod, Alerter, contributors, period_totals, state_key};

/// How many undelivered alerts are taken on at once.
const PENDING: usize = 1_000;
/// How long a round of delivering begins with another alert: the rest is for the next round. A slow receiver
/// holds up the evaluation of budgets no longer than that.
const DELIVERING: Duration = Duration::from_secs(20);
/// How often a decision is made anew after someone else moved the state in between.
pub(crate) const RACES: usize = 32;

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
                alerts.iter().for_each(|alert| (self.decided)(alert));
                return self.deliver_pending(&key).await;
            }
        }
        Err(LedgerError::Retry(format!(
            "the state of budget {} was moved by others {RACES} times in between",
            spec.name
        )))
    }

    /// Delivers what was decided here, and what someone who died before delivering had decided.
    pub(crate) async fn deliver_pending(&self, key: &StateKey) -> Result<(), LedgerError> {
        let pending = AlertQuery {
            budget: Some(key.budget.clone()),
            period_start: Some(key.period_start),
            ..pending()
        };
        let round = self.deliver(self.ledger.alerts(&pending).await?).await?;
        if self.has_schedule || round.is_complete() {
            return Ok(());
        }
        Err(LedgerError::Retry(format!("an alert of {} was not delivered", key.budget)))
    }

    /// Sends again what is not known to have arrived, oldest first, but beginning after the period whose alert
    /// was not taken in the last round, and coming to that in the end. A notifier may have enough of a round
    /// after one failure: one alert that it never takes would keep all others from it.
    pub(crate) async fn deliver_again(&self) -> Result<(), LedgerError> {
        let mut alerts = self.ledger.alerts(&pending()).await?;
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(last) = alerts.iter().position(|alert| Some(period_of(alert)) == refused) {
            let tried: BTreeSet<_> = alerts[..=last].iter().map(period_of).collect();
            // Stable, so that the alerts of a period stay in their order.
            alerts.sort_by_key(|alert| tried.contains(&period_of(alert)));
        }
        let round = self.deliver(alerts).await?;
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = round.refused;
        Ok(())
    }

    /// Delivers alerts in this order, each noted when it has arrived: a crash in between delivers again, under
    /// the same id. What is not taken holds up what comes after it in its period, so that a crossing is told
    /// before its end, and the newest word is the last.
    async fn deliver(&self, alerts: Vec<Alert>) -> Result<Round, LedgerError> {
        let began = Instant::now();
        let mut held = BTreeSet::new();
        let mut round = Round::default();
        for alert in alerts {
            let period = period_of(&alert);
            if held.contains(&period) {
                continue;
            }
            if began.elapsed() > DELIVERING {
                tracing::warn!("delivering takes long; another round goes on with the other pending alerts");
                round.broke_off = true;
                break;
            }
            match self.notifier.notify(&alert).await {
                Ok(()) => self.ledger.mark_delivered(&alert.id).await?,
                Err(error) => {
                    tracing::warn!(%error, alert = alert.id, "the alert will be sent again");
                    round.refused.get_or_insert_with(|| period.clone());
                    held.insert(period);
                }
            }
        }
        Ok(round)
    }
}

/// What a round of delivering left.
#[derive(Default)]
struct Round {
    /// The first period of which an alert was not taken.
    refused: Option<AlertPeriod>,
    /// Whether time ran out before some were tried.
    broke_off: bool,
}

impl Round {
    fn is_complete(&self) -> bool {
        self.refused.is_none() && !self.broke_off
    }
}

fn period_of(alert: &Alert) -> AlertPeriod {
    (alert.budget.clone(), alert.period_start)
}

/// What is not known to have arrived.
fn pending() -> AlertQuery {
    AlertQuery { state: Some(Delivery::Pending), oldest_first: true, limit: PENDING, ..AlertQuery::default() }
}
