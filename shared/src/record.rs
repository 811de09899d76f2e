//! The usage record: an event, or a packed part of a submission, as the ledger stores it, and the
//! arithmetic from a record to its share of the totals.

mod listed;
mod terms;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{Amend, Body, TaskOutcome, UsageEvent, Void};
use crate::hash::ContentHash;
use crate::id::{AgentId, EventId, EventIndex, RecordKey};
use crate::money::Usd;
use crate::price::{AppliedPrice, PriceBook};
use crate::repricing::{Adjustment, place};
use crate::rollup::{Additions, Places, RollupKey, Share, Sums};
use crate::totals::{Overflow, Totals};
use crate::usage::Usage;
pub use listed::{Brief, Call, Listed};
pub(crate) use terms::Terms;

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Not arrived yet: corrections of it came first.
    Awaited,
    /// Model calls: one, or a part of a sealed submission.
    Usage(Vec<StoredEvent>),
    /// A task's outcome.
    TaskOutcome(TaskOutcome),
    /// A withdrawal that was applied to its target.
    Void(Void),
    /// A replacement of counts that was applied to its target.
    Amend(Amend),
}

/// One call in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// Its index in the submission; 0 in a record of its own.
    pub i: EventIndex,
    /// Which of the record's prices it may have, in the order of asking.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<usize>,
    /// The call.
    pub event: UsageEvent,
}

/// The corrections of one event that have arrived. The order of their arrival makes no difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// The void with the smallest id, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub void: Option<EventId>,
    /// The amend with the highest (revision, id), if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amend: Option<AppliedAmend>,
}

/// An amend as its target keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedAmend {
    /// Its revision.
    pub revision: u64,
    /// The correction's own id.
    pub id: EventId,
    /// The counts that hold.
    pub usage: Usage,
}

impl Correction {
    /// Takes a void in.
    pub fn void(&mut self, id: &EventId) {
        if self.void.as_ref().is_none_or(|known| id < known) {
            self.void = Some(id.clone());
        }
    }

    /// Takes an amend in.
    pub fn amend(&mut self, id: &EventId, amend: &Amend) {
        let newer =
            self.amend.as_ref().is_none_or(|known| (known.revision, &known.id) < (amend.revision, id));
        if newer {
            self.amend = Some(AppliedAmend { revision: amend.revision, id: id.clone(), usage: amend.usage });
        }
    }
}

/// One item of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose.
    pub agent: AgentId,
    /// Under which key.
    pub key: RecordKey,
    /// Counts the writes of this item; a write is conditional on the version it read.
    pub version: u64,
    /// What it holds, without the key.
    pub data: RecordData,
}

/// What a record holds, without its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordData {
    /// Hash of the content as its sender gave it; none while it is awaited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<ContentHash>,
    /// The content.
    pub content: Content,
    /// Task outcomes packed with the calls of [`Content::Usage`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<(EventIndex, TaskOutcome)>,
    /// Corrections packed with the calls, as they were sent; what they did is kept at their targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sealed_corrections: Vec<(EventIndex, Body)>,
    /// Every price that a call of this record may have, or may have had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<Arc<AppliedPrice>>,
    /// What repricings changed, in the order in which they did; the last one that names a call holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<Adjustment>,
    /// Corrections by event index.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub corrections: BTreeMap<EventIndex, Correction>,
    /// Set while the rollup additions, too many for one transaction, are not all made: the item key of the last
    /// one that is, in the order of their keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<(String, String)>,
}

/// One event of a record, as it counts now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective<'a> {
    /// Its place in the record.
    pub index: EventIndex,
    /// The call as it was sent.
    pub event: &'a UsageEvent,
    /// The counts that hold; none if it was voided.
    pub usage: Option<Usage>,
    /// The price that applies; none if none has a price for all that holds.
    pub price: Option<&'a AppliedPrice>,
    /// The cost that holds; none if it is unknown.
    pub cost: Option<Usd>,
    /// Its corrections.
    pub correction: Option<&'a Correction>,
}

impl RecordData {
    /// An item that keeps the place, and the corrections, of one that has not arrived.
    pub fn awaited() -> Self {
        Self {
            hash: None,
            content: Content::Awaited,
            outcomes: Vec::new(),
            sealed_corrections: Vec::new(),
            prices: Vec::new(),
            adjustments: Vec::new(),
            corrections: BTreeMap::new(),
            made: None,
        }
    }

