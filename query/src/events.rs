//! The events behind a number, newest first, each with the price that applied and what corrected it.
//!
//! The ledger lists records by their latest event, but a packed record holds older ones too: an event is
//! only shown once no unread record can hold a later one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::event::Outcome;
use shared::id::{AgentId, EventId, ModelId, ProviderId, SessionId, TaskId, TeamId};
use shared::ledger::{RecordStore, RollupStore};
use shared::money::{UnitPrice, Usd};
use shared::price::PriceSource;
use shared::record::{Correction, Effective, Record};
use shared::usage::Usage;
use shared::window::Range;

use crate::error::QueryError;
use crate::filter::Filter;
use crate::listing::{Listing, Pages, listings_of};
use crate::page;

/// A question about events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRequest {
    /// Which events.
    pub filter: Filter,
    /// Only those whose cost is unknown.
    pub unpriced: bool,
    /// From this instant, to the nanosecond.
    pub from: Option<Timestamp>,
    /// To this instant, not included.
    pub to: Option<Timestamp>,
    /// Events of a page.
    pub limit: usize,
    /// Continues an earlier answer.
    pub next: Option<String>,
}

impl Default for EventRequest {
    fn default() -> Self {
        let limit = 100;
        Self { filter: Filter::default(), unpriced: false, from: None, to: None, limit, next: None }
    }
}

/// An answer about events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventReport {
    /// Newest first.
    pub events: Vec<EventLine>,
    /// Continues the list; none on the last page.
    pub next: Option<String>,
}

/// Whether and how an event counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// As it was sent.
    Counted,
    /// With other counts than were sent.
    Amended,
    /// Not at all.
    Voided,
}

/// One model call as it counts now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventLine {
    /// Its id.
    pub id: EventId,
    /// Who made the call.
    pub agent_id: AgentId,
    /// When.
    #[schemars(with = "shared::schema::Instant")]
    pub time: Timestamp,
    /// The piece of work.
    pub task_id: Option<TaskId>,
    /// The conversation or run.
    pub session_id: Option<SessionId>,
    /// Who delegated the work.
    pub parent_agent_id: Option<AgentId>,
    /// Who pays.
    pub team_id: Option<TeamId>,
    /// Who served the model.
    pub provider: Option<ProviderId>,
    /// The model.
    pub model: Option<ModelId>,
    /// Such as `chat`.
    pub operation: Option<String>,
    /// The provider's service tier.
    pub service_tier: Option<String>,
    /// How the call ended.
    pub outcome: Option<Outcome>,
    /// How long it took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Whether and how it counts.
    pub state: EventState,
    /// The counts that hold; empty if it was voided.
    pub usage: Usage,
    /// Tokens of those.
    pub tokens: u64,
    /// The counts as they were sent, where others hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_usage: Option<Usage>,
    /// The cost that holds; null where it is unknown, or nothing counts.
    pub cost_usd: Option<Usd>,
    /// What the provider said it cost.
    pub reported_cost_usd: Option<Usd>,
    /// The prices that applied; null where none did.
    pub price: Option<UnitPrices>,
    /// What corrected it.
    pub corrections: Vec<SentCorrection>,
}

/// The prices that applied to an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnitPrices {
    /// Version of the price book.
    pub book: String,
    /// Where in it.
    pub source: PriceSource,
    /// The entry's provider and model; empty for the fallback.
    pub entry: String,
    /// US dollars per unit, by bucket.
    pub unit: BTreeMap<Box<str>, UnitPrice>,
}

/// A correction of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SentCorrection {
    /// It does not count.
    Void {
        /// The correction's own id.
        id: EventId,
    },
    /// Other counts hold.
    Amend {
        /// The correction's own id.
        id: EventId,
        /// Its revision.
        revision: u64,
        /// The counts.
        usage: Usage,
    },
}

impl SentCorrection {
    pub(crate) fn of(correction: &Correction) -> Vec<SentCorrection> {
        let void = correction.void.clone().map(|id| Self::Void { id });
        let amend = correction.amend.clone().map(|amend| Self::Amend {
            id: amend.id,
            revision: amend.revision,
            usage: amend.usage,
        });
        void.into_iter().chain(amend).collect()
    }
}

