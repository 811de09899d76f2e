//! What is told of records on pages of several parts, brought together into one order, newest first.

use std::collections::BTreeSet;

use shared::id::AgentId;
use shared::ledger::{RecordCursor, RecordQuery};
use shared::window::Range;

use super::directory::END;
use super::keys::{self, Key};
use super::pages::{REACHES, nanos};
use super::rows::Row;

/// Later than anything, and as many digits as a key has.
const EVER: u128 = 99_999_999_999_999_999_999;

/// Which records are asked for, in nanoseconds.
pub(super) struct Place {
    /// The earliest and the latest that their latest events may be.
    lower: u128,
    upper: u128,
    /// Before this are their earliest.
    before: u128,
    after: Option<Candidate>,
}

impl Place {
    /// Of a query, with the latest events in a part of time.
    pub(super) fn of(query: &RecordQuery, part: Range) -> Self {
        let range = query.range.unwrap_or(Range::EVER);
        let after = query.after.as_ref().map(Candidate::of);
        let end = instant(part.to).saturating_sub(1);
        Self {
            lower: instant(range.from.max(part.from)),
            upper: after.as_ref().map_or(end, |after| end.min(after.latest)),
            before: instant(range.to),
            after,
        }
    }

    /// Between which keys the pages of a reach are that may tell of such records.
    pub(super) fn pages(&self, reach: usize) -> Option<(String, String)> {
        let within = REACHES.get(reach)?;
        let by_latest = self.upper.saturating_add(within.latest);
        let by_earliest =
            within.earliest.map(|earliest| self.before.saturating_add(earliest).saturating_sub(1));
        let newest = by_earliest.map_or(by_latest, |by_earliest| by_latest.min(by_earliest)).min(EVER);
        let (first, last) = (keys::page(reach, self.lower), format!("{}#{END}", keys::page(reach, newest)));
        (newest >= self.lower && self.upper >= self.lower).then_some((first, last))
    }

    /// Whether a record with these times is asked for.
    pub(super) fn holds(&self, row: &Row) -> bool {
        (self.lower..=self.upper).contains(&row.latest) && row.earliest < self.before
    }
}

fn instant(second: i64) -> u128 {
    u128::try_from(i128::from(second).saturating_mul(1_000_000_000)).unwrap_or(0).min(EVER)
}

/// A record that a page tells of, in the order of the listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    latest: u128,
    agent: AgentId,
    key: String,
}

impl Candidate {
    pub(super) fn of(cursor: &RecordCursor) -> Self {
        let RecordCursor { latest, agent, key } = cursor;
        Self { latest: nanos(*latest), agent: agent.clone(), key: key.to_string() }
    }

    /// Where the record is, if there is one.
    pub(super) fn item(&self) -> Key {
        keys::record(&self.agent, &self.key)
    }

    /// Whether the record has the time that the page tells.
    pub(super) fn is(&self, row: &Row) -> bool {
        row.latest == self.latest
    }
}

/// Brings together what the pages of several parts tell, each read newest first.
#[derive(Debug)]
pub(super) struct Merge {
    found: BTreeSet<Candidate>,
    /// Of each part, how new what is not read yet may be; none if all is read.
    unread: Vec<Option<u128>>,
}

impl Merge {
    pub(super) fn of(parts: usize) -> Self {
        Self { found: BTreeSet::new(), unread: vec![Some(u128::MAX); parts] }
    }

    /// Takes in the next page of a part.
    pub(super) fn add(&mut self, part: usize, newest: u128, rows: Vec<Row>, agent: &AgentId, place: &Place) {
        for row in rows.into_iter().filter(|row| place.holds(row)) {
            let candidate = Candidate { latest: row.latest, agent: agent.clone(), key: row.key.to_string() };
            if place.after.as_ref().is_none_or(|after| candidate < *after) {
                self.found.insert(candidate);
            }
        }
        if let Some(unread) = self.unread.get_mut(part) {
            // Another page may have the same newest time.
            *unread = Some(newest);
        }
    }

    /// All of a part was read.
    pub(super) fn end(&mut self, part: usize) {
        if let Some(unread) = self.unread.get_mut(part) {
            *unread = None;
        }
    }

    /// The parts to read on before so many candidates are certain; none if they are, or if all is read.
    pub(super) fn behind(&self, wanted: usize) -> Vec<usize> {
        let last = wanted.checked_sub(1).and_then(|n| self.found.iter().rev().nth(n));
        let may_matter =
            |unread: &u128| wanted > 0 && last.is_none_or(|candidate| *unread >= candidate.latest);
        let parts = self.unread.iter().enumerate();
        parts.filter(|(_, unread)| unread.as_ref().is_some_and(may_matter)).map(|(n, _)| n).collect()
    }

