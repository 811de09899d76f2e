//! The ledger in one DynamoDB table.
//!
//! A commit is one transaction: the records, each under its condition, and one entry of the lane's journal that
//! holds what they add to the rollups. Entries are numbered, and are brought into the rollups afterwards, each
//! rollup remembering the number that it has come to: so an entry adds once, whoever brings it in, however often.
//! Readers add what is not brought in yet. See `docs/adr/0009-dynamodb.md`.

mod alerts;
mod aside;
mod books;
mod budgets;
mod call;
mod change;
mod commit;
mod deliveries;
mod directory;
mod journal;
mod keys;
mod listing;
mod look;
mod merge;
mod pages;
mod records;
mod remembered;
mod repricings;
mod revocations;
mod rollups;
mod rows;
mod sequences;
#[cfg(feature = "cloudwatch")]
mod series;
mod settle;
pub mod size;
mod snapshot;
mod totals;
mod value;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Select};
use shared::ledger::LedgerError;

use call::{RACES, failed, is_refused, pause};
use keys::Key;
use remembered::Remembered;
use value::{Item, str_of, text};

pub use change::to_change;
pub use look::Described;

/// The index of alerts, conflicts and the quarantine by time.
const BY_TIME: &str = "by_time";
/// The index of records with corrections that take no effect.
const UNMET: &str = "unmet";
/// The most keys of one `BatchGetItem`.
const BATCH: usize = 100;
/// How many calls of one request are made at once.
const PARALLEL: usize = 16;

/// The ledger in a table. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Table {
    inner: Arc<Inner>,
    /// How long what is settled only if it is due may wait.
    settle_every: Duration,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    name: String,
    /// The newest number of each lane's journal, as far as is known here. What is stale is found out.
    heads: Mutex<HashMap<u32, u64>>,
    /// What is noted in the directory already.
    noted: Mutex<BTreeSet<Key>>,
    /// Entries that were read while they were open.
    remembered: Mutex<Remembered>,
}

impl Table {
    /// The ledger in the table of this name.
    pub fn new(client: Client, name: String) -> Self {
        let (heads, noted, remembered) = (Mutex::default(), Mutex::default(), Mutex::default());
        let inner = Inner { client, name, heads, noted, remembered };
        Self { inner: Arc::new(inner), settle_every: Duration::ZERO }
    }