impl EventLine {
    pub(crate) fn new(record: &Record, effective: &Effective<'_>) -> Self {
        let event = effective.event.clone();
        let corrections = effective.correction.map(SentCorrection::of).unwrap_or_default();
        let state = match (effective.usage, corrections.is_empty()) {
            (None, _) => EventState::Voided,
            (Some(_), true) => EventState::Counted,
            (Some(_), false) => EventState::Amended,
        };
        let usage = effective.usage.unwrap_or_default();
        Self {
            id: record.key.event_id(effective.index),
            agent_id: record.agent.clone(),
            time: event.time,
            task_id: event.task_id,
            session_id: event.session_id,
            parent_agent_id: event.parent_agent_id,
            team_id: event.team_id,
            provider: event.provider,
            model: event.model,
            operation: event.operation,
            service_tier: event.service_tier,
            outcome: event.outcome,
            latency_ms: event.latency_ms,
            tags: event.tags,
            state,
            usage,
            tokens: usage.tokens(),
            sent_usage: (state != EventState::Counted).then_some(event.usage),
            cost_usd: effective.cost,
            reported_cost_usd: event.reported_cost_usd,
            price: effective.price.map(|price| UnitPrices {
                book: price.book.clone(),
                source: price.source,
                entry: price.entry.clone(),
                unit: price.unit.clone(),
            }),
            corrections,
        }
    }
}

/// The order of the list, which is total: events of one time go by agent and id.
type Place = (Timestamp, AgentId, EventId);

/// The first `limit` events after a place, of those seen so far.
struct Page {
    limit: usize,
    after: Option<Place>,
    events: BTreeMap<Reverse<Place>, EventLine>,
}

impl Page {
    /// Whether records whose latest event is at `latest` can still hold an event of this page.
    fn can_take(&self, latest: Timestamp) -> bool {
        self.events.len() < self.limit
            || self.events.last_key_value().is_none_or(|(Reverse((time, ..)), _)| *time <= latest)
    }

    fn offer(&mut self, record: &Record, request: &EventRequest, range: Range) {
        for effective in record.data.effective() {
            let event = effective.event;
            let wanted = range.holds(event.time)
                && request.from.is_none_or(|from| event.time >= from)
                && request.to.is_none_or(|to| event.time < to)
                && request.filter.takes(&record.agent, event)
                && !(request.unpriced && (effective.cost.is_some() || effective.usage.is_none()));
            let place = (event.time, record.agent.clone(), record.key.event_id(effective.index));
            if !wanted || self.after.as_ref().is_some_and(|after| place >= *after) {
                continue;
            }
            self.events.insert(Reverse(place), EventLine::new(record, &effective));
            if self.events.len() > self.limit {
                self.events.pop_last();
            }
        }
    }
}

/// Lists events.
pub async fn events<L: RecordStore + RollupStore>(
    ledger: &L,
    request: &EventRequest,
) -> Result<EventReport, QueryError> {
    if let (Some(from), Some(to)) = (request.from, request.to)
        && from >= to
    {
        return Err(QueryError::parameter("from", format!("is {from}, which is not before `to`, {to}")));
    }
    let question = page::question(&(&request.filter, request.unpriced, request.from, request.to));
    let after: Option<Place> =
        request.next.as_deref().map(|token| page::read(&question, token)).transpose()?;
    let Some(extent) = ledger.extent().await? else {
        return Ok(EventReport { events: Vec::new(), next: None });
    };
    let mut range = extent;
    if let Some(from) = request.from {
        range.from = range.from.max(from.as_second());
    }
    if let Some(to) = request.to {
        range.to = range.to.min(to.as_second().saturating_add(1));
    }
    if let Some((time, ..)) = &after {
        range.to = range.to.min(time.as_second().saturating_add(1));
    }
    // One more than asked for tells whether there is a next page.
    let limit = request.limit.saturating_add(1);
    let mut page = Page { limit, after, events: BTreeMap::new() };
    for listing in listings_of(ledger, &request.filter, range, extent, request.unpriced).await? {
        read(ledger, request, &listing, &mut page).await?;
    }
    let mut found: Vec<(Reverse<Place>, EventLine)> = page.events.into_iter().collect();
    let mut next = None;
    if found.len() > request.limit {
        found.truncate(request.limit);
        next = found.last().and_then(|(Reverse(place), _)| page::write(&question, place));
    }
    Ok(EventReport { events: found.into_iter().map(|(_, line)| line).collect(), next })
}

async fn read<L: RecordStore>(
    ledger: &L,
    request: &EventRequest,
    listing: &Listing,
    page: &mut Page,
) -> Result<(), QueryError> {
    let mut pages = Pages::new(ledger, listing);
    while let Some(records) = pages.next().await? {
        for record in &records {
            let Some((_, latest)) = record.data.span() else { continue };
            if !page.can_take(latest) {
                return Ok(());
            }
            page.offer(record, request, listing.range);
        }
    }
    Ok(())
}
