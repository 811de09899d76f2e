//! What is noted beside records, before they are written, so that lists find them: lanes, months with totals,
//! hours with records, and the agents of each hour. A note without what it tells of does no harm.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::id::{AgentId, RecordKey};
use shared::ledger::{Commit, LedgerError, RecordCursor, RecordQuery};
use shared::record::Record;
use shared::rollup::Additions;
use shared::window::{Range, WindowKind};

use super::call::{RACES, failed, pause};
use super::keys::{self, AGENT_SPREAD, HOUR_SPREAD, Key, LANES, MONTHS};
use super::value::{keyed, number_of, str_of};
use super::{BY_TIME, PARALLEL, Query, Sort, Table, records};

/// In which months there are records.
const RECORD_MONTHS: &str = "DM";
/// The most items of one `BatchWriteItem`.
const WRITES: usize = 25;
/// What is remembered as noted; beyond, it is noted again.
const REMEMBERED: usize = 200_000;
/// The most keys read at once from one partition of an index.
const PAGE: usize = 1_000;
/// After everything else in a sort key.
const END: char = '\u{10ffff}';

impl Table {
    /// Notes what is not noted yet of a commit.
    pub(super) async fn note(&self, commit: &Commit) -> Result<(), LedgerError> {
        let noted = || self.inner.noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut notes = notes_of(commit);
        let lane = (LANES.to_owned(), format!("{:010}", commit.lane));
        let is_new_lane = !commit.additions.is_empty() && !noted().contains(&lane);
        {
            let noted = noted();
            notes.retain(|note| !noted.contains(note));
        }
        if is_new_lane {
            // With what it was settled to, if it is there.
            self.put_new(keyed(lane.clone())).await?;
        }
        let all: Vec<Key> = notes.into_iter().collect();
        let chunks: Vec<Vec<Key>> = all.chunks(WRITES).map(<[Key]>::to_vec).collect();
        stream::iter(chunks)
            .map(|some| self.write_notes(some))
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        let mut noted = noted();
        if noted.len() > REMEMBERED {
            noted.clear();
        }
        noted.extend(all);
        if is_new_lane {
            noted.insert(lane);
        }
        Ok(())
    }

    async fn write_notes(&self, notes: Vec<Key>) -> Result<(), LedgerError> {
        let request = |key: Key| {
            let put = PutRequest::builder().set_item(Some(keyed(key))).build();
            put.map(|put| WriteRequest::builder().put_request(put).build())
        };
        let mut left: Vec<_> = notes
            .into_iter()
            .map(request)
            .collect::<Result<_, _>>()
            .map_err(|e| LedgerError::Broken(e.to_string()))?;
        for attempt in 0..RACES {
            let done = self
                .client()
                .batch_write_item()
                .request_items(self.name(), left)
                .send()
                .await
                .map_err(|e| failed("noting where records are", &e))?;
            left = done.unprocessed_items.and_then(|mut by| by.remove(self.name())).unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            pause(attempt).await;
        }
        Err(LedgerError::Retry("noting where records are: throttled for long".to_owned()))
    }

