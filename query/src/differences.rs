//! What providers said that calls cost, beside what the price book says, by provider and model.
//!
//! Read from the records, page by page: what is kept in memory is a row for each provider and model.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::id::{IdError, ModelId, ProviderId};
use shared::ledger::{LedgerError, RecordStore, RollupStore};
use shared::money::{Usd, UsdSum};
use shared::record::Listed;
use shared::totals::Overflow;
use shared::window::Range;

use crate::error::QueryError;
use crate::events::EventRequest;
use crate::fold::{Fold, Share, fold};
use crate::listing::listings;

/// The most rows: more than there are models.
const MAX_ROWS: usize = 10_000;

/// Stated costs beside ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DifferenceReport {
    /// By provider and model.
    pub rows: Vec<DifferenceRow>,
    /// All of them.
    pub total: Differences,
    /// None: the answer is whole.
    pub next: Option<String>,
}

/// One provider and model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DifferenceRow {
    /// Who served the model; null where it is not stated.
    pub provider: Option<ProviderId>,
    /// The model; null where it is not stated.
    pub model: Option<ModelId>,
    /// The figures.
    #[serde(flatten)]
    pub figures: Differences,
}

/// Sums over calls whose cost the provider stated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Differences {
    /// Calls with a stated cost that we have a price for, too.
    pub events: u64,
    /// What was stated for these.
    pub reported_cost_usd: UsdSum,
    /// What the price book says of the same.
    pub cost_usd: UsdSum,
    /// Ours less theirs.
    pub difference_usd: UsdSum,
    /// Calls with a stated cost that is unknown to us; in none of the sums above.
    pub unpriced_events: u64,
    /// What was stated for those.
    pub unpriced_reported_cost_usd: UsdSum,
}

fn more(sum: UsdSum, usd: UsdSum) -> Result<UsdSum, Overflow> {
    sum.checked_add(usd).ok_or(Overflow("sum of 10^23 US dollars"))
}

impl Differences {
    fn merge(&mut self, other: &Self) -> Result<(), Overflow> {
        *self = Self {
            events: self.events + other.events,
            reported_cost_usd: more(self.reported_cost_usd, other.reported_cost_usd)?,
            cost_usd: more(self.cost_usd, other.cost_usd)?,
            difference_usd: more(self.difference_usd, other.difference_usd)?,
            unpriced_events: self.unpriced_events + other.unpriced_events,
            unpriced_reported_cost_usd: more(
                self.unpriced_reported_cost_usd,
                other.unpriced_reported_cost_usd,
            )?,
        };
        Ok(())
    }

    fn add(&mut self, stated: Usd, ours: Option<Usd>) -> Result<(), Overflow> {
        let stated = UsdSum::from(stated);
        match ours.map(UsdSum::from) {
            Some(ours) => {
                self.events += 1;
                self.reported_cost_usd = more(self.reported_cost_usd, stated)?;
                self.cost_usd = more(self.cost_usd, ours)?;
                self.difference_usd = more(more(self.difference_usd, ours)?, stated.negated())?;
            }
            None => {
                self.unpriced_events += 1;
                self.unpriced_reported_cost_usd = more(self.unpriced_reported_cost_usd, stated)?;
            }
        }
        Ok(())
    }
}

/// By provider and model, whose names are empty where they are not stated.
#[derive(Default)]
struct Rows {
    by_name: BTreeMap<String, BTreeMap<String, Differences>>,
    len: usize,
}

impl Rows {
    fn row(&mut self, provider: &str, model: &str) -> Result<&mut Differences, QueryError> {
        let is_known = self.by_name.get(provider).is_some_and(|models| models.contains_key(model));
        if !is_known {
            if self.len == MAX_ROWS {
                return Err(QueryError::TooManyRows(MAX_ROWS));
            }
            self.len += 1;
            let models = self.by_name.entry(provider.to_owned()).or_default();
            models.insert(model.to_owned(), Differences::default());
        }
        let row = self.by_name.get_mut(provider).and_then(|models| models.get_mut(model));
        row.ok_or(QueryError::TooManyRows(MAX_ROWS))
    }

    /// As they are shown.
    fn shown(self) -> Result<Vec<DifferenceRow>, LedgerError> {
        let broken = |name: &str, e: IdError| LedgerError::Broken(format!("a stored name, {name:?}, {e}"));
        let mut shown = Vec::with_capacity(self.len);
        for (provider, models) in self.by_name {
            let stated = |name: &str| (!name.is_empty()).then(|| name.to_owned());
            let id = |name: String| ProviderId::parse(&name).map_err(|e| broken(&name, e));
            let provider = stated(&provider).map(id).transpose()?;
            for (model, figures) in models {
                let id = |name: String| ModelId::parse(&name).map_err(|e| broken(&name, e));
                let model = stated(&model).map(id).transpose()?;
                shown.push(DifferenceRow { provider: provider.clone(), model, figures });
            }
        }
        Ok(shown)
    }
}

/// Compares; of `request` the filter and the range are used.
pub async fn differences<L: RecordStore + RollupStore>(
    ledger: &L,
    request: &EventRequest,
) -> Result<DifferenceReport, QueryError> {
    differences_by(ledger, request, Share::default()).await
}

pub(crate) async fn differences_by<L: RecordStore + RollupStore>(
    ledger: &L,
    request: &EventRequest,
    share: Share,
) -> Result<DifferenceReport, QueryError> {
    if let (Some(from), Some(to)) = (request.from, request.to)
        && from >= to
    {
        return Err(QueryError::parameter("from", format!("is {from}, which is not before `to`, {to}")));
    }
    let mut rows = Rows::default();
    if let Some(extent) = ledger.extent().await? {
        let range = Range {
            from: request.from.map_or(extent.from, jiff::Timestamp::as_second),
            to: request.to.map_or(extent.to, |to| to.as_second().saturating_add(1)),
        };
        let listings = listings(ledger, &request.filter, range, extent).await?;
        rows = fold(ledger, &listings, request.clone(), share).await?;
    }
    let mut total = Differences::default();
    for row in rows.by_name.values().flat_map(BTreeMap::values) {
        total.merge(row)?;
    }
    Ok(DifferenceReport { rows: rows.shown()?, total, next: None })
}

impl Fold for Rows {
    type Question = EventRequest;

    fn take(&mut self, request: &EventRequest, record: &Listed, range: Range) -> Result<(), QueryError> {
        for call in record.brief()?.calls() {
            let Some(stated) = call.reported_cost else { continue };
            let wanted = range.holds(call.time)
                && request.from.is_none_or(|from| call.time >= from)
                && request.to.is_none_or(|to| call.time < to)
                && request.filter.takes_call(&record.agent, &call);
            if wanted {
                let row = self.row(call.provider.unwrap_or_default(), call.model.unwrap_or_default())?;
                row.add(stated, call.cost)?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<(), QueryError> {
        for (provider, models) in &other.by_name {
            for (model, figures) in models {
                self.row(provider, model)?.merge(figures)?;
            }
        }
        Ok(())
    }
}
