//! Why a call has no price, as far as its record tells: the price book is not read again, as it may have
//! changed since.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shared::event::UsageEvent;
use shared::price::{AppliedPrice, is_standard_tier};
use shared::usage::{Bucket, Usage};

/// Why calls have no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnpricedReason {
    /// They name no model.
    NoModel,
    /// The book had no price of this model at this provider at that time.
    NoPrice,
    /// The book had no price of this model in this service tier; whether it has one in another tier, the
    /// record does not tell.
    NoPriceForTier,
    /// The model had a price, which lacks something that was used: see `buckets`.
    NoPriceForBucket,
    /// The counts are so large that the cost is no amount of money.
    AmountTooLarge,
    /// There are more calls than were examined.
    NotExamined,
}

impl UnpricedReason {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoModel => "no_model",
            Self::NoPrice => "no_price",
            Self::NoPriceForTier => "no_price_for_tier",
            Self::NoPriceForBucket => "no_price_for_bucket",
            Self::AmountTooLarge => "amount_too_large",
            Self::NotExamined => "not_examined",
        }
    }
}

/// Why none of these prices gave a cost, and what the one that came nearest lacks.
pub(super) fn reason<'a>(
    candidates: impl Iterator<Item = &'a AppliedPrice>,
    event: &UsageEvent,
    usage: &Usage,
) -> (UnpricedReason, Vec<Bucket>) {
    let lacking = |price: &AppliedPrice| -> Vec<Bucket> {
        usage.iter().map(|(bucket, _)| bucket).filter(|bucket| price.rate(*bucket, usage).is_none()).collect()
    };
    let Some(lacks) = candidates.map(lacking).min_by_key(Vec::len) else {
        let reason = match (&event.model, event.service_tier.as_deref()) {
            (None, _) => UnpricedReason::NoModel,
            (Some(_), Some(tier)) if !is_standard_tier(tier) => UnpricedReason::NoPriceForTier,
            (Some(_), _) => UnpricedReason::NoPrice,
        };
        return (reason, Vec::new());
    };
    let too_large = lacks.is_empty();
    (if too_large { UnpricedReason::AmountTooLarge } else { UnpricedReason::NoPriceForBucket }, lacks)
}
