//! Records, what was put aside, and the one write that changes totals.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use shared::id::{AgentId, RecordKey};
use shared::invariant;
use shared::ledger::{
    Commit, CommitError, Conflict, LedgerError, QuarantineState, Quarantined, RecordQuery, RecordStore,
    RecordWrite, Refusal,
};
use shared::record::{Listed, Record};
use shared::rollup::RollupKey;
use shared::window::WindowKind;

use super::{MAX_ITEMS, SqliteLedger, feed, refusal, rollups, unreadable};

const COLUMNS: &str = "agent, key, version, data";

impl RecordStore for SqliteLedger {
    fn max_commit_items(&self) -> usize {
        MAX_ITEMS
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        debug_assert!(invariant::commit_fits(&commit, MAX_ITEMS), "{}", invariant::COMMIT_FITS.law);
        let mut refused = Vec::new();
        let mut overflow = None;
        let done = self.write(|db| {
            for (index, write) in commit.records.iter().enumerate() {
                if !put(db, write)? {
                    let existing = find(db, &write.record.agent, &write.record.key)?;
                    refused.push(Refusal { index, existing });
                }
            }
            if !refused.is_empty() {
                return Err(rolled_back());
            }
            for (key, parts) in commit.additions.iter() {
                if let Err(error) = rollups::add(db, key, commit.lane, parts)? {
                    overflow = Some(error);
                    return Err(rolled_back());
                }
            }
            let keys: Vec<_> =
                commit.additions.iter().filter(|(k, _)| is_news(k)).map(|(k, _)| k.item_key()).collect();
            feed::note_change(db, now(), &keys)
        });
        match (done, overflow) {
            (_, Some(error)) => Err(error.into()),
            (Err(_), None) if !refused.is_empty() => Err(CommitError::Refused(refused)),
            (done, None) => Ok(done?),
        }
    }

    async fn get(&self, keys: &[(AgentId, RecordKey)]) -> Result<Vec<Option<Record>>, LedgerError> {
        // A snapshot that begins now holds every commit that was answered.
        self.read(|db| keys.iter().map(|(agent, key)| find(db, agent, key)).collect())
    }

    async fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, LedgerError> {
        let (sql, values) = listing(query, COLUMNS);
        self.read(|db| list(db, &sql, values))
    }

    async fn listed(&self, query: &RecordQuery) -> Result<Vec<Listed>, LedgerError> {
        let (sql, values) = listing(query, "agent, key, latest, data");
        self.read(|db| {
            let mut select = db.prepare_cached(&sql).map_err(refusal)?;
            let rows = select.query_map(params_from_iter(values), columns).map_err(refusal)?;
            rows.map(|row| listed(row.map_err(refusal)?)).collect()
        })
    }

    async fn put_conflict(&self, conflict: Conflict) -> Result<bool, LedgerError> {
        let data = serde_json::to_string(&conflict).map_err(unreadable)?;
        self.write(|db| {
            let kept = db
                .execute(
                    "INSERT OR IGNORE INTO conflict (agent, key, refused, data) VALUES (?1, ?2, ?3, ?4)",
                    params![conflict.agent.as_str(), conflict.key, conflict.refused.as_str(), data],
                )
                .map_err(refusal)?;
            Ok(kept == 1)
        })
    }

    async fn conflicts(&self, limit: usize) -> Result<Vec<Conflict>, LedgerError> {
        self.read(|db| newest(db, "SELECT data FROM conflict ORDER BY rowid DESC LIMIT ?1", limit))
    }

