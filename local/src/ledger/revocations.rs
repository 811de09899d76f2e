//! Revoked tokens, by id.

use rusqlite::{OptionalExtension, params};
use shared::ledger::LedgerError;
use shared::revocation::{Revocation, RevocationStore};

use super::{SqliteLedger, refusal, unreadable};

impl RevocationStore for SqliteLedger {
    async fn revoke(&self, revocation: &Revocation) -> Result<Revocation, LedgerError> {
        self.write_durably(|db| {
            let (until, at) = (revocation.until.as_second(), revocation.at.as_second());
            db.execute("DELETE FROM revocation WHERE until < ?1", params![at]).map_err(refusal)?;
            let known: Option<String> = db
                .query_row(
                    "SELECT data FROM revocation WHERE jti = ?1",
                    params![revocation.jti.as_str()],
                    |row| row.get(0),
                )
                .optional()
                .map_err(refusal)?;
            let mut kept = revocation.clone();
            if let Some(data) = known {
                let first: Revocation = serde_json::from_str(&data).map_err(unreadable)?;
                kept = Revocation { until: first.until.max(revocation.until), ..first };
                if kept.until == first.until {
                    return Ok(kept);
                }
            }
            let data = serde_json::to_string(&kept).map_err(unreadable)?;
            db.execute(
                "INSERT OR REPLACE INTO revocation (jti, until, at, data) VALUES (?1, ?2, ?3, ?4)",
                params![kept.jti.as_str(), until, kept.at.as_microsecond(), data],
            )
            .map_err(refusal)?;
            Ok(kept)
        })
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, LedgerError> {
        self.read(|db| {
            let mut select =
                db.prepare_cached("SELECT data FROM revocation ORDER BY at DESC, jti").map_err(refusal)?;
            let rows = select.query_map([], |row| row.get::<_, String>(0)).map_err(refusal)?;
            rows.map(|row| serde_json::from_str(&row.map_err(refusal)?).map_err(unreadable)).collect()
        })
    }
}
