//! The rows while they are summed.

use std::collections::{BTreeMap, BTreeSet};

use edge::limits::MAX_REPORT_ROWS;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::id::{AgentId, ModelId, ProviderId};
use shared::record::{Effective, Record};
use shared::usage::{Bucket, Usage};

use super::reason::{UnpricedReason, reason};
use crate::error::QueryError;

/// How many service tiers a row names: they come from senders.
const MAX_TIERS: usize = 10;

/// What one row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) model: Option<ModelId>,
    pub(super) provider: Option<ProviderId>,
    pub(super) reason: UnpricedReason,
}

/// Calls and their tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) events: i64,
    pub(super) tokens: i128,
}

/// The sums of one row.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) events: i64,
    pub(super) tokens: i128,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) buckets: BTreeSet<Bucket>,
    pub(super) tiers: BTreeSet<String>,
    pub(super) agents: BTreeMap<AgentId, Part>,
    /// Whether all of its agents are among these.
    pub(super) agents_known: bool,
}

/// Rows by what they are about; what they hold in all is bounded.
#[derive(Debug, Default)]
pub(super) struct Rows {
    rows: BTreeMap<Key, Row>,
    /// Rows, and agents of rows.
    entries: usize,
}

impl Rows {
    /// Takes a call in that has no price.
    pub(super) fn add(
        &mut self,
        record: &Record,
        call: &Effective<'_>,
        usage: &Usage,
    ) -> Result<(), QueryError> {
        let event = call.event;
        let (reason, lacking) = reason(record.data.candidates(call.index).into_iter(), event, usage);
        let key = Key { model: event.model.clone(), provider: event.provider.clone(), reason };
        let part = Part { events: 1, tokens: i128::from(usage.tokens()) };
        self.part(key, &record.agent, part, |row| {
            row.agents_known = true;
            row.first = Some(row.first.map_or(event.time, |first| first.min(event.time)));
            row.last = Some(row.last.map_or(event.time, |last| last.max(event.time)));
            row.buckets.extend(lacking);
            if reason == UnpricedReason::NoPriceForTier && row.tiers.len() < MAX_TIERS {
                row.tiers.extend(event.service_tier.clone());
            }
        })
    }

    /// Adds an agent's part to a row.
    pub(super) fn part(
        &mut self,
        key: Key,
        agent: &AgentId,
        part: Part,
        more: impl FnOnce(&mut Row),
    ) -> Result<(), QueryError> {
        let row = self.row(key)?;
        row.events = row.events.saturating_add(part.events);
        row.tokens = row.tokens.saturating_add(part.tokens);
        more(row);
        let is_new = !row.agents.contains_key(agent);
        let of = row.agents.entry(agent.clone()).or_default();
        of.events = of.events.saturating_add(part.events);
        of.tokens = of.tokens.saturating_add(part.tokens);
        self.grow(is_new)
    }

    /// A row, made if it is not there.
    pub(super) fn row(&mut self, key: Key) -> Result<&mut Row, QueryError> {
        let is_new = !self.rows.contains_key(&key);
        self.grow(is_new)?;
        Ok(self.rows.entry(key).or_default())
    }

    fn grow(&mut self, is_new: bool) -> Result<(), QueryError> {
        self.entries += usize::from(is_new);
        if self.entries > MAX_REPORT_ROWS {
            return Err(QueryError::TooManyRows(MAX_REPORT_ROWS));
        }
        Ok(())
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Key, Row)> {
        self.rows.into_iter().filter(|(_, row)| row.events != 0)
    }
}
