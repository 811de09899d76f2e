//! Budgets by name, and how those stand that care for usage without a price.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::budget::{Budget, BudgetScope};
use shared::ledger::{BudgetStore, RollupStore};
use shared::money::UsdSum;
use shared::window::Range;

use crate::error::QueryError;
use crate::spend::scope_totals;

/// Budgets by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetReport {
    /// The budgets.
    pub budgets: Vec<BudgetLine>,
    /// None: there is one page.
    pub next: Option<String>,
}

/// A budget, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetLine {
    /// What was asked for.
    #[serde(flatten)]
    pub budget: Budget,
    /// In the current period; only of a budget that does not ignore usage without a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<BudgetCurrent>,
}

/// How a budget stands in its current period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetCurrent {
    /// First instant of the period.
    #[schemars(with = "shared::schema::Instant")]
    pub period_start: Timestamp,
    /// Known cost; null where nothing is priced.
    pub spend_usd: Option<UsdSum>,
    /// What is assumed beside it; null where nothing is.
    pub assumed_usd: Option<UsdSum>,
    /// Calls of unknown cost.
    pub unpriced_events: i64,
    /// Tokens of those.
    pub unpriced_tokens: i128,
    /// Whether these stop the budget, whatever the known cost is.
    pub blocked: bool,
}

/// Lists budgets; those on `scope` only, if it is given.
pub(crate) async fn budgets<L: BudgetStore + RollupStore>(
    ledger: &L,
    scope: Option<&BudgetScope>,
    now: Timestamp,
) -> Result<BudgetReport, QueryError> {
    let mut lines = Vec::new();
    for budget in ledger.budgets().await? {
        if scope.is_some_and(|scope| *scope != budget.spec.scope) {
            continue;
        }
        let cares = !budget.spec.unpriced.is_ignore();
        let current = if cares { Some(current(ledger, &budget, now).await?) } else { None };
        lines.push(BudgetLine { budget, current });
    }
    Ok(BudgetReport { budgets: lines, next: None })
}

async fn current<L: RollupStore>(
    ledger: &L,
    budget: &Budget,
    now: Timestamp,
) -> Result<BudgetCurrent, QueryError> {
    let spec = &budget.spec;
    let period = spec.period.containing(now, &spec.timezone);
    let totals = scope_totals(ledger, &spec.scope.scope(), period, Range::EVER).await?;
    Ok(BudgetCurrent {
        period_start: Timestamp::from_second(period.from).unwrap_or(now),
        spend_usd: totals.known_cost(),
        assumed_usd: spec.assumed(&totals),
        unpriced_events: totals.unpriced_events,
        unpriced_tokens: totals.unpriced_tokens,
        blocked: spec.blocked(&totals),
    })
}
