//! Budgets, by name. A removed one leaves its version behind, so that no alert id comes twice.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use shared::budget::{Budget, BudgetSpec};
use shared::id::BudgetName;
use shared::ledger::{BudgetStore, LedgerError};

use super::{SqliteLedger, feed, refusal, unreadable};

impl BudgetStore for SqliteLedger {
    async fn budgets(&self) -> Result<Vec<Budget>, LedgerError> {
        self.read(|db| {
            let mut select = db
                .prepare_cached("SELECT data FROM budget WHERE data IS NOT NULL ORDER BY name")
                .map_err(refusal)?;
            let rows = select.query_map([], |row| row.get::<_, String>(0)).map_err(refusal)?;
            rows.map(|row| serde_json::from_str(&row.map_err(refusal)?).map_err(unreadable)).collect()
        })
    }

    async fn set_budget(&self, spec: &BudgetSpec, at: Timestamp) -> Result<Budget, LedgerError> {
        self.write_durably(|db| {
            let known = db
                .query_row(
                    "SELECT version, data FROM budget WHERE name = ?1",
                    params![spec.name.as_str()],
                    |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)),
                )
                .optional()
                .map_err(refusal)?;
            let version = known.as_ref().map_or(0, |(version, _)| version.unsigned_abs());
            if let Some((_, Some(data))) = &known {
                let budget: Budget = serde_json::from_str(data).map_err(unreadable)?;
                if budget.spec == *spec {
                    return Ok(budget);
                }
            }
            let budget = Budget { spec: spec.clone(), version: version + 1, since: at };
            let data = serde_json::to_string(&budget).map_err(unreadable)?;
            db.execute(
                "INSERT OR REPLACE INTO budget (name, version, data) VALUES (?1, ?2, ?3)",
                params![spec.name.as_str(), i64::try_from(budget.version).unwrap_or(i64::MAX), data],
            )
            .map_err(refusal)?;
            feed::note_change(db, at, &[Budget::item_key(&spec.name)])?;
            Ok(budget)
        })
    }

    async fn remove_budget(&self, name: &BudgetName) -> Result<bool, LedgerError> {
        self.write_durably(|db| {
            let removed = db
                .execute(
                    "UPDATE budget SET data = NULL WHERE name = ?1 AND data IS NOT NULL",
                    params![name.as_str()],
                )
                .map_err(refusal)?;
            Ok(removed == 1)
        })
    }
}
