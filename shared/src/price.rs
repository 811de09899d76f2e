//! The price book: effective-dated unit prices, and what applied to an event.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::UsageEvent;
use crate::id::{ModelId, ProviderId};
use crate::money::{MoneyError, UnitPrice, Usd};
use crate::usage::{Bucket, Usage};

/// Where a price came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    /// An entry of the price book.
    Book,
    /// The operator's price for tokens of models that the book lacks.
    Fallback,
}

/// US dollars per unit, by bucket name.
pub type Rates = BTreeMap<Box<str>, UnitPrice>;

/// The price that applied to an event; stored with it, so that history never reprices itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedPrice {
    /// Version of the book.
    pub book: String,
    /// Where in it.
    pub source: PriceSource,
    /// The entry's provider and model; empty for the fallback.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub entry: String,
    /// The processing tier whose prices these are, such as `batch`; empty for the standard one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tier: String,
    /// US dollars per unit, by bucket name.
    pub unit: Rates,
    /// What replaces them for a long input, in ascending order of `above`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub long: Vec<LongInput>,
}

/// The prices of a call whose whole input is longer than so many tokens. They hold for all of its tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LongInput {
    /// Input tokens, cached ones too, that have to be passed.
    pub above: u64,
    /// US dollars per unit, by bucket name, for what differs.
    pub unit: Rates,
}

/// An exact cost, apart by what it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Of tokens.
    pub tokens: Usd,
    /// Of everything else: searches, requests, pages.
    pub fees: Usd,
}

impl Cost {
    /// Both, if their sum is an amount of money ([`Usd`]).
    pub fn total(self) -> Option<Usd> {
        self.tokens.checked_add(self.fees).ok()
    }
}

impl AppliedPrice {
    /// What one unit of `bucket` costs in a call with this usage; none if it has no price.
    pub fn rate(&self, bucket: Bucket, usage: &Usage) -> Option<UnitPrice> {
        let named = |bucket: Bucket| {
            let long = self.long_input(usage).and_then(|long| long.unit.get(bucket.name()));
            long.or_else(|| self.unit.get(bucket.name())).copied()
        };
        named(bucket).or_else(|| match bucket {
            // Reasoning is billed as output unless an entry says otherwise:
            // https://platform.openai.com/docs/guides/reasoning, https://docs.claude.com/en/docs/build-with-claude/extended-thinking
            Bucket::Reasoning => named(Bucket::Output),
            // A request costs nothing by itself unless an entry says so.
            Bucket::Requests => Some(UnitPrice::default()),
            _ => None,
        })
    }

    /// The prices of a long input, if this usage has one.
    pub fn long_input(&self, usage: &Usage) -> Option<&LongInput> {
        let input = usage.input_tokens();
        self.long.iter().rev().find(|long| input > long.above)
    }

    /// The exact cost. None, so unknown, if the price lacks something that was used, or if the counts are so
    /// absurd that the cost is no amount of money ([`Usd`]).
    pub fn cost(&self, usage: &Usage) -> Option<Usd> {
        self.cost_parts(usage)?.total()
    }

    /// The same, apart for tokens and for other units.
    pub fn cost_parts(&self, usage: &Usage) -> Option<Cost> {
        usage.iter().try_fold(Cost::default(), |mut sum, (bucket, count)| {
            let cost = self.rate(bucket, usage)?.times(count).ok()?;
            let part = if bucket.is_token() { &mut sum.tokens } else { &mut sum.fees };
            *part = part.checked_add(cost).ok()?;
            Some(sum)
        })
    }
}

