//! Imported price books, by version; a book is compressed, and may still need several items.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use shared::ledger::LedgerError;
use shared::price::{BookLine, BookStore, StoredBook};

use super::call::{RACES, pause};
use super::keys::{BOOKS, Key, META};
use super::value::{Item, deflate, inflate, json, keyed, number, number_of, read, with};
use super::{Query, Table};

/// Bytes of one item's piece of a book.
const PIECE: usize = 380_000;

impl BookStore for Table {
    async fn put_book(&self, book: &StoredBook) -> Result<bool, LedgerError> {
        if self.book(&book.line.version).await?.is_some_and(|known| known.json != book.json) {
            return Ok(false);
        }
        let pieces = deflate(book.json.as_bytes())?;
        let pieces: Vec<_> = pieces.chunks(PIECE).collect();
        for (n, piece) in pieces.iter().enumerate() {
            let item =
                with(keyed(piece_key(&book.line.version, n)), "data", AttributeValue::B(Blob::new(*piece)));
            self.put_book_item(item).await?;
        }
        // The line comes last: what has one is whole.
        for attempt in 0..RACES {
            let known = self.item(count_key()).await?;
            let seq: u64 =
                known.as_ref().map(|item| number_of(item, "v")).transpose()?.flatten().unwrap_or(0);
            if !self.put_versioned(with(keyed(count_key()), "v", number(seq + 1)), seq).await? {
                pause(attempt).await;
                continue;
            }
            let item = with(keyed(line_key(&book.line.version)), "line", json(&book.line)?);
            let item = with(item, "derived", AttributeValue::Bool(book.derived));
            let item = with(with(item, "seq", number(seq + 1)), "pieces", number(pieces.len()));
            self.put_book_item(item).await?;
            return Ok(true);
        }
        Err(LedgerError::Retry("price books were imported by others for long".to_owned()))
    }

    async fn book(&self, version: &str) -> Result<Option<StoredBook>, LedgerError> {
        match self.item(line_key(version)).await? {
            None => Ok(None),
            Some(item) => self.whole(&item).await.map(Some),
        }
    }

    async fn newest_book(&self) -> Result<Option<StoredBook>, LedgerError> {
        let is_derived =
            |item: &Item| item.get("derived").and_then(|d| d.as_bool().ok()).copied().unwrap_or(false);
        match self.lines().await?.into_iter().find(|item| !is_derived(item)) {
            None => Ok(None),
            Some(item) => self.whole(&item).await.map(Some),
        }
    }

    async fn books(&self) -> Result<Vec<BookLine>, LedgerError> {
        self.lines().await?.iter().map(|item| read(item, "line")).collect()
    }
}

impl Table {
    async fn put_book_item(&self, item: Item) -> Result<(), LedgerError> {
        let put = self.client().put_item().table_name(self.name()).set_item(Some(item)).send().await;
        put.map(drop).map_err(|e| super::failed("keeping a price book", &e))
    }

    /// Items of the books' lines, the newest first.
    async fn lines(&self) -> Result<Vec<Item>, LedgerError> {
        let mut lines: Vec<(u64, Item)> = Vec::new();
        self.query(Query::of(BOOKS), |item| {
            lines.push((number_of(&item, "seq")?.unwrap_or(0), item));
            Ok(true)
        })
        .await?;
        lines.sort_unstable_by_key(|(seq, _)| std::cmp::Reverse(*seq));
        Ok(lines.into_iter().map(|(_, item)| item).collect())
    }

    async fn whole(&self, item: &Item) -> Result<StoredBook, LedgerError> {
        let line: BookLine = read(item, "line")?;
        let derived = item.get("derived").and_then(|d| d.as_bool().ok()).copied().unwrap_or(false);
        let count: usize = number_of(item, "pieces")?.unwrap_or(0);
        let keys: Vec<_> = (0..count).map(|n| piece_key(&line.version, n)).collect();
        let items = self.items(keys.clone()).await?;
        let mut bytes = Vec::new();
        for key in &keys {
            let Some(AttributeValue::B(piece)) = items.get(key).and_then(|item| item.get("data")) else {
                return Err(LedgerError::Broken(format!("price book {} is not whole", line.version)));
            };
            bytes.extend_from_slice(piece.as_ref());
        }
        Ok(StoredBook { json: inflate(&bytes)?, line, derived })
    }
}

fn line_key(version: &str) -> Key {
    (BOOKS.to_owned(), version.to_owned())
}

fn piece_key(version: &str, n: usize) -> Key {
    (format!("PB#{version}"), format!("{n:04}"))
}

fn count_key() -> Key {
    (META.to_owned(), "books".to_owned())
}
