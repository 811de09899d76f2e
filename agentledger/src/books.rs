//! The price books that a command or a server begins with.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use shared::price::{BookFile, BookStore, Books};

use crate::commands::overrides;
use crate::config::Config;
use crate::source::Misuse;

/// The book that is compiled in, with what the operator set over it and any later one.
pub(crate) fn configured(config: &Config) -> anyhow::Result<Books> {
    let overrides = config.overrides.iter().map(|path| overrides(path)).collect::<anyhow::Result<_>>()?;
    Ok(Books::configured(config.fallback, overrides)?)
}

/// Holds the book of a file, too; answers its version.
pub(crate) fn hold_file(books: &Books, path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("--book {shown} cannot be read"))?;
    let wrong = |error: &dyn std::fmt::Display| Misuse(format!("--book {shown}: {error}"));
    let file = BookFile::read(&text).map_err(|e| wrong(&e))?;
    let whole = books.compose(file).map_err(|e| wrong(&e))?;
    let book = Arc::new(books.read(&whole).map_err(|e| wrong(&e))?);
    let version = book.version().to_owned();
    books.replace(book);
    Ok(version)
}

/// Puts the newest book that a ledger keeps in force, and writes nothing: for whoever only looks.
pub(crate) async fn adopt<S: BookStore>(books: &Books, store: &S) -> anyhow::Result<()> {
    if let Some(newest) = store.newest_book().await? {
        let whole = books.compose(BookFile::read(&newest.json)?)?;
        books.replace(Arc::new(books.read(&whole)?));
    }
    Ok(())
}
