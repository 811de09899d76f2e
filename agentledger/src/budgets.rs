//! A budget as an operator writes it, in TOML or in a request, before it is checked.

use serde::{Deserialize, Serialize};
use shared::budget::{BudgetSpec, Limit};
use shared::id::BudgetName;
use shared::window::{Period, Zone};

/// When to alert unless asked otherwise, in percent.
const THRESHOLDS: [u32; 3] = [50, 80, 100];

/// A budget without its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetForm {
    pub(crate) scope: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit_usd: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit_tokens: Option<u64>,
    pub(crate) period: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timezone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) thresholds: Option<Vec<u32>>,
}

impl BudgetForm {
    /// Checks every field; the error names the one that is wrong.
    pub(crate) fn spec(&self, name: &str) -> Result<BudgetSpec, String> {
        let limit = match (&self.limit_usd, self.limit_tokens) {
            (Some(usd), None) => Limit::Usd(usd.parse().map_err(|e| format!("`limit_usd`: {e}"))?),
            (None, Some(tokens)) => Limit::Tokens(tokens),
            _ => return Err("give one of `limit_usd` and `limit_tokens`".to_owned()),
        };
        let period = match self.period.as_str() {
            "hour" => Period::Hour,
            "day" => Period::Day,
            "week" => Period::Week,
            "month" => Period::Month,
            other => return Err(format!("`period` is {other:?}; give hour, day, week or month")),
        };
        let spec = BudgetSpec {
            name: BudgetName::parse(name).map_err(|e| format!("`name` {e}"))?,
            scope: self.scope.parse().map_err(|e: shared::budget::BudgetError| e.to_string())?,
            limit,
            period,
            timezone: match &self.timezone {
                Some(zone) => Zone::parse(zone).map_err(|e| format!("`timezone`: {e}"))?,
                None => Zone::utc(),
            },
            thresholds: self.thresholds.clone().unwrap_or_else(|| THRESHOLDS.to_vec()),
        };
        spec.checked().map_err(|e| e.to_string())
    }
}