    /// A record of something that is not a model call.
    pub fn other(hash: ContentHash, content: Content) -> Self {
        Self { hash: Some(hash), content, ..Self::awaited() }
    }

    /// A record of model calls, priced by `book`.
    pub fn usage(
        hash: ContentHash,
        events: impl IntoIterator<Item = (EventIndex, UsageEvent)>,
        book: &PriceBook,
    ) -> Self {
        let mut prices: Vec<Arc<AppliedPrice>> = Vec::new();
        let events = events
            .into_iter()
            .map(|(i, event)| {
                let places = book.candidates(&event).map(|price| place(&mut prices, price)).collect();
                StoredEvent { i, prices: places, event }
            })
            .collect();
        Self { hash: Some(hash), content: Content::Usage(events), prices, ..Self::awaited() }
    }

    /// The calls of this record as they count now.
    pub fn effective(&self) -> impl Iterator<Item = Effective<'_>> {
        let events = match &self.content {
            Content::Usage(events) => events.as_slice(),
            _ => &[],
        };
        let terms = self.terms();
        events.iter().map(move |stored| {
            let usage = terms.usage(stored.i, stored.event.usage);
            let places = terms.places(stored.i, &stored.prices);
            let (price, cost) = usage.and_then(|usage| terms.apply(places, &usage)).unzip();
            let correction = self.corrections.get(&stored.i);
            Effective { index: stored.i, event: &stored.event, usage, price, cost, correction }
        })
    }

    /// What it says of its calls beside the calls.
    pub(crate) fn terms(&self) -> Terms<'_> {
        Terms { prices: &self.prices, adjustments: &self.adjustments, corrections: &self.corrections }
    }

    /// The task outcomes of this record, voided ones too.
    pub fn tasks(&self) -> impl Iterator<Item = (EventIndex, &TaskOutcome)> {
        let alone = match &self.content {
            Content::TaskOutcome(task) => Some((0, task)),
            _ => None,
        };
        alone.into_iter().chain(self.outcomes.iter().map(|(index, task)| (*index, task)))
    }

    /// Corrections that take no effect: what they correct has not arrived, or is nothing that they can correct
    /// (no event of the submission, an outcome's counts, or a correction).
    pub fn unmet(&self) -> impl Iterator<Item = (EventIndex, &Correction)> {
        let is_call = |index| match &self.content {
            Content::Usage(events) => events.iter().any(|stored| stored.i == index),
            _ => false,
        };
        let is_task = |index| self.tasks().any(|(known, _)| known == index);
        let met = move |index, correction: &Correction| {
            is_call(index) || (is_task(index) && correction.void.is_some())
        };
        self.corrections
            .iter()
            .map(|(index, correction)| (*index, correction))
            .filter(move |(index, correction)| !met(*index, correction))
    }

    /// This record's share of every total it belongs to.
    pub fn additions(&self, agent: &AgentId) -> Result<Additions, Overflow> {
        let mut places = Places::default();
        let shares = self.shares(agent, &mut places)?;
        let mut sums = Sums::default();
        sums.add(&shares, &places)?;
        Ok(sums.additions(&places))
    }

    /// The same before it is spread over its rollups: what events of one place and quarter hour add together.
    pub fn shares(&self, agent: &AgentId, places: &mut Places) -> Result<Vec<Share>, Overflow> {
        let mut shares: Vec<Share> = Vec::new();
        let mut add = |share: Share| match shares.iter_mut().rev().find(|known| known.is_beside(&share)) {
            Some(known) => known.add(&share),
            None => {
                shares.push(share);
                Ok(())
            }
        };
        for effective in self.effective() {
            let Some(usage) = effective.usage else { continue };
            let place = places.of_call(agent, effective.event);
            let totals = Totals::of_call(&usage, effective.cost);
            add(Share::new(place, effective.event.time.as_second(), totals))?;
        }
        for (index, task) in self.tasks() {
            if self.corrections.get(&index).is_some_and(|c| c.void.is_some()) {
                continue;
            }
            let place = places.of_task(agent, task.team_id.as_ref(), &task.task_id);
            let totals = Totals::of_task(task.outcome, task.value);
            add(Share::new(place, task.time.as_second(), totals))?;
        }
        Ok(shares)
    }

    /// The additions that turn the totals of `before` into those of `self`.
    pub fn difference(&self, before: &RecordData, agent: &AgentId) -> Result<Additions, Overflow> {
        let mut additions = self.additions(agent)?;
        let mut undo = Additions::default();
        for (key, parts) in before.additions(agent)?.iter() {
            undo.insert(key.clone(), parts.negated());
        }
        additions.merge(&undo)?;
        Ok(additions.without_zeros())
    }

    /// The additions that were made to the rollups already: all of them, unless `made` says that some are missing.
    /// None where that cannot be read.
    pub fn made_additions(&self, agent: &AgentId) -> Result<Option<Additions>, Overflow> {
        let all = self.additions(agent)?;
        let Some((pk, sk)) = &self.made else { return Ok(Some(all)) };
        let Some(last) = RollupKey::from_item_key(pk, sk) else { return Ok(None) };
        let mut made = Additions::default();
        for (key, parts) in all.iter().filter(|(key, _)| **key <= last) {
            made.insert(key.clone(), parts.clone());
        }
        Ok(Some(made))
    }

    /// About how many bytes its JSON has, without making it: not less, except where text has to be escaped.
    pub fn weight(&self) -> usize {
        const EVENT: usize = 512;
        const PRICE: usize = 768;
        let tags = |event: &UsageEvent| {
            event.tags.iter().map(|(name, value)| name.len() + value.len() + 6).sum::<usize>()
        };
        let calls = match &self.content {
            Content::Usage(events) => events.iter().map(|stored| EVENT * 2 + tags(&stored.event)).sum(),
            _ => EVENT,
        };
        let others = self.outcomes.len() + self.sealed_corrections.len() + self.corrections.len();
        calls + (others + 1) * EVENT + (self.prices.len() + self.adjustments.len()) * PRICE
    }

    /// The span of its events' times; none if it holds none.
    pub fn span(&self) -> Option<(jiff::Timestamp, jiff::Timestamp)> {
        match &self.content {
            Content::Awaited => None,
            Content::Usage(events) => {
                let tasks = self.outcomes.iter().map(|(_, task)| task.time);
                let corrections = self.sealed_corrections.iter().map(|(_, body)| body.time());
                let calls = events.iter().map(|e| e.event.time);
                let times = || calls.clone().chain(tasks.clone()).chain(corrections.clone());
                Some((times().min()?, times().max()?))
            }
            Content::TaskOutcome(e) => Some((e.time, e.time)),
            Content::Void(e) => Some((e.time, e.time)),
            Content::Amend(e) => Some((e.time, e.time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::UsageEvent;
    use crate::usage::Bucket;

    /// What a call costs that was sent with some counts and amended to others.
    fn cost(model: &str, sent: &[(Bucket, u64)], amended: &[(Bucket, u64)]) -> Option<String> {
        let book = PriceBook::embedded().unwrap().with_fallback("0.000002".parse().unwrap());
        let usage = |counts: &[(Bucket, u64)]| Usage::new(counts.iter().copied()).unwrap();
        let time = "2026-11-24T00:00:00Z".parse().unwrap();
        let mut event = UsageEvent::new(time, usage(sent));
        event.model = Some(model.to_owned().try_into().unwrap());
        let mut data = RecordData::usage(ContentHash::from("h"), vec![(0, event)], &book);
        let amend = Amend {
            time,
            time_assigned: false,
            corrects: EventId::parse("x").unwrap(),
            revision: 1,
            usage: usage(amended),
        };
        data.corrections.entry(0).or_default().amend(&EventId::parse("a").unwrap(), &amend);
        data.effective().next().unwrap().cost.map(|cost| cost.to_string())
    }

    #[test]
    fn an_amend_costs_what_it_would_have_cost_at_first() {
        let split = [(Bucket::Input, 900), (Bucket::Output, 100)];
        let whole = [(Bucket::Unsplit, 1000)];
        let searched = [(Bucket::Input, 5), (Bucket::WebSearches, 1)];
        assert_eq!(cost("gpt-4o-mini", &whole, &split).unwrap(), "0.000195");
        assert_eq!(cost("gpt-4o-mini", &split, &whole).unwrap(), "0.002");
        assert_eq!(cost("no-such-model", &searched, &[(Bucket::Input, 5)]).unwrap(), "0.00001");
        assert_eq!(cost("no-such-model", &[(Bucket::Input, 5)], &searched), None);
    }
}
