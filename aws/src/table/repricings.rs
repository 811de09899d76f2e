//! Repricings that were applied, and how far each came.

use shared::id::OwnId;
use shared::ledger::LedgerError;
use shared::repricing::{RepricingStore, Run};

use super::value::{json, keyed, number, read, text, with};
use super::{Table, keys};

impl RepricingStore for Table {
    async fn repricing(&self, run: &OwnId) -> Result<Option<Run>, LedgerError> {
        self.item(key(run)).await?.map(|item| read(&item, "data")).transpose()
    }

    async fn put_repricing(&self, run: &Run) -> Result<bool, LedgerError> {
        let item = with(keyed(key(&run.run)), "data", json(run)?);
        let item = with(item, "v", number(run.revision));
        let order = format!("{}#{}", keys::nanos(run.started_at), run.run);
        let item = with(with(item, "tpk", text("RP")), "tsk", text(order));
        self.put_versioned(item, run.revision.saturating_sub(1)).await
    }

    async fn repricings(&self, limit: usize) -> Result<Vec<Run>, LedgerError> {
        self.newest("RP", limit).await?.iter().map(|item| read(item, "data")).collect()
    }
}

fn key(run: &OwnId) -> keys::Key {
    (format!("RP#{run}"), "RP".to_owned())
}
