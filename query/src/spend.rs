//! What was spent: sums by one dimension, over a filter and a range of time.
//!
//! Rollups answer where there is one for the dimension and the filter together; the records, read in pages,
//! answer the rest. Both give the same numbers to the last digit.

mod plan;
mod rollups;
mod scan;
mod slot;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::ledger::{LedgerError, RecordStore, RollupStore};
use shared::money::UsdSum;
use shared::rollup::Scope;
use shared::totals::Totals;
use shared::window::{Range, WindowKind, Zone};

use crate::error::QueryError;
use crate::filter::Filter;
use crate::instant::show_instant;
use crate::page;
use crate::report::{SpendLine, SpendReport};
use plan::Plan;
pub(crate) use plan::{RollupPlan, Source};
use slot::{Slot, Sums};

/// The dimension of a report's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Who made the call.
    Agent,
    /// Who pays.
    Team,
    /// The piece of work.
    Task,
    /// The conversation or run.
    Session,
    /// The model.
    Model,
    /// Who served the model.
    Provider,
    /// Local days.
    Day,
    /// Local hours.
    Hour,
}

impl By {
    /// Every dimension.
    pub const ALL: [By; 8] =
        [By::Agent, By::Team, By::Task, By::Session, By::Model, By::Provider, By::Day, By::Hour];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            By::Agent => "agent",
            By::Team => "team",
            By::Task => "task",
            By::Session => "session",
            By::Model => "model",
            By::Provider => "provider",
            By::Day => "day",
            By::Hour => "hour",
        }
    }

    /// The dimension of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.name() == name)
    }
}

/// A question about spend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRequest {
    /// The dimension of the rows.
    pub by: By,
    /// What counts.
    pub filter: Filter,
    /// From this instant, widened to its quarter hour; from the first data if none.
    pub from: Option<Timestamp>,
    /// To this instant, widened likewise; to the end of this UTC month if none.
    pub to: Option<Timestamp>,
    /// Of days, hours, and the times in the answer.
    pub zone: Zone,
    /// Rows of a page.
    pub limit: usize,
    /// Continues an earlier answer.
    pub next: Option<String>,
}

impl SpendRequest {
    /// Everything, by one dimension, in UTC.
    pub fn new(by: By) -> Self {
        Self {
            by,
            filter: Filter::default(),
            from: None,
            to: None,
            zone: Zone::utc(),
            limit: page::DEFAULT_LIMIT,
            next: None,
        }
    }
}

/// Where a page ended: the range that was used, so that all pages have the same, and the last row's rank.
#[derive(Serialize, Deserialize)]
struct Place {
    from: i64,
    to: i64,
    cost: Option<UsdSum>,
    tokens: i128,
    slot: Slot,
}

/// Answers a question about spend.
pub async fn spend<L: RecordStore + RollupStore>(
    ledger: &L,
    request: &SpendRequest,
    now: Timestamp,
) -> Result<SpendReport, QueryError> {
    spend_from(ledger, request, now, Source::Best).await
}

pub(crate) async fn spend_from<L: RecordStore + RollupStore>(
    ledger: &L,
    request: &SpendRequest,
    now: Timestamp,
    source: Source,
) -> Result<SpendReport, QueryError> {
    let question =
        page::question(&(request.by, &request.filter, request.from, request.to, request.zone.name()));
    let place: Option<Place> =
        request.next.as_deref().map(|token| page::read(&question, token)).transpose()?;
    let extent = ledger.extent().await?;
    let range = match &place {
        Some(place) => Range { from: place.from, to: place.to },
        None => range_of(request.from, request.to, extent, now)?,
    };
    let sums = match extent {
        None => Sums::default(),
        Some(extent) => match Plan::of(request, source) {
            Plan::Rollups(plan) => rollups::sum(ledger, &plan, request, range, extent).await?,
            Plan::Scan { outcomes } => {
                scan::sum(ledger, request, range, extent, outcomes, source.share()).await?
            }
        },
    };
    answer(request, range, sums, place, &question)
}

