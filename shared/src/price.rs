//! The price book: effective-dated unit prices by provider and model, and what applied to an event.
//!
//! The book is data, read once (`file`); a lookup goes from a name to an entry (`index`), and from there to
//! the prices of its time and tier (`entry`), which are shared with the records that keep them (`applied`).

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
mod pattern;
mod store;
mod tier;

use std::sync::Arc;

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
    version: String,
    source: String,
    inherit: bool,
    index: index::Index,
    entries: Vec<entry::Entry>,
    /// Names of tiers that entries have and that are no provider's.
    tiers: Vec<Box<str>>,
    fallback: Option<Arc<AppliedPrice>>,
}

impl PriceBook {
    /// The book that is compiled in.
    pub fn embedded() -> Result<Self, PriceBookError> {
        Self::from_file(&embedded_file()?)
    }

    /// Reads a book.
    pub fn from_json(json: &str) -> Result<Self, PriceBookError> {
        Self::from_file(&BookFile::read(json)?)
    }

    /// Checks a book that was read.
    pub fn from_file(file: &BookFile<'_>) -> Result<Self, PriceBookError> {
        let entries = file.models.iter().map(entry::Entry::new).collect::<Result<Vec<_>, _>>()?;
        let mut tiers: Vec<Box<str>> = Vec::new();
        for tier in entries.iter().flat_map(entry::Entry::tiers) {
            if tier::canonical(tier).is_none() && !tiers.iter().any(|known| **known == *tier) {
                tiers.push(tier.into());
            }
        }
        Ok(Self {
            version: file.version.as_str().to_owned(),
            source: file.source.as_str().to_owned(),
            inherit: file.inherit,
            index: index::Index::new(file)?,
            entries,
            tiers,
            fallback: None,
        })
    }

    /// Prices tokens that the book has no price for.
    #[must_use]
    pub fn with_fallback(mut self, usd_per_token: UnitPrice) -> Self {
        let tokens = Bucket::ALL.into_iter().filter(|b| b.is_token());
        self.fallback = Some(Arc::new(AppliedPrice {
            book: self.version.clone(),
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
        &self.version
    }

    /// Where its facts are from.
    pub fn source(&self) -> &str {
        &self.source
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
        let entry = self.entries.get(self.index.find(provider, model)?)?;
        let named = || self.tiers.iter().find(|known| known.eq_ignore_ascii_case(tier)).map(|t| &**t);
        let served_by = entry.name().split('/').next().unwrap_or_default();
        let tier = named().or_else(|| tier::at(served_by, tier))?;
        entry.at(time, tier, &self.version, self.inherit)
    }

    /// The entry of a model, as `provider/model`.
    pub fn entry(&self, provider: Option<&str>, model: &str) -> Option<&str> {
        Some(self.entries.get(self.index.find(provider, model)?)?.name())
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