/// Why a price file is not a price book.
#[derive(Debug, thiserror::Error)]
pub enum PriceBookError {
    /// It is not the expected JSON.
    #[error("price book is not readable: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A price that cannot be kept exactly.
    #[error("price book, {provider}/{model}, `{bucket}`: {error}")]
    Price {
        /// Provider of the entry.
        provider: String,
        /// Model of the entry.
        model: String,
        /// Name of the price.
        bucket: String,
        /// What is wrong with it.
        error: MoneyError,
    },
    /// A price under a name that is no bucket.
    #[error("price book, {provider}/{model}: `{bucket}` is no bucket")]
    Bucket {
        /// Provider of the entry.
        provider: String,
        /// Model of the entry.
        model: String,
        /// The unknown name.
        bucket: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BookFile {
    version: String,
    #[serde(rename = "source")]
    _source: String,
    models: Vec<ModelFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile {
    provider: String,
    model: String,
    #[serde(default)]
    aliases: Vec<String>,
    prices: Vec<DatedFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DatedFile {
    #[serde(default)]
    from: Option<Timestamp>,
    #[serde(default)]
    per_million: BTreeMap<String, Decimal>,
    #[serde(default)]
    per_unit: BTreeMap<String, Decimal>,
}

#[derive(Debug)]
struct Dated {
    from: Timestamp,
    price: Arc<AppliedPrice>,
}

/// Model name to (provider, dated prices in ascending order).
type ByModel = HashMap<String, Vec<(String, Arc<[Dated]>)>>;

/// Unit prices by provider and model, with the date from which each holds.
#[derive(Debug)]
pub struct PriceBook {
    version: String,
    models: ByModel,
    fallback: Option<Arc<AppliedPrice>>,
}

/// The book that is compiled in.
const EMBEDDED: &str = include_str!("../data/prices.json");

impl PriceBook {
    /// The book that is compiled in.
    pub fn embedded() -> Result<Self, PriceBookError> {
        Self::from_json(EMBEDDED)
    }

    /// Reads a book.
    pub fn from_json(json: &str) -> Result<Self, PriceBookError> {
        let file: BookFile = serde_json::from_str(json)?;
        let mut models = ByModel::new();
        for entry in file.models {
            let mut dated = entry
                .prices
                .iter()
                .map(|dated| dated_price(&file.version, &entry, dated))
                .collect::<Result<Vec<_>, _>>()?;
            dated.sort_by_key(|d| d.from);
            let dated: Arc<[Dated]> = dated.into();
            for name in entry.aliases.into_iter().chain([entry.model]) {
                models.entry(name).or_default().push((entry.provider.clone(), Arc::clone(&dated)));
            }
        }
        Ok(Self { version: file.version, models, fallback: None })
    }

    /// Prices tokens that the book has no price for.
    #[must_use]
    pub fn with_fallback(mut self, usd_per_token: UnitPrice) -> Self {
        let unit = Bucket::ALL
            .into_iter()
            .filter(|b| b.is_token())
            .map(|b| (b.name().into(), usd_per_token))
            .collect();
        self.fallback = Some(Arc::new(AppliedPrice {
            book: self.version.clone(),
            source: PriceSource::Fallback,
            entry: String::new(),
            tier: String::new(),
            unit,
            long: Vec::new(),
        }));
        self
    }

    /// Its version, as stored with every event it priced.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The prices that an event may have: the entry of its model, and then the fallback, as far as there are
    /// any. The first that has a price for everything used applies.
    ///
    /// Both are kept, as an amend may name counts that the other one is for.
    pub fn candidates(&self, event: &UsageEvent) -> impl Iterator<Item = &Arc<AppliedPrice>> {
        let entry = event
            .model
            .as_ref()
            // The book has standard-tier prices: batch, flex and priority cost something else.
            .filter(|_| event.service_tier.as_deref().is_none_or(is_standard_tier))
            .and_then(|model| self.entry(event.provider.as_ref(), model))
            .and_then(|dated| dated.iter().rev().find(|d| d.from <= event.time))
            .map(|dated| &dated.price);
        entry.into_iter().chain(&self.fallback)
    }

    fn entry(&self, provider: Option<&ProviderId>, model: &ModelId) -> Option<&Arc<[Dated]>> {
        let name = model.as_str();
        [name, without_snapshot_date(name)].into_iter().find_map(|name| {
            let candidates = self.models.get(name)?;
            match provider {
                Some(provider) => candidates.iter().find(|(p, _)| p == provider.as_str()).map(|(_, d)| d),
                // Without a provider the price is known only if one provider alone has such a model.
                None => match candidates.as_slice() {
                    [(_, dated)] => Some(dated),
                    _ => None,
                },
            }
        })
    }
}

fn dated_price(version: &str, entry: &ModelFile, dated: &DatedFile) -> Result<Dated, PriceBookError> {
    let mut unit = BTreeMap::new();
    let per_million = dated.per_million.iter().map(|(name, price)| (name, UnitPrice::per_million(*price)));
    let per_unit = dated.per_unit.iter().map(|(name, price)| (name, UnitPrice::new(*price)));
    for (name, price) in per_million.chain(per_unit) {
        let (provider, model, bucket) = (entry.provider.clone(), entry.model.clone(), name.clone());
        if Bucket::from_name(name).is_none() {
            return Err(PriceBookError::Bucket { provider, model, bucket });
        }
        let price = price.map_err(|error| PriceBookError::Price { provider, model, bucket, error })?;
        unit.insert(name.as_str().into(), price);
    }
    let price = AppliedPrice {
        book: version.to_owned(),
        source: PriceSource::Book,
        entry: format!("{}/{}", entry.provider, entry.model),
        tier: String::new(),
        unit,
        long: Vec::new(),
    };
    Ok(Dated { from: dated.from.unwrap_or(Timestamp::MIN), price: Arc::new(price) })
}

fn is_standard_tier(tier: &str) -> bool {
    matches!(tier, "default" | "standard" | "auto")
}

/// `gpt-4o-2024-08-06` and `claude-haiku-4-5-20251001` are snapshots of the model without the date.
fn without_snapshot_date(name: &str) -> &str {
    let digits = |text: &str, lengths: &[usize]| {
        let parts: Vec<_> = text.split('-').collect();
        parts.len() == lengths.len()
            && parts.iter().zip(lengths).all(|(p, n)| p.len() == *n && p.bytes().all(|b| b.is_ascii_digit()))
    };
    for lengths in [&[4, 2, 2][..], &[8][..]] {
        let len = lengths.iter().sum::<usize>() + lengths.len() - 1;
        if let Some((head, date)) = name.len().checked_sub(len).and_then(|at| name.split_at_checked(at))
            && let Some(model) = head.strip_suffix('-')
            && digits(date, lengths)
        {
            return model;
        }
    }
    name.strip_suffix("-latest").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(cost(&book, &event(Some("azure"), "gpt-4o-mini", &usage)), None);
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

    #[test]
    fn snapshot_dates_are_cut_off_and_nothing_else() {
        assert_eq!(without_snapshot_date("gpt-4o-2024-08-06"), "gpt-4o");
        assert_eq!(without_snapshot_date("claude-haiku-4-5-20251001"), "claude-haiku-4-5");
        assert_eq!(without_snapshot_date("claude-3-5-sonnet-latest"), "claude-3-5-sonnet");
        for name in ["gpt-4o", "2024-08-06", "m-2024-8-06", "é-20251001", ""] {
            assert!(without_snapshot_date(name) == name || name == "é-20251001", "{name}");
        }
    }
}
