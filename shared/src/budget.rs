//! Budgets: a limit on a scope per period, with thresholds.

mod unpriced;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AgentId, BudgetName, ModelId, TaskId, TeamId};
use crate::money::{Usd, UsdSum};
use crate::rollup::{Scope, ScopeKind};
use crate::totals::Totals;
use crate::window::{Period, Zone};

pub use unpriced::UnpricedPolicy;

/// The most thresholds of one budget.
pub const MAX_THRESHOLDS: usize = 20;
/// When to alert unless asked otherwise, in percent.
pub const DEFAULT_THRESHOLDS: [u32; 3] = [50, 80, 100];
/// The largest threshold, in percent.
pub const MAX_PERCENT: u32 = 10_000;

/// What a budget limits. Written `org`, `team:NAME`, `agent:NAME`, `task:NAME` or `model:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub enum BudgetScope {
    /// Everything.
    Org,
    /// One team.
    Team(TeamId),
    /// One agent.
    Agent(AgentId),
    /// One task.
    Task(TaskId),
    /// One model.
    Model(ModelId),
}

impl BudgetScope {
    /// The rollup scope whose totals count.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Org => Scope::org(),
            Self::Team(name) => Scope::one(ScopeKind::Team, name.as_str()),
            Self::Agent(name) => Scope::one(ScopeKind::Agent, name.as_str()),
            Self::Task(name) => Scope::one(ScopeKind::Task, name.as_str()),
            Self::Model(name) => Scope::one(ScopeKind::Model, name.as_str()),
        }
    }
}

impl fmt::Display for BudgetScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Org => f.write_str("org"),
            Self::Team(name) => write!(f, "team:{name}"),
            Self::Agent(name) => write!(f, "agent:{name}"),
            Self::Task(name) => write!(f, "task:{name}"),
            Self::Model(name) => write!(f, "model:{name}"),
        }
    }
}

impl FromStr for BudgetScope {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let bad = |reason: String| BudgetError { field: "scope", reason };
        let Some((kind, name)) = text.split_once([':', '=']) else {
            return match text {
                "org" => Ok(Self::Org),
                _ => Err(bad(format!(
                    "{text:?} is no scope; give org, team:NAME, agent:NAME, task:NAME or model:NAME"
                ))),
            };
        };
        let named = |e: crate::id::IdError| bad(format!("the {kind}'s name {e}"));
        match kind {
            "team" => TeamId::parse(name).map(Self::Team).map_err(named),
            "agent" => AgentId::parse(name).map(Self::Agent).map_err(named),
            "task" => TaskId::parse(name).map(Self::Task).map_err(named),
            "model" => ModelId::parse(name).map(Self::Model).map_err(named),
            _ => Err(bad(format!("{kind:?} is no kind of scope; give org, team, agent, task or model"))),
        }
    }
}

impl TryFrom<String> for BudgetScope {
    type Error = BudgetError;

    fn try_from(text: String) -> Result<Self, BudgetError> {
        text.parse()
    }
}

impl From<BudgetScope> for String {
    fn from(scope: BudgetScope) -> String {
        scope.to_string()
    }
}

/// How much may be spent in a period. Written as `limit_usd` or `limit_tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "LimitFields", into = "LimitFields")]
pub enum Limit {
    /// In US dollars.
    Usd(Usd),
    /// In tokens.
    Tokens(u64),
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct LimitFields {
    limit_usd: Option<Usd>,
    limit_tokens: Option<u64>,
}

impl TryFrom<LimitFields> for Limit {
    type Error = BudgetError;

    fn try_from(fields: LimitFields) -> Result<Self, BudgetError> {
        match (fields.limit_usd, fields.limit_tokens) {
            (Some(usd), None) => Ok(Self::Usd(usd)),
            (None, Some(tokens)) => Ok(Self::Tokens(tokens)),
            _ => Err(BudgetError {
                field: "limit_usd",
                reason: "give one of limit_usd and limit_tokens".to_owned(),
            }),
        }
    }
}

impl From<Limit> for LimitFields {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::Usd(usd) => Self { limit_usd: Some(usd), limit_tokens: None },
            Limit::Tokens(tokens) => Self { limit_usd: None, limit_tokens: Some(tokens) },
        }
    }
}

