//! The book in force, which an import replaces while calls are being priced.

use std::sync::{Arc, PoisonError, RwLock};

use super::import::{ImportError, Overrides};
use super::{BookFile, PriceBook, PriceBookError};
use crate::hash::ContentHash;
use crate::money::UnitPrice;

/// A handle on the book in force, and on those of earlier that are still held.
#[derive(Clone, Debug)]
pub struct Books(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    held: RwLock<Held>,
    /// The operator's price for tokens that no book has a price for, and their own prices over any book.
    fallback: Option<UnitPrice>,
    overrides: Vec<Overrides>,
}

#[derive(Debug)]
struct Held {
    current: Arc<PriceBook>,
    /// The oldest first.
    known: Vec<Arc<PriceBook>>,
}

/// So many books are held; the older are read from the ledger again when they are asked for.
const HELD: usize = 4;

/// Why a book cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The book.
    #[error(transparent)]
    Book(#[from] PriceBookError),
    /// The operator's own prices over it.
    #[error("the overrides of the configuration: {0}")]
    Overrides(#[from] ImportError),
}

impl Books {
    /// Starts with a book.
    pub fn new(book: Arc<PriceBook>) -> Self {
        Self::with(book, None, Vec::new())
    }

    /// Starts with the book that is compiled in, with what the operator set over it and any later one.
    pub fn configured(fallback: Option<UnitPrice>, overrides: Vec<Overrides>) -> Result<Self, BooksError> {
        let books = Self::with(Arc::new(PriceBook::embedded()?), fallback, overrides);
        if !books.0.overrides.is_empty() || fallback.is_some() {
            books.replace(Arc::new(books.read(&books.compose(super::embedded_file()?)?)?));
        }
        Ok(books)
    }

    fn with(book: Arc<PriceBook>, fallback: Option<UnitPrice>, overrides: Vec<Overrides>) -> Self {
        let held = Held { current: Arc::clone(&book), known: vec![book] };
        Self(Arc::new(Shared { held: RwLock::new(held), fallback, overrides }))
    }

    /// The book with the operator's own prices over it; as it is if there are none. What differs has a version of
    /// its own, which says of which book it is and, by a hash, with which prices.
    pub fn compose<'a>(&self, file: BookFile<'a>) -> Result<BookFile<'a>, BooksError> {
        let mut whole = file;
        for overrides in &self.0.overrides {
            let base = whole.version.as_str().to_owned();
            let layer = overrides.layer(&whole, &base, "the configuration")?;
            let text = layer.write().map_err(PriceBookError::from)?;
            let hash = ContentHash::of_bytes(text.as_bytes());
            let short: String = hash.as_str().chars().take(8).collect();
            let mut named = layer;
            named.version = format!("{base}+{short}").into();
            whole = whole.with_layer(named);
        }
        Ok(whole)
    }

    /// Reads a book, with the operator's price for what it lacks.
    pub fn read(&self, file: &BookFile<'_>) -> Result<PriceBook, PriceBookError> {
        let book = PriceBook::from_file(file)?;
        Ok(match self.0.fallback {
            Some(usd_per_token) => book.with_fallback(usd_per_token),
            None => book,
        })
    }

    /// Whether the operator set prices of their own over any book.
    pub fn has_overrides(&self) -> bool {
        !self.0.overrides.is_empty()
    }

    /// The book that prices what is counted now.
    pub fn current(&self) -> Arc<PriceBook> {
        // A reader that panicked left nothing half done.
        Arc::clone(&self.0.held.read().unwrap_or_else(PoisonError::into_inner).current)
    }

    /// Puts another in force, for what is counted from now on.
    pub fn replace(&self, book: Arc<PriceBook>) {
        let mut held = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        held.known.retain(|known| known.version() != book.version());
        held.known.push(Arc::clone(&book));
        if held.known.len() > HELD {
            held.known.remove(0);
        }
        held.current = book;
    }

    /// A book by its version, if it is held; the ledger keeps the others
    /// ([`BookStore::book`](super::BookStore::book)).
    pub fn by_version(&self, version: &str) -> Option<Arc<PriceBook>> {
        let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner);
        held.known.iter().rev().find(|book| book.version() == version).map(Arc::clone)
    }
}

impl From<PriceBook> for Books {
    fn from(book: PriceBook) -> Self {
        Self::new(Arc::new(book))
    }
}

impl From<Arc<PriceBook>> for Books {
    fn from(book: Arc<PriceBook>) -> Self {
        Self::new(book)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(version: usize) -> Arc<PriceBook> {
        let json = format!(r#"{{"version":"{version}","source":"test","models":[]}}"#);
        Arc::new(PriceBook::from_json(&json).unwrap())
    }

    #[test]
    fn the_newest_is_in_force_and_the_last_few_are_held() {
        let books = Books::new(book(0));
        let other = books.clone();
        (1..=5).for_each(|version| books.replace(book(version)));
        books.replace(book(3));
        assert_eq!(other.current().version(), "3");
        let held: Vec<_> = (0..=5).filter(|v| other.by_version(&v.to_string()).is_some()).collect();
        assert_eq!(held, [2, 3, 4, 5]);
    }

    #[test]
    fn prices_of_the_configuration_stand_over_any_book_and_name_themselves() {
        let own = |price: &str| {
            let json = format!(
                r#"{{"price":[{{"provider":"p","model":"m","per_million":{{"input":"{price}"}}}}]}}"#
            );
            vec![serde_json::from_str(&json).unwrap()]
        };
        let version = |price| Books::configured(None, own(price)).unwrap().current().version().to_owned();
        let plain = Books::configured(None, Vec::new()).unwrap().current().version().to_owned();
        assert!(version("1").starts_with(&format!("{plain}+")));
        assert_ne!(version("1"), version("2"));
        assert_eq!(version("1"), version("1"));
        let books = Books::configured(Some("0.000002".parse().unwrap()), own("1")).unwrap();
        let at = "2026-11-24T00:00:00Z".parse().unwrap();
        assert!(books.current().price(Some("p"), "m", "", at).is_some());
        assert!(books.current().price(Some("openai"), "gpt-4o", "", at).is_some());
    }
}