    /// The same, where entries may wait so long for others before they are brought into the rollups: reading totals
    /// adds them, but nobody is told of a change before. It takes somebody who calls
    /// [`settle_overdue`](Self::settle_overdue) from time to time.
    #[must_use]
    pub fn settling_every(self, settle_every: Duration) -> Self {
        Self { settle_every, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    fn client(&self) -> &Client {
        &self.inner.client
    }

    fn heads(&self) -> MutexGuard<'_, HashMap<u32, u64>> {
        // Whatever panicked, a stale number is found out.
        self.inner.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        // Whatever panicked, entries are what they were.
        self.inner.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads an item, consistently.
    async fn item(&self, key: Key) -> Result<Option<Item>, LedgerError> {
        let got = self
            .client()
            .get_item()
            .table_name(self.name())
            .key("pk", text(key.0))
            .key("sk", text(key.1))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| failed("reading an item", &e))?;
        Ok(got.item)
    }

    /// Reads items, consistently, in any order.
    async fn items(&self, keys: Vec<Key>) -> Result<HashMap<Key, Item>, LedgerError> {
        let mut found = HashMap::new();
        for some in keys.chunks(BATCH) {
            // A key that is named twice is refused.
            let some: BTreeSet<&Key> = some.iter().collect();
            let key = |key: &&Key| {
                HashMap::from([("pk".to_owned(), text(&key.0)), ("sk".to_owned(), text(&key.1))])
            };
            let mut wanted: Vec<_> = some.iter().map(key).collect();
            for attempt in 0..RACES {
                let request =
                    KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(true).build();
                let request = request.map_err(|e| LedgerError::Broken(e.to_string()))?;
                let got = self
                    .client()
                    .batch_get_item()
                    .request_items(self.name(), request)
                    .send()
                    .await
                    .map_err(|e| failed("reading items", &e))?;
                for item in got.responses.into_iter().filter_map(|mut by| by.remove(self.name())).flatten() {
                    found.insert((str_of(&item, "pk")?.to_owned(), str_of(&item, "sk")?.to_owned()), item);
                }
                let left = got.unprocessed_keys.and_then(|mut by| by.remove(self.name()));
                wanted = left.map(|left| left.keys).unwrap_or_default();
                if wanted.is_empty() {
                    break;
                }
                pause(attempt).await;
            }
            if !wanted.is_empty() {
                return Err(LedgerError::Retry("reading items: throttled for long".to_owned()));
            }
        }
        Ok(found)
    }

    /// Reads the items of a query, chunk by chunk, until `take` has enough.
    async fn query(
        &self,
        query: Query,
        mut take: impl FnMut(Item) -> Result<bool, LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut from = None;
        loop {
            let (items, next) = self.chunk(&query, from).await?;
            for item in items {
                if !take(item)? {
                    return Ok(());
                }
            }
            if next.is_none() {
                return Ok(());
            }
            from = next;
        }
    }

    /// Reads some items of a query, and from where to go on; nowhere if these are the last.
    async fn chunk(
        &self,
        query: &Query,
        from: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), LedgerError> {
        let (pk, sk) = if query.index == Some(UNMET) {
            ("upk", "usk")
        } else if query.index.is_some() {
            ("tpk", "tsk")
        } else {
            ("pk", "sk")
        };
        let mut request = self
            .client()
            .query()
            .table_name(self.name())
            .set_index_name(query.index.map(str::to_owned))
            .consistent_read(query.index.is_none())
            .scan_index_forward(!query.newest_first)
            .set_limit(query.page.and_then(|page| i32::try_from(page).ok()))
            .set_exclusive_start_key(from)
            .expression_attribute_names("#p", pk)
            .expression_attribute_values(":p", text(query.pk.clone()));
        let mut condition = "#p = :p".to_owned();
        match &query.sort {
            Sort::All => {}
            Sort::Prefix(prefix) => {
                condition.push_str(" AND begins_with(#s, :a)");
                request = request.expression_attribute_values(":a", text(prefix.clone()));
            }
            Sort::Between(first, last) => {
                condition.push_str(" AND #s BETWEEN :a AND :b");
                request = request
                    .expression_attribute_values(":a", text(first.clone()))
                    .expression_attribute_values(":b", text(last.clone()));
            }
        }
        if !matches!(query.sort, Sort::All) {
            request = request.expression_attribute_names("#s", sk);
        }
        if query.index.is_some() {
            request = request.select(Select::AllProjectedAttributes);
        }
        let page = request
            .key_condition_expression(condition)
            .send()
            .await
            .map_err(|e| failed("listing items", &e))?;
        Ok((page.items.unwrap_or_default(), page.last_evaluated_key.filter(|key| !key.is_empty())))
    }

    /// All items of a partition.
    async fn partition(&self, pk: &str) -> Result<Vec<Item>, LedgerError> {
        let mut found = Vec::new();
        self.query(Query::of(pk), |item| {
            found.push(item);
            Ok(true)
        })
        .await?;
        Ok(found)
    }

    /// Keys of an index's partition, the newest first, and then the items.
    async fn newest(&self, tpk: &str, limit: usize) -> Result<Vec<Item>, LedgerError> {
        let mut keys = Vec::new();
        let query = Query { index: Some(BY_TIME), newest_first: true, page: Some(limit), ..Query::of(tpk) };
        if limit > 0 {
            self.query(query, |item| {
                keys.push((str_of(&item, "pk")?.to_owned(), str_of(&item, "sk")?.to_owned()));
                Ok(keys.len() < limit)
            })
            .await?;
        }
        let mut items = self.items(keys.clone()).await?;
        Ok(keys.into_iter().filter_map(|key| items.remove(&key)).collect())
    }

    /// Writes an item if there is none; false if there is one.
    async fn put_new(&self, item: Item) -> Result<bool, LedgerError> {
        let put = self
            .client()
            .put_item()
            .table_name(self.name())
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        match put {
            Ok(_) => Ok(true),
            Err(e) if is_refused(&e) => Ok(false),
            Err(e) => Err(failed("writing an item", &e)),
        }
    }

    /// Writes an item that has the version `expected`, or none if that is 0; false if it has another.
    async fn put_versioned(&self, item: Item, expected: u64) -> Result<bool, LedgerError> {
        let put = self
            .client()
            .put_item()
            .table_name(self.name())
            .set_item(Some(item))
            .condition_expression(if expected == 0 { "attribute_not_exists(pk)" } else { "#v = :v" });
        let put = if expected == 0 {
            put
        } else {
            put.expression_attribute_names("#v", "v")
                .expression_attribute_values(":v", AttributeValue::N(expected.to_string()))
        };
        match put.send().await {
            Ok(_) => Ok(true),
            Err(e) if is_refused(&e) => Ok(false),
            Err(e) => Err(failed("writing an item", &e)),
        }
    }

    async fn remove(&self, key: Key) -> Result<(), LedgerError> {
        self.client()
            .delete_item()
            .table_name(self.name())
            .key("pk", text(key.0))
            .key("sk", text(key.1))
            .send()
            .await
            .map(drop)
            .map_err(|e| failed("removing an item", &e))
    }
}

/// Which items of one partition.
struct Query {
    index: Option<&'static str>,
    pk: String,
    sort: Sort,
    newest_first: bool,
    page: Option<usize>,
}

enum Sort {
    All,
    Prefix(String),
    Between(String, String),
}

impl Query {
    fn of(pk: &str) -> Self {
        Self { index: None, pk: pk.to_owned(), sort: Sort::All, newest_first: false, page: None }
    }
}
