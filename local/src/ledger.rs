//! The ledger embedded: SQLite in WAL mode, one writer, as many readers as ask.
//!
//! Calls run where they are awaited: SQLite answers from memory or one disk, and a consumer has a thread of
//! its own. A server calls from a thread that may block.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use shared::ledger::LedgerError;
use tokio::sync::watch;

mod alerts;
mod books;
mod budgets;
mod deliveries;
mod feed;
mod records;
mod repricings;
mod revocations;
mod rollups;
mod schema;
mod sequences;

pub use alerts::PendingAlerts;
pub use feed::Change;

/// The most items of one commit. SQLite has no limit; more events in one transaction share more rollups, and
/// less has to be done again when one of its conditions fails.
pub(crate) const MAX_ITEMS: usize = 1_000;
/// How many idle connections for readers are kept.
const IDLE_READERS: usize = 4;

/// The ledger in one SQLite database.
pub struct SqliteLedger {
    /// None: in memory, so that there is one connection for all.
    path: Option<PathBuf>,
    // Closed before the writer: the last connection to go folds the write-ahead log into the database, which
    // a reader may not.
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Connection>,
    changed: watch::Sender<u64>,
}

/// A database that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LedgerOpenError {
    /// SQLite refused.
    #[error(
        "cannot open the ledger at {path}: {error}; check that the directory can be written to and that the file is a ledger"
    )]
    Sqlite {
        /// Where.
        path: String,
        /// What SQLite said.
        error: rusqlite::Error,
    },
    /// Written by a newer version.
    #[error(
        "the ledger at {path} has schema {found}, this version knows {known}; use the newer agentledger that wrote it"
    )]
    Newer {
        /// Where.
        path: String,
        /// Its schema.
        found: i64,
        /// The newest known.
        known: i64,
    },
}

impl SqliteLedger {
    /// Opens, or makes, the ledger in `path`.
    pub fn open(path: &Path) -> Result<Self, LedgerOpenError> {
        Self::with(Connection::open(path), Some(path.to_owned()))
    }

    /// A ledger in memory, for tests.
    pub fn in_memory() -> Result<Self, LedgerOpenError> {
        Self::with(Connection::open_in_memory(), None)
    }

    fn with(opened: rusqlite::Result<Connection>, path: Option<PathBuf>) -> Result<Self, LedgerOpenError> {
        let shown = path.as_ref().map_or_else(|| "(memory)".to_owned(), |p| p.display().to_string());
        let refused = |error| LedgerOpenError::Sqlite { path: shown.clone(), error };
        let writer = opened.map_err(refused)?;
        writer.set_prepared_statement_cache_capacity(64);
        let found = schema::prepare(&writer).map_err(refused)?;
        if found > schema::VERSION {
            return Err(LedgerOpenError::Newer { path: shown, found, known: schema::VERSION });
        }
        let last = feed::last_change(&writer).map_err(refused)?;
        Ok(Self {
            path,
            writer: Mutex::new(writer),
            readers: Mutex::new(Vec::new()),
            changed: watch::Sender::new(last),
        })
    }

    /// The sequence number of the newest change, to wait on.
    pub fn watch_changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic inside a transaction rolled it back when the transaction was dropped.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in a transaction that holds the write lock from its start.
    fn write<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut writer = self.writer();
        self.write_on(&mut writer, work)
    }

    /// Like [`Self::write`], and on disk when it returns: so is everything committed before.
    fn write_durably<T>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut writer = self.writer();
        writer.pragma_update(None, "synchronous", "FULL").map_err(refusal)?;
        let done = self.write_on(&mut writer, work);
        writer.pragma_update(None, "synchronous", "NORMAL").map_err(refusal)?;
        done
    }

    fn write_on<T>(
        &self,
        writer: &mut Connection,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(refusal)?;
        let done = work(&tx)?;
        let last = feed::last_change(&tx).map_err(refusal)?;
        tx.commit().map_err(refusal)?;
        self.tell(last);
        Ok(done)
    }

    fn tell(&self, last: u64) {
        self.changed.send_if_modified(|known| {
            let newer = last > *known;
            *known = (*known).max(last);
            newer
        });
    }

    /// Runs `work` on a connection that does not wait for the writer. It sees everything that was committed
    /// before: in WAL mode a snapshot begins at the newest commit.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let Some(path) = &self.path else { return work(&self.writer()) };
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match idle {
            Some(reader) => reader,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let reader = Connection::open_with_flags(path, flags).map_err(refusal)?;
                schema::prepare_reader(&reader).map_err(refusal)?;
                reader
            }
        };
        let done = work(&reader);
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(reader);
        }
        done
    }
}

/// Tells what lasts from what may pass, such as a full disk or a lock.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn refusal(error: rusqlite::Error) -> LedgerError {
    match error.sqlite_error_code() {
        // Without a code it is a value of another type than was asked for; unknown is an error in SQL.
        None
        | Some(
            ErrorCode::Unknown
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::ApiMisuse
            | ErrorCode::TooBig,
        ) => LedgerError::Broken(error.to_string()),
        Some(_) => LedgerError::Retry(error.to_string()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn unreadable(error: serde_json::Error) -> LedgerError {
    LedgerError::Broken(format!(
        "a stored value is not readable: {error}; was it written by a newer version?"
    ))
}
