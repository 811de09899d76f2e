//! Alerts: one crossing of one threshold in one period, and how a budget's state moves between them.

mod text;
mod unpriced;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::{Budget, BudgetScope, Limit};
use crate::id::BudgetName;
use crate::money::{Usd, UsdSum};
use crate::totals::Totals;
use crate::window::{Period, Range, Zone};

pub use text::AlertText;
pub use unpriced::{
    AlertUnpriced, MAX_MODELS, MonthTotals, Notice, UNPRICED, UNPRICED_VERSION, UnpricedOf, UnpricedState,
    unpriced_key,
};

/// What an alert says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Spend reached the threshold.
    Threshold,
    /// Spend fell back below it, by a correction.
    Recovered,
    /// Usage of unknown cost appeared: a notice that belongs to no budget.
    Unpriced,
    /// None of that is left.
    Priced,
}

impl AlertKind {
    /// Every kind.
    pub const ALL: [AlertKind; 4] = [Self::Threshold, Self::Recovered, Self::Unpriced, Self::Priced];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::Recovered => "recovered",
            Self::Unpriced => "unpriced",
            Self::Priced => "priced",
        }
    }

    /// Whether it is about a threshold of a budget.
    pub fn is_of_budget(self) -> bool {
        matches!(self, Self::Threshold | Self::Recovered)
    }
}

/// One version of a budget in one period: what alert state is kept for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateKey {
    /// Which budget.
    pub budget: BudgetName,
    /// Which version of it.
    pub version: u64,
    /// The period's start in Unix seconds.
    pub period_start: i64,
}

/// Where one threshold stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdState {
    /// The number of crossings so far.
    pub episode: u32,
    /// Whether the last one still stands.
    pub standing: bool,
}

/// Where a budget's thresholds stand in a period.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    /// Counts the writes; a write is conditional on the revision it read.
    pub revision: u64,
    /// By percentage.
    pub thresholds: BTreeMap<u32, ThresholdState>,
    /// The instant of the newest alert. The next one's is later, also where the clock stands or goes back: the
    /// order of instants is the order of decisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// Of notices of usage without a price, which have a state of their own for each month.
    #[serde(default, skip_serializing_if = "UnpricedState::is_empty")]
    pub unpriced: UnpricedState,
}

/// A step from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Which threshold, in percent.
    pub percent: u32,
    /// Which crossing of it, from 1.
    pub episode: u32,
    /// Crossed, or fallen back.
    pub kind: AlertKind,
    /// When.
    pub at: Timestamp,
}

impl AlertState {
    /// The transitions that `totals` ask for, and the state after them. Pure: the same input, the same ids.
    pub fn advance(&self, budget: &Budget, totals: &Totals, now: Timestamp) -> (AlertState, Vec<Transition>) {
        let mut next = self.clone();
        let mut transitions = Vec::new();
        for percent in &budget.spec.thresholds {
            let reached = budget.spec.reached(*percent, totals);
            let state = next.thresholds.entry(*percent).or_default();
            if reached == state.standing {
                continue;
            }
            state.standing = reached;
            let kind = if reached {
                state.episode += 1;
                AlertKind::Threshold
            } else {
                AlertKind::Recovered
            };
            transitions.push(Transition { percent: *percent, episode: state.episode, kind, at: now });
        }
        // As they happen: up from the lowest, down from the highest.
        transitions.sort_by_key(|t| match t.kind {
            AlertKind::Recovered => (1, -i64::from(t.percent)),
            _ => (0, i64::from(t.percent)),
        });
        for transition in &mut transitions {
            transition.at = next.instant(now);
        }
        if !transitions.is_empty() {
            next.revision += 1;
        }
        (next, transitions)
    }

    /// The next alert's instant, later than every one before.
    fn instant(&mut self, now: Timestamp) -> Timestamp {
        let after = self.newest.and_then(|newest| newest.checked_add(SignedDuration::from_micros(1)).ok());
        let at = after.map_or(now, |after| after.max(now));
        self.newest = Some(at);
        at
    }
}

/// Whether an alert has reached its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Not known to have arrived; it is sent again.
    Pending,
    /// Arrived at least once.
    Delivered,
}

