//! The laws, checked after a history: totals, recomputation, conflicts, alerts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rust_decimal::Decimal;
use shared::alert::{Alert, AlertKind, Delivery, StateKey, unpriced_key};
use shared::budget::{BudgetScope, Limit, UnpricedPolicy};
use shared::event::TaskResult;
use shared::id::{AgentId, RecordKey};
use shared::invariant::{self, Invariant};
use shared::ledger::{AlertQuery, Ledger, RecordCursor, RecordQuery, RollupQuery};
use shared::record::{Content, Record};
use shared::rollup::{Additions, ScopeKind};
use shared::totals::Totals;
use shared::window::{Range, WindowKind};

use crate::drive::Repricing;
use crate::oracle::{self, Key, Sends, Sent, Sums};

/// A law that does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub law: Invariant,
    /// How it shows.
    pub detail: String,
}

fn broken(law: Invariant, detail: impl Into<String>) -> Violation {
    Violation { law, detail: detail.into() }
}

/// Every record of the ledger, read in pages of odd size.
pub async fn all_records<L: Ledger>(ledger: &L) -> Result<Vec<Record>, String> {
    let mut all: Vec<Record> = Vec::new();
    loop {
        let after = all.last().and_then(|record| {
            let (_, latest) = record.data.span()?;
            Some(RecordCursor { latest, agent: record.agent.clone(), key: record.key.clone() })
        });
        let query = RecordQuery { after, limit: 7, ..RecordQuery::default() };
        let page = ledger.records(&query).await.map_err(|e| e.to_string())?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

/// Every rollup of the ledger: hours as quarters.
async fn all_rollups<L: Ledger>(ledger: &L) -> Result<BTreeMap<Key, Totals>, String> {
    let mut all: BTreeMap<Key, Totals> = BTreeMap::new();
    let start: i64 = oracle_start();
    for kind in ScopeKind::ALL {
        for window in WindowKind::ALL {
            let query = RollupQuery {
                kind,
                a: None,
                b: None,
                window,
                from: window.start(start - 90 * 86_400),
                to: window.end(start + 90 * 86_400),
            };
            for row in ledger.rollup_rows(&query).await.map_err(|e| e.to_string())? {
                for (n, totals) in (0..).zip(&row.parts.0) {
                    let (name, at) = match window {
                        WindowKind::Hour => ("quarter", row.start + n * 900),
                        WindowKind::Day => ("day", row.start),
                        WindowKind::Month => ("month", row.start),
                    };
                    let key = (kind.name(), row.scope.a.clone(), row.scope.b.clone(), name, at);
                    all.entry(key).or_default().add(totals).map_err(|e| e.to_string())?;
                }
            }
        }
    }
    all.retain(|_, totals| !totals.is_zero());
    Ok(all)
}

fn oracle_start() -> i64 {
    crate::history::START.parse::<Timestamp>().map_or(0, Timestamp::as_second)
}

/// [`invariant::TOTALS_EXACT`] against the model, and the conflicts beside it. Answers the model.
///
/// `last` is a repricing after which nothing happened: whatever it takes is priced by its book. Of the rest the
/// records say by which book, and the model what that comes to.
pub async fn totals<L: Ledger>(
    ledger: &L,
    sends: &Sends,
    last: Option<&Repricing>,
) -> Result<BTreeMap<Key, Sums>, Violation> {
    let law = invariant::TOTALS_EXACT;
    let records = all_records(ledger).await.map_err(|e| broken(law, e))?;
    let by_key: BTreeMap<(AgentId, RecordKey), &Record> =
        records.iter().map(|r| ((r.agent.clone(), r.key.clone()), r)).collect();
    if by_key.len() != records.len() {
        return Err(broken(law, "the listing of records names one twice"));
    }
    let mut standing: Vec<(AgentId, RecordKey, &[Sent])> = Vec::new();
    let mut conflicts = BTreeSet::new();
    for ((agent, key), contents) in sends {
        let record = by_key.get(&(agent.clone(), key.clone()));
        let record =
            record.ok_or_else(|| broken(law, format!("{agent} {key} was acknowledged and is gone")))?;
        let content = oracle::standing(contents, record).map_err(|e| broken(law, e))?;
        standing.push((agent.clone(), key.clone(), content));
        if contents.len() > 1 {
            conflicts.insert((agent.clone(), key.to_string(), contents.len() - 1));
        }
    }
    if let Some(record) = records.iter().find(|r| !sends.contains_key(&(r.agent.clone(), r.key.clone()))) {
        return Err(broken(law, format!("{} {} was never acknowledged", record.agent, record.key)));
    }
    let unknown = (0, oracle::BOOKS[0].0);
    let booked = |agent: &AgentId, key: &RecordKey, index: u32| {
        by_key.get(&(agent.clone(), key.clone())).and_then(|r| booked(r, index, last)).unwrap_or(unknown)
    };
    let model = oracle::totals(&standing, booked);
    let stored = all_rollups(ledger).await.map_err(|e| broken(law, e))?;
    same_totals(&model, &stored).map_err(|e| broken(law, e))?;
    listed_conflicts(ledger, &conflicts).await.map_err(|e| broken(law, e))?;
    Ok(model)
}

/// When an event was booked, and by which book it is priced.
fn booked(record: &Record, index: u32, last: Option<&Repricing>) -> Option<(i64, &'static str)> {
    let version = |name: &str| oracle::BOOKS.iter().map(|(version, _)| *version).find(|v| *v == name);
    if let Some((_, task)) = record.data.tasks().find(|(i, _)| *i == index) {
        return Some((task.time.as_second(), oracle::BOOKS[0].0));
    }
    let Content::Usage(events) = &record.data.content else { return None };
    let event = &events.iter().find(|e| e.i == index)?.event;
    let adjusted = record.data.adjustments.iter().rev().find(|a| a.prices.contains_key(&index));
    let stands = adjusted.map_or(oracle::BOOKS[0].0, |adjustment| adjustment.book.as_str());
    let taken = last.filter(|last| {
        let selection = &last.selection;
        (selection.from..selection.to).contains(&event.time)
            && (selection.agents.is_empty() || selection.agents.contains(&record.agent))
            && (selection.models.is_empty()
                || event.model.as_ref().is_some_and(|model| selection.models.contains(model)))
    });
    Some((event.time.as_second(), version(taken.map_or(stands, |last| last.book.as_str()))?))
}

fn same_totals(model: &BTreeMap<Key, Sums>, stored: &BTreeMap<Key, Totals>) -> Result<(), String> {
    let nothing = (Sums::default(), Totals::default());
    for key in model.keys().chain(stored.keys()) {
        let want = model.get(key).unwrap_or(&nothing.0);
        let have = sums(stored.get(key).unwrap_or(&nothing.1));
        if clean(want) != clean(&have) {
            return Err(format!("{key:?}: the model has {want:?}, the ledger {have:?}"));
        }
    }
    Ok(())
}

/// Without what is zero, and without the zeros of its decimals.
fn clean(sums: &Sums) -> Sums {
    let mut sums = sums.clone();
    sums.tokens.retain(|_, n| *n != 0);
    sums.tasks.retain(|_, n| *n != 0);
    sums.cost = sums.cost.normalize();
    sums.value = sums.value.normalize();
    sums
}

fn sums(totals: &Totals) -> Sums {
    let names = [TaskResult::Success, TaskResult::Failure, TaskResult::Abandoned];
    let name = |result: &TaskResult| match result {
        TaskResult::Success => "success".to_owned(),
        TaskResult::Failure => "failure".to_owned(),
        TaskResult::Abandoned => "abandoned".to_owned(),
    };
    Sums {
        events: totals.events,
        unpriced: totals.unpriced_events,
        unpriced_tokens: totals.unpriced_tokens,
        tokens: totals.usage().map(|(bucket, n)| (bucket.name().to_owned(), n)).collect(),
        cost: totals.cost.to_string().parse().unwrap_or(Decimal::MAX),
        tasks: names.iter().map(|r| (name(r), totals.tasks[*r as usize])).collect(),
        value: totals.task_value.to_string().parse().unwrap_or(Decimal::MAX),
    }
}

async fn listed_conflicts<L: Ledger>(
    ledger: &L,
    expected: &BTreeSet<(AgentId, String, usize)>,
) -> Result<(), String> {
    let listed = ledger.conflicts(100_000).await.map_err(|e| e.to_string())?;
    let mut counted: BTreeMap<(AgentId, String), BTreeSet<String>> = BTreeMap::new();
    for conflict in &listed {
        let refused = conflict.refused.as_str().to_owned();
        counted.entry((conflict.agent.clone(), conflict.key.clone())).or_default().insert(refused);
    }
    let counted: BTreeSet<_> =
        counted.into_iter().map(|((agent, key), set)| (agent, key, set.len())).collect();
    if counted == *expected {
        return Ok(());
    }
    Err(format!("conflicts listed {counted:?}, expected {expected:?}"))
}

/// [`invariant::RECOMPUTABLE`]: the rollups again, from the stored records alone.
pub async fn recomputable<L: Ledger>(ledger: &L) -> Result<(), Violation> {
    let law = invariant::RECOMPUTABLE;
    let mut sum = Additions::default();
    for record in all_records(ledger).await.map_err(|e| broken(law, e))? {
        if record.data.made.is_some() {
            return Err(broken(law, format!("{} {} is not complete", record.agent, record.key)));
        }
        let additions = record.data.additions(&record.agent).map_err(|e| broken(law, e.to_string()))?;
        sum.merge(&additions).map_err(|e| broken(law, e.to_string()))?;
    }
    let mut model: BTreeMap<Key, Totals> = BTreeMap::new();
    for (key, parts) in sum.iter() {
        for (n, totals) in (0..).zip(&parts.0) {
            let (name, at) = match key.window {
                WindowKind::Hour => ("quarter", key.start + n * 900),
                WindowKind::Day => ("day", key.start),
                WindowKind::Month => ("month", key.start),
            };
            let scope = &key.scope;
            model.insert((scope.kind.name(), scope.a.clone(), scope.b.clone(), name, at), totals.clone());
        }
    }
    model.retain(|_, totals| !totals.is_zero());
    let stored = all_rollups(ledger).await.map_err(|e| broken(law, e))?;
    match model
        .iter()
        .find(|(key, t)| stored.get(*key) != Some(t))
        .or(stored.iter().find(|(key, t)| model.get(*key) != Some(t)))
    {
        None => Ok(()),
        Some((key, _)) => Err(broken(
            law,
            format!("{key:?}: recomputed {:?}, stored {:?}", model.get(key), stored.get(key)),
        )),
    }
}

/// [`invariant::ONE_ALERT_PER_EPISODE`] and [`invariant::STANDING_IS_REACHED`], for every budget and every
/// period that its version has to have looked at. What was spent is the model's word, not the product's.
pub async fn alerts<L: Ledger>(
    ledger: &L,
    model: &BTreeMap<Key, Sums>,
    now: Timestamp,
    swept: bool,
) -> Result<(), Violation> {
    let law = invariant::STANDING_IS_REACHED;
    let fault = |e: shared::ledger::LedgerError| broken(law, e.to_string());
    for budget in ledger.budgets().await.map_err(fault)? {
        let spec = &budget.spec;
        let mut periods: BTreeSet<Range> = BTreeSet::new();
        let last = now.as_second() + 900;
        for at in ((last - 31 * 86_400)..last).step_by(900) {
            let Ok(at) = Timestamp::from_second(at) else { continue };
            periods.insert(spec.period.containing(at, &spec.timezone));
        }
        if budget.version > 1 {
            // A budget that was changed looks at the current period at once, and the sweep at the one before.
            let current = spec.period.containing(now, &spec.timezone);
            periods.retain(|period| *period == current || (swept && period.to == current.from));
        }
        for period in periods {
            let (name, version) = (spec.name.clone(), budget.version);
            let key = StateKey { budget: name, version, period_start: period.from };
            let state = ledger.alert_state(&key).await.map_err(fault)?;
            let spent = spent(model, &spec.scope, period);
            for percent in &spec.thresholds {
                let stands = state.thresholds.get(percent).is_some_and(|t| t.standing);
                let assumed = match spec.unpriced {
                    UnpricedPolicy::Assume(price) => {
                        price.as_decimal() * Decimal::from(spent.unpriced_tokens)
                    }
                    UnpricedPolicy::Ignore | UnpricedPolicy::Block => Decimal::ZERO,
                };
                let reached = match spec.limit {
                    _ if spec.unpriced == UnpricedPolicy::Block && spent.unpriced > 0 => true,
                    Limit::Usd(usd) => {
                        let cost = spent.cost + assumed;
                        cost * Decimal::from(100) >= Decimal::from(usd) * Decimal::from(*percent)
                    }
                    Limit::Tokens(limit) => {
                        spent.tokens.values().sum::<i128>() * 100 >= i128::from(limit) * i128::from(*percent)
                    }
                };
                if stands != reached {
                    let detail = format!(
                        "{key:?} {percent}%: standing is {stands}, spent {spent:?} of {:?}",
                        spec.limit
                    );
                    return Err(broken(law, detail));
                }
            }
        }
    }
    notices(ledger, model).await?;
    episodes(ledger).await
}

/// The model's sums of a scope over a period.
fn spent(model: &BTreeMap<Key, Sums>, scope: &BudgetScope, period: Range) -> Sums {
    let written = scope.to_string();
    let (kind, name) = written.split_once(':').unwrap_or((&written, ""));
    let mut sum = Sums::default();
    for ((of, a, _, window, start), sums) in model {
        if *of == kind && a == name && *window == "quarter" && (period.from..period.to).contains(start) {
            sum.cost += sums.cost;
            sum.unpriced += sums.unpriced;
            sum.unpriced_tokens += sums.unpriced_tokens;
            for (bucket, n) in &sums.tokens {
                *sum.tokens.entry(bucket.clone()).or_default() += n;
            }
        }
    }
    sum
}

/// The notices of usage without a price stand for the models and months in which there is any.
async fn notices<L: Ledger>(ledger: &L, model: &BTreeMap<Key, Sums>) -> Result<(), Violation> {
    let law = invariant::STANDING_IS_REACHED;
    let mut months: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
    for ((kind, name, _, window, start), sums) in model {
        let of_month = months.entry(*start).or_default();
        if *kind == "model" && *window == "month" && sums.unpriced > 0 {
            of_month.insert(name);
        }
    }
    for (month, expected) in months {
        let key = unpriced_key(month).map_err(|e| broken(law, e.to_string()))?;
        let state = ledger.alert_state(&key).await.map_err(|e| broken(law, e.to_string()))?.unpriced;
        let standing = state.models.iter().filter(|(_, of)| of.standing);
        let standing: BTreeSet<&str> = standing.map(|(name, _)| name.as_str()).collect();
        if standing != expected {
            return Err(broken(law, format!("{key:?}: notices of {standing:?}, unpriced are {expected:?}")));
        }
    }
    Ok(())
}

/// One record per crossing, whatever version of a budget it was of.
async fn episodes<L: Ledger>(ledger: &L) -> Result<(), Violation> {
    let law = invariant::ONE_ALERT_PER_EPISODE;
    let fault = |e: shared::ledger::LedgerError| broken(law, e.to_string());
    let every = AlertQuery { limit: usize::MAX, ..AlertQuery::default() };
    let mut by_state: BTreeMap<StateKey, Vec<Alert>> = BTreeMap::new();
    for alert in ledger.alerts(&every).await.map_err(fault)? {
        let (budget, version) = (alert.budget.clone(), alert.budget_version);
        let key = StateKey { budget, version, period_start: alert.period_start.as_second() };
        by_state.entry(key).or_default().push(alert);
    }
    for (key, alerts) in by_state {
        let state = ledger.alert_state(&key).await.map_err(fault)?;
        if !invariant::one_alert_per_episode(&state, &alerts) {
            let ids: Vec<_> = alerts.iter().map(|a| &a.id).collect();
            return Err(broken(law, format!("{key:?}: {state:?}, alerts {ids:?}")));
        }
    }
    Ok(())
}

/// What was published is what was committed, where nobody died in between.
pub fn published(
    model: &BTreeMap<Key, Sums>,
    published: &BTreeMap<AgentId, Totals>,
) -> Result<(), Violation> {
    let mut agents: BTreeMap<String, Sums> = BTreeMap::new();
    for ((kind, agent, _, window, _), sums) in model {
        if *kind == "agent" && *window == "month" {
            let sum = agents.entry(agent.clone()).or_default();
            sum.events += sums.events;
            sum.unpriced += sums.unpriced;
            sum.unpriced_tokens += sums.unpriced_tokens;
            sum.cost += sums.cost;
            sum.value += sums.value;
            sums.tasks.iter().for_each(|(name, n)| *sum.tasks.entry(name.clone()).or_default() += n);
            for (bucket, n) in &sums.tokens {
                *sum.tokens.entry(bucket.clone()).or_default() += n;
            }
        }
    }
    let nothing = Sums::default();
    let names = agents.keys().cloned().chain(published.keys().map(ToString::to_string));
    for name in names.collect::<BTreeSet<_>>() {
        let have = published.iter().find(|(agent, _)| agent.as_str() == name);
        let have = have.map_or_else(Sums::default, |(_, totals)| sums(totals));
        let want = agents.get(&name).unwrap_or(&nothing);
        if clean(want) != clean(&have) {
            let detail = format!("{name}: committed {want:?}, published {have:?}");
            return Err(broken(invariant::PUBLISHED_ONCE, detail));
        }
    }
    Ok(())
}

/// [`invariant::ALERTS_DELIVERED`]: every record was delivered under its id, and nothing else was.
pub async fn delivered<L: Ledger>(ledger: &L, deliveries: &[Alert]) -> Result<(), Violation> {
    let law = invariant::ALERTS_DELIVERED;
    let every = AlertQuery { limit: usize::MAX, ..AlertQuery::default() };
    let alerts = ledger.alerts(&every).await.map_err(|e| broken(law, e.to_string()))?;
    let sent: BTreeSet<&str> = deliveries.iter().map(|a| a.id.as_str()).collect();
    let known: BTreeSet<&str> = alerts.iter().map(|a| a.id.as_str()).collect();
    if let Some(alert) = alerts.iter().find(|a| a.state != Delivery::Delivered) {
        return Err(broken(law, format!("{} is not marked as delivered", alert.id)));
    }
    if sent != known {
        return Err(broken(law, format!("delivered {sent:?}, stored {known:?}")));
    }
    let is_end = |a: &&Alert| matches!(a.kind, AlertKind::Recovered | AlertKind::Priced);
    let ends_first = alerts.iter().filter(is_end).find(|end| {
        let first = |id: &str| deliveries.iter().position(|d| d.id == id);
        let begin = end.id.trim_end_matches(".recovered").trim_end_matches(".priced");
        first(begin) > first(&end.id)
    });
    match ends_first {
        Some(end) => Err(broken(law, format!("{} was delivered before what it ends", end.id))),
        None => Ok(()),
    }
}
