//! Imported price books, by version.

use rusqlite::{OptionalExtension, Row, params};
use shared::ledger::LedgerError;
use shared::price::{BookLine, BookStore, StoredBook};

use super::{SqliteLedger, refusal, unreadable};

impl BookStore for SqliteLedger {
    async fn put_book(&self, book: &StoredBook) -> Result<bool, LedgerError> {
        let line = serde_json::to_string(&book.line).map_err(unreadable)?;
        self.write_durably(|db| {
            let version = book.line.version.as_str();
            let known: Option<String> = db
                .query_row("SELECT data FROM price_book WHERE version = ?1", params![version], |row| {
                    row.get(0)
                })
                .optional()
                .map_err(refusal)?;
            if known.is_some_and(|data| data != book.json) {
                return Ok(false);
            }
            // The newest is the last in the order of its number.
            db.execute("DELETE FROM price_book WHERE version = ?1", params![version]).map_err(refusal)?;
            db.execute(
                "INSERT INTO price_book (version, derived, line, data) VALUES (?1, ?2, ?3, ?4)",
                params![version, book.derived, line, book.json],
            )
            .map_err(refusal)?;
            Ok(true)
        })
    }

    async fn book(&self, version: &str) -> Result<Option<StoredBook>, LedgerError> {
        let select = "SELECT line, derived, data FROM price_book WHERE version = ?1";
        self.read(|db| one(db.query_row(select, params![version], columns)))
    }

    async fn newest_book(&self) -> Result<Option<StoredBook>, LedgerError> {
        let select = "SELECT line, derived, data FROM price_book WHERE derived = 0 ORDER BY seq DESC LIMIT 1";
        self.read(|db| one(db.query_row(select, [], columns)))
    }

    async fn books(&self) -> Result<Vec<BookLine>, LedgerError> {
        self.read(|db| {
            let mut select =
                db.prepare_cached("SELECT line FROM price_book ORDER BY seq DESC").map_err(refusal)?;
            let rows = select.query_map([], |row| row.get::<_, String>(0)).map_err(refusal)?;
            rows.map(|row| serde_json::from_str(&row.map_err(refusal)?).map_err(unreadable)).collect()
        })
    }
}

type Columns = (String, bool, String);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn one(row: rusqlite::Result<Columns>) -> Result<Option<StoredBook>, LedgerError> {
    let Some((line, derived, json)) = row.optional().map_err(refusal)? else { return Ok(None) };
    let line = serde_json::from_str(&line).map_err(unreadable)?;
    Ok(Some(StoredBook { line, derived, json }))
}
