//! What is noted beside records, before they are written, so that lists find them: lanes, months with totals,
//! hours with records, and the agents of each hour. A note without what it tells of does no harm.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{PutRequest, WriteRequest};
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::id::AgentId;
use shared::ledger::{Commit, LedgerError};
use shared::rollup::Additions;
use shared::window::WindowKind;

use super::call::{RACES, failed, pause};
use super::keys::{self, HOUR_SPREAD, Key, LANES, MONTHS};
use super::value::{Item, keyed, number_of, str_of};
use super::{PARALLEL, Table};

/// In which months there are records.
pub(super) const RECORD_MONTHS: &str = "DM";
/// The most items of one `BatchWriteItem`.
pub(super) const WRITES: usize = 25;
/// What is remembered as noted; beyond, it is noted again.
const REMEMBERED: usize = 200_000;
/// After everything else in a sort key.
pub(super) const END: char = '\u{10ffff}';

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
        self.put_all(notes.iter().cloned().map(keyed).collect()).await?;
        let mut noted = noted();
        if noted.len() > REMEMBERED {
            noted.clear();
        }
        noted.extend(notes);
        if is_new_lane {
            noted.insert(lane);
        }
        Ok(())
    }

    /// Writes items whatever is there, so that writing them again does no harm. No two may have the same key.
    pub(super) async fn put_all(&self, items: Vec<Item>) -> Result<(), LedgerError> {
        let chunks: Vec<Vec<Item>> = items.chunks(WRITES).map(<[Item]>::to_vec).collect();
        stream::iter(chunks).map(|some| self.put_some(some)).buffer_unordered(PARALLEL).try_collect().await
    }

    async fn put_some(&self, items: Vec<Item>) -> Result<(), LedgerError> {
        let request = |item: Item| {
            let put = PutRequest::builder().set_item(Some(item)).build();
            put.map(|put| WriteRequest::builder().put_request(put).build())
        };
        let mut left: Vec<_> = items
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

    /// The agents with records in an hour.
    pub(super) async fn agents_of(&self, hour: i64) -> Result<Vec<AgentId>, LedgerError> {
        let parts: Vec<_> = stream::iter(0..HOUR_SPREAD)
            .map(|part| async move { self.partition(&keys::hour(hour, part)).await })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let broken = || LedgerError::Broken(format!("a note of hour {hour} is not readable"));
        let agent = |item: &Item| {
            let name = keys::unescape(str_of(item, "sk")?).ok_or_else(broken)?;
            AgentId::parse(&name).map_err(|_| broken())
        };
        parts.iter().flatten().map(agent).collect()
    }

    /// How far each lane was settled.
    pub(super) async fn lanes(&self) -> Result<Vec<(u32, u64)>, LedgerError> {
        let items = self.partition(LANES).await?;
        let lane = |item: &Item| {
            let broken = || LedgerError::Broken("a note of lanes is not readable".to_owned());
            let lane = str_of(item, "sk")?.parse().map_err(|_| broken())?;
            Ok((lane, number_of(item, "settled")?.unwrap_or(0)))
        };
        items.iter().map(lane).collect()
    }
}

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

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput};
    use aws_smithy_mocks::mock;

    use super::*;
    use crate::mocks::mock_client;

    #[tokio::test]
    async fn what_was_not_written_of_a_batch_is_written_again() {
        let taken: Arc<Mutex<Vec<usize>>> = Arc::default();
        let sizes = Arc::clone(&taken);
        // A third of what comes is left over.
        let rule = mock!(Client::batch_write_item).then_compute_output(move |input: &BatchWriteItemInput| {
            let mut writes = input.request_items().unwrap()["t"].clone();
            sizes.lock().unwrap().push(writes.len());
            writes.truncate(writes.len() / 3);
            let left = (!writes.is_empty()).then(|| HashMap::from([("t".to_owned(), writes)]));
            BatchWriteItemOutput::builder().set_unprocessed_items(left).build()
        });
        let table = Table::new(mock_client!(aws_sdk_dynamodb, [&rule]), "t".to_owned());
        let items = (0..30).map(|n| keyed(("T#a".to_owned(), n.to_string())));
        table.put_all(items.collect()).await.unwrap();
        let mut sizes = taken.lock().unwrap().clone();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 2, 5, 8, 25]);
    }
}
