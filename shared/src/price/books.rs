//! The book in force, which an import replaces while calls are being priced.

use std::sync::{Arc, PoisonError, RwLock};

use super::PriceBook;

/// A handle on the book in force, and on those of earlier that are still held.
#[derive(Clone, Debug)]
pub struct Books(Arc<RwLock<Held>>);

#[derive(Debug)]
struct Held {
    current: Arc<PriceBook>,
    /// The oldest first; the current one is the last.
    known: Vec<Arc<PriceBook>>,
}

/// So many books are held; the older are read from the ledger again when they are asked for.
const HELD: usize = 4;

impl Books {
    /// Starts with a book.
    pub fn new(book: Arc<PriceBook>) -> Self {
        Self(Arc::new(RwLock::new(Held { current: Arc::clone(&book), known: vec![book] })))
    }

    /// The book that prices what is counted now.
    pub fn current(&self) -> Arc<PriceBook> {
        // A reader that panicked left nothing half done.
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).current)
    }

    /// Puts another in force, for what is counted from now on.
    pub fn replace(&self, book: Arc<PriceBook>) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.known.retain(|known| known.version() != book.version());
        held.known.push(Arc::clone(&book));
        if held.known.len() > HELD {
            held.known.remove(0);
        }
        held.current = book;
    }

    /// A book by its version, if it is held.
    pub fn by_version(&self, version: &str) -> Option<Arc<PriceBook>> {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
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
}
