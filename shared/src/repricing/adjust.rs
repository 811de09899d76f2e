//! From a record and a book to the record with another adjustment, and what that changes.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Adjustment, FiguresBy, MAX_ADJUSTMENTS, MAX_REPRICED_BYTES, Selection};
use crate::event::UsageEvent;
use crate::id::{AgentId, EventIndex, OwnId};
use crate::money::Usd;
use crate::price::{AppliedPrice, PriceBook};
use crate::record::{Content, RecordData, StoredEvent};
use crate::totals::Overflow;
use crate::usage::Usage;

/// Why a record is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was repriced too often.
    #[error("it was repriced {MAX_ADJUSTMENTS} times, which is the most that a record keeps")]
    Often,
    /// It would be too large.
    #[error("it would pass {MAX_REPRICED_BYTES} bytes, which is the most that a record holds")]
    Large,
}

/// One price of one call, among those that it had one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced<'a> {
    /// Which adjustment made it so; none for the prices that it was first given.
    pub adjustment: Option<&'a Adjustment>,
    /// The price that applies to what holds; none if none does.
    pub price: Option<&'a AppliedPrice>,
    /// What it comes to; none if it is unknown.
    pub cost: Option<Usd>,
}

impl RecordData {
    /// Places of the prices that a call may have now.
    pub(crate) fn places<'a>(&'a self, stored: &'a StoredEvent) -> &'a [usize] {
        let last = self.adjustments.iter().rev().find_map(|adjustment| adjustment.prices.get(&stored.i));
        last.unwrap_or(&stored.prices)
    }

