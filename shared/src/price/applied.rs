//! What applied to an event: unit prices as stored with it, and the arithmetic of its cost.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{UnitPrice, Usd};
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
    /// Whether a bucket without a price of its own is billed as the one that it is a part of ([`parent`]).
    ///
    /// A flag and not rates written out, as most calls have no such tokens and every record keeps its prices.
    /// Records from before it was stored have it unset, and cost what they did.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherit: bool,
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
        let long = self.long_input(usage);
        let named = |bucket: Bucket| {
            let long = long.and_then(|long| long.unit.get(bucket.name()));
            long.or_else(|| self.unit.get(bucket.name())).copied()
        };
        if let Some(price) = named(bucket) {
            return Some(price);
        }
        match bucket {
            // Reasoning is billed as output unless an entry says otherwise:
            // https://platform.openai.com/docs/guides/reasoning, https://docs.claude.com/en/docs/build-with-claude/extended-thinking
            Bucket::Reasoning => named(Bucket::Output),
            // A request costs nothing by itself unless an entry says so.
            Bucket::Requests => Some(UnitPrice::default()),
            _ if self.inherit => std::iter::successors(parent(bucket), |b| parent(*b)).find_map(named),
            _ => None,
        }
    }

    /// The prices of a long input, if this usage has one.
    pub fn long_input(&self, usage: &Usage) -> Option<&LongInput> {
        let input = usage.input_tokens();
        self.long.iter().rev().find(|long| input > long.above)
    }

    /// The exact cost. None, so unknown, if the price lacks something that was used, or if the counts are so
    /// absurd that the cost is no amount of money ([`Usd`]).
    pub fn cost(&self, usage: &Usage) -> Option<Usd> {
        let (tokens, fees) = self.units(usage)?;
        Usd::from_units(tokens.checked_add(fees)?).ok()
    }

    /// The same, apart for tokens and for other units.
    pub fn cost_parts(&self, usage: &Usage) -> Option<Cost> {
        let (tokens, fees) = self.units(usage)?;
        Some(Cost { tokens: Usd::from_units(tokens).ok()?, fees: Usd::from_units(fees).ok()? })
    }

    /// For tokens and for other units, in units of 10^-15 dollars. No part of a sum is negative, so that it is
    /// enough to look at the end whether it is an amount: a report over records asks this of each call.
    fn units(&self, usage: &Usage) -> Option<(i128, i128)> {
        usage.iter().try_fold((0_i128, 0_i128), |(tokens, fees), (bucket, count)| {
            let cost = self.rate(bucket, usage)?.units_of(count)?;
            Some(if bucket.is_token() {
                (tokens.checked_add(cost)?, fees)
            } else {
                (tokens, fees.checked_add(cost)?)
            })
        })
    }
}

/// What a bucket is a part of, so that its tokens are billed at that price where a book states none for them.
///
/// It follows genai-prices' lattice of units, in which a price holds for all tokens of its kind that have no
/// narrower one: audio without a price of its own is input, cached audio is cached input, and input that a
/// provider caches without a discount is input. A price for each hour's cache is a price for writing it.
pub fn parent(bucket: Bucket) -> Option<Bucket> {
    match bucket {
        Bucket::CacheReadAudio | Bucket::CacheReadImage => Some(Bucket::CacheRead),
        Bucket::CacheWrite1h => Some(Bucket::CacheWrite5m),
        Bucket::CacheRead | Bucket::CacheWrite5m | Bucket::InputAudio | Bucket::InputImage => {
            Some(Bucket::Input)
        }
        Bucket::Reasoning | Bucket::OutputAudio | Bucket::OutputImage => Some(Bucket::Output),
        // A search is one of the model's whatever its size, where its price does not depend on it.
        Bucket::WebSearchesLow | Bucket::WebSearchesMedium | Bucket::WebSearchesHigh => {
            Some(Bucket::WebSearches)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: &str, searches: &str) -> AppliedPrice {
        let unit = [("input", input), ("web_searches", searches)];
        AppliedPrice {
            book: "v1".to_owned(),
            source: PriceSource::Book,
            entry: String::new(),
            tier: String::new(),
            unit: unit.map(|(name, rate)| (name.into(), rate.parse().unwrap())).into(),
            long: Vec::new(),
            inherit: false,
        }
    }

    #[test]
    fn a_cost_is_its_parts_and_unknown_where_either_or_their_sum_is_no_amount() {
        let usage = Usage::new([(Bucket::Input, 1 << 53), (Bucket::WebSearches, 3)]).unwrap();
        let cost = |input, searches| {
            let price = price(input, searches);
            let (parts, cost) = (price.cost_parts(&usage), price.cost(&usage));
            assert_eq!(parts.and_then(Cost::total), cost);
            cost.map(|cost| cost.to_string())
        };
        assert_eq!(cost("0.000000000000001", "0.01").as_deref(), Some("9.037199254740992"));
        // 9,007,199,254,740.992 and 2,999,997 dollars; then each past 10^13, and then the sum alone.
        assert_eq!(cost("0.001", "999999").as_deref(), Some("9007202254737.992"));
        assert_eq!(cost("0.0012", "0.01"), None);
        assert_eq!(cost("999999", "0.01"), None);
        let most = Usage::new([(Bucket::Input, 9_999_999_999_999), (Bucket::WebSearches, 1)]).unwrap();
        assert_eq!(price("1", "0.5").cost(&most).unwrap().to_string(), "9999999999999.5");
        assert_eq!(price("1", "1").cost(&most), None);
        assert!(price("1", "1").cost_parts(&most).is_some());
    }
}