impl Limit {
    /// Whether `totals` have reached `percent` of the limit, exactly.
    pub fn reached(&self, percent: u32, totals: &Totals) -> bool {
        self.reached_by(percent, totals.cost, totals.tokens())
    }

    fn reached_by(&self, percent: u32, cost: UsdSum, tokens: i128) -> bool {
        match self {
            Self::Usd(limit) => limit.percent(percent).is_ok_and(|threshold| cost >= threshold.into()),
            Self::Tokens(limit) => tokens * 100 >= i128::from(*limit) * i128::from(percent),
        }
    }
}

/// A budget that a field makes unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {reason}")]
pub struct BudgetError {
    /// Which field.
    pub field: &'static str,
    /// What is wrong, and what would be accepted.
    pub reason: String,
}

/// What an operator asks for: a budget without what the ledger assigns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetSpec {
    /// Its name.
    pub name: BudgetName,
    /// What it limits.
    pub scope: BudgetScope,
    /// How much.
    #[serde(flatten)]
    pub limit: Limit,
    /// Per what.
    pub period: Period,
    /// In which zone a period starts and ends.
    pub timezone: Zone,
    /// In percent of the limit, ascending and distinct.
    pub thresholds: Vec<u32>,
    /// What usage of unknown cost means for it; absent where it is ignored.
    #[serde(default, skip_serializing_if = "UnpricedPolicy::is_ignore")]
    pub unpriced: UnpricedPolicy,
}

impl BudgetSpec {
    /// Sorts the thresholds and checks that the limit and they can be reached.
    pub fn checked(mut self) -> Result<Self, BudgetError> {
        let bad = |field, reason: &str| Err(BudgetError { field, reason: reason.to_owned() });
        // As they were given: 21 that are equal are one too many, too.
        if self.thresholds.is_empty() || self.thresholds.len() > MAX_THRESHOLDS {
            return bad("thresholds", "give 1 to 20 percentages");
        }
        self.thresholds.sort_unstable();
        self.thresholds.dedup();
        if self.thresholds.iter().any(|t| *t == 0 || *t > MAX_PERCENT) {
            return bad("thresholds", "a percentage is a whole number from 1 to 10000");
        }
        match self.limit {
            Limit::Usd(usd) if usd <= Usd::ZERO => bad("limit_usd", "is not above 0"),
            Limit::Tokens(0) => bad("limit_tokens", "is not above 0"),
            Limit::Usd(usd) if usd.percent(MAX_PERCENT).is_err() => bad("limit_usd", "is above 10^11"),
            Limit::Tokens(_) if matches!(self.unpriced, UnpricedPolicy::Assume(_)) => bad(
                "unpriced",
                "assumes a price, of which a limit in tokens has no use; give ignore or block",
            ),
            _ => Ok(self),
        }
    }

    /// Whether usage of unknown cost stops this budget: everything counts as reached.
    pub fn blocked(&self, totals: &Totals) -> bool {
        self.unpriced == UnpricedPolicy::Block && totals.unpriced_events > 0
    }

    /// What is assumed for tokens of unknown cost; none where nothing is. What would not fit is
    /// [`UsdSum::MAX`], which is above every limit.
    pub fn assumed(&self, totals: &Totals) -> Option<UsdSum> {
        let UnpricedPolicy::Assume(price) = self.unpriced else { return None };
        let tokens = Some(totals.unpriced_tokens).filter(|tokens| *tokens > 0)?;
        Some(UsdSum::of_units(price, tokens).unwrap_or(UsdSum::MAX))
    }

    /// Whether `totals` count as having reached `percent` of the limit, exactly.
    pub fn reached(&self, percent: u32, totals: &Totals) -> bool {
        let assumed = self.assumed(totals).unwrap_or(UsdSum::ZERO);
        let cost = totals.cost.checked_add(assumed).unwrap_or(UsdSum::MAX);
        self.blocked(totals) || self.limit.reached_by(percent, cost, totals.tokens())
    }
}

