//! The book port: price books that were imported, by version.

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::LedgerError;

/// The longest version of a book, in bytes: every record keeps it.
pub const MAX_VERSION_BYTES: usize = 64;

/// A book as it is kept: whole, so that what it priced can be explained when the books below it are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBook {
    /// What is told of it.
    pub line: BookLine,
    /// Whether it was made of another at a start, and so is not what the next start begins with.
    pub derived: bool,
    /// The book, as [`super::BookFile`] writes it.
    pub json: String,
}

/// What is told of a book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BookLine {
    /// Its version, which records keep.
    pub version: String,
    /// Where its facts are from.
    pub source: String,
    /// How many models it has.
    pub models: u64,
    /// When it was imported; null for the one that is compiled in.
    #[schemars(with = "Option<crate::schema::Instant>")]
    pub at: Option<Timestamp>,
}

/// `GET /v1/prices`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BookReport {
    /// The version that prices what is counted now.
    pub current: String,
    /// The books, the newest first, and at the end the one that is compiled in.
    pub books: Vec<BookLine>,
    /// None: there is one page.
    pub next: Option<String>,
}

/// Price books.
pub trait BookStore: Send + Sync {
    /// Keeps a book, durably, as the newest. The same book again is the newest again. False, and nothing happens,
    /// if its version is another book's.
    fn put_book(&self, book: &StoredBook) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// A book; none if there is none of that version.
    fn book(&self, version: &str) -> impl Future<Output = Result<Option<StoredBook>, LedgerError>> + Send;

    /// The newest that is not derived: the one in force.
    fn newest_book(&self) -> impl Future<Output = Result<Option<StoredBook>, LedgerError>> + Send;

    /// All of them, the newest first.
    fn books(&self) -> impl Future<Output = Result<Vec<BookLine>, LedgerError>> + Send;
}

impl<S: BookStore> BookStore for Arc<S> {
    fn put_book(&self, book: &StoredBook) -> impl Future<Output = Result<bool, LedgerError>> + Send {
        (**self).put_book(book)
    }

    fn book(&self, version: &str) -> impl Future<Output = Result<Option<StoredBook>, LedgerError>> + Send {
        (**self).book(version)
    }

    fn newest_book(&self) -> impl Future<Output = Result<Option<StoredBook>, LedgerError>> + Send {
        (**self).newest_book()
    }

    fn books(&self) -> impl Future<Output = Result<Vec<BookLine>, LedgerError>> + Send {
        (**self).books()
    }
}

/// Checks a version: letters, digits and `.`, `_`, `+`, `-`, as it stands in paths, logs and tables.
pub fn check_version(version: &str) -> Result<(), String> {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    if version.is_empty() || version.len() > MAX_VERSION_BYTES || !version.bytes().all(known) {
        return Err(format!(
            "the version of a book is 1 to {MAX_VERSION_BYTES} letters, digits and `.`, `_`, `+`, `-`"
        ));
    }
    Ok(())
}
