//! The demo's budgets.

use shared::budget::{BudgetError, BudgetForm, BudgetSpec};
use shared::window::Zone;

use super::cast::RUNAWAY;

/// What the agent that gets stuck may spend in a day, in US dollars.
pub(super) const RUNAWAY_LIMIT: &str = "20";

/// A budget for each kind of scope that somebody watches. Their days are the simulated one's, so that no midnight
/// cuts it in two.
pub(super) fn budgets(zone: &Zone) -> Result<Vec<BudgetSpec>, BudgetError> {
    let budget = |name: &str, scope: String, limit_usd: Option<&str>, limit_tokens: Option<u64>| {
        let form = BudgetForm {
            scope,
            limit_usd: limit_usd.map(str::to_owned),
            limit_tokens,
            period: "day".to_owned(),
            timezone: Some(zone.name().to_owned()),
            thresholds: None,
            unpriced: None,
        };
        form.spec(name)
    };
    Ok(vec![
        budget(RUNAWAY, format!("agent:{RUNAWAY}"), Some(RUNAWAY_LIMIT), None)?,
        budget("platform-day", "team:platform".to_owned(), Some("75"), None)?,
        budget("support-day", "team:support".to_owned(), None, Some(6_000_000))?,
        budget("everybody-day", "org".to_owned(), Some("100"), None)?,
    ])
}
