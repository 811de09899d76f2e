//! A ledger on disk, what is in it, and records to deliver.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lambda_events::kinesis::KinesisEventRecord;
use local::ledger::SqliteLedger;
use operate::{Page, Replayed, SourceError, Start};
use shared::ledger::{RollupQuery, RollupStore};
use shared::rollup::{Parts, RollupKey, ScopeKind};
use shared::window::WindowKind;

/// A ledger in a file, so that a test can get at its tables.
pub(crate) struct OnDisk {
    pub(crate) ledger: Arc<SqliteLedger>,
    dir: tempfile::TempDir,
}

impl OnDisk {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Arc::new(SqliteLedger::open(&dir.path().join("ledger.db")).unwrap());
        Self { ledger, dir }
    }

    /// Its tables, behind the back of the ledger.
    pub(crate) fn tables(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.dir.path().join("ledger.db")).unwrap()
    }
}

/// Every rollup that is not nothing.
pub(crate) async fn rollups(ledger: &SqliteLedger) -> BTreeMap<RollupKey, Parts> {
    let mut all = BTreeMap::new();
    for kind in ScopeKind::ALL {
        for window in WindowKind::ALL {
            let (from, to) = (1_735_689_600, 1_830_297_600);
            let query = RollupQuery { kind, a: None, b: None, window, from, to };
            for row in ledger.rollup_rows(&query).await.unwrap() {
                if !row.parts.is_zero() {
                    all.insert(RollupKey { scope: row.scope, window, start: row.start }, row.parts);
                }
            }
        }
    }
    all
}

/// Records in memory, by shard.
#[derive(Default)]
pub(crate) struct Records {
    pub(crate) shards: BTreeMap<String, Vec<KinesisEventRecord>>,
    open: (String, usize),
}

impl Records {
    /// Of a stream of the exactly-once suite.
    pub(crate) fn of(partitions: BTreeMap<String, Vec<Vec<u8>>>) -> Self {
        let mut records = Self::default();
        for (key, all) in partitions {
            for data in all {
                records.push(&key, data);
            }
        }
        records
    }

    pub(crate) fn push(&mut self, key: &str, data: Vec<u8>) {
        let shard = self.shards.entry(format!("shardId-{key}")).or_default();
        let mut record = KinesisEventRecord::default();
        record.kinesis.sequence_number = (shard.len() + 1).to_string();
        record.event_id = Some(format!("shardId-{key}:{}", record.kinesis.sequence_number));
        // A second apart.
        record.kinesis.approximate_arrival_timestamp.0 +=
            std::time::Duration::from_secs(1_772_884_800 + shard.len() as u64);
        key.clone_into(&mut record.kinesis.partition_key);
        record.kinesis.data.0 = data;
        shard.push(record);
    }
}

impl Replayed for Records {
    async fn shards(&mut self) -> Result<Vec<String>, SourceError> {
        Ok(self.shards.keys().cloned().collect())
    }

    async fn seek(&mut self, shard: &str, start: &Start) -> Result<(), SourceError> {
        let from = match start {
            Start::Oldest | Start::At(_) => 0,
            Start::Sequence(number) => number.parse::<usize>().unwrap() - 1,
            Start::After(number) => number.parse().unwrap(),
        };
        self.open = (shard.to_owned(), from);
        Ok(())
    }

    async fn next(&mut self, limit: usize) -> Result<Page, SourceError> {
        let (shard, from) = &mut self.open;
        let all = &self.shards[shard];
        let to = (*from + limit.min(3)).min(all.len());
        let records = all[*from..to].to_vec();
        *from = to;
        Ok(Page { records, is_last: to == all.len() })
    }
}
