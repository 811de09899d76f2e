//! Notices of usage without a price: one for each model and UTC month in which there is any, and one when
//! nothing of it is left.
//!
//! They need no budget, and follow the rules of alerts: an identity each, and a state that is moved
//! conditionally. There are few of them, whatever senders name their models: see [`MAX_MODELS`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Alert, AlertKind, AlertState, Contributor, Delivery, StateKey, ThresholdState};
use crate::budget::{BudgetScope, UnpricedPolicy};
use crate::id::{BudgetName, IdError, ModelId};
use crate::money::UsdSum;
use crate::totals::{Overflow, Totals};
use crate::window::{Period, Range, WindowKind, Zone};

/// What stands in the place of a budget's name in these notices.
pub const UNPRICED: &str = "unpriced";
/// And of its version, which no budget has: a budget may have that name.
pub const UNPRICED_VERSION: u64 = 0;
/// How many models of a month have notices of their own; all further ones have one together. Names of models
/// come from senders.
pub const MAX_MODELS: usize = 50;

/// What has no price.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnpricedOf {
    /// Calls of this model.
    Model(ModelId),
    /// Calls that name no model.
    NotStated,
    /// Calls of models beyond the first ones of the month, all together.
    Others,
}

/// What an alert says of usage without a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertUnpriced {
    /// Calls of unknown cost at the decision.
    pub events: i64,
    /// Of what, in a notice; a budget's alert has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<UnpricedOf>,
    /// What they mean for the budget.
    #[serde(default, skip_serializing_if = "UnpricedPolicy::is_ignore")]
    pub policy: UnpricedPolicy,
    /// Whether they stop the budget, whatever the known cost is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
    /// What was assumed for their tokens; counted beside `spend_usd`, and not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_usd: Option<UsdSum>,
}

/// Where the notices of a month stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnpricedState {
    /// By the model's name; empty for calls that name none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, ThresholdState>,
    /// Of all others.
    #[serde(default, skip_serializing_if = "is_default")]
    pub others: ThresholdState,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_default(state: &ThresholdState) -> bool {
    *state == ThresholdState::default()
}

impl UnpricedState {
    /// Whether there was never a notice.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The totals of a month, as of one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonthTotals {
    /// Of everything.
    pub all: Totals,
    /// By model: those of the state, and others that have usage without a price.
    pub models: BTreeMap<String, Totals>,
}

impl MonthTotals {
    /// Calls of unknown cost that belong to none of the models of `state`.
    pub fn beyond(&self, state: &UnpricedState) -> i64 {
        let known = state.models.keys().filter_map(|model| self.models.get(model));
        known.fold(self.all.unpriced_events, |rest, totals| rest.saturating_sub(totals.unpriced_events))
    }

    /// Of what a notice is about; `state` is the one after it.
    pub fn of(&self, of: &UnpricedOf, state: &UnpricedState) -> Result<Totals, Overflow> {
        let model = |name: &str| self.models.get(name).cloned().unwrap_or_default();
        match of {
            UnpricedOf::Model(name) => Ok(model(name.as_str())),
            UnpricedOf::NotStated => Ok(model("")),
            UnpricedOf::Others => {
                let mut rest = self.all.clone();
                for name in state.models.keys() {
                    rest.add(&model(name).negated())?;
                }
                Ok(rest)
            }
        }
    }
}

/// A step of the notices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Of what.
    pub of: UnpricedOf,
    /// Which time in this month, from 1.
    pub episode: u32,
    /// [`AlertKind::Unpriced`] or [`AlertKind::Priced`].
    pub kind: AlertKind,
    /// When.
    pub at: Timestamp,
}

/// The key of a month's state.
pub fn unpriced_key(month: i64) -> Result<StateKey, IdError> {
    Ok(StateKey { budget: BudgetName::parse(UNPRICED)?, version: UNPRICED_VERSION, period_start: month })
}

impl AlertState {
    /// The notices that a month's totals ask for, and the state after them. Pure, like [`AlertState::advance`].
    pub fn advance_unpriced(&self, month: &MonthTotals, now: Timestamp) -> (AlertState, Vec<Notice>) {
        let mut next = self.clone();
        let mut steps: Vec<(UnpricedOf, u32, AlertKind)> = Vec::new();
        let mut step = |of: UnpricedOf, state: &mut ThresholdState, is_unpriced: bool| {
            if state.standing == is_unpriced {
                return;
            }
            state.standing = is_unpriced;
            state.episode += u32::from(is_unpriced);
            let kind = if is_unpriced { AlertKind::Unpriced } else { AlertKind::Priced };
            steps.push((of, state.episode, kind));
        };
        let known: BTreeSet<String> = next.unpriced.models.keys().cloned().collect();
        let mut new: Vec<_> = month
            .models
            .iter()
            .filter(|(model, totals)| totals.unpriced_events > 0 && !known.contains(*model))
            .collect();
        new.sort_by_key(|(_, totals)| -totals.unpriced_tokens);
        new.truncate(MAX_MODELS.saturating_sub(known.len()));
        for (model, _) in new {
            next.unpriced.models.insert(model.clone(), ThresholdState::default());
        }
        for (model, state) in &mut next.unpriced.models {
            // A name that is stored was an id when it came.
            let of = match ModelId::parse(model) {
                Ok(id) => UnpricedOf::Model(id),
                Err(_) => UnpricedOf::NotStated,
            };
            step(of, state, month.models.get(model).is_some_and(|totals| totals.unpriced_events > 0));
        }
        let is_full = next.unpriced.models.len() >= MAX_MODELS;
        let beyond = is_full && month.beyond(&next.unpriced) > 0;
        step(UnpricedOf::Others, &mut next.unpriced.others, beyond);
        let mut notices = Vec::new();
        for (of, episode, kind) in steps {
            notices.push(Notice { of, episode, kind, at: next.instant(now) });
        }
        if !notices.is_empty() {
            next.revision += 1;
        }
        (next, notices)
    }
}

