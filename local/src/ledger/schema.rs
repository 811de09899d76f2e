//! The tables. Keys and sums are text that any SQLite tool shows; sums are never SQL's own numbers.

use rusqlite::Connection;

/// The schema written; a ledger of a newer one is refused.
pub(super) const VERSION: i64 = 2;

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

/// What version 2 adds: tokens that no longer hold. `until` in seconds, `at` in microseconds; all of it is in data.
const REVOCATIONS: &str = "
CREATE TABLE revocation (
    jti TEXT PRIMARY KEY, until INTEGER NOT NULL, at INTEGER NOT NULL, data TEXT NOT NULL
) WITHOUT ROWID;
";

/// What each version adds to the one before, from version 2 on.
const ADDED: [&[&str]; 1] = [&[REVOCATIONS]];

/// Makes, migrates or checks the tables; answers the schema found.
pub(super) fn prepare(db: &Connection) -> rusqlite::Result<i64> {
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // Commits reach the disk when the write-ahead log is next synced. A power cut takes the newest ones back
    // together with the checkpoint that follows them, and the stream delivers those again.
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "cache_size", -16_384)?;
    db.pragma_update(None, "wal_autocheckpoint", 4_000)?;
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A ledger is made as the first version, and then takes the same way as one that was: one way is tested.
    let mut steps = if found == 0 { vec![TABLES] } else { Vec::new() };
    for (version, added) in (2..).zip(ADDED) {
        if found < version {
            steps.extend(added);
        }
    }
    if steps.is_empty() {
        return Ok(found);
    }
    let steps = steps.concat();
    // All of it or nothing: a migration that is cut off is done again.
    let done =
        db.execute_batch(&format!("BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;"));
    if done.is_err() && !db.is_autocommit() {
        db.execute_batch("ROLLBACK")?;
    }
    done.map(|()| VERSION)
}

/// Sets a reader up.
pub(super) fn prepare_reader(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(std::time::Duration::from_secs(5))?;
    db.pragma_update(None, "cache_size", -4_096)?;
    db.pragma_update(None, "query_only", true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(db: &Connection) -> Vec<(String, String)> {
        let mut select =
            db.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_ledger_of_version_1_becomes_what_a_new_one_is_and_keeps_its_rows() {
        let new = Connection::open_in_memory().unwrap();
        assert_eq!(prepare(&new).unwrap(), VERSION);
        let old = Connection::open_in_memory().unwrap();
        old.execute_batch(&format!("{TABLES} PRAGMA user_version = 1;")).unwrap();
        old.execute("INSERT INTO budget (name, version, data) VALUES ('b', 7, NULL)", []).unwrap();
        assert_eq!(prepare(&old).unwrap(), VERSION);
        assert_eq!(tables(&old), tables(&new));
        let version: i64 = old.query_row("SELECT version FROM budget", [], |row| row.get(0)).unwrap();
        assert_eq!(version, 7);
        let stored: i64 = old.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(stored, VERSION);
        assert_eq!(prepare(&old).unwrap(), VERSION, "a second time changes nothing");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before() {
        let old = Connection::open_in_memory().unwrap();
        old.execute_batch(&format!("{TABLES} CREATE TABLE revocation (x); PRAGMA user_version = 1;"))
            .unwrap();
        assert!(prepare(&old).is_err());
        let stored: i64 = old.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(stored, 1);
        assert!(old.is_autocommit(), "no transaction is left open");
    }
}