    /// The next candidates, at most so many: they are certain once nothing is behind.
    pub(super) fn take(&mut self, wanted: usize) -> Vec<Candidate> {
        (0..wanted).map_while(|_| self.found.pop_last()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;
    use shared::id::RecordKey;

    use super::super::pages::{self, tests::some_rows};
    use super::super::value::Item;
    use super::*;

    /// The table's pages, and the times of the records that there are.
    #[derive(Debug, Default)]
    struct Kept {
        pages: BTreeMap<Key, Item>,
        records: BTreeMap<(AgentId, RecordKey), Row>,
    }

    impl Kept {
        /// As the table lists, a few pages at a time.
        fn list(&self, agents: &[AgentId], place: &Place, limit: usize, few: usize) -> Vec<(AgentId, Row)> {
            let mut parts: Vec<(&AgentId, Vec<&Item>)> = Vec::new();
            for agent in agents {
                for (first, last) in (0..REACHES.len()).filter_map(|reach| place.pages(reach)) {
                    let pk = keys::pages(agent);
                    // The newest last, where they are taken from.
                    let range = self.pages.range((pk.clone(), first)..=(pk, last));
                    parts.push((agent, range.map(|(_, item)| item).collect()));
                }
            }
            let mut merge = Merge::of(parts.len());
            let mut found = Vec::new();
            while found.len() < limit {
                let wanted = limit - found.len();
                loop {
                    let behind = merge.behind(wanted);
                    if behind.is_empty() {
                        break;
                    }
                    for n in behind {
                        let (agent, pages) = &mut parts[n];
                        for _ in 0..few {
                            let Some(item) = pages.pop() else { break };
                            let (newest, rows) = pages::read(item).unwrap();
                            merge.add(n, newest, rows, agent, place);
                        }
                        if pages.is_empty() {
                            merge.end(n);
                        }
                    }
                }
                let candidates = merge.take(wanted);
                if candidates.is_empty() {
                    break;
                }
                for candidate in candidates {
                    let key = RecordKey::parse(&candidate.key).unwrap();
                    let record = self.records.get(&(candidate.agent.clone(), key));
                    let is_it = |row: &&Row| candidate.is(row) && place.holds(row);
                    found.extend(record.filter(is_it).map(|row| (candidate.agent, row.clone())));
                }
            }
            found
        }
    }

    proptest! {
        #[test]
        fn any_listing_is_what_a_sorted_list_gives(
            commits in prop::collection::vec((0..3_usize, some_rows(), any::<bool>(), any::<u8>()), 0..8),
            (from, length, ever) in (-200_000..800_i64, 0..200_000_i64, any::<bool>()),
            (hour, of_hour) in (-60..1_i64, any::<bool>()),
            (limit, few) in (1..70_usize, 1..5_usize),
        ) {
            let agents = ["a", "b", "a#b"].map(|agent| AgentId::parse(agent).unwrap());
            let mut kept = Kept::default();
            for (agent, rows, happens, again) in commits {
                let agent = &agents[agent];
                // Some of them come again with others, and are on two pages.
                let again: Vec<Row> = rows.iter().take(usize::from(again)).cloned().collect();
                kept.pages.extend(pages::cut(agent, again));
                if happens {
                    // What is there already gets other times.
                    let records = rows.iter().map(|row| ((agent.clone(), row.key.clone()), row.clone()));
                    kept.records.extend(records);
                }
                kept.pages.extend(pages::cut(agent, rows));
            }
            let range = Range { from: 1_795_000_000 + from, to: 1_795_000_000 + from + length };
            let hours = 1_795_000_000 + 3_600 * hour;
            let part = if of_hour { Range { from: hours, to: hours + 3_600 } } else { Range::EVER };
            let mut query = RecordQuery { range: (!ever).then_some(range), limit, ..RecordQuery::default() };
            let within = |row: &Row, query: &RecordQuery| {
                let range = query.range.unwrap_or(Range::EVER);
                row.latest >= instant(range.from) && row.earliest < instant(range.to)
                    && (instant(part.from)..instant(part.to)).contains(&row.latest)
            };
            let mut wanted: Vec<_> = kept.records.iter().filter(|(_, row)| within(row, &query))
                .map(|((agent, _), row)| (row.latest, agent.clone(), row.key.to_string()))
                .collect();
            wanted.sort();
            wanted.reverse();
            let mut listed = Vec::new();
            loop {
                let page = kept.list(&agents, &Place::of(&query, part), limit, few);
                let Some((agent, last)) = page.last() else { break };
                let latest = Timestamp::from_nanosecond(last.latest.try_into().unwrap()).unwrap();
                query.after = Some(RecordCursor { latest, agent: agent.clone(), key: last.key.clone() });
                let is_last = page.len() < limit;
                listed.extend(page.into_iter().map(|(agent, row)| (row.latest, agent, row.key.to_string())));
                if is_last {
                    break;
                }
            }
            prop_assert_eq!(listed, wanted);
        }
    }

    #[test]
    fn little_is_read_that_is_newer_than_what_is_asked_for() {
        let range = Range { from: 1_795_000_000, to: 1_795_000_900 };
        let place = Place::of(&RecordQuery { range: Some(range), ..RecordQuery::default() }, Range::EVER);
        let newest = |reach| place.pages(reach).map(|(_, last)| last.split('#').nth(1).unwrap().to_owned());
        assert_eq!(newest(0).as_deref(), Some("01795000901999999999"));
        assert_eq!(newest(1).as_deref(), Some("01795001199999999999"));
        assert_eq!(newest(3).as_deref(), Some("99999999999999999999"));
        let of_last_year = Place::of(&RecordQuery::default(), Range { from: 0, to: 3_600 });
        assert_eq!(of_last_year.pages(0).map(|(first, _)| first).as_deref(), Some("0#00000000000000000000"));
    }
}
