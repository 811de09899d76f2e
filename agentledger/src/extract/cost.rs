//! What one call costs, and by which prices.

use jiff::Timestamp;
use serde::Serialize;
use shared::event::UsageEvent;
use shared::extract::Extraction;
use shared::id::ModelId;
use shared::money::{UnitPrice, Usd};
use shared::price::{AppliedPrice, PriceBook, PriceSource};
use shared::usage::{Bucket, Usage};

/// A price as it applied to a call.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PriceShown {
    /// Version of the book.
    book: String,
    source: PriceSource,
    /// The entry's provider and model; empty for the fallback.
    entry: String,
    /// The processing tier: `standard`, `batch`, `flex`, `priority`.
    tier: String,
    /// The input that was passed, where prices for long inputs applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    above_input_tokens: Option<u64>,
    /// US dollars per unit, for what was used.
    unit: serde_json::Map<String, serde_json::Value>,
}

/// A call with its cost.
#[derive(Clone, Debug)]
pub(super) struct Costed {
    /// Of its tokens; none if unknown.
    pub(super) tokens: Option<Usd>,
    /// Of everything else; none if unknown.
    pub(super) fees: Option<Usd>,
    /// Why one of them is unknown.
    pub(super) unpriced_reason: Option<String>,
    /// By what.
    pub(super) price: Option<PriceShown>,
}

impl Costed {
    /// Prices a call that was made at `at`. A provider may answer under a name that is no model of its price
    /// list, such as a deployment's: then the model that was asked for is looked up.
    pub(super) fn of(call: &Extraction, book: &PriceBook, at: Timestamp) -> Self {
        let mut event = UsageEvent::new(at, call.usage);
        event.provider = Some(call.provider.clone());
        event.service_tier.clone_from(&call.service_tier);
        let tokens = of_kind(&call.usage, true);
        let fees = of_kind(&call.usage, false);
        let mut names: Vec<&ModelId> = call.model.iter().chain(&call.requested_model).collect();
        names.dedup();
        let mut lacking = None;
        for name in &names {
            event.model = Some((*name).clone());
            for price in book.candidates(&event) {
                match price.cost_parts(&tokens) {
                    Some(cost) => return Self::by(price, call, cost.tokens, &fees),
                    None => lacking = lacking.or_else(|| Some(lacks(price, &tokens))),
                }
            }
        }
        let provider = call.provider.as_str();
        let reason = lacking.unwrap_or_else(|| match names.as_slice() {
            [] => "the response names no model; give it with --model".to_owned(),
            names => {
                let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
                let tier = call.service_tier.as_deref().map(|t| format!(" in tier {t}")).unwrap_or_default();
                format!(
                    "book {} has no price for {} of {provider}{tier} at {at}",
                    book.version(),
                    names.join(", nor for ")
                )
            }
        });
        let fees = if fees.iter().next().is_none() { Some(Usd::ZERO) } else { None };
        Self { tokens: None, fees, unpriced_reason: Some(reason), price: None }
    }

    fn by(price: &AppliedPrice, call: &Extraction, tokens: Usd, fees: &Usage) -> Self {
        let charged = price.cost_parts(fees).map(|cost| cost.fees);
        let unpriced_reason = charged.is_none().then(|| lacks(price, fees));
        let rate = |(bucket, _): (Bucket, u64)| {
            let rate: UnitPrice = price.rate(bucket, &call.usage)?;
            Some((bucket.name().to_owned(), rate.as_decimal().to_string().into()))
        };
        let tier = if price.tier.is_empty() { "standard" } else { &price.tier };
        let shown = PriceShown {
            book: price.book.clone(),
            source: price.source,
            entry: price.entry.clone(),
            tier: tier.to_owned(),
            above_input_tokens: price.long_input(&call.usage).map(|long| long.above),
            unit: call.usage.iter().filter_map(rate).collect(),
        };
        Self { tokens: Some(tokens), fees: charged, unpriced_reason, price: Some(shown) }
    }
}

/// The counts that are tokens, or those that are not.
fn of_kind(usage: &Usage, tokens: bool) -> Usage {
    // Fewer counts of a usage are a usage.
    Usage::new(usage.iter().filter(|(bucket, _)| bucket.is_token() == tokens)).unwrap_or_default()
}

fn lacks(price: &AppliedPrice, usage: &Usage) -> String {
    let lacking: Vec<_> = usage
        .iter()
        .filter(|(bucket, _)| price.rate(*bucket, usage).is_none())
        .map(|(bucket, _)| format!("`{}`", bucket.name()))
        .collect();
    let entry = if price.entry.is_empty() { "the fallback" } else { &price.entry };
    if lacking.is_empty() {
        return format!("the cost by {entry} of book {} is beyond 10^13 US dollars", price.book);
    }
    format!("{entry} of book {} has no price for {}", price.book, lacking.join(", "))
}