    /// Lists records, newest first.
    pub(super) async fn list_records(&self, query: &RecordQuery) -> Result<Vec<Record>, LedgerError> {
        let mut found = Vec::new();
        let range = query.range.unwrap_or(Range::EVER);
        if let Some(agent) = &query.agent {
            let all = Place { lower: lower(range.from), upper: None, range };
            self.collect(std::slice::from_ref(agent), &all, query, &mut found).await?;
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
                let place = Place {
                    lower: lower(hour.max(range.from)),
                    upper: Some(format!("{}000000000", seconds(end))),
                    range,
                };
                self.collect(&agents, &place, query, &mut found).await?;
                if found.len() >= query.limit {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// The starts noted in a partition, ascending.
    pub(super) async fn starts(&self, pk: &str) -> Result<Vec<i64>, LedgerError> {
        let broken = || LedgerError::Broken(format!("a note of {pk} is not readable"));
        let items = self.partition(pk).await?;
        items.iter().map(|item| str_of(item, "sk")?.parse().map_err(|_| broken())).collect()
    }

    /// The starts of the windows from `first` to before `to` in which there may be anything, in order.
    pub(super) async fn occupied(
        &self,
        window: WindowKind,
        first: i64,
        to: i64,
    ) -> Result<Vec<i64>, LedgerError> {
        let months = self.starts(MONTHS).await?;
        let months = months.into_iter().filter(|month| *month < to && WindowKind::Month.end(*month) > first);
        let months: Vec<i64> = months.collect();
        let occupied: BTreeSet<i64> = if window == WindowKind::Month {
            months.into_iter().collect()
        } else {
            let hours: Vec<Vec<i64>> = stream::iter(months)
                .map(|month| async move { self.starts(&keys::windows(month)).await })
                .buffer_unordered(PARALLEL)
                .try_collect()
                .await?;
            hours.into_iter().flatten().map(|hour| window.start(hour)).collect()
        };
        Ok(occupied.into_iter().filter(|start| (first..to).contains(start)).collect())
    }

    async fn agents_of(&self, hour: i64) -> Result<Vec<AgentId>, LedgerError> {
        let parts: Vec<_> = stream::iter(0..HOUR_SPREAD)
            .map(|part| async move { self.partition(&keys::hour(hour, part)).await })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let broken = || LedgerError::Broken(format!("a note of hour {hour} is not readable"));
        let agent = |item: &super::value::Item| {
            let name = keys::unescape(str_of(item, "sk")?).ok_or_else(broken)?;
            AgentId::parse(&name).map_err(|_| broken())
        };
        parts.iter().flatten().map(agent).collect()
    }

    /// Adds records of these agents at a place, until there are enough.
    async fn collect(
        &self,
        agents: &[AgentId],
        place: &Place,
        query: &RecordQuery,
        found: &mut Vec<Record>,
    ) -> Result<(), LedgerError> {
        let limit = query.limit;
        let page = limit.saturating_sub(found.len()).clamp(1, PAGE);
        let mut after = query.after.as_ref().map(Candidate::of);
        while found.len() < limit {
            let (mut candidates, is_all) = self.candidates(agents, place, after.as_ref(), page).await?;
            let is_last = is_all && candidates.len() <= page;
            candidates.truncate(page);
            let items = self.items(candidates.iter().map(|c| c.item.clone()).collect()).await?;
            for candidate in &candidates {
                let Some(item) = items.get(&candidate.item) else { continue };
                let record = records::record(item)?;
                let begins = record.data.span().map(|(earliest, _)| earliest.as_nanosecond());
                let is_in = begins.is_some_and(|at| at < i128::from(place.range.to).saturating_mul(NANOS));
                if is_in && found.len() < limit {
                    found.push(record);
                }
            }
            if is_last {
                return Ok(());
            }
            after = candidates.pop();
        }
        Ok(())
    }

    /// The newest records of these agents after one of them, at least `page` if there are so many, and whether
    /// these are all.
    async fn candidates(
        &self,
        agents: &[AgentId],
        place: &Place,
        after: Option<&Candidate>,
        page: usize,
    ) -> Result<(Vec<Candidate>, bool), LedgerError> {
        let upper = match (after, &place.upper) {
            (Some(after), Some(upper)) => upper.clone().min(format!("{}#{END}", after.latest)),
            (Some(after), None) => format!("{}#{END}", after.latest),
            (None, Some(upper)) => upper.clone(),
            (None, None) => END.to_string(),
        };
        if upper <= place.lower {
            return Ok((Vec::new(), true));
        }
        let parts: Vec<(AgentId, u32)> =
            agents.iter().flat_map(|agent| (0..AGENT_SPREAD).map(|part| (agent.clone(), part))).collect();
        let listed: Vec<Vec<Candidate>> = stream::iter(parts)
            .map(|(agent, part)| {
                let upper = upper.clone();
                async move {
                    let mut some = Vec::new();
                    let query = Query {
                        index: Some(BY_TIME),
                        sort: Sort::Between(place.lower.clone(), upper),
                        newest_first: true,
                        page: Some(page),
                        ..Query::of(&keys::agent_time(&agent, part))
                    };
                    self.query(query, |item| {
                        let candidate = Candidate::read(&agent, &item)?;
                        if after.is_none_or(|after| candidate.order() < after.order()) {
                            some.push(candidate);
                        }
                        Ok(some.len() < page)
                    })
                    .await?;
                    Ok::<_, LedgerError>(some)
                }
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let is_all = listed.iter().all(|some| some.len() < page);
        let mut candidates: Vec<_> = listed.into_iter().flatten().collect();
        candidates.sort_unstable_by(|a, b| b.order().cmp(&a.order()));
        Ok((candidates, is_all))
    }

    /// How far each lane was settled.
    pub(super) async fn lanes(&self) -> Result<Vec<(u32, u64)>, LedgerError> {
        let items = self.partition(LANES).await?;
        let lane = |item: &super::value::Item| {
            let broken = || LedgerError::Broken("a note of lanes is not readable".to_owned());
            let lane = str_of(item, "sk")?.parse().map_err(|_| broken())?;
            Ok((lane, number_of(item, "settled")?.unwrap_or(0)))
        };
        items.iter().map(lane).collect()
    }
}

const NANOS: i128 = 1_000_000_000;

/// What a commit asks to be noted, its lane aside.
pub(super) fn notes_of(commit: &Commit) -> BTreeSet<Key> {
    let mut notes = BTreeSet::new();
    for hour in starts_of(&commit.additions, WindowKind::Hour) {
        notes.insert((keys::windows(WindowKind::Month.start(hour)), format!("{hour:012}")));
    }
    for month in starts_of(&commit.additions, WindowKind::Month) {
        notes.insert((MONTHS.to_owned(), format!("{month:012}")));
    }
    for write in &commit.records {
        let Some((_, latest)) = write.record.data.span() else { continue };
        let at = latest.as_second().max(0);
        let (month, hour) = (WindowKind::Month.start(at), WindowKind::Hour.start(at));
        let agent = write.record.agent.as_str();
        notes.insert((RECORD_MONTHS.to_owned(), format!("{month:012}")));
        notes.insert((keys::hours(month), format!("{hour:012}")));
        notes.insert((keys::hour(hour, keys::spread(agent, HOUR_SPREAD)), keys::escape(agent)));
    }
    notes
}

/// The windows of a kind that are added to.
fn starts_of(additions: &Additions, window: WindowKind) -> BTreeSet<i64> {
    additions.iter().filter(|(key, _)| key.window == window).map(|(key, _)| key.start).collect()
}

/// Where in an index to look.
struct Place {
    lower: String,
    upper: Option<String>,
    range: Range,
}

fn seconds(at: i64) -> String {
    format!("{:011}", at.max(0))
}

fn lower(at: i64) -> String {
    format!("{}000000000", seconds(at))
}

/// A record in the index of an agent's records by time.
struct Candidate {
    latest: String,
    agent: String,
    key: String,
    item: Key,
}

impl Candidate {
    fn read(agent: &AgentId, item: &super::value::Item) -> Result<Self, LedgerError> {
        let (latest, key) = str_of(item, "tsk")?.split_once('#').unwrap_or_default();
        Ok(Self {
            latest: latest.to_owned(),
            agent: agent.to_string(),
            key: key.to_owned(),
            item: (str_of(item, "pk")?.to_owned(), str_of(item, "sk")?.to_owned()),
        })
    }

    fn of(cursor: &RecordCursor) -> Self {
        let RecordCursor { latest, agent, key } = cursor;
        Self {
            latest: keys::nanos(*latest),
            agent: agent.to_string(),
            key: RecordKey::to_string(key),
            item: keys::record(agent, key),
        }
    }

    fn order(&self) -> (&str, &str, &str) {
        (&self.latest, &self.agent, &self.key)
    }
}
