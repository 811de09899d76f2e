//! From a record and a book to the record with another adjustment, and what that changes.

use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// What `usage` of a call would have cost under each of the prices that it had, the first ones first.
    pub fn price_history(&self, index: EventIndex, usage: &Usage) -> Vec<Priced<'_>> {
        let Some(stored) = self.stored(index) else { return Vec::new() };
        let priced = |adjustment, places: &[usize]| {
            let (price, cost) = self.terms().apply(places, usage).unzip();
            Priced { adjustment, price, cost }
        };
        let later = self.adjustments.iter().filter_map(|a| Some(priced(Some(a), a.prices.get(&index)?)));
        std::iter::once(priced(None, &stored.prices)).chain(later).collect()
    }

    /// The prices that a call may have now, in the order of asking.
    pub fn candidates(&self, index: EventIndex) -> Vec<&AppliedPrice> {
        let places = self.stored(index).map_or(&[][..], |stored| self.terms().places(index, &stored.prices));
        places.iter().filter_map(|at| self.prices.get(*at)).map(|price| &**price).collect()
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
                && self.terms().usage(stored.i, stored.event.usage).is_some_and(|usage| {
                    !(selection.unpriced && self.terms().apply(places, &usage).is_some())
                })
                && !self.charges_like(places, &stored.event, book)
        };
        self.calls().iter().filter(wanted).map(|stored| stored.i).collect()
    }

    /// Whether a book charges as these prices do, whatever it is called.
    fn charges_like(&self, places: &[usize], event: &UsageEvent, book: &PriceBook) -> bool {
        let same = |a: &AppliedPrice, b: &AppliedPrice| {
            // All but the version, so that a field that is added is compared, too.
            let AppliedPrice { book: _, source, entry, tier, unit, long, inherit } = a;
            (source, entry, tier, unit, long, inherit)
                == (&b.source, &b.entry, &b.tier, &b.unit, &b.long, &b.inherit)
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
            let Some(usage) = self.terms().usage(stored.i, stored.event.usage) else { continue };
            let (before, changed) = self.before_run(stored, run);
            let cost = |places: &[usize]| self.terms().apply(places, &usage).map(|(_, cost)| cost);
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
pub(crate) fn place(prices: &mut Vec<Arc<AppliedPrice>>, wanted: &Arc<AppliedPrice>) -> usize {
    let same = |known: &Arc<AppliedPrice>| Arc::ptr_eq(known, wanted) || known == wanted;
    prices.iter().position(same).unwrap_or_else(|| {
        prices.push(Arc::clone(wanted));
        prices.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Amend;
    use crate::hash::ContentHash;
    use crate::id::EventId;
    use crate::usage::Bucket;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn run(name: &str) -> OwnId {
        OwnId::parse(name).unwrap()
    }

    fn book(version: &str, usd: &str) -> PriceBook {
        let json = format!(
            r#"{{"version":"{version}","source":"test","models":[{{"provider":"p","model":"m","prices":[
                {{"per_unit":{{"input":"{usd}"}}}}]}}]}}"#
        );
        PriceBook::from_json(&json).unwrap()
    }

    /// Two calls of a thousand tokens, by a model that books know and by one that they do not.
    fn data(book: &PriceBook) -> RecordData {
        let call = |model: &str| {
            let usage = Usage::new([(Bucket::Input, 1_000)]).unwrap();
            let mut event = UsageEvent::new(at("2026-11-24T09:30:00Z"), usage);
            event.provider = Some("p".to_owned().try_into().unwrap());
            event.model = Some(model.to_owned().try_into().unwrap());
            event
        };
        RecordData::usage(ContentHash::from("h"), vec![(0, call("m")), (1, call("n"))], book)
    }

    fn selection() -> Selection {
        Selection {
            from: at("2026-11-24T00:00:00Z"),
            to: at("2026-11-25T00:00:00Z"),
            agents: Vec::new(),
            models: Vec::new(),
            unpriced: false,
            closed: false,
        }
    }

    fn apply(data: &RecordData, name: &str, book: &PriceBook) -> RecordData {
        let calls = data.to_adjust(&selection(), &run(name), book);
        data.adjusted(&calls, &run(name), at("2026-12-01T00:00:00Z"), book).unwrap()
    }

    fn costs(data: &RecordData) -> Vec<Option<String>> {
        data.effective().map(|call| call.cost.map(|cost| cost.to_string())).collect()
    }

    #[test]
    fn a_run_adjusts_a_call_once_whoever_comes_after_it() {
        let (dear, cheap) = (book("v2", "0.02"), book("v3", "0.005"));
        let first = apply(&data(&book("v1", "0.01")), "a", &dear);
        assert_eq!(costs(&first), [Some("20".to_owned()), None]);
        let second = apply(&first, "b", &cheap);
        assert_eq!(costs(&second), [Some("5".to_owned()), None]);
        // A step of the first run that comes late finds its work done, and does not do it over the second's.
        assert!(second.to_adjust(&selection(), &run("a"), &dear).is_empty());
        assert_eq!(second.price_history(0, &second.calls()[0].event.usage).len(), 3);
    }

    #[test]
    fn the_same_prices_under_another_version_are_no_change() {
        let known = data(&book("v1", "0.01"));
        assert!(known.to_adjust(&selection(), &run("a"), &book("v2", "0.01")).is_empty());
        assert_eq!(known.to_adjust(&selection(), &run("a"), &book("v2", "0.011")), [0]);
    }

    #[test]
    fn only_what_is_selected_and_counts_is_adjusted() {
        let (known, next) =
            (data(&book("v1", "0.01")), book("v2", "0.02").with_fallback("0.001".parse().unwrap()));
        let wanted = |selection: &Selection, data: &RecordData| data.to_adjust(selection, &run("a"), &next);
        assert_eq!(wanted(&selection(), &known), [0, 1]);
        assert_eq!(wanted(&Selection { unpriced: true, ..selection() }, &known), [1]);
        let models = vec!["m".to_owned().try_into().unwrap()];
        assert_eq!(wanted(&Selection { models, ..selection() }, &known), [0]);
        let second = at("2026-11-24T09:30:00Z");
        assert!(wanted(&Selection { to: second, ..selection() }, &known).is_empty());
        assert_eq!(wanted(&Selection { from: second, ..selection() }, &known), [0, 1]);
        let mut voided = known;
        voided.corrections.entry(0).or_default().void(&EventId::parse("v").unwrap());
        assert_eq!(wanted(&selection(), &voided), [1]);
    }

    #[test]
    fn an_amend_goes_by_the_prices_of_the_last_repricing() {
        let mut data = apply(&data(&book("v1", "0.01")), "a", &book("v2", "0.02"));
        let usage = Usage::new([(Bucket::Input, 1)]).unwrap();
        let corrects = EventId::parse("x").unwrap();
        let amend =
            Amend { time: at("2026-12-02T00:00:00Z"), time_assigned: false, corrects, revision: 1, usage };
        data.corrections.entry(0).or_default().amend(&EventId::parse("am").unwrap(), &amend);
        assert_eq!(costs(&data)[0].as_deref(), Some("0.02"));
    }

    #[test]
    fn figures_are_the_same_when_a_step_is_repeated() {
        let agent = AgentId::parse("a").unwrap();
        let next = book("v2", "0.02").with_fallback("0.001".parse().unwrap());
        let after = apply(&data(&book("v1", "0.01")), "a", &next);
        let figures = |data: &RecordData| {
            let mut rows = FiguresBy::new();
            data.figures(&agent, &selection(), &run("a"), &mut rows).unwrap();
            rows.into_values()
                .map(|f| (f.changed, f.difference_usd.to_string(), f.newly_priced))
                .collect::<Vec<_>>()
        };
        let first = figures(&after);
        assert_eq!(first, [(1, "10".to_owned(), 0), (1, "1".to_owned(), 1)]);
        // Another run in between takes nothing from what this one did.
        assert_eq!(figures(&apply(&after, "b", &book("v3", "0.5"))), first);
    }

    #[test]
    fn a_record_keeps_so_many_adjustments_and_says_so() {
        let mut record = data(&book("v1", "0.01"));
        for n in 0..MAX_ADJUSTMENTS {
            record = apply(&record, &format!("run-{n}"), &book("v2", &format!("0.0{}", n + 2)));
        }
        let next = book("v3", "0.9");
        let calls = record.to_adjust(&selection(), &run("more"), &next);
        let refused = record.adjusted(&calls, &run("more"), at("2026-12-01T00:00:00Z"), &next);
        assert_eq!(refused, Err(Refused::Often));
        let mut large = data(&book("v1", "0.01"));
        large.made = Some(("x".repeat(MAX_REPRICED_BYTES), String::new()));
        let refused = large.adjusted(&[0], &run("a"), at("2026-12-01T00:00:00Z"), &next);
        assert_eq!(refused, Err(Refused::Large));
    }
}
