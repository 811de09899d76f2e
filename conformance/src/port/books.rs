//! Imported price books: kept whole, under a version that is one book's for good.

use shared::price::{BookLine, BookStore, StoredBook};

use super::{Checked, ensure};

/// The newest import is in force, also one that comes again; what is derived never is.
pub async fn books<L: BookStore>(ledger: &L) -> Checked {
    let at = "2026-03-07T10:05:00.5Z".parse()?;
    let book = |version: &str, json: &str, derived: bool| StoredBook {
        line: BookLine { version: version.to_owned(), source: "a test".to_owned(), models: 1, at: Some(at) },
        derived,
        json: json.to_owned(),
    };
    ensure(ledger.newest_book().await?.is_none(), "no book was imported at first")?;
    ensure(ledger.put_book(&book("1", "{}", false)).await?, "a book is kept")?;
    ensure(ledger.put_book(&book("2", "{ }", false)).await?, "and another")?;
    ensure(ledger.put_book(&book("2+x", "[]", true)).await?, "and one made of it")?;
    ensure(ledger.newest_book().await? == Some(book("2", "{ }", false)), "the newest import is in force")?;
    ensure(!ledger.put_book(&book("1", "other", false)).await?, "a version is one book's")?;
    ensure(ledger.book("1").await? == Some(book("1", "{}", false)), "which stays as it was")?;
    ensure(ledger.put_book(&book("1", "{}", false)).await?, "the same book may come again")?;
    ensure(ledger.newest_book().await? == Some(book("1", "{}", false)), "and is in force then")?;
    ensure(ledger.book("3").await?.is_none(), "what was not imported is not there")?;
    let versions: Vec<_> = ledger.books().await?.into_iter().map(|line| line.version).collect();
    ensure(versions == ["1", "2+x", "2"], "all are listed, the newest first")
}
