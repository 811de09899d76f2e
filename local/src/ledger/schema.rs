//! The tables. Keys and sums are text that any SQLite tool shows; sums are never SQL's own numbers.

use rusqlite::Connection;

/// The schema written; a ledger of a newer one is refused.
pub(super) const VERSION: i64 = 3;

/// The tables of version 1.
const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- One item of the ledger. Times in nanoseconds; none while the record is awaited. unmet: 1 if it holds
-- corrections that take no effect.
CREATE TABLE record (
    agent TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL,
    earliest INTEGER, latest INTEGER, unmet INTEGER NOT NULL, data TEXT NOT NULL,
    UNIQUE (agent, key)
);
CREATE INDEX record_of_agent ON record (agent, latest) WHERE latest IS NOT NULL;
CREATE INDEX record_by_time ON record (latest) WHERE latest IS NOT NULL;
CREATE INDEX record_unmet ON record (agent, key) WHERE unmet = 1;

-- Partial sums of one lane. kind: shared::rollup::ScopeKind; win: 0 hour, 1 day, 2 month; parts: JSON.
CREATE TABLE rollup (
    kind INTEGER NOT NULL, win INTEGER NOT NULL, start INTEGER NOT NULL,
    a TEXT NOT NULL, b TEXT NOT NULL, lane INTEGER NOT NULL, parts TEXT NOT NULL,
    PRIMARY KEY (kind, win, start, a, b, lane)
) WITHOUT ROWID;
-- Top contributors of a task and of a model are pairs found by their second name.
CREATE INDEX rollup_by_second ON rollup (kind, win, start, b) WHERE kind IN (7, 8);

CREATE TABLE conflict (
    agent TEXT NOT NULL, key TEXT NOT NULL, refused TEXT NOT NULL, data TEXT NOT NULL,
    UNIQUE (agent, key, refused)
);
CREATE TABLE quarantine (id TEXT NOT NULL UNIQUE, data TEXT NOT NULL);

