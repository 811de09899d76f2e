//! Attempts to deliver alerts: the newest ones.

use rusqlite::params;
use shared::delivery::{DeliveryAttempt, DeliveryStore, MAX_DELIVERIES};
use shared::ledger::LedgerError;

use super::{SqliteLedger, refusal, unreadable};

impl DeliveryStore for SqliteLedger {
    async fn note_delivery(&self, attempt: &DeliveryAttempt) -> Result<(), LedgerError> {
        let data = serde_json::to_string(attempt).map_err(unreadable)?;
        self.write(|db| {
            db.prepare_cached("INSERT INTO delivery (alert, data) VALUES (?1, ?2)")
                .and_then(|mut insert| insert.execute(params![attempt.alert_id, data]))
                .map_err(refusal)?;
            let kept = i64::try_from(MAX_DELIVERIES).unwrap_or(i64::MAX);
            db.prepare_cached("DELETE FROM delivery WHERE seq <= ?1")
                .and_then(|mut delete| delete.execute(params![db.last_insert_rowid() - kept]))
                .map_err(refusal)?;
            Ok(())
        })
    }

    async fn deliveries(
        &self,
        alert_id: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeliveryAttempt>, LedgerError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = match alert_id {
            Some(_) => "SELECT data FROM delivery WHERE alert = ?2 ORDER BY seq DESC LIMIT ?1",
            None => "SELECT data FROM delivery WHERE ?2 IS NULL ORDER BY seq DESC LIMIT ?1",
        };
        self.read(|db| {
            let mut select = db.prepare_cached(sql).map_err(refusal)?;
            let rows =
                select.query_map(params![limit, alert_id], |row| row.get::<_, String>(0)).map_err(refusal)?;
            rows.map(|data| serde_json::from_str(&data.map_err(refusal)?).map_err(unreadable)).collect()
        })
    }
}
