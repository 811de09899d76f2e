//! What has no price: tokens that are counted and whose cost is unknown, by provider, model and reason.
//!
//! The rollups say how much there is, of which model and by whom, in reads that do not grow with the number of
//! calls. Only the calls know their provider, and why they have no price: those are read newest first, up to a
//! bound, and what is left shows as `not_examined`. Nothing is left out of the sums.

mod examine;
mod reason;
mod rows;

use std::cmp::Reverse;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::id::{AgentId, ModelId, ProviderId};
use shared::ledger::{RecordStore, RollupStore};
use shared::totals::Totals;
use shared::window::{Range, Zone};

use crate::error::QueryError;
use crate::filter::Filter;
use crate::instant::show_instant;
use crate::page;
use crate::spend::range_of;
pub use reason::UnpricedReason;
use rows::{Key, Row, Rows};

/// How many agents a row names.
const TOP: usize = 3;

/// A question about what has no price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnpricedRequest {
    /// What counts.
    pub filter: Filter,
    /// From this instant, widened to its quarter hour; from the first data if none.
    pub from: Option<Timestamp>,
    /// To this instant, widened likewise; to the end of this UTC month if none.
    pub to: Option<Timestamp>,
    /// Of the range in the answer.
    pub zone: Zone,
    /// Rows of a page.
    pub limit: usize,
    /// Continues an earlier answer.
    pub next: Option<String>,
}

impl Default for UnpricedRequest {
    fn default() -> Self {
        let (filter, zone, limit) = (Filter::default(), Zone::utc(), page::DEFAULT_LIMIT);
        Self { filter, from: None, to: None, zone, limit, next: None }
    }
}

/// An answer about what has no price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnpricedReport {
    /// First instant counted.
    pub from: String,
    /// First instant not counted.
    pub to: String,
    /// The zone of `from` and `to`.
    pub tz: String,
    /// The most tokens first.
    pub rows: Vec<UnpricedLine>,
    /// Over all rows of all pages.
    pub total: UnpricedTotal,
    /// Continues the rows; none on the last page.
    pub next: Option<String>,
}

/// Calls of one model that have no price for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnpricedLine {
    /// Who served it; null where that was not stated, or not examined.
    pub provider: Option<ProviderId>,
    /// The model; null where it was not stated.
    pub model: Option<ModelId>,
    /// Why there is no price.
    pub reason: UnpricedReason,
    /// The buckets that the price lacks, where that is the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<String>,
    /// The service tiers, where they are the reason: at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_tiers: Vec<String>,
    /// Calls.
    pub events: i64,
    /// Their tokens, none of which is in any cost.
    pub tokens: i128,
    /// Of all tokens in the range, with two decimals; null where there are none.
    pub share_percent: Option<String>,
    /// The time of the first of them; of calls that were not examined, the start of its quarter hour, or null.
    #[schemars(with = "Option<shared::schema::Instant>")]
    pub first_seen: Option<Timestamp>,
    /// The time of the last of them; of calls that were not examined, the end of its quarter hour, or null.
    #[schemars(with = "Option<shared::schema::Instant>")]
    pub last_seen: Option<Timestamp>,
    /// How many agents made them; null where that was not examined.
    pub agents: Option<u64>,
    /// Those with the most tokens, at most three.
    pub top_agents: Vec<UnpricedAgent>,
}

/// An agent's part of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnpricedAgent {
    /// Who.
    pub agent_id: AgentId,
    /// Its calls.
    pub events: i64,
    /// Their tokens.
    pub tokens: i128,
}

/// How much has no price, beside how much there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnpricedTotal {
    /// Calls without a price.
    pub events: i64,
    /// Their tokens.
    pub tokens: i128,
    /// Of all tokens, in percent with two decimals; null where there are none.
    pub share_percent: Option<String>,
    /// All calls in the range, priced or not.
    pub all_events: i64,
    /// Their tokens.
    pub all_tokens: i128,
}

/// The order of the rows, which is total: the most tokens first.
type Rank = (Reverse<i128>, Reverse<i64>, Key);

