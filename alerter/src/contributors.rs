//! Who spent it: the largest parts of a scope's spend, for an alert's text.

use std::collections::HashMap;

use shared::alert::Contributor;
use shared::budget::{BudgetScope, Limit};
use shared::ledger::{LedgerError, RollupStore};
use shared::rollup::ScopeKind;
use shared::totals::Totals;
use shared::window::Range;

use crate::totals::{add, each};

/// How many parts an alert names.
const TOP: usize = 3;

/// The agents with the most tokens without a price, of one model or, where none is named, of all; largest first.
pub(crate) async fn unpriced<L: RollupStore>(
    ledger: &L,
    model: Option<&str>,
    range: Range,
) -> Result<Vec<Contributor>, LedgerError> {
    let kind = if model.is_some() { ScopeKind::AgentModel } else { ScopeKind::Agent };
    let mut parts: HashMap<String, Totals> = HashMap::new();
    each(ledger, kind, None, model.map(str::to_owned), range, |scope, totals| {
        if totals.unpriced_events == 0 {
            return Ok(());
        }
        match parts.get_mut(&scope.a) {
            Some(sum) => add(sum, totals),
            None => add(parts.entry(scope.a.clone()).or_default(), totals),
        }
    })
    .await?;
    let mut parts: Vec<(String, Totals)> = parts.into_iter().filter(|(_, t)| t.unpriced_events > 0).collect();
    parts.sort_by(|(a_name, a), (b_name, b)| {
        b.unpriced_tokens.cmp(&a.unpriced_tokens).then_with(|| a_name.cmp(b_name))
    });
    parts.truncate(TOP);
    let contributor = |(name, totals): (String, Totals)| Contributor {
        dimension: "agent".to_owned(),
        name,
        spend_usd: totals.known_cost(),
        tokens: totals.unpriced_tokens,
    };
    Ok(parts.into_iter().map(contributor).collect())
}

/// The largest parts, by what the budget counts, largest first.
pub(crate) async fn top<L: RollupStore>(
    ledger: &L,
    scope: &BudgetScope,
    limit: Limit,
    range: Range,
) -> Result<Vec<Contributor>, LedgerError> {
    let owned = |name: &str| Some(name.to_owned());
    let (dimension, kind, a, b) = match scope {
        BudgetScope::Org => ("agent", ScopeKind::Agent, None, None),
        BudgetScope::Team(name) => ("agent", ScopeKind::TeamAgent, owned(name.as_str()), None),
        BudgetScope::Agent(name) => ("task", ScopeKind::AgentTask, owned(name.as_str()), None),
        BudgetScope::Task(name) => ("agent", ScopeKind::AgentTask, None, owned(name.as_str())),
        BudgetScope::Model(name) => ("agent", ScopeKind::AgentModel, None, owned(name.as_str())),
    };
    let named_by_second = b.is_none() && kind != ScopeKind::Agent;
    let mut parts: HashMap<String, Totals> = HashMap::new();
    each(ledger, kind, a, b, range, |scope, totals| {
        let name = if named_by_second { &scope.b } else { &scope.a };
        match parts.get_mut(name) {
            Some(sum) => add(sum, totals),
            None => add(parts.entry(name.clone()).or_default(), totals),
        }
    })
    .await?;
    let mut parts: Vec<(String, Totals)> =
        parts.into_iter().filter(|(_, totals)| totals.events > 0).collect();
    parts.sort_by(|(a_name, a), (b_name, b)| {
        let by_tokens = b.tokens().cmp(&a.tokens());
        let by_limit = match limit {
            Limit::Usd(_) => b.cost.cmp(&a.cost).then(by_tokens),
            Limit::Tokens(_) => by_tokens,
        };
        by_limit.then_with(|| a_name.cmp(b_name))
    });
    parts.truncate(TOP);
    let contributor = |(name, totals): (String, Totals)| Contributor {
        dimension: dimension.to_owned(),
        name,
        spend_usd: totals.known_cost(),
        tokens: totals.tokens(),
    };
    Ok(parts.into_iter().map(contributor).collect())
}
