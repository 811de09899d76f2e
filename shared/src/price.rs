//! The price book: effective-dated unit prices by provider and model, and what applied to an event.
//!
//! The book is data (`file`), which is packed (`pack`) into flat lists (`packed`). A lookup goes from a name to an
//! entry (`index`), which is read when it is first asked for, and from there to the prices of its time and tier
//! (`entry`), which are shared with the records that keep them (`applied`).

mod applied;
mod books;
mod diff;
mod entry;
mod error;
mod file;
pub mod import;
mod index;
mod layer;
mod names;
mod pack;
mod packed;
mod pattern;
mod store;
mod tier;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use crate::event::UsageEvent;
use crate::id::{ModelId, ProviderId};
use crate::money::UnitPrice;
use crate::usage::Bucket;
pub use applied::{AppliedPrice, Cost, LongInput, PriceSource, Rates, parent};
pub use books::{Books, BooksError};
pub use diff::{Difference, diff};
pub use error::PriceBookError;
pub use file::{BookFile, LongFile, ModelFile, PriceFile, ProviderFile, RateTexts, Text};
pub use store::{BookLine, BookReport, BookStore, MAX_VERSION_BYTES, StoredBook, check_version};
pub use tier::is_standard as is_standard_tier;

/// Price facts of genai-prices, as imported.
const EMBEDDED: &str = include_str!("../data/prices.json");
/// What they lack or have stale.
const OVERLAY: &str = include_str!("../data/overlay.json");

/// Unit prices by provider and model, with the time from which each holds.
#[derive(Debug)]
pub struct PriceBook {
    index: index::Index,
    /// Those that were asked for; none for one that cannot be read, which none is of a book that was checked.
    entries: Box<[OnceLock<Option<Box<entry::Entry>>>]>,
    fallback: Option<Arc<AppliedPrice>>,
}

impl PriceBook {
    /// The book that is compiled in.
    #[expect(clippy::unreadable_literal, clippy::large_stack_arrays, reason = "written by build.rs; statics")]
    pub fn embedded() -> Result<Self, PriceBookError> {
        Ok(Self::of(include!(concat!(env!("OUT_DIR"), "/book.rs"))))
    }

    /// Reads a book.
    pub fn from_json(json: &str) -> Result<Self, PriceBookError> {
        Self::from_file(&BookFile::read(json)?)
    }

    /// Checks a book that was read.
    pub fn from_file(file: &BookFile<'_>) -> Result<Self, PriceBookError> {
        for model in &file.models {
            entry::Entry::new(model)?;
        }
        Ok(Self::of(pack::pack(file)?))
    }

    fn of(book: packed::Packed) -> Self {
        let entries = std::iter::repeat_with(OnceLock::new).take(book.lines.len()).collect();
        Self { index: index::Index::new(book), entries, fallback: None }
    }

    /// Prices tokens that the book has no price for.
    #[must_use]
    pub fn with_fallback(mut self, usd_per_token: UnitPrice) -> Self {
        let tokens = Bucket::ALL.into_iter().filter(|b| b.is_token());
        self.fallback = Some(Arc::new(AppliedPrice {
            book: self.version().to_owned(),
            source: PriceSource::Fallback,
            entry: String::new(),
            tier: String::new(),
            unit: tokens.map(|b| (b.name().into(), usd_per_token)).collect(),
            long: Vec::new(),
            inherit: false,
        }));
        self
    }

    /// Its version, as stored with every event it priced.
    pub fn version(&self) -> &str {
        &self.book().version
    }

    /// Where its facts are from.
    pub fn source(&self) -> &str {
        &self.book().source
    }

    fn book(&self) -> &packed::Packed {
        self.index.book()
    }

    fn find(&self, provider: Option<&str>, model: &str) -> Option<&entry::Entry> {
        let at = self.index.find(provider, model)?;
        let read = || {
            let model: ModelFile<'_> = serde_json::from_str(self.book().lines.get(at)?).ok()?;
            entry::Entry::new(&model).ok().map(Box::new)
        };
        self.entries.get(at)?.get_or_init(read).as_deref()
    }

    /// The prices that an event may have: the entry of its model, and then the fallback, as far as there are
    /// any. The first that has a price for everything used applies.
    ///
    /// Both are kept, as an amend may name counts that the other one is for.
    pub fn candidates(&self, event: &UsageEvent) -> impl Iterator<Item = &Arc<AppliedPrice>> {
        let provider = event.provider.as_ref().map(ProviderId::as_str);
        let tier = event.service_tier.as_deref().unwrap_or_default();
        let model = event.model.as_ref().map(ModelId::as_str);
        let entry = model.and_then(|model| self.price(provider, model, tier, event.time));
        entry.into_iter().chain(&self.fallback)
    }