/// A part of the spend, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contributor {
    /// What is named: `agent`, `task` or `model`.
    pub dimension: String,
    /// Its name; empty where none was stated.
    pub name: String,
    /// Its known cost; none where nothing of it is priced.
    pub spend_usd: Option<UsdSum>,
    /// Its tokens; in a notice of usage without a price, those without one.
    pub tokens: i128,
}

/// The record of one crossing, or of its end; or a notice of usage without a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// Its identity as a string; every delivery carries it, so that a receiver can drop repeats.
    pub id: String,
    /// Which budget; `unpriced` in a notice of usage without a price.
    pub budget: BudgetName,
    /// Which version of it; 0 in such a notice.
    pub budget_version: u64,
    /// What is limited.
    pub scope: BudgetScope,
    /// Crossed, or fallen back.
    pub kind: AlertKind,
    /// Of the limit; 0 in such a notice.
    pub threshold_percent: u32,
    /// Which crossing of this threshold in this period, from 1.
    pub episode: u32,
    /// Per what.
    pub period: Period,
    /// First instant of the period.
    #[schemars(with = "crate::schema::Instant")]
    pub period_start: Timestamp,
    /// First instant after it.
    #[schemars(with = "crate::schema::Instant")]
    pub period_end: Timestamp,
    /// The zone whose calendar the period follows.
    pub timezone: Zone,
    /// Known cost at the decision; none where nothing was priced.
    pub spend_usd: Option<UsdSum>,
    /// Tokens at the decision.
    pub spend_tokens: i128,
    /// Tokens whose cost is unknown, which `spend_usd` leaves out.
    pub unpriced_tokens: i128,
    /// What those mean: where the budget does not ignore them, and in a notice of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpriced: Option<AlertUnpriced>,
    /// The limit, if it is in dollars.
    pub limit_usd: Option<Usd>,
    /// The limit, if it is in tokens.
    pub limit_tokens: Option<u64>,
    /// Whether the period was over: a late event, or a correction.
    pub late: bool,
    /// The largest parts of the spend, at most three.
    pub top: Vec<Contributor>,
    /// When it was decided.
    #[schemars(with = "crate::schema::Instant")]
    pub at: Timestamp,
    /// Whether it has arrived.
    pub state: Delivery,
}

impl Alert {
    /// The record of `transition`, not yet delivered.
    pub fn new(
        budget: &Budget,
        period: Range,
        transition: Transition,
        totals: &Totals,
        top: Vec<Contributor>,
    ) -> Self {
        let (spec, at) = (&budget.spec, transition.at);
        let instant = |second| Timestamp::from_second(second).unwrap_or(at);
        let (limit_usd, limit_tokens) = match spec.limit {
            Limit::Usd(usd) => (Some(usd), None),
            Limit::Tokens(tokens) => (None, Some(tokens)),
        };
        let period_start = instant(period.from);
        let period_end = instant(period.to);
        Self {
            id: alert_id(&spec.name, budget.version, period_start, transition),
            budget: spec.name.clone(),
            budget_version: budget.version,
            scope: spec.scope.clone(),
            kind: transition.kind,
            threshold_percent: transition.percent,
            episode: transition.episode,
            period: spec.period,
            period_start,
            period_end,
            timezone: spec.timezone.clone(),
            // Where nothing is left, nothing is spent; unknown is only what has no price.
            spend_usd: totals.known_cost().or((totals.unpriced_events == 0).then_some(UsdSum::ZERO)),
            spend_tokens: totals.tokens(),
            unpriced_tokens: totals.unpriced_tokens,
            unpriced: (!spec.unpriced.is_ignore()).then(|| AlertUnpriced {
                events: totals.unpriced_events,
                of: None,
                policy: spec.unpriced,
                blocked: spec.blocked(totals),
                assumed_usd: spec.assumed(totals),
            }),
            limit_usd,
            limit_tokens,
            late: at >= period_end,
            top,
            at,
            state: Delivery::Pending,
        }
    }

    /// The text of the alert, for a person in finance.
    pub fn text(&self) -> AlertText<'_> {
        AlertText(self)
    }
}

fn alert_id(name: &BudgetName, version: u64, start: Timestamp, transition: Transition) -> String {
    let start = start.strftime("%Y%m%dT%H%M%SZ");
    let Transition { percent, episode, kind, .. } = transition;
    let end = if kind == AlertKind::Recovered { ".recovered" } else { "" };
    format!("{name}.v{version}.{start}.{percent}.{episode}{end}")
}
