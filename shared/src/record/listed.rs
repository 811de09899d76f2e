//! A record as reports read it: only what they need of each call, and its names where the ledger's text has them.
//!
//! A report reads millions of calls and keeps none of them, so that copying their names would be most of its work.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use smallvec::SmallVec;

use super::terms::Terms;
use super::{Content, Correction, Record, RecordData, StoredEvent};
use crate::event::TaskOutcome;
use crate::id::{AgentId, EventIndex, RecordKey};
use crate::ledger::LedgerError;
use crate::money::Usd;
use crate::price::{AppliedPrice, Text};
use crate::repricing::Adjustment;
use crate::usage::{FewCounts, Usage};

/// A record in a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Whose.
    pub agent: AgentId,
    /// Under which key.
    pub key: RecordKey,
    /// The time of its latest event, by which it is listed.
    pub latest: Timestamp,
    data: Data,
}

#[derive(Clone, Debug)]
enum Data {
    Text(String),
    Read(Box<RecordData>),
}

impl Listed {
    /// A record whose [`RecordData`] is still the JSON that the ledger keeps.
    pub fn text(agent: AgentId, key: RecordKey, latest: Timestamp, data: String) -> Self {
        Self { agent, key, latest, data: Data::Text(data) }
    }

    /// A record that was read; none if nothing in it has a time.
    pub fn of(record: Record) -> Option<Self> {
        let Record { agent, key, data, .. } = record;
        let (_, latest) = data.span()?;
        Some(Self { agent, key, latest, data: Data::Read(Box::new(data)) })
    }

    /// What is in it.
    ///
    /// # Errors
    /// If the ledger's text is not a record's.
    pub fn brief(&self) -> Result<Brief<'_>, LedgerError> {
        match &self.data {
            Data::Read(data) => Ok(Brief::of(data)),
            Data::Text(text) => serde_json::from_str(text)
                .map_err(|e| LedgerError::Broken(format!("record {} {}: {e}", self.agent, self.key))),
        }
    }
}

/// What reports need of a [`RecordData`].
#[derive(Deserialize)]
pub struct Brief<'a> {
    #[serde(borrow)]
    content: BriefContent<'a>,
    #[serde(default)]
    outcomes: Cow<'a, [(EventIndex, TaskOutcome)]>,
    #[serde(default)]
    prices: Cow<'a, [Arc<AppliedPrice>]>,
    #[serde(default)]
    adjustments: Cow<'a, [Adjustment]>,
    #[serde(default)]
    corrections: Cow<'a, BTreeMap<EventIndex, Correction>>,
}

/// As [`Content`].
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum BriefContent<'a> {
    Awaited,
    #[serde(borrow)]
    Usage(Vec<BriefEvent<'a>>),
    TaskOutcome(Cow<'a, TaskOutcome>),
    Void(IgnoredAny),
    Amend(IgnoredAny),
}

/// As [`StoredEvent`].
#[derive(Deserialize)]
struct BriefEvent<'a> {
    i: EventIndex,
    #[serde(default)]
    prices: SmallVec<[usize; 2]>,
    #[serde(borrow)]
    event: BriefCall<'a>,
}

/// As [`UsageEvent`](crate::event::UsageEvent).
#[derive(Deserialize)]
struct BriefCall<'a> {
    time: Timestamp,
    #[serde(borrow, default)]
    task_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    session_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    team_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    provider: Option<Text<'a>>,
    #[serde(borrow, default)]
    model: Option<Text<'a>>,
    usage: FewCounts,
    #[serde(default)]
    reported_cost_usd: Option<Usd>,
}

/// A call that counts, as it counts now. What was not stated is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// When it was made.
    pub time: Timestamp,
    /// The work it belongs to.
    pub task: Option<&'a str>,
    /// The conversation or run.
    pub session: Option<&'a str>,
    /// Who pays.
    pub team: Option<&'a str>,
    /// Who served the model.
    pub provider: Option<&'a str>,
    /// The model.
    pub model: Option<&'a str>,
    /// The counts that hold.
    pub usage: Usage,
    /// The cost that holds; none if it is unknown.
    pub cost: Option<Usd>,
    /// What the provider said it cost.
    pub reported_cost: Option<Usd>,
}

impl<'a> Brief<'a> {
    fn of(data: &'a RecordData) -> Self {
        let text = |name: &'a str| Some(Text::from(name));
        let event = |stored: &'a StoredEvent| {
            let event = &stored.event;
            BriefEvent {
                i: stored.i,
                prices: SmallVec::from_slice(&stored.prices),
                event: BriefCall {
                    time: event.time,
                    task_id: event.task_id.as_ref().and_then(|id| text(id.as_str())),
                    session_id: event.session_id.as_ref().and_then(|id| text(id.as_str())),
                    team_id: event.team_id.as_ref().and_then(|id| text(id.as_str())),
                    provider: event.provider.as_ref().and_then(|id| text(id.as_str())),
                    model: event.model.as_ref().and_then(|id| text(id.as_str())),
                    usage: event.usage.iter().collect(),
                    reported_cost_usd: event.reported_cost_usd,
                },
            }
        };
        Self {
            content: match &data.content {
                Content::Awaited => BriefContent::Awaited,
                Content::Usage(events) => BriefContent::Usage(events.iter().map(event).collect()),
                Content::TaskOutcome(task) => BriefContent::TaskOutcome(Cow::Borrowed(task)),
                Content::Void(_) => BriefContent::Void(IgnoredAny),
                Content::Amend(_) => BriefContent::Amend(IgnoredAny),
            },
            outcomes: Cow::Borrowed(&data.outcomes),
            prices: Cow::Borrowed(&data.prices),
            adjustments: Cow::Borrowed(&data.adjustments),
            corrections: Cow::Borrowed(&data.corrections),
        }
    }

    /// The calls that count, each as [`RecordData::effective`] gives it.
    pub fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        let events = match &self.content {
            BriefContent::Usage(events) => events.as_slice(),
            _ => &[],
        };
        let terms =
            Terms { prices: &self.prices, adjustments: &self.adjustments, corrections: &self.corrections };
        events.iter().filter_map(move |stored| {
            let event = &stored.event;
            let usage = terms.usage(stored.i, event.usage.usage())?;
            let cost = terms.apply(terms.places(stored.i, &stored.prices), &usage).map(|(_, cost)| cost);
            Some(Call {
                time: event.time,
                task: event.task_id.as_ref().map(Text::as_str),
                session: event.session_id.as_ref().map(Text::as_str),
                team: event.team_id.as_ref().map(Text::as_str),
                provider: event.provider.as_ref().map(Text::as_str),
                model: event.model.as_ref().map(Text::as_str),
                usage,
                cost,
                reported_cost: event.reported_cost_usd,
            })
        })
    }

    /// The task outcomes that count.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskOutcome> {
        let alone = match &self.content {
            BriefContent::TaskOutcome(task) => Some((0, &**task)),
            _ => None,
        };
        let all = alone.into_iter().chain(self.outcomes.iter().map(|(index, task)| (*index, task)));
        all.filter(|(index, _)| self.corrections.get(index).is_none_or(|c| c.void.is_none())).map(|(_, t)| t)
    }
}
