//! Listing records, newest first: the pages of the agents in question are read on, newest first, until it is certain
//! what the next records are.

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::id::AgentId;
use shared::ledger::{LedgerError, RecordQuery};
use shared::record::Record;
use shared::window::{Range, WindowKind};

use super::directory::RECORD_MONTHS;
use super::keys;
use super::merge::{Candidate, Merge, Place};
use super::pages::{self, REACHES};
use super::value::Item;
use super::{PARALLEL, Query, Sort, Table, records};

/// The most records that are looked at at once.
const RECORDS: usize = 1_000;
/// The most pages that are read at once from one partition; the first time it is as few as may do.
const PAGES: usize = 1_000;
const FEW_PAGES: usize = 4;
/// Rows of a page, at the least that is usual.
const ROWS: usize = 16;

/// How many pages of each part are read at first, for so many records of so many agents; then twice as many each time.
pub(super) fn few(limit: usize, agents: usize) -> usize {
    (limit / ROWS / agents.max(1)).clamp(FEW_PAGES, PAGES)
}

impl Table {
    /// Lists records, newest first.
    pub(super) async fn list_records(&self, query: &RecordQuery) -> Result<Vec<Record>, LedgerError> {
        let mut found = Vec::new();
        let range = query.range.unwrap_or(Range::EVER);
        if let Some(agent) = &query.agent {
            let place = Place::of(query, Range::EVER);
            self.collect(std::slice::from_ref(agent), &place, query, &mut found).await?;
            return Ok(found);
        }
        // A record is listed under its latest event, which may be later than the range.
        let newest = query.after.as_ref().map_or(i64::MAX, |after| after.latest.as_second());
        for month in self.starts(RECORD_MONTHS).await?.into_iter().rev() {
            if WindowKind::Month.end(month) <= range.from || month > newest {
                continue;
            }
            for hour in self.starts(&keys::hours(month)).await?.into_iter().rev() {
                let end = WindowKind::Hour.end(hour);
                if end <= range.from || hour > newest {
                    continue;
                }
                let agents = self.agents_of(hour).await?;
                let place = Place::of(query, Range { from: hour, to: end });
                self.collect(&agents, &place, query, &mut found).await?;
                if found.len() >= query.limit {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// Adds records of these agents at a place, until there are enough.
    async fn collect(
        &self,
        agents: &[AgentId],
        place: &Place,
        query: &RecordQuery,
        found: &mut Vec<Record>,
    ) -> Result<(), LedgerError> {
        let few = few(query.limit, agents.len());
        let mut parts: Vec<Part> = Vec::new();
        for agent in agents {
            let of_agent = (0..REACHES.len()).filter_map(|reach| place.pages(reach));
            parts.extend(of_agent.map(|(first, last)| Part {
                agent: agent.clone(),
                first,
                last,
                from: None,
                few,
            }));
        }
        let mut merge = Merge::of(parts.len());
        while found.len() < query.limit {
            let wanted = (query.limit - found.len()).min(RECORDS);
            loop {
                let behind = merge.behind(wanted);
                if behind.is_empty() {
                    break;
                }
                self.read_on(behind, &mut parts, &mut merge, place).await?;
            }
            let candidates = merge.take(wanted);
            if candidates.is_empty() {
                return Ok(());
            }
            let items = self.items(candidates.iter().map(Candidate::item).collect()).await?;
            for candidate in &candidates {
                // A page alone says nothing: the record may never have come to be.
                let Some(item) = items.get(&candidate.item()) else { continue };
                let record = records::record(item)?;
                // It may have other times by now: then another page tells of it.
                let is_it = pages::row(&record).is_some_and(|row| candidate.is(&row) && place.holds(&row));
                if is_it && found.len() < query.limit {
                    found.push(record);
                }
            }
        }
        Ok(())
    }

    /// Reads on in each of these parts.
    async fn read_on(
        &self,
        which: Vec<usize>,
        parts: &mut [Part],
        merge: &mut Merge,
        place: &Place,
    ) -> Result<(), LedgerError> {
        let begun: Vec<(usize, Query, Option<Item>)> = which
            .into_iter()
            .filter_map(|n| parts.get_mut(n).map(|part| (n, part.query(), part.from.take())))
            .collect();
        let read: Vec<(usize, Vec<Item>, Option<Item>)> = stream::iter(begun)
            .map(|(n, query, from)| async move {
                let (items, next) = self.chunk(&query, from).await?;
                Ok::<_, LedgerError>((n, items, next))
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        for (n, items, next) in read {
            let Some(part) = parts.get_mut(n) else { continue };
            for item in &items {
                let (newest, rows) = pages::read(item)?;
                merge.add(n, newest, rows, &part.agent, place);
            }
            if next.is_none() {
                merge.end(n);
            }
            part.from = next;
            part.few = (2 * part.few).min(PAGES);
        }
        Ok(())
    }
}

/// The pages of one agent and reach, read on from where they were left.
struct Part {
    agent: AgentId,
    first: String,
    last: String,
    from: Option<Item>,
    few: usize,
}

impl Part {
    fn query(&self) -> Query {
        Query {
            sort: Sort::Between(self.first.clone(), self.last.clone()),
            newest_first: true,
            page: Some(self.few),
            ..Query::of(&keys::pages(&self.agent))
        }
    }
}
