//! The answer for one response, as it is printed.

use jiff::Timestamp;
use serde::Serialize;
use shared::extract::{self, Extraction, Stated, Status};
use shared::id::{ModelId, ProviderId};
use shared::money::Usd;
use shared::price::PriceBook;
use shared::usage::{Bucket, Usage};

use super::cost::{Costed, PriceShown};

/// What one response used, and what that costs.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    status: Status,
    /// The family of response shapes.
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<&'static str>,
    provider: Option<String>,
    model: Option<String>,
    service_tier: Option<String>,
    /// The response was cut: there may have been more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
    /// Disjoint counts of the model that answered.
    usage: Option<Usage>,
    totals: Option<Inclusive>,
    /// The tokens of every model that took part, in US dollars.
    cost_usd: Option<Usd>,
    /// What is not tokens, such as searches, of every model that took part.
    fees_usd: Option<Usd>,
    /// What the provider itself said it cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    reported_cost_usd: Option<Usd>,
    unpriced_reason: Option<String>,
    price: Option<PriceShown>,
    /// Each model or batch item by itself, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calls: Vec<CallShown>,
    /// Why a response that is recognised yields no counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What contradicts itself in the response: then `totals` has the provider's own figures, and `usage` what counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    contradiction: Option<String>,
}

/// One of several calls that a response holds.
#[derive(Debug, Serialize)]
struct CallShown {
    provider: ProviderId,
    model: Option<ModelId>,
    service_tier: Option<String>,
    usage: Usage,
    totals: Inclusive,
    cost_usd: Option<Usd>,
    fees_usd: Option<Usd>,
    unpriced_reason: Option<String>,
    price: Option<PriceShown>,
}

/// Sums as invoices show them: input with what was cached, output with reasoning. The provider's own where these
/// contradict each other.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Inclusive {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    reasoning: u64,
}

impl Inclusive {
    fn of(usage: &Usage, stated: &Stated) -> Self {
        Self {
            input: stated.input.unwrap_or(usage.input_tokens()),
            output: stated.output.unwrap_or(usage.output_tokens()),
            cache_read: stated.cache_read.unwrap_or(usage.cache_read_tokens()),
            cache_write: usage.cache_write_tokens(),
            cache_write_5m: usage.get(Bucket::CacheWrite5m),
            cache_write_1h: usage.get(Bucket::CacheWrite1h),
            reasoning: stated.reasoning.unwrap_or(usage.get(Bucket::Reasoning)),
        }
    }
}

impl Answer {
    /// Prices what was found, as of `at`.
    pub(super) fn of(found: extract::Answer, book: &PriceBook, at: Timestamp) -> Self {
        let mut answer = Self {
            status: found.status,
            shape: found.shape,
            provider: found.provider.map(String::from),
            model: found.model.map(String::from),
            service_tier: None,
            partial: found.partial,
            usage: None,
            totals: None,
            cost_usd: None,
            fees_usd: None,
            reported_cost_usd: None,
            unpriced_reason: None,
            price: None,
            calls: Vec::new(),
            problem: found.problem.map(|problem| problem.to_string()),
            contradiction: found.contradiction.map(|contradiction| contradiction.to_string()),
        };
        answer.take(&found.calls, book, at);
        answer
    }

    /// The answer for counts that were given.
    pub(super) fn of_given(call: Extraction, book: &PriceBook, at: Timestamp) -> Self {
        let found = extract::Answer {
            status: Status::Ok,
            shape: None,
            provider: Some(call.provider.clone()),
            model: call.model.clone(),
            partial: false,
            calls: vec![call],
            problem: None,
            contradiction: None,
        };
        Self::of(found, book, at)
    }

    fn take(&mut self, calls: &[Extraction], book: &PriceBook, at: Timestamp) {
        let several = calls.len() > 1;
        let first = calls.first().map(|call| call.model.clone());
        let (mut own, mut cost, mut fees) = (Vec::new(), Some(Usd::ZERO), Some(Usd::ZERO));
        for call in calls {
            let costed = Costed::of(call, book, at);
            cost = add(cost, costed.tokens);
            fees = add(fees, costed.fees);
            self.reported_cost_usd = self.reported_cost_usd.or(call.reported_cost_usd);
            if first.as_ref() == Some(&call.model) {
                own.extend(call.usage.iter());
            }
            if self.price.is_none() {
                self.provider = Some(call.provider.to_string());
                self.service_tier.clone_from(&call.service_tier);
            }
            self.price = self.price.take().or_else(|| costed.price.clone());
            self.unpriced_reason = self.unpriced_reason.take().or_else(|| costed.unpriced_reason.clone());
            if several {
                self.calls.push(CallShown {
                    provider: call.provider.clone(),
                    model: call.model.clone(),
                    service_tier: call.service_tier.clone(),
                    usage: call.usage,
                    totals: Inclusive::of(&call.usage, &call.stated),
                    cost_usd: costed.tokens,
                    fees_usd: costed.fees,
                    unpriced_reason: costed.unpriced_reason,
                    price: costed.price,
                });
            }
        }
        if let Some(first) = first {
            self.model = first.map(String::from);
            match Usage::new(own) {
                Ok(usage) => {
                    let stated =
                        calls.first().filter(|_| !several).map(|call| call.stated).unwrap_or_default();
                    (self.usage, self.totals) = (Some(usage), Some(Inclusive::of(&usage, &stated)));
                    (self.cost_usd, self.fees_usd) = (cost, fees);
                }
                Err(error) => self.problem = Some(error.to_string()),
            }
        }
    }
}

/// A sum of which one part is unknown is unknown.
fn add(sum: Option<Usd>, more: Option<Usd>) -> Option<Usd> {
    sum?.checked_add(more?).ok()
}