    /// The first of these prices that has one for everything used, and what that costs.
    pub(crate) fn apply<'a>(&'a self, places: &[usize], usage: &Usage) -> Option<(&'a AppliedPrice, Usd)> {
        let mut candidates = places.iter().filter_map(|at| self.prices.get(*at));
        candidates.find_map(|price| Some((price, price.cost(usage)?)))
    }

    /// What `usage` of a call would have cost under each of the prices that it had, the first ones first.
    pub fn price_history(&self, index: EventIndex, usage: &Usage) -> Vec<Priced<'_>> {
        let Some(stored) = self.stored(index) else { return Vec::new() };
        let priced = |adjustment, places: &[usize]| {
            let (price, cost) = self.apply(places, usage).unzip();
            Priced { adjustment, price, cost }
        };
        let later = self.adjustments.iter().filter_map(|a| Some(priced(Some(a), a.prices.get(&index)?)));
        std::iter::once(priced(None, &stored.prices)).chain(later).collect()
    }

    fn stored(&self, index: EventIndex) -> Option<&StoredEvent> {
        self.calls().iter().find(|stored| stored.i == index)
    }

    fn calls(&self) -> &[StoredEvent] {
        match &self.content {
            Content::Usage(events) => events,
            _ => &[],
        }
    }

    /// The places that held when `run` had not touched the call, and whether it has by now.
    fn before_run<'a>(&'a self, stored: &'a StoredEvent, run: &OwnId) -> (&'a [usize], bool) {
        let mut before = stored.prices.as_slice();
        for adjustment in &self.adjustments {
            let Some(places) = adjustment.prices.get(&stored.i) else { continue };
            if adjustment.run == *run {
                return (before, true);
            }
            before = places;
        }
        (before, false)
    }

    /// The calls that `run` has still to adjust. A call that a run has adjusted it never adjusts again, also
    /// when another run has done so since.
    pub fn to_adjust(&self, selection: &Selection, run: &OwnId, book: &PriceBook) -> Vec<EventIndex> {
        let wanted = |stored: &&StoredEvent| {
            let (places, done) = self.before_run(stored, run);
            !done
                && selection.takes(&stored.event)
                && self
                    .counted(stored)
                    .is_some_and(|usage| !(selection.unpriced && self.apply(places, &usage).is_some()))
                && !self.charges_like(places, &stored.event, book)
        };
        self.calls().iter().filter(wanted).map(|stored| stored.i).collect()
    }

    /// The counts of a call that hold; none if it was voided, for good.
    fn counted(&self, stored: &StoredEvent) -> Option<Usage> {
        match self.corrections.get(&stored.i) {
            Some(correction) if correction.void.is_some() => None,
            Some(correction) => {
                Some(correction.amend.as_ref().map_or(stored.event.usage, |amend| amend.usage))
            }
            None => Some(stored.event.usage),
        }
    }

    /// Whether a book charges as these prices do, whatever it is called.
    fn charges_like(&self, places: &[usize], event: &UsageEvent, book: &PriceBook) -> bool {
        let same = |a: &AppliedPrice, b: &AppliedPrice| {
            // All but the version, so that a field that is added is compared, too.
            let AppliedPrice { book: _, source, entry, tier, unit, long } = a;
            (source, entry, tier, unit, long) == (&b.source, &b.entry, &b.tier, &b.unit, &b.long)
        };
        let mut known = places.iter().filter_map(|at| self.prices.get(*at));
        let mut given = book.candidates(event);
        loop {
            match (known.next(), given.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if same(a, b) => {}
                _ => return false,
            }
        }
    }

    /// The record with the prices of `book` for these calls, as one more adjustment or as a part of the last.
    ///
    /// # Errors
    /// [`Refused`] where the record keeps as many adjustments, or as many bytes, as it may.
    pub fn adjusted(
        &self,
        calls: &[EventIndex],
        run: &OwnId,
        at: Timestamp,
        book: &PriceBook,
    ) -> Result<RecordData, Refused> {
        let mut data = self.clone();
        let mut places: BTreeMap<EventIndex, Vec<usize>> = BTreeMap::new();
        for stored in self.calls().iter().filter(|stored| calls.contains(&stored.i)) {
            let given = book.candidates(&stored.event).map(|price| place(&mut data.prices, price));
            places.insert(stored.i, given.collect());
        }
        let kept = data.adjustments.len();
        match data.adjustments.last_mut() {
            Some(last) if last.run == *run && last.book == book.version() => last.prices.extend(places),
            _ if kept >= MAX_ADJUSTMENTS => return Err(Refused::Often),
            _ => {
                let (run, book) = (run.clone(), book.version().to_owned());
                data.adjustments.push(Adjustment { run, at, book, prices: places });
            }
        }
        match serde_json::to_vec(&data) {
            Ok(json) if json.len() <= MAX_REPRICED_BYTES => Ok(data),
            _ => Err(Refused::Large),
        }
    }

    /// What `run` does to the calls of this record, which holds its adjustments already.
    pub fn figures(
        &self,
        agent: &AgentId,
        selection: &Selection,
        run: &OwnId,
        into: &mut FiguresBy,
    ) -> Result<(), Overflow> {
        for stored in self.calls().iter().filter(|stored| selection.takes(&stored.event)) {
            let Some(usage) = self.counted(stored) else { continue };
            let (before, changed) = self.before_run(stored, run);
            let cost = |places: &[usize]| self.apply(places, &usage).map(|(_, cost)| cost);
            let cost_before = cost(before);
            if selection.unpriced && cost_before.is_some() {
                continue;
            }
            let own = self.adjustments.iter().rev().filter(|a| a.run == *run);
            let after =
                own.filter_map(|a| a.prices.get(&stored.i)).map(Vec::as_slice).next().unwrap_or(before);
            let figures = into.entry((agent.clone(), stored.event.model.clone())).or_default();
            figures.count(changed, cost_before, cost(after))?;
        }
        Ok(())
    }
}

/// Where a price is among those known; it is added if it is not.
pub(crate) fn place(prices: &mut Vec<AppliedPrice>, wanted: &AppliedPrice) -> usize {
    prices.iter().position(|known| known == wanted).unwrap_or_else(|| {
        prices.push(wanted.clone());
        prices.len() - 1
    })
}