    async fn quarantine(&self, item: Quarantined) -> Result<bool, LedgerError> {
        let data = serde_json::to_string(&item).map_err(unreadable)?;
        // Its stream record is acknowledged next, so this must not be taken back by a power cut.
        self.write_durably(|db| {
            let kept = db
                .execute(
                    "INSERT OR IGNORE INTO quarantine (id, data) VALUES (?1, ?2)",
                    params![item.id, data],
                )
                .map_err(refusal)?;
            Ok(kept == 1)
        })
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, LedgerError> {
        self.read(|db| newest(db, "SELECT data FROM quarantine ORDER BY rowid DESC LIMIT ?1", limit))
    }

    async fn quarantined_item(&self, id: &str) -> Result<Option<Quarantined>, LedgerError> {
        self.read(|db| quarantined_item(db, id))
    }

    async fn mark_quarantined(&self, id: &str, state: &QuarantineState) -> Result<bool, LedgerError> {
        self.write(|db| {
            let Some(item) = quarantined_item(db, id)? else { return Ok(false) };
            let marked = Quarantined { state: state.clone(), ..item };
            let data = serde_json::to_string(&marked).map_err(unreadable)?;
            db.execute("UPDATE quarantine SET data = ?2 WHERE id = ?1", params![id, data])
                .map_err(refusal)?;
            Ok(true)
        })
    }

    async fn remove_quarantined(&self, id: &str) -> Result<bool, LedgerError> {
        // With what was counted of it: a power cut must not take that back and leave nothing to try again.
        self.write_durably(|db| {
            let gone = db.execute("DELETE FROM quarantine WHERE id = ?1", params![id]).map_err(refusal)?;
            Ok(gone == 1)
        })
    }

    async fn awaited(&self, limit: usize) -> Result<Vec<Record>, LedgerError> {
        let sql = format!("SELECT {COLUMNS} FROM record WHERE unmet = 1 ORDER BY agent, key LIMIT ?1");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(|db| list(db, &sql, vec![Value::Integer(limit)]))
    }

    async fn closed_before(&self) -> Result<Option<Timestamp>, LedgerError> {
        self.read(closed_before)
    }

    async fn close_before(&self, at: Timestamp) -> Result<(), LedgerError> {
        self.move_watermark(at).map(|_| ())
    }
}

impl SqliteLedger {
    /// Moves the watermark forward to `at`, never back; answers where it is then.
    pub fn move_watermark(&self, at: Timestamp) -> Result<Timestamp, LedgerError> {
        self.write(|db| {
            if let Some(known) = closed_before(db)?.filter(|known| *known >= at) {
                return Ok(known);
            }
            db.execute(
                "INSERT OR REPLACE INTO meta (key, value) VALUES ('closed_before', ?1)",
                params![at.to_string()],
            )
            .map_err(refusal)?;
            Ok(at)
        })
    }
}

const NANOS: i64 = 1_000_000_000;

fn nanos(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

/// Hourly rollups of single dimensions are what budgets are decided by; the rest would say the same again.
fn is_news(key: &RollupKey) -> bool {
    key.window == WindowKind::Hour && !key.scope.kind.is_pair()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time of a change is for lag metrics only, nothing is decided by it"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Drops the transaction; the cause was noted by the caller.
fn rolled_back() -> LedgerError {
    LedgerError::Retry("rolled back".to_owned())
}

/// Writes a record if its condition holds.
fn put(db: &Connection, write: &RecordWrite) -> Result<bool, LedgerError> {
    let record = &write.record;
    let data = serde_json::to_string(&record.data).map_err(unreadable)?;
    let (earliest, latest) = record.data.span().map(|(a, b)| (nanos(a), nanos(b))).unzip();
    let unmet = record.data.unmet().next().is_some();
    let (agent, key, version) = (record.agent.as_str(), record.key.to_string(), as_i64(record.version));
    let changed = match write.expected {
        None => db
            .prepare_cached(
                "INSERT INTO record (agent, key, version, earliest, latest, unmet, data)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            )
            .and_then(|mut s| s.execute(params![agent, key, version, earliest, latest, unmet, data])),
        Some(expected) => db
            .prepare_cached(
                "UPDATE record SET version = ?3, earliest = ?4, latest = ?5, unmet = ?6, data = ?7
                 WHERE agent = ?1 AND key = ?2 AND version = ?8",
            )
            .and_then(|mut s| {
                s.execute(params![agent, key, version, earliest, latest, unmet, data, as_i64(expected)])
            }),
    };
    Ok(changed.map_err(refusal)? == 1)
}

fn find(db: &Connection, agent: &AgentId, key: &RecordKey) -> Result<Option<Record>, LedgerError> {
    let sql = format!("SELECT {COLUMNS} FROM record WHERE agent = ?1 AND key = ?2");
    db.prepare_cached(&sql)
        .and_then(|mut s| s.query_row(params![agent.as_str(), key.to_string()], columns).optional())
        .map_err(refusal)?
        .map(record)
        .transpose()
}

fn list(db: &Connection, sql: &str, values: Vec<Value>) -> Result<Vec<Record>, LedgerError> {
    let mut select = db.prepare_cached(sql).map_err(refusal)?;
    let rows = select.query_map(params_from_iter(values), columns).map_err(refusal)?;
    rows.map(|row| record(row.map_err(refusal)?)).collect()
}

/// The statement that lists records with these columns, and its values.
fn listing(query: &RecordQuery, columns: &str) -> (String, Vec<Value>) {
    let mut conditions = vec!["latest IS NOT NULL".to_owned()];
    let mut values: Vec<Value> = Vec::new();
    let mut with = |condition: &str, value: Value| {
        values.push(value);
        conditions.push(condition.replace('?', &format!("?{}", values.len())));
    };
    if let Some(agent) = &query.agent {
        with("agent = ?", Value::Text(agent.to_string()));
    }
    if let Some(range) = query.range {
        with("latest >= ?", Value::Integer(range.from.saturating_mul(NANOS)));
        with("earliest < ?", Value::Integer(range.to.saturating_mul(NANOS)));
    }
    if let Some(after) = &query.after {
        let latest = nanos(after.latest);
        with("latest <= ?", Value::Integer(latest));
        let same = "(latest, agent, key) < (?, ";
        values.push(Value::Integer(latest));
        values.push(Value::Text(after.agent.to_string()));
        values.push(Value::Text(after.key.to_string()));
        let n = values.len();
        conditions.push(format!("{}?{}, ?{n})", same.replace('?', &format!("?{}", n - 2)), n - 1));
    }
    values.push(Value::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX)));
    let sql = format!(
        "SELECT {columns} FROM record WHERE {} ORDER BY latest DESC, agent DESC, key DESC LIMIT ?{}",
        conditions.join(" AND "),
        values.len()
    );
    (sql, values)
}

type Columns = (String, String, i64, String);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

fn record((agent, key, version, data): Columns) -> Result<Record, LedgerError> {
    let broken = |what: &str| LedgerError::Broken(format!("record {agent} {key}: {what}"));
    Ok(Record {
        agent: AgentId::parse(&agent).map_err(|e| broken(&format!("its agent {e}")))?,
        key: RecordKey::parse(&key).ok_or_else(|| broken("its key is not readable"))?,
        version: version.unsigned_abs(),
        data: serde_json::from_str(&data).map_err(|e| broken(&e.to_string()))?,
    })
}

fn listed((agent, key, latest, data): Columns) -> Result<Listed, LedgerError> {
    let broken = |what: &str| LedgerError::Broken(format!("record {agent} {key}: {what}"));
    let latest = Timestamp::from_nanosecond(latest.into()).map_err(|e| broken(&format!("its time {e}")))?;
    let id = AgentId::parse(&agent).map_err(|e| broken(&format!("its agent {e}")))?;
    let key = RecordKey::parse(&key).ok_or_else(|| broken("its key is not readable"))?;
    Ok(Listed::text(id, key, latest, data))
}

fn newest<T: serde::de::DeserializeOwned>(
    db: &Connection,
    sql: &str,
    limit: usize,
) -> Result<Vec<T>, LedgerError> {
    let mut select = db.prepare_cached(sql).map_err(refusal)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = select.query_map(params![limit], |row| row.get::<_, String>(0)).map_err(refusal)?;
    rows.map(|row| serde_json::from_str(&row.map_err(refusal)?).map_err(unreadable)).collect()
}

fn quarantined_item(db: &Connection, id: &str) -> Result<Option<Quarantined>, LedgerError> {
    db.query_row("SELECT data FROM quarantine WHERE id = ?1", params![id], |row| row.get::<_, String>(0))
        .optional()
        .map_err(refusal)?
        .map(|text| serde_json::from_str(&text).map_err(unreadable))
        .transpose()
}

fn closed_before(db: &Connection) -> Result<Option<Timestamp>, LedgerError> {
    db.query_row("SELECT value FROM meta WHERE key = 'closed_before'", [], |row| row.get::<_, String>(0))
        .optional()
        .map_err(refusal)?
        .map(|text| text.parse().map_err(|e| LedgerError::Broken(format!("the stored closed_before: {e}"))))
        .transpose()
}

fn as_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