/// Where a page ended: the range that was used, and the last row's rank.
#[derive(Serialize, Deserialize)]
struct Place {
    from: i64,
    to: i64,
    last: Rank,
}

/// Answers a question about what has no price.
pub async fn unpriced<L: RecordStore + RollupStore>(
    ledger: &L,
    request: &UnpricedRequest,
    now: Timestamp,
) -> Result<UnpricedReport, QueryError> {
    unpriced_within(ledger, request, now, examine::PAGES).await
}

/// The same, reading so many pages of calls.
pub(crate) async fn unpriced_within<L: RecordStore + RollupStore>(
    ledger: &L,
    request: &UnpricedRequest,
    now: Timestamp,
    pages: usize,
) -> Result<UnpricedReport, QueryError> {
    let question = page::question(&("unpriced", &request.filter, request.from, request.to));
    let place: Option<Place> =
        request.next.as_deref().map(|token| page::read(&question, token)).transpose()?;
    let extent = ledger.extent().await?;
    let range = match &place {
        Some(place) => Range { from: place.from, to: place.to },
        None => range_of(request.from, request.to, extent, now)?,
    };
    let (all, rows) = match extent {
        None => (Totals::default(), Rows::default()),
        Some(extent) => examine::rows(ledger, &request.filter, range, extent, pages).await?,
    };
    let mut ranked: Vec<(Rank, Row)> =
        rows.into_iter().map(|(key, row)| ((Reverse(row.tokens), Reverse(row.events), key), row)).collect();
    ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (events, tokens) = ranked.iter().fold((0_i64, 0_i128), |(events, tokens), (_, row)| {
        (events.saturating_add(row.events), tokens.saturating_add(row.tokens))
    });
    let start = place.map_or(0, |place| ranked.partition_point(|(rank, _)| *rank <= place.last));
    let more = ranked.len() > start.saturating_add(request.limit);
    let shown: Vec<(Rank, Row)> = ranked.into_iter().skip(start).take(request.limit).collect();
    let next = match shown.last() {
        Some((last, _)) if more => {
            page::write(&question, Place { from: range.from, to: range.to, last: last.clone() })
        }
        _ => None,
    };
    Ok(UnpricedReport {
        from: show_instant(range.from, &request.zone),
        to: show_instant(range.to, &request.zone),
        tz: request.zone.name().to_owned(),
        rows: shown.into_iter().map(|((.., key), row)| line(key, row, all.tokens())).collect(),
        total: UnpricedTotal {
            events,
            tokens,
            share_percent: share(tokens, all.tokens()),
            all_events: all.events,
            all_tokens: all.tokens(),
        },
        next,
    })
}

fn line(key: Key, row: Row, all: i128) -> UnpricedLine {
    let agents = row.agents_known.then(|| u64::try_from(row.agents.len()).unwrap_or(u64::MAX));
    let mut top: Vec<_> = row.agents.into_iter().collect();
    top.sort_by(|(a_name, a), (b_name, b)| b.tokens.cmp(&a.tokens).then_with(|| a_name.cmp(b_name)));
    top.truncate(TOP);
    UnpricedLine {
        provider: key.provider,
        model: key.model,
        reason: key.reason,
        buckets: row.buckets.into_iter().map(|bucket| bucket.name().to_owned()).collect(),
        service_tiers: row.tiers.into_iter().collect(),
        events: row.events,
        tokens: row.tokens,
        share_percent: share(row.tokens, all),
        first_seen: row.first,
        last_seen: row.last,
        agents,
        top_agents: top
            .into_iter()
            .map(|(agent_id, part)| UnpricedAgent { agent_id, events: part.events, tokens: part.tokens })
            .collect(),
    }
}

/// In percent with two decimals, rounded half up.
fn share(part: i128, all: i128) -> Option<String> {
    if all <= 0 {
        return None;
    }
    let hundredths = part.checked_mul(10_000)?.checked_add(all / 2)? / all;
    Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
}
