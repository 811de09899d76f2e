//! Totals: partial rollups of the lanes, brought to one snapshot and added up.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use shared::ledger::{LedgerError, RollupQuery, RollupRow, RollupStore, TakeRow};
use shared::rollup::{Parts, RollupKey, Scope};
use shared::totals::Totals;
use shared::window::{Range, WindowKind};

use super::keys::{self, MONTHS};
use super::snapshot::Snapshot;
use super::value::{Item, number_of, str_of};
use super::{PARALLEL, Query, Sort, Table, totals};

/// So many windows are read without asking first which of them hold anything.
const FEW: usize = 4;
/// How many windows are read ahead.
const AHEAD: usize = 8;

type Open<'s> = HashMap<RollupKey, Vec<(u32, u64, &'s Parts)>>;

impl RollupStore for Table {
    async fn rollups(&self, queries: &[RollupQuery], take: TakeRow<'_>) -> Result<(), LedgerError> {
        let wanted = |key: &RollupKey| queries.iter().any(|query| matches(query, key));
        let snapshot = self.snapshot(&wanted).await?;
        let open = snapshot.open();
        for (n, query) in queries.iter().enumerate() {
            let starts = self.starts_of(query).await?;
            let mut windows =
                stream::iter(starts).map(|start| self.window(query, start, &snapshot, &open)).buffered(AHEAD);
            while let Some(rows) = windows.try_next().await? {
                rows.into_iter().try_for_each(|row| take(n, row))?;
            }
        }
        Ok(())
    }

    async fn extent(&self) -> Result<Option<Range>, LedgerError> {
        let months = self.starts(MONTHS).await?;
        let ends = months.first().zip(months.last());
        Ok(ends.map(|(first, last)| Range { from: *first, to: WindowKind::Month.end(*last) }))
    }
}

fn matches(query: &RollupQuery, key: &RollupKey) -> bool {
    key.scope.kind == query.kind
        && key.window == query.window
        && key.start < query.to
        && key.start >= query.window.start(query.from)
        && query.a.as_ref().is_none_or(|a| *a == key.scope.a)
        && query.b.as_ref().is_none_or(|b| *b == key.scope.b)
}

impl Table {
    /// The starts of a query's windows; of many, only those in which there may be anything.
    async fn starts_of(&self, query: &RollupQuery) -> Result<Vec<i64>, LedgerError> {
        let window = query.window;
        let first = window.start(query.from);
        let mut starts = Vec::new();
        let mut next = first;
        while next < query.to {
            if starts.len() == FEW {
                return self.occupied(window, first, query.to).await;
            }
            starts.push(next);
            next = window.end(next);
        }
        Ok(starts)
    }

    /// The rows of one window, in order.
    async fn window(
        &self,
        query: &RollupQuery,
        start: i64,
        snapshot: &Snapshot,
        open: &Open<'_>,
    ) -> Result<Vec<RollupRow>, LedgerError> {
        let buckets = match &query.a {
            Some(a) => {
                let bucket = keys::bucket(query.kind, a);
                bucket..bucket + 1
            }
            None => 0..keys::buckets(query.kind),
        };
        let items: Vec<Vec<Item>> = stream::iter(buckets)
            .map(|bucket| async move {
                let pk = keys::rollups(query.kind, query.window, start, bucket);
                let sort = query
                    .a
                    .as_ref()
                    .map_or(Sort::All, |a| Sort::Prefix(keys::rollup_prefix(a, query.b.as_deref())));
                let mut found = Vec::new();
                self.query(Query { sort, ..Query::of(&pk) }, |item| {
                    found.push(item);
                    Ok(true)
                })
                .await?;
                Ok::<_, LedgerError>(found)
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let mut rows: BTreeMap<(String, String), Parts> = BTreeMap::new();
        let mut has = HashSet::new();
        for item in items.iter().flatten() {
            let (pk, sk) = (str_of(item, "pk")?, str_of(item, "sk")?);
            let broken = || LedgerError::Broken(format!("item {pk} {sk} has no rollup's key"));
            let (key, lane) = keys::read_rollup(pk, sk).ok_or_else(broken)?;
            if !matches(query, &key) {
                continue;
            }
            let Some(view) = snapshot.lanes.get(&lane) else { continue };
            let n = number_of::<u64>(item, "n")?.unwrap_or(0);
            let mut parts = totals::read(item, key.window)?;
            for (_, _, more) in
                open.get(&key).into_iter().flatten().filter(|(l, at, _)| *l == lane && *at > n)
            {
                add(&mut parts, more)?;
            }
            if n > view.cut {
                self.take_back(lane, view.cut, n, &key, &mut parts).await?;
            }
            has.insert((key.clone(), lane));
            add_row(&mut rows, key, &parts)?;
        }
        for (key, adds) in open.iter().filter(|(key, _)| key.start == start && matches(query, key)) {
            for (lane, _, more) in adds {
                if !has.contains(&(key.clone(), *lane)) {
                    add_row(&mut rows, key.clone(), more)?;
                }
            }
        }
        let row = |((a, b), parts)| RollupRow { scope: Scope { kind: query.kind, a, b }, start, parts };
        Ok(rows.into_iter().map(row).collect())
    }

    /// Takes away what was brought in after the snapshot.
    async fn take_back(
        &self,
        lane: u32,
        cut: u64,
        n: u64,
        key: &RollupKey,
        parts: &mut Parts,
    ) -> Result<(), LedgerError> {
        for entry in self.entries(lane, cut + 1, n).await?.values() {
            for (_, more) in entry.additions.iter().filter(|(other, _)| other == key) {
                add(parts, &Parts(more.0.iter().map(Totals::negated).collect()))?;
            }
        }
        Ok(())
    }
}

fn add(sum: &mut Parts, more: &Parts) -> Result<(), LedgerError> {
    sum.add(more).map_err(|e| LedgerError::Broken(e.to_string()))
}

fn add_row(
    rows: &mut BTreeMap<(String, String), Parts>,
    key: RollupKey,
    parts: &Parts,
) -> Result<(), LedgerError> {
    let empty = || Parts::empty(key.window);
    add(rows.entry((key.scope.a, key.scope.b)).or_insert_with(empty), parts)
}
