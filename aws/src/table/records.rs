//! Records: found by their keys, and listed by time.

use jiff::Timestamp;
use shared::id::{AgentId, RecordKey};
use shared::ledger::{
    Commit, CommitError, Conflict, LedgerError, QuarantineState, Quarantined, RecordQuery, RecordStore,
};
use shared::record::Record;

use super::commit::{MAX_BYTES, MAX_ITEMS, MAX_RECORDS};
use super::settle::Haste;
use super::value::{Item, json, keyed, number, number_of, read, str_of, text, with};
use super::{Query, Table, UNMET, keys};

/// A record's item. `place` is the entry of a journal that holds what it added last.
pub(super) fn item(record: &Record, place: Option<(u32, u64)>) -> Result<Item, LedgerError> {
    let mut item = keyed(keys::record(&record.agent, &record.key));
    item = with(item, "agent", text(record.agent.as_str()));
    item = with(item, "key", text(record.key.to_string()));
    item = with(item, "v", number(record.version));
    item = with(item, "data", json(&record.data)?);
    if let Some((lane, n)) = place {
        item = with(item, "lane", number(lane));
        item = with(item, "n", number(n));
    }
    if record.data.unmet().next().is_some() {
        let order = format!("{}#{}", keys::escape(record.agent.as_str()), record.key);
        item = with(with(item, "upk", text("U")), "usk", text(order));
    }
    Ok(item)
}

/// Reads a record's item.
pub(super) fn record(item: &Item) -> Result<Record, LedgerError> {
    let (agent, key) = (str_of(item, "agent")?, str_of(item, "key")?);
    let broken = |what: &str| LedgerError::Broken(format!("record {agent} {key}: {what}"));
    Ok(Record {
        agent: AgentId::parse(agent).map_err(|e| broken(&format!("its agent {e}")))?,
        key: RecordKey::parse(key).ok_or_else(|| broken("its key is not readable"))?,
        version: number_of(item, "v")?.ok_or_else(|| broken("it has no version"))?,
        data: read(item, "data").map_err(|e| broken(&e.to_string()))?,
    })
}

/// What is stored of a record that is to be rewritten.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) record: Option<Record>,
    /// The entry of a journal that holds what it added last.
    pub(super) place: Option<(u32, u64)>,
}

impl Written {
    pub(super) fn of(found: Option<&Item>) -> Result<Self, LedgerError> {
        let Some(found) = found else { return Ok(Self { record: None, place: None }) };
        let place = number_of(found, "lane")?.zip(number_of(found, "n")?);
        Ok(Self { record: Some(record(found)?), place })
    }
}

impl RecordStore for Table {
    fn max_commit_items(&self) -> usize {
        MAX_ITEMS
    }

    fn max_commit_records(&self) -> usize {
        MAX_RECORDS
    }

    fn max_commit_bytes(&self) -> usize {
        MAX_BYTES
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.transact(commit).await
    }

    async fn settle(&self, lanes: &[u32]) -> Result<(), LedgerError> {
        for lane in lanes {
            self.settle_lane(*lane, Haste::Now).await?;
        }
        Ok(())
    }

    async fn settle_if_due(&self, lanes: &[u32]) -> Result<(), LedgerError> {
        for lane in lanes {
            self.settle_lane(*lane, Haste::IfDue).await?;
        }
        Ok(())
    }

    async fn get(&self, wanted: &[(AgentId, RecordKey)]) -> Result<Vec<Option<Record>>, LedgerError> {
        let keys: Vec<_> = wanted.iter().map(|(agent, key)| keys::record(agent, key)).collect();
        let items = self.items(keys.clone()).await?;
        keys.iter().map(|key| items.get(key).map(record).transpose()).collect()
    }

    async fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, LedgerError> {
        self.list_records(query).await
    }

    async fn put_conflict(&self, conflict: Conflict) -> Result<bool, LedgerError> {
        self.keep_conflict(&conflict).await
    }

    async fn conflicts(&self, limit: usize) -> Result<Vec<Conflict>, LedgerError> {
        self.newest("C", limit).await?.iter().map(|item| read(item, "data")).collect()
    }

    async fn quarantine(&self, item: Quarantined) -> Result<bool, LedgerError> {
        self.put_aside(&item).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, LedgerError> {
        self.newest("Q", limit).await?.iter().map(|item| read(item, "data")).collect()
    }

    async fn quarantined_item(&self, id: &str) -> Result<Option<Quarantined>, LedgerError> {
        self.aside_item(id).await
    }

    async fn mark_quarantined(&self, id: &str, state: &QuarantineState) -> Result<bool, LedgerError> {
        self.mark_aside(id, state).await
    }

    async fn remove_quarantined(&self, id: &str) -> Result<bool, LedgerError> {
        self.remove_aside(id).await
    }

    async fn awaited(&self, limit: usize) -> Result<Vec<Record>, LedgerError> {
        let mut found = Vec::new();
        if limit > 0 {
            let query = Query { index: Some(UNMET), page: Some(limit), ..Query::of("U") };
            self.query(query, |item| {
                found.push((str_of(&item, "pk")?.to_owned(), str_of(&item, "sk")?.to_owned()));
                Ok(found.len() < limit)
            })
            .await?;
        }
        let items = self.items(found.clone()).await?;
        // The index is a moment behind: what has been met in between is not listed.
        let unmet = |record: &Record| record.data.unmet().next().is_some();
        let records = found.iter().filter_map(|key| items.get(key)).map(record);
        records.filter(|record| record.as_ref().map_or(true, unmet)).collect()
    }

    async fn closed_before(&self) -> Result<Option<Timestamp>, LedgerError> {
        self.watermark().await
    }

    async fn close_before(&self, at: Timestamp) -> Result<(), LedgerError> {
        self.move_watermark(at).await
    }
}
