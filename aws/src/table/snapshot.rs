//! As of when totals are read: how far each lane's journal counts.
//!
//! A reader takes the numbers that the lanes were settled to, and then those that their journals have come to. What
//! lies between is added to the rollups that do not have it; what a rollup has beyond is taken away again. An entry
//! that changes what an entry of another lane wrote counts only if that counts, too.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::ledger::LedgerError;
use shared::rollup::{Parts, RollupKey};

use super::journal::{self, Entry};
use super::keys::{self, HEAD};
use super::value::{number_of, str_of};
use super::{PARALLEL, Query, Sort, Table};

/// How far a lane counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    /// All entries up to this one are in the rollups.
    pub(super) settled: u64,
    /// Entries up to this one count.
    pub(super) cut: u64,
    /// Those after `settled`.
    pub(super) open: BTreeMap<u64, Entry>,
}

/// How far each lane counts.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) lanes: HashMap<u32, Lane>,
}

impl Table {
    /// Takes a snapshot, keeping of open entries what `wanted` says.
    pub(super) async fn snapshot(
        &self,
        wanted: &(dyn Fn(&RollupKey) -> bool + Sync),
    ) -> Result<Snapshot, LedgerError> {
        // In this order: what an entry needs was written before it, so the needs of all that is settled lie
        // before the heads that are read next.
        let settled = self.lanes().await?;
        let heads = settled.iter().map(|(lane, _)| (keys::journal(*lane), HEAD.to_owned())).collect();
        let heads = self.items(heads).await?;
        let mut lanes = HashMap::new();
        for (lane, settled) in settled {
            let head = heads.get(&(keys::journal(lane), HEAD.to_owned()));
            let head = head.map(|item| number_of(item, "n")).transpose()?.flatten().unwrap_or(0);
            lanes.insert(lane, Lane { settled, cut: head.max(settled), open: BTreeMap::new() });
        }
        let behind: Vec<_> =
            lanes.iter().filter(|(_, l)| l.cut > l.settled).map(|(n, l)| (*n, l.clone())).collect();
        let open: Vec<_> = stream::iter(behind)
            .map(|(lane, at)| async move {
                let mut entries = self.open_entries(lane, at.settled + 1, at.cut).await?;
                for entry in entries.values_mut() {
                    entry.additions.retain(|(key, _)| wanted(key));
                    // Few of some thousand: the room of the others is not kept.
                    entry.additions.shrink_to_fit();
                }
                Ok::<_, LedgerError>((lane, entries))
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        for (number, entries) in open {
            if let Some(lane) = lanes.get_mut(&number) {
                lane.open = entries;
            }
        }
        let mut snapshot = Snapshot { lanes };
        snapshot.leave_out_what_lacks_its_needs();
        Ok(snapshot)
    }

    /// Entries `first` to `last` of a lane: all of them, or an error.
    pub(super) async fn entries(
        &self,
        lane: u32,
        first: u64,
        last: u64,
    ) -> Result<BTreeMap<u64, Entry>, LedgerError> {
        decoded(lane, first, last, &self.stored_entries(lane, first, last).await?)
    }

    /// The same of those after `first`, which were not settled: those that were read before are kept in mind.
    async fn open_entries(
        &self,
        lane: u32,
        first: u64,
        last: u64,
    ) -> Result<BTreeMap<u64, Entry>, LedgerError> {
        let mut stored = self.remembered().known(lane, first, last);
        let next = stored.last_key_value().map_or(first, |(n, _)| n + 1);
        let read = if next <= last { self.stored_entries(lane, next, last).await? } else { BTreeMap::new() };
        stored.extend(read.iter().map(|(n, bytes)| (*n, Arc::clone(bytes))));
        let entries = decoded(lane, first, last, &stored)?;
        // Only what could be read: an entry of several items may have been seen in part.
        self.remembered().keep(lane, first, &read);
        Ok(entries)
    }

    async fn stored_entries(
        &self,
        lane: u32,
        first: u64,
        last: u64,
    ) -> Result<BTreeMap<u64, Arc<[u8]>>, LedgerError> {
        let mut pieces: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        let pk = keys::journal(lane);
        let broken = || LedgerError::Broken(format!("the journal of lane {lane} is not readable"));
        let sort = Sort::Between(keys::entry(first, 0), keys::entry(last, 9));
        self.query(Query { sort, ..Query::of(&pk) }, |item| {
            let sk = str_of(&item, "sk")?;
            let n = sk.split('#').nth(1).and_then(|n| n.parse().ok()).ok_or_else(broken)?;
            let Some(AttributeValue::B(data)) = item.get("data") else { return Err(broken()) };
            pieces.entry(n).or_default().extend_from_slice(data.as_ref());
            Ok(true)
        })
        .await?;
        Ok(pieces.into_iter().map(|(n, bytes)| (n, bytes.into())).collect())
    }
}

fn decoded(
    lane: u32,
    first: u64,
    last: u64,
    stored: &BTreeMap<u64, Arc<[u8]>>,
) -> Result<BTreeMap<u64, Entry>, LedgerError> {
    if let Some(lost) = (first..=last).find(|n| !stored.contains_key(n)) {
        return Err(LedgerError::Broken(format!(
            "entry {lost} of the journal of lane {lane} is gone before it was settled; \
             `agentledger replay --shadow --promote` makes the rollups anew from the records"
        )));
    }
    stored.iter().map(|(n, bytes)| Ok((*n, journal::decode(bytes)?))).collect()
}

impl Snapshot {
    /// Moves cuts back until every entry that counts has what it needs.
    fn leave_out_what_lacks_its_needs(&mut self) {
        loop {
            let cuts: HashMap<u32, u64> = self.lanes.iter().map(|(lane, at)| (*lane, at.cut)).collect();
            let mut moved = false;
            for lane in self.lanes.values_mut() {
                let lacks = |entry: &Entry| {
                    entry.needs.iter().any(|(other, n)| cuts.get(other).is_none_or(|cut| cut < n))
                };
                let first = lane.open.range(..=lane.cut).find(|(_, entry)| lacks(entry));
                if let Some((n, _)) = first {
                    lane.cut = n - 1;
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// What open entries that count add, by rollup and lane.
    pub(super) fn open(&self) -> HashMap<RollupKey, Vec<(u32, u64, &Parts)>> {
        let mut open: HashMap<RollupKey, Vec<(u32, u64, &Parts)>> = HashMap::new();
        for (number, lane) in &self.lanes {
            for (n, entry) in lane.open.range(..=lane.cut) {
                for (key, parts) in &entry.additions {
                    open.entry(key.clone()).or_default().push((*number, *n, parts));
                }
            }
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(settled: u64, cut: u64, needs: &[(u64, u32, u64)]) -> Lane {
        let mut open: BTreeMap<u64, Entry> = (settled + 1..=cut).map(|n| (n, Entry::default())).collect();
        for (n, other, of) in needs {
            open.entry(*n).or_default().needs.push((*other, *of));
        }
        Lane { settled, cut, open }
    }

    #[test]
    fn an_entry_counts_only_with_what_it_changes() {
        let lanes = HashMap::from([
            (0, lane(3, 5, &[])),
            // Its second open entry changes what entry 6 of lane 0 wrote, which came after the heads were read.
            (1, lane(7, 9, &[(8, 0, 5), (9, 0, 6)])),
            // Which takes what rests on that with it.
            (2, lane(0, 2, &[(1, 1, 9)])),
        ]);
        let mut snapshot = Snapshot { lanes };
        snapshot.leave_out_what_lacks_its_needs();
        let cut = |lane: u32| snapshot.lanes[&lane].cut;
        assert_eq!((cut(0), cut(1), cut(2)), (5, 8, 0));
    }
}
