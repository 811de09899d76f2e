//! Alert state, moved conditionally, and the history of alerts.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use shared::alert::{Alert, AlertState, Delivery, StateKey};
use shared::id::BudgetName;
use shared::ledger::{AlertQuery, AlertStore, LedgerError};

use super::{SqliteLedger, refusal, unreadable};

impl AlertStore for SqliteLedger {
    async fn alert_state(&self, key: &StateKey) -> Result<AlertState, LedgerError> {
        self.read(|db| state(db, key))
    }

    async fn advance_alerts(
        &self,
        key: &StateKey,
        expected: u64,
        next: &AlertState,
        alerts: &[Alert],
    ) -> Result<bool, LedgerError> {
        let mut moved = true;
        // On disk before anybody is told: after a power cut the same crossing would get another id.
        let done = self.write_durably(|db| {
            moved = state(db, key)?.revision == expected;
            for alert in alerts {
                moved = moved && insert(db, alert)?;
            }
            if !moved {
                return Err(LedgerError::Retry("rolled back".to_owned()));
            }
            let data = serde_json::to_string(next).map_err(unreadable)?;
            db.execute(
                "INSERT OR REPLACE INTO alert_state (budget, version, period_start, revision, data)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    key.budget.as_str(),
                    as_i64(key.version),
                    key.period_start,
                    as_i64(next.revision),
                    data
                ],
            )
            .map_err(refusal)?;
            Ok(())
        });
        if moved { done.map(|()| true) } else { Ok(false) }
    }

    async fn mark_delivered(&self, id: &str) -> Result<(), LedgerError> {
        self.write(|db| {
            db.execute("UPDATE alert SET state = 'delivered' WHERE id = ?1", params![id]).map_err(refusal)?;
            Ok(())
        })
    }

    async fn note_due(&self, key: &StateKey) -> Result<(), LedgerError> {
        self.write(|db| {
            let sql = "INSERT OR IGNORE INTO due (budget, version, period_start) VALUES (?1, ?2, ?3)";
            db.execute(sql, params![key.budget.as_str(), as_i64(key.version), key.period_start])
                .map_err(refusal)?;
            Ok(())
        })
    }

    async fn due(&self, limit: usize) -> Result<Vec<StateKey>, LedgerError> {
        self.read(|db| {
            let mut select = db
                .prepare_cached("SELECT budget, version, period_start FROM due ORDER BY 1, 2, 3 LIMIT ?1")
                .map_err(refusal)?;
            let rows = select
                .query_map(params![i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
                })
                .map_err(refusal)?;
            rows.map(|row| {
                let (budget, version, period_start) = row.map_err(refusal)?;
                let budget = BudgetName::parse(&budget).map_err(|e| LedgerError::Broken(e.to_string()))?;
                Ok(StateKey { budget, version: version.unsigned_abs(), period_start })
            })
            .collect()
        })
    }

    async fn clear_due(&self, key: &StateKey) -> Result<(), LedgerError> {
        self.write(|db| {
            let sql = "DELETE FROM due WHERE budget = ?1 AND version = ?2 AND period_start = ?3";
            db.execute(sql, params![key.budget.as_str(), as_i64(key.version), key.period_start])
                .map_err(refusal)?;
            Ok(())
        })
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>, LedgerError> {
        let mut conditions = vec!["true".to_owned()];
        let mut values: Vec<Value> = Vec::new();
        let mut with = |condition: &str, value: Value| {
            values.push(value);
            conditions.push(condition.replace('?', &format!("?{}", values.len())));
        };
        if let Some(budget) = &query.budget {
            with("budget = ?", Value::Text(budget.to_string()));
        }
        if let Some(start) = query.period_start {
            with("period_start = ?", Value::Integer(start));
        }
        if let Some(kind) = query.kind {
            with("kind = ?", Value::Text(kind.name().to_owned()));
        }
        match query.state {
            // Written out, so that the planner sees the partial index.
            Some(Delivery::Pending) => conditions.push("state = 'pending'".to_owned()),
            Some(Delivery::Delivered) => conditions.push("state = 'delivered'".to_owned()),
            None => {}
        }
        let (order, beyond) = if query.oldest_first { ("ASC", ">") } else { ("DESC", "<") };
        if let Some((at, id)) = &query.after {
            values.push(Value::Integer(at.as_microsecond()));
            values.push(Value::Text(id.clone()));
            conditions.push(format!("(at, id) {beyond} (?{}, ?{})", values.len() - 1, values.len()));
        }
        values.push(Value::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX)));
        let sql = format!(
            "SELECT data, state FROM alert WHERE {} ORDER BY at {order}, id {order} LIMIT ?{}",
            conditions.join(" AND "),
            values.len()
        );
        self.read(|db| {
            let mut select = db.prepare_cached(&sql).map_err(refusal)?;
            let rows = select
                .query_map(params_from_iter(values), |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
                })
                .map_err(refusal)?;
            rows.map(|row| {
                let (data, state) = row.map_err(refusal)?;
                let mut alert: Alert = serde_json::from_str(&data).map_err(unreadable)?;
                alert.state = if state == "delivered" { Delivery::Delivered } else { Delivery::Pending };
                Ok(alert)
            })
            .collect()
        })
    }
}

/// Alerts that are not known to have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingAlerts {
    /// How many.
    pub count: u64,
    /// When the oldest was decided; none if there are none.
    pub oldest: Option<Timestamp>,
}

impl SqliteLedger {
    /// Counts what is not known to have arrived, by an index that holds nothing else.
    pub fn pending_alerts(&self) -> Result<PendingAlerts, LedgerError> {
        let (count, oldest) = self.read(|db| {
            db.prepare_cached("SELECT count(*), min(at) FROM alert WHERE state = 'pending'")
                .and_then(|mut s| {
                    s.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?)))
                })
                .map_err(refusal)
        })?;
        let oldest = oldest.and_then(|micros| Timestamp::from_microsecond(micros).ok());
        Ok(PendingAlerts { count: count.unsigned_abs(), oldest })
    }
}

fn state(db: &Connection, key: &StateKey) -> Result<AlertState, LedgerError> {
    db.prepare_cached("SELECT data FROM alert_state WHERE budget = ?1 AND version = ?2 AND period_start = ?3")
        .and_then(|mut s| {
            s.query_row(params![key.budget.as_str(), as_i64(key.version), key.period_start], |row| {
                row.get::<_, String>(0)
            })
            .optional()
        })
        .map_err(refusal)?
        .map_or_else(|| Ok(AlertState::default()), |data| serde_json::from_str(&data).map_err(unreadable))
}

fn insert(db: &Connection, alert: &Alert) -> Result<bool, LedgerError> {
    let data = serde_json::to_string(alert).map_err(unreadable)?;
    let inserted = db
        .execute(
            "INSERT INTO alert (id, at, budget, period_start, kind, state, data)
             VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6) ON CONFLICT DO NOTHING",
            params![
                alert.id,
                alert.at.as_microsecond(),
                alert.budget.as_str(),
                alert.period_start.as_second(),
                alert.kind.name(),
                data
            ],
        )
        .map_err(refusal)?;
    Ok(inserted == 1)
}

fn as_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
