//! Usage without a price in one UTC month: which models have notices to give. It needs no budget.

use std::collections::BTreeSet;

use jiff::Timestamp;
use shared::alert::{Alert, MAX_MODELS, MonthTotals, StateKey, UnpricedOf, UnpricedState, unpriced_key};
use shared::clock::Clock;
use shared::id::IdError;
use shared::ledger::{AlertStore, BudgetStore, LedgerError, RollupQuery, RollupRow, RollupStore};
use shared::notifier::Notifier;
use shared::rollup::ScopeKind;
use shared::totals::Totals;
use shared::window::{Range, WindowKind};

use crate::evaluate::RACES;
use crate::totals::add;
use crate::{Alerter, contributors};

/// The months that each sweep looks at: the current one, and the one before.
pub(crate) fn months_to_sweep(now: Timestamp) -> BTreeSet<i64> {
    let current = WindowKind::Month.start(now.as_second());
    BTreeSet::from([WindowKind::Month.start(current - 1), current])
}

impl<L: RollupStore + BudgetStore + AlertStore, N: Notifier, C: Clock> Alerter<L, N, C> {
    /// Decides which notices a month asks for, stores them with the decision, and delivers them.
    pub(crate) async fn watch_unpriced(&self, month: i64) -> Result<(), LedgerError> {
        let key = key(month)?;
        for _ in 0..RACES {
            // In this order: whatever moves the state after this read makes the write below fail.
            let state = self.ledger.alert_state(&key).await?;
            let totals = month_totals(&self.ledger, month, &state.unpriced).await?;
            let (next, notices) = state.advance_unpriced(&totals, self.clock.now());
            if notices.is_empty() {
                return self.deliver_pending(&key).await;
            }
            let mut alerts = Vec::new();
            for notice in &notices {
                let model = match &notice.of {
                    UnpricedOf::Model(model) => Some(model.as_str()),
                    UnpricedOf::NotStated => Some(""),
                    UnpricedOf::Others => None,
                };
                let range = Range { from: month, to: WindowKind::Month.end(month) };
                let top = contributors::unpriced(&self.ledger, model, range).await?;
                let of =
                    totals.of(&notice.of, &next.unpriced).map_err(|e| LedgerError::Broken(e.to_string()))?;
                alerts.push(Alert::of_unpriced(notice, month, &of, top).map_err(|e| no_key(&e))?);
            }
            if self.ledger.advance_alerts(&key, state.revision, &next, &alerts).await? {
                alerts.iter().for_each(|alert| (self.decided)(alert));
                return self.deliver_pending(&key).await;
            }
        }
        Err(LedgerError::Retry(format!(
            "the state of unpriced usage was moved by others {RACES} times in between"
        )))
    }

    /// Leaves a month to the sweep.
    pub(crate) async fn note_month_due(&self, month: i64) -> Result<(), LedgerError> {
        self.ledger.note_due(&key(month)?).await
    }

    /// Looks at a month, and takes the note back that it is due.
    pub(crate) async fn sweep_month(&self, month: i64, due: &[StateKey]) -> Result<(), LedgerError> {
        let key = key(month)?;
        self.watch_unpriced(month).await?;
        if due.contains(&key) { self.ledger.clear_due(&key).await } else { Ok(()) }
    }
}

fn key(month: i64) -> Result<StateKey, LedgerError> {
    unpriced_key(month).map_err(|e| no_key(&e))
}

fn no_key(error: &IdError) -> LedgerError {
    LedgerError::Broken(error.to_string())
}

/// The totals of a month: of the models that have had notices, and of further ones only where there is something
/// else without a price, and room for a notice of it.
async fn month_totals<L: RollupStore>(
    ledger: &L,
    month: i64,
    state: &UnpricedState,
) -> Result<MonthTotals, LedgerError> {
    let known = state.models.keys().map(|model| Some(model.clone()));
    let totals = read(ledger, month, known.collect(), state).await?;
    if totals.beyond(state) > 0 && state.models.len() < MAX_MODELS {
        return read(ledger, month, vec![None], state).await;
    }
    Ok(totals)
}

async fn read<L: RollupStore>(
    ledger: &L,
    month: i64,
    models: Vec<Option<String>>,
    state: &UnpricedState,
) -> Result<MonthTotals, LedgerError> {
    let window = WindowKind::Month;
    let (from, to) = (month, window.end(month));
    let query = |kind, a| RollupQuery { kind, a, b: None, window, from, to };
    let mut queries = vec![query(ScopeKind::Org, Some(String::new()))];
    queries.extend(models.into_iter().map(|model| query(ScopeKind::Model, model)));
    let mut totals = MonthTotals::default();
    let mut new = 0;
    let mut take = |n: usize, row: RollupRow| {
        let mut sum = Totals::default();
        row.parts.0.iter().try_for_each(|part| add(&mut sum, part))?;
        if n == 0 {
            totals.all = sum;
            return Ok(());
        }
        // There may be any number of names: no more are kept than can be told.
        let is_known = state.models.contains_key(&row.scope.a);
        if is_known || (sum.unpriced_events > 0 && new < MAX_MODELS) {
            new += usize::from(!is_known);
            totals.models.insert(row.scope.a, sum);
        }
        Ok(())
    };
    ledger.rollups(&queries, &mut take).await?;
    Ok(totals)
}
