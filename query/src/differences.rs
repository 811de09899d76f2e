//! What providers said that calls cost, beside what the price book says, by provider and model.
//!
//! Read from the records, page by page: what is kept in memory is a row for each provider and model.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::id::{ModelId, ProviderId};
use shared::ledger::{RecordStore, RollupStore};
use shared::money::{Usd, UsdSum};
use shared::record::Record;
use shared::totals::Overflow;
use shared::window::Range;

use crate::error::QueryError;
use crate::events::EventRequest;
use crate::listing::{Pages, listings};

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

impl Differences {
    fn add(&mut self, stated: Usd, ours: Option<Usd>) -> Result<(), Overflow> {
        const MONEY: Overflow = Overflow("sum of 10^23 US dollars");
        let more = |sum: UsdSum, usd: UsdSum| sum.checked_add(usd).ok_or(MONEY);
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

type Rows = BTreeMap<(Option<ProviderId>, Option<ModelId>), Differences>;

/// Compares; of `request` the filter and the range are used.
pub async fn differences<L: RecordStore + RollupStore>(
    ledger: &L,
    request: &EventRequest,
) -> Result<DifferenceReport, QueryError> {
    if let (Some(from), Some(to)) = (request.from, request.to)
        && from >= to
    {
        return Err(QueryError::parameter("from", format!("is {from}, which is not before `to`, {to}")));
    }
    let mut rows = Rows::new();
    let mut total = Differences::default();
    if let Some(extent) = ledger.extent().await? {
        let range = Range {
            from: request.from.map_or(extent.from, jiff::Timestamp::as_second),
            to: request.to.map_or(extent.to, |to| to.as_second().saturating_add(1)),
        };
        for listing in listings(ledger, &request.filter, range, extent).await? {
            let mut pages = Pages::new(ledger, &listing);
            while let Some(records) = pages.next().await? {
                for record in &records {
                    add(record, request, listing.range, &mut rows, &mut total)?;
                }
            }
        }
    }
    let row = |((provider, model), figures)| DifferenceRow { provider, model, figures };
    Ok(DifferenceReport { rows: rows.into_iter().map(row).collect(), total, next: None })
}

fn add(
    record: &Record,
    request: &EventRequest,
    range: Range,
    rows: &mut Rows,
    total: &mut Differences,
) -> Result<(), QueryError> {
    for effective in record.data.effective() {
        let event = effective.event;
        let Some(stated) = event.reported_cost_usd else { continue };
        let wanted = effective.usage.is_some()
            && range.holds(event.time)
            && request.from.is_none_or(|from| event.time >= from)
            && request.to.is_none_or(|to| event.time < to)
            && request.filter.takes(&record.agent, event);
        if !wanted {
            continue;
        }
        let key = (event.provider.clone(), event.model.clone());
        if rows.len() >= MAX_ROWS && !rows.contains_key(&key) {
            return Err(QueryError::TooManyRows(MAX_ROWS));
        }
        rows.entry(key).or_default().add(stated, effective.cost)?;
        total.add(stated, effective.cost)?;
    }
    Ok(())
}