CREATE TABLE budget (name TEXT PRIMARY KEY, version INTEGER NOT NULL, data TEXT) WITHOUT ROWID;
CREATE TABLE alert_state (
    budget TEXT NOT NULL, version INTEGER NOT NULL, period_start INTEGER NOT NULL,
    revision INTEGER NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (budget, version, period_start)
) WITHOUT ROWID;
-- Budgets to be looked at in a period, as they could not be when its totals changed.
CREATE TABLE due (
    budget TEXT NOT NULL, version INTEGER NOT NULL, period_start INTEGER NOT NULL,
    PRIMARY KEY (budget, version, period_start)
) WITHOUT ROWID;
CREATE TABLE alert (
    id TEXT PRIMARY KEY, at INTEGER NOT NULL, budget TEXT NOT NULL, period_start INTEGER NOT NULL,
    kind TEXT NOT NULL, state TEXT NOT NULL, data TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX alert_by_time ON alert (at, id);
CREATE INDEX alert_pending ON alert (at, id) WHERE state = 'pending';

-- What a table's stream would carry: the item keys that a transaction changed.
CREATE TABLE change (seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, keys TEXT NOT NULL);
CREATE TABLE checkpoint (source TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
";

/// What version 2 adds: attempts to deliver alerts, in the order in which they were noted.
const DELIVERY: &str = "
CREATE TABLE delivery (seq INTEGER PRIMARY KEY AUTOINCREMENT, alert TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX delivery_of_alert ON delivery (alert, seq);
";

/// And numbered submissions. team: empty where there is none.
const SENDERS: &str = "
CREATE TABLE sender (
    team TEXT NOT NULL, sender TEXT NOT NULL, data TEXT NOT NULL,
    PRIMARY KEY (team, sender)
) WITHOUT ROWID;
";

/// And tokens that no longer hold. `until` in seconds, `at` in microseconds; all of it is in data.
const REVOCATIONS: &str = "
CREATE TABLE revocation (
    jti TEXT PRIMARY KEY, until INTEGER NOT NULL, at INTEGER NOT NULL, data TEXT NOT NULL
) WITHOUT ROWID;
";

/// What version 3 adds: repricings that were applied. `at` in nanoseconds, when it was begun.
const REPRICINGS: &str = "
CREATE TABLE repricing (
    run TEXT PRIMARY KEY, revision INTEGER NOT NULL, at INTEGER NOT NULL, data TEXT NOT NULL
) WITHOUT ROWID;
";

/// What version 3 adds, too: imported price books, in the order of their imports. data: the whole book as JSON.
const BOOKS: &str = "
CREATE TABLE price_book (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, version TEXT NOT NULL UNIQUE, derived INTEGER NOT NULL,
    line TEXT NOT NULL, data TEXT NOT NULL
);
";

/// From each version to the next, from version 1 on; a new ledger takes every step, too.
const STEPS: [&[&str]; 2] = [&[DELIVERY, SENDERS, REVOCATIONS], &[REPRICINGS, BOOKS]];

/// Makes the tables, or brings them to this version; answers the schema found, or now there.
pub(super) fn prepare(db: &Connection) -> rusqlite::Result<i64> {
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // Commits reach the disk when the write-ahead log is next synced. A power cut takes the newest ones back
    // together with the checkpoint that follows them, and the stream delivers those again.
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "cache_size", -16_384)?;
    db.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A newer ledger is left as it is.
    if !(0..VERSION).contains(&found) {
        return Ok(found);
    }
    let first = if found == 0 { TABLES } else { "" };
    let done = usize::try_from(found).unwrap_or_default().saturating_sub(1);
    let steps = STEPS.get(done..).unwrap_or_default().concat().concat();
    // All at once: what is interrupted is begun again at the next start.
    db.execute_batch(&format!("BEGIN IMMEDIATE; {first} {steps} PRAGMA user_version = {VERSION}; COMMIT;"))?;
    Ok(VERSION)
}

/// Sets a reader up.
pub(super) fn prepare_reader(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "cache_size", -4_096)?;
    db.pragma_update(None, "query_only", true)
}

#[cfg(test)]
mod tests {
    use shared::delivery::DeliveryStore;

    use super::*;
    use crate::ledger::{LedgerOpenError, SqliteLedger};

    fn version(db: &Connection) -> i64 {
        db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[tokio::test]
    async fn a_ledger_of_version_1_is_brought_to_this_one_with_what_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(&format!("{TABLES} PRAGMA user_version = 1;")).unwrap();
        old.execute_batch("INSERT INTO meta VALUES ('closed_before', 'kept')").unwrap();
        drop(old);
        for _ in 0..2 {
            let ledger = SqliteLedger::open(&path).unwrap();
            assert!(ledger.deliveries(None, 9).await.unwrap().is_empty());
        }
        let now = Connection::open(&path).unwrap();
        assert_eq!(version(&now), VERSION);
        let kept: String = now.query_row("SELECT value FROM meta", [], |row| row.get(0)).unwrap();
        assert_eq!(kept, "kept");
    }

    #[test]
    fn there_is_a_step_to_each_version() {
        assert_eq!(i64::try_from(STEPS.len()).unwrap(), VERSION - 1);
    }

    #[test]
    fn a_ledger_brought_up_has_the_tables_of_a_new_one() {
        let shape = |first: &str| {
            let db = Connection::open_in_memory().unwrap();
            db.execute_batch(first).unwrap();
            prepare(&db).unwrap();
            let mut select = db.prepare("SELECT sql FROM sqlite_schema ORDER BY name").unwrap();
            let rows = select.query_map([], |row| row.get::<_, Option<String>>(0)).unwrap();
            rows.map(Result::unwrap).collect::<Vec<_>>()
        };
        assert_eq!(shape(&format!("{TABLES} PRAGMA user_version = 1;")), shape(""));
    }

    #[test]
    fn a_newer_ledger_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let newer = Connection::open(&path).unwrap();
        newer.execute_batch(&format!("PRAGMA user_version = {};", VERSION + 1)).unwrap();
        assert!(matches!(SqliteLedger::open(&path), Err(LedgerOpenError::Newer { .. })));
        assert_eq!(version(&newer), VERSION + 1);
    }
}
