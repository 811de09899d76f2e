//! The change feed, which stands for the table's stream, and the consumers' checkpoints.
//!
//! Both live in the same database as the totals: after a power cut they are never ahead of each other.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use shared::ledger::LedgerError;

use super::{SqliteLedger, refusal, unreadable};

/// What one transaction changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Ascending, without gaps unless trimmed.
    pub seq: u64,
    /// When it was committed, in Unix milliseconds.
    pub at_ms: i64,
    /// Item keys: partition key and sort key.
    pub keys: Vec<(String, String)>,
}

pub(super) fn last_change(db: &Connection) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'change'")?
        .query_row([], |row| row.get::<_, i64>(0))
        .optional()
        .map(|seq| seq.unwrap_or(0).unsigned_abs())
}

pub(super) fn note_change(
    db: &Connection,
    at: Timestamp,
    keys: &[(String, String)],
) -> Result<(), LedgerError> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys = serde_json::to_string(keys).map_err(unreadable)?;
    db.prepare_cached("INSERT INTO change (at, keys) VALUES (?1, ?2)")
        .and_then(|mut s| s.execute(params![at.as_millisecond(), keys]))
        .map_err(refusal)?;
    Ok(())
}

impl SqliteLedger {
    /// Changes after `seq`, in order, at most `limit`, and no more once they name `keys` keys.
    pub fn changes(&self, after: u64, limit: usize, keys: usize) -> Result<Vec<Change>, LedgerError> {
        let mut named = 0;
        self.read(|db| {
            let mut select = db
                .prepare_cached("SELECT seq, at, keys FROM change WHERE seq > ?1 ORDER BY seq LIMIT ?2")
                .map_err(refusal)?;
            let rows = select
                .query_map(params![as_i64(after), as_i64(limit as u64)], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
                })
                .map_err(refusal)?;
            let mut changes: Vec<Change> = Vec::new();
            for row in rows {
                let (seq, at_ms, text) = row.map_err(refusal)?;
                let change = serde_json::from_str(&text).map_err(unreadable)?;
                let change = Change { seq: seq.unsigned_abs(), at_ms, keys: change };
                named += change.keys.len();
                changes.push(change);
                if named >= keys {
                    break;
                }
            }
            Ok(changes)
        })
    }

    /// Drops changes up to and with `seq`, which every consumer has taken.
    pub fn trim_changes(&self, seq: u64) -> Result<(), LedgerError> {
        self.write(|db| {
            db.execute("DELETE FROM change WHERE seq <= ?1", params![as_i64(seq)]).map_err(refusal)?;
            Ok(())
        })
    }

    /// How far `source` was consumed; 0 if it never was.
    pub fn checkpoint(&self, source: &str) -> Result<u64, LedgerError> {
        self.read(|db| {
            db.query_row("SELECT position FROM checkpoint WHERE source = ?1", params![source], |row| {
                row.get::<_, i64>(0)
            })
            .optional()
            .map(|position| position.unwrap_or(0).unsigned_abs())
            .map_err(refusal)
        })
    }

    /// Notes how far `source` was consumed.
    pub fn set_checkpoint(&self, source: &str, position: u64) -> Result<(), LedgerError> {
        self.write(|db| {
            db.prepare_cached("INSERT OR REPLACE INTO checkpoint (source, position) VALUES (?1, ?2)")
                .and_then(|mut s| s.execute(params![source, as_i64(position)]))
                .map_err(refusal)?;
            Ok(())
        })
    }

    /// Brings everything committed so far to the disk, so that the stream behind it may be trimmed.
    pub fn sync(&self) -> Result<(), LedgerError> {
        self.write_durably(|db| {
            db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('synced', datetime())", [])
                .map_err(refusal)?;
            Ok(())
        })
    }
}

fn as_i64(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