/// A budget as an operator writes it, in a request, a file or on the command line, before it is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetForm {
    /// `org`, `team:NAME`, `agent:NAME`, `task:NAME` or `model:NAME`.
    pub scope: String,
    /// The limit in US dollars, as a decimal string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_usd: Option<String>,
    /// The limit in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_tokens: Option<u64>,
    /// `hour`, `day`, `week` or `month`.
    pub period: String,
    /// An IANA time zone; UTC if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Percentages of the limit; [`DEFAULT_THRESHOLDS`] if they are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<Vec<u32>>,
    /// What usage of unknown cost means; it is ignored if this is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpriced: Option<UnpricedPolicy>,
}

impl BudgetForm {
    /// Checks every field; the error names the one that is wrong.
    pub fn spec(&self, name: &str) -> Result<BudgetSpec, BudgetError> {
        let bad = |field, reason: String| BudgetError { field, reason };
        let limit_usd = self.limit_usd.as_deref().map(str::parse).transpose();
        let fields = LimitFields {
            limit_usd: limit_usd.map_err(|e: crate::money::MoneyError| bad("limit_usd", e.to_string()))?,
            limit_tokens: self.limit_tokens,
        };
        let period = match self.period.as_str() {
            "hour" => Period::Hour,
            "day" => Period::Day,
            "week" => Period::Week,
            "month" => Period::Month,
            other => return Err(bad("period", format!("{other:?} is none of hour, day, week, month"))),
        };
        let timezone = match &self.timezone {
            Some(zone) => Zone::parse(zone).map_err(|e| bad("timezone", e.to_string()))?,
            None => Zone::utc(),
        };
        let spec = BudgetSpec {
            name: BudgetName::parse(name).map_err(|e| bad("name", e.to_string()))?,
            scope: self.scope.parse()?,
            limit: fields.try_into()?,
            period,
            timezone,
            thresholds: self.thresholds.clone().unwrap_or_else(|| DEFAULT_THRESHOLDS.to_vec()),
            unpriced: self.unpriced.unwrap_or_default(),
        };
        spec.checked()
    }
}

/// A budget as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// What was asked for.
    #[serde(flatten)]
    pub spec: BudgetSpec,
    /// Counts the changes; alerts belong to a version.
    pub version: u64,
    /// When this version was set.
    #[schemars(with = "crate::schema::Instant")]
    pub since: Timestamp,
}

impl Budget {
    /// The table's item key of a budget.
    pub fn item_key(name: &BudgetName) -> (String, String) {
        ("B".to_owned(), format!("B#{name}"))
    }

    /// The name in an item key; `None` if it is no budget's.
    pub fn from_item_key(pk: &str, sk: &str) -> Option<BudgetName> {
        if pk != "B" {
            return None;
        }
        BudgetName::parse(sk.strip_prefix("B#")?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Bucket, Usage};

    #[test]
    fn thresholds_are_counted_as_they_are_given() {
        let form = |count: usize| BudgetForm {
            scope: "org".to_owned(),
            limit_tokens: Some(1),
            period: "day".to_owned(),
            thresholds: Some(vec![50; count]),
            ..BudgetForm::default()
        };
        assert_eq!(form(MAX_THRESHOLDS).spec("b").unwrap().thresholds, [50]);
        assert_eq!(form(MAX_THRESHOLDS + 1).spec("b").unwrap_err().field, "thresholds");
        assert_eq!(form(0).spec("b").unwrap_err().field, "thresholds");
    }

    #[test]
    fn thresholds_are_reached_exactly() {
        let spent = |usd: &str| Totals { cost: usd.parse().unwrap(), events: 1, ..Totals::default() };
        let limit = Limit::Usd("10".parse().unwrap());
        assert!(!limit.reached(80, &spent("7.999999999999999")));
        assert!(limit.reached(80, &spent("8")));
        let tokens = Totals::of_call(&Usage::new([(Bucket::Input, 333)]).unwrap(), None);
        assert!(!Limit::Tokens(1000).reached(34, &tokens));
        assert!(Limit::Tokens(999).reached(33, &tokens));
    }

    #[test]
    fn scopes_read_as_they_are_written() {
        for text in ["org", "team:growth", "agent:a:b", "model:gpt-4o"] {
            assert_eq!(text.parse::<BudgetScope>().unwrap().to_string(), text);
        }
        for bad in ["", "team", "team:", "user:x", "agent:a b"] {
            assert!(bad.parse::<BudgetScope>().is_err(), "{bad}");
        }
    }
}
