//! Repricings that were applied, and how far each came.

use rusqlite::{OptionalExtension, params};
use shared::id::OwnId;
use shared::ledger::LedgerError;
use shared::repricing::{RepricingStore, Run};

use super::{SqliteLedger, refusal, unreadable};

impl RepricingStore for SqliteLedger {
    async fn repricing(&self, run: &OwnId) -> Result<Option<Run>, LedgerError> {
        self.read(|db| {
            db.prepare_cached("SELECT data FROM repricing WHERE run = ?1")
                .and_then(|mut s| {
                    s.query_row(params![run.as_str()], |row| row.get::<_, String>(0)).optional()
                })
                .map_err(refusal)?
                .map(|data| serde_json::from_str(&data).map_err(unreadable))
                .transpose()
        })
    }

    async fn put_repricing(&self, run: &Run) -> Result<bool, LedgerError> {
        let data = serde_json::to_string(run).map_err(unreadable)?;
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let at = i64::try_from(run.started_at.as_nanosecond()).unwrap_or(i64::MAX);
        self.write(|db| {
            let sql = if run.revision == 1 {
                "INSERT INTO repricing (run, revision, at, data) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING"
            } else {
                "UPDATE repricing SET revision = ?2, at = ?3, data = ?4 WHERE run = ?1 AND revision = ?2 - 1"
            };
            let changed = db
                .prepare_cached(sql)
                .and_then(|mut s| s.execute(params![run.run.as_str(), number(run.revision), at, data]))
                .map_err(refusal)?;
            Ok(changed == 1)
        })
    }

    async fn repricings(&self, limit: usize) -> Result<Vec<Run>, LedgerError> {
        self.read(|db| {
            let mut select = db
                .prepare_cached("SELECT data FROM repricing ORDER BY at DESC, run DESC LIMIT ?1")
                .map_err(refusal)?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = select.query_map(params![limit], |row| row.get::<_, String>(0)).map_err(refusal)?;
            rows.map(|data| serde_json::from_str(&data.map_err(refusal)?).map_err(unreadable)).collect()
        })
    }
}