/// What needs no escape in an id.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

impl Alert {
    /// The record of a notice, not yet delivered. `totals` are those of what it is about, and `month` is a
    /// month's first second.
    pub fn of_unpriced(
        notice: &Notice,
        month: i64,
        totals: &Totals,
        top: Vec<Contributor>,
    ) -> Result<Self, IdError> {
        let period = Range { from: month, to: WindowKind::Month.end(month) };
        let instant = |second| Timestamp::from_second(second).unwrap_or(notice.at);
        let (period_start, period_end) = (instant(period.from), instant(period.to));
        let name = match &notice.of {
            UnpricedOf::Model(model) => utf8_percent_encode(model.as_str(), PLAIN).to_string(),
            UnpricedOf::NotStated => String::new(),
            // A model of this name is escaped.
            UnpricedOf::Others => "*".to_owned(),
        };
        let end = if notice.kind == AlertKind::Priced { ".priced" } else { "" };
        let start = period_start.strftime("%Y%m%dT%H%M%SZ");
        Ok(Self {
            id: format!("{UNPRICED}.{start}.{name}.{}{end}", notice.episode),
            budget: BudgetName::parse(UNPRICED)?,
            budget_version: UNPRICED_VERSION,
            scope: match &notice.of {
                UnpricedOf::Model(model) => BudgetScope::Model(model.clone()),
                UnpricedOf::NotStated | UnpricedOf::Others => BudgetScope::Org,
            },
            kind: notice.kind,
            threshold_percent: 0,
            episode: notice.episode,
            period: Period::Month,
            period_start,
            period_end,
            timezone: Zone::utc(),
            spend_usd: totals.known_cost().or((totals.unpriced_events == 0).then_some(UsdSum::ZERO)),
            spend_tokens: totals.tokens(),
            unpriced_tokens: totals.unpriced_tokens,
            unpriced: Some(AlertUnpriced {
                events: totals.unpriced_events,
                of: Some(notice.of.clone()),
                policy: UnpricedPolicy::Ignore,
                blocked: false,
                assumed_usd: None,
            }),
            limit_usd: None,
            limit_tokens: None,
            late: notice.at >= period_end,
            top,
            at: notice.at,
            state: Delivery::Pending,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::{Bucket, Usage};

    fn month(models: &[(&str, u64)]) -> MonthTotals {
        let mut month = MonthTotals::default();
        for (model, tokens) in models {
            let usage = Usage::new([(Bucket::Input, *tokens)]).unwrap();
            let cost = if *tokens == 0 { Some("1".parse().unwrap()) } else { None };
            let totals = Totals::of_call(&usage, cost);
            month.all.add(&totals).unwrap();
            month.models.insert((*model).to_owned(), totals);
        }
        month
    }

    fn ids(notices: &[Notice]) -> Vec<String> {
        let alert = |n| Alert::of_unpriced(n, 1_793_491_200, &Totals::default(), Vec::new()).unwrap();
        notices.iter().map(|n| alert(n).id).collect()
    }

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn each_model_is_told_once_and_again_after_it_had_a_price() {
        let state = AlertState::default();
        let (state, first) = state.advance_unpriced(&month(&[("m#1", 5), ("", 3), ("fine", 0)]), now());
        assert_eq!(ids(&first), ["unpriced.20261101T000000Z..1", "unpriced.20261101T000000Z.m%231.1"]);
        assert!(first[0].at < first[1].at, "the order of instants is the order of notices");
        let (same, more) = state.advance_unpriced(&month(&[("m#1", 50), ("", 3)]), now());
        assert_eq!((same, more), (state.clone(), vec![]));
        let (state, ended) = state.advance_unpriced(&month(&[("m#1", 0), ("", 3)]), now());
        assert_eq!(ids(&ended), ["unpriced.20261101T000000Z.m%231.1.priced"]);
        let (_, again) = state.advance_unpriced(&month(&[("m#1", 5), ("", 3)]), now());
        assert_eq!(ids(&again), ["unpriced.20261101T000000Z.m%231.2"]);
    }

    #[test]
    fn however_many_names_come_there_are_few_notices() {
        let names: Vec<String> = (0..10_000).map(|n| format!("m{n:05}")).collect();
        let mut state = AlertState::default();
        let mut told = 0;
        for part in names.chunks(30) {
            let mut models: Vec<(&str, u64)> =
                state.unpriced.models.keys().map(|m| (m.as_str(), 1)).collect();
            models.extend(part.iter().map(|name| (name.as_str(), 1)));
            let (next, notices) = state.advance_unpriced(&month(&models), now());
            told += notices.iter().filter(|n| n.kind == AlertKind::Unpriced).count();
            state = next;
        }
        assert_eq!((told, state.unpriced.models.len()), (MAX_MODELS + 1, MAX_MODELS));
        // The rest has prices: the notice of all others ends.
        let known: Vec<(&str, u64)> = state.unpriced.models.keys().map(|m| (m.as_str(), 1)).collect();
        let (_, ended) = state.advance_unpriced(&month(&known), now());
        assert_eq!(ids(&ended), ["unpriced.20261101T000000Z.*.1.priced"]);
    }

    #[test]
    fn a_state_without_notices_is_stored_as_it_was() {
        let json = serde_json::to_string(&AlertState::default()).unwrap();
        assert_eq!(json, r#"{"revision":0,"thresholds":{}}"#);
    }
}