    /// The prices of a model at a time. None if the book does not have the model, or the tier's name is none that
    /// a provider documents: what such a call costs is not known.
    pub fn price(
        &self,
        provider: Option<&str>,
        model: &str,
        tier: &str,
        time: Timestamp,
    ) -> Option<&Arc<AppliedPrice>> {
        let entry = self.find(provider, model)?;
        let tiers = &self.book().tiers;
        let named =
            || (0..tiers.len()).filter_map(|at| tiers.get(at)).find(|known| known.eq_ignore_ascii_case(tier));
        let served_by = entry.name().split('/').next().unwrap_or_default();
        let tier = named().or_else(|| tier::at(served_by, tier))?;
        entry.at(time, tier, self.version(), self.book().inherit)
    }

    /// The entry of a model, as `provider/model`.
    pub fn entry(&self, provider: Option<&str>, model: &str) -> Option<&str> {
        Some(self.find(provider, model)?.name())
    }
}

/// The data of the book that is compiled in, to lay others over.
pub fn embedded_file() -> Result<BookFile<'static>, PriceBookError> {
    Ok(BookFile::read(EMBEDDED)?.with_layer(BookFile::read(OVERLAY)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Usage;

    fn event(provider: Option<&str>, model: &str, usage: &[(Bucket, u64)]) -> UsageEvent {
        let mut event = UsageEvent::new(
            "2026-11-24T00:00:00Z".parse().unwrap(),
            Usage::new(usage.iter().copied()).unwrap(),
        );
        event.provider = provider.map(|p| ProviderId::parse(p).unwrap());
        event.model = Some(ModelId::parse(model).unwrap());
        event
    }

    fn cost(book: &PriceBook, event: &UsageEvent) -> Option<String> {
        book.candidates(event).find_map(|p| p.cost(&event.usage)).map(|cost| cost.to_string())
    }

    #[test]
    fn the_embedded_book_prices_each_bucket_at_its_own_rate() {
        let book = PriceBook::embedded().unwrap();
        let usage = [
            (Bucket::Input, 1000),
            (Bucket::CacheRead, 1000),
            (Bucket::Output, 100),
            (Bucket::Reasoning, 10),
        ];
        // 1000 × 0.15 + 1000 × 0.075 + 110 × 0.60, per million.
        assert_eq!(cost(&book, &event(Some("openai"), "gpt-4o-mini", &usage)).unwrap(), "0.000291");
        assert_eq!(cost(&book, &event(None, "gpt-4o-mini-2024-07-18", &usage)).unwrap(), "0.000291");
        assert_eq!(cost(&book, &event(Some("azure"), "gpt-4o-mini", &usage)).unwrap(), "0.000291");
        assert_eq!(cost(&book, &event(Some("no-such-provider"), "gpt-4o-mini", &usage)), None);
        assert_eq!(cost(&book, &event(None, "no-such-model", &usage)), None);
    }

    #[test]
    fn a_bucket_without_a_price_makes_the_cost_unknown() {
        let book = PriceBook::embedded().unwrap();
        let event = event(Some("openai"), "gpt-4o-mini", &[(Bucket::Input, 5), (Bucket::Unsplit, 1)]);
        assert_eq!(cost(&book, &event), None);
        let book = book.with_fallback("0.000002".parse().unwrap());
        assert_eq!(cost(&book, &event).unwrap(), "0.000012");
        let sources: Vec<_> = book.candidates(&event).map(|p| p.source).collect();
        assert_eq!(sources, [PriceSource::Book, PriceSource::Fallback]);
    }

    #[test]
    fn what_is_compiled_in_is_what_its_data_says_and_all_of_it_can_be_read() {
        let file = embedded_file().unwrap();
        let (book, read) = (PriceBook::embedded().unwrap(), PriceBook::from_file(&file).unwrap());
        assert!(book.book() == read.book(), "cargo did not run build.rs again");
        for (at, model) in file.models.iter().enumerate() {
            let line: ModelFile<'_> = serde_json::from_str(book.book().lines.get(at).unwrap()).unwrap();
            assert_eq!(
                (&line.provider, &line.model, &line.prices),
                (&model.provider, &model.model, &model.prices)
            );
            assert!(entry::Entry::new(&line).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn the_price_of_the_day_applies() {
        let book = PriceBook::from_json(
            r#"{"version":"t","source":"test","models":[{"provider":"p","model":"m","prices":[
                {"from":"2026-06-01T00:00:00Z","per_million":{"input":"2"}},
                {"from":"2026-01-01T00:00:00Z","per_million":{"input":"1"}}]}]}"#,
        )
        .unwrap();
        let mut event = event(Some("p"), "m", &[(Bucket::Input, 1_000_000)]);
        for (time, wanted) in [
            ("2026-06-01T00:00:00Z", Some("2")),
            ("2026-05-31T23:59:59Z", Some("1")),
            ("2025-12-31T23:59:59Z", None),
        ] {
            event.time = time.parse().unwrap();
            assert_eq!(cost(&book, &event).as_deref(), wanted, "{time}");
        }
    }
}