fn answer(
    request: &SpendRequest,
    range: Range,
    sums: Sums,
    place: Option<Place>,
    question: &shared::hash::ContentHash,
) -> Result<SpendReport, QueryError> {
    let mut total = Totals::default();
    let mut rows: Vec<(Rank, Totals)> = Vec::with_capacity(sums.len());
    for (slot, totals) in sums.into_iter() {
        total.add(&totals)?;
        // Once for each row, and not once for each comparison: there may be 200,000.
        rows.push(((totals.known_cost(), totals.tokens(), slot), totals));
    }
    if let Some(Place { cost, tokens, slot, .. }) = place {
        let last = (cost, tokens, slot);
        rows.retain(|(rank, _)| compare(rank, &last) == Ordering::Greater);
    }
    let more = rows.len() > request.limit;
    let in_order = |(a, _): &(Rank, Totals), (b, _): &(Rank, Totals)| compare(a, b);
    if more {
        // Only what the page shows is put in order.
        rows.select_nth_unstable_by(request.limit, in_order);
        rows.truncate(request.limit);
    }
    rows.sort_unstable_by(in_order);
    let next = match rows.last() {
        Some(((cost, tokens, slot), _)) if more => {
            let (cost, tokens, slot) = (*cost, *tokens, slot.clone());
            page::write(question, Place { from: range.from, to: range.to, cost, tokens, slot })
        }
        _ => None,
    };
    let by = request.by.name().to_owned();
    let rows = rows.iter().map(|((_, _, slot), totals)| {
        let name = slot.shown(request.by, &request.zone);
        SpendLine::new(Some(BTreeMap::from([(by.clone(), name)])), totals)
    });
    Ok(SpendReport {
        rows: rows.collect(),
        by: vec![by],
        from: show_instant(range.from, &request.zone),
        to: show_instant(range.to, &request.zone),
        tz: request.zone.name().to_owned(),
        total: SpendLine::new(None, &total),
        next,
    })
}

type Rank = (Option<UsdSum>, i128, Slot);

/// Days and hours as time goes; names by cost, an unknown one last, then by tokens.
fn compare(a: &Rank, b: &Rank) -> Ordering {
    match (&a.2, &b.2) {
        (Slot::Start(a), Slot::Start(b)) => a.cmp(b),
        _ => (&b.0, &b.1).cmp(&(&a.0, &a.1)).then_with(|| a.2.cmp(&b.2)),
    }
}

/// The range that is asked for, on quarter hours, where it is left open within what holds data.
pub(crate) fn range_of(
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    extent: Option<Range>,
    now: Timestamp,
) -> Result<Range, QueryError> {
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(QueryError::parameter("from", format!("is {from}, which is not before `to`, {to}")));
    }
    let month = WindowKind::Month.start(now.as_second());
    let quarter = |at: Timestamp| Range::covering(at, at);
    let from = from.map(|at| quarter(at).from);
    let to = to.map(|at| quarter(at).to);
    let first = extent.map_or(month, |extent| extent.from);
    // Events may be a few minutes ahead of the clock, so in a month that has not begun.
    let last = extent.map_or(month, |extent| extent.to).max(WindowKind::Month.end(month));
    let range = Range {
        from: from.unwrap_or_else(|| first.min(to.unwrap_or(first))),
        to: to.unwrap_or_else(|| last.max(from.unwrap_or(last))),
    };
    Ok(range)
}

/// The totals by model over a range, from rollups; an empty name is not stated. The filter names agents or a
/// model, or nothing.
pub(crate) async fn totals_by_model<L: RollupStore>(
    ledger: &L,
    filter: &Filter,
    range: Range,
    extent: Range,
) -> Result<Vec<(String, Totals)>, QueryError> {
    let request = SpendRequest { filter: filter.clone(), ..SpendRequest::new(By::Model) };
    let Plan::Rollups(plan) = Plan::of(&request, Source::Best) else {
        return Err(LedgerError::Broken("no rollups are by what the filter names".to_owned()).into());
    };
    Ok(named(rollups::sum(ledger, &plan, &request, range, extent).await?))
}

/// The totals of a model by agent over a range, from rollups.
pub(crate) async fn agents_of_model<L: RollupStore>(
    ledger: &L,
    plan: &RollupPlan,
    range: Range,
    extent: Range,
) -> Result<Vec<(String, Totals)>, QueryError> {
    let request = SpendRequest::new(By::Agent);
    Ok(named(rollups::sum(ledger, plan, &request, range, extent).await?))
}

/// The totals of a scope that is no pair, over a range, from rollups.
pub(crate) async fn scope_totals<L: RollupStore>(
    ledger: &L,
    scope: &Scope,
    range: Range,
    extent: Range,
) -> Result<Totals, QueryError> {
    let names = vec![(Some(scope.a.clone()), None)];
    let plan = RollupPlan { kind: scope.kind, names, by_second: false };
    let mut sum = Totals::default();
    let request = SpendRequest::new(By::Agent);
    for (_, totals) in rollups::sum(ledger, &plan, &request, range, extent).await?.into_iter() {
        sum.add(&totals)?;
    }
    Ok(sum)
}

fn named(sums: Sums) -> Vec<(String, Totals)> {
    let name = |(slot, totals)| match slot {
        Slot::Name(name) => Some((name, totals)),
        Slot::Start(_) => None,
    };
    sums.into_iter().filter_map(name).collect()
}

fn broken(error: &shared::totals::Overflow) -> LedgerError {
    LedgerError::Broken(error.to_string())
}
