//! What a response says was used.

use serde::Serialize;

use super::ExtractError;
use crate::id::{ModelId, ProviderId};
use crate::money::Usd;
use crate::usage::Usage;

/// What became of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It says what was used.
    Ok,
    /// It is a provider's response that does not say what was used, or not so that it could be counted: unknown,
    /// not zero.
    NoUsage,
    /// The call failed: nothing was metered.
    ErrorResponse,
    /// It is no provider's response that is known.
    Unrecognised,
}

/// What one model used in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extraction {
    /// Who served it.
    pub provider: ProviderId,
    /// The model that answered; the one that was asked for where the response names none.
    pub model: Option<ModelId>,
    /// The model, deployment or profile that was asked for, as far as it is known.
    pub requested_model: Option<ModelId>,
    /// The service tier that applied, as the provider calls it.
    pub service_tier: Option<String>,
    /// Disjoint counts.
    pub usage: Usage,
    /// What the provider says that it cost, in US dollars.
    pub reported_cost_usd: Option<Usd>,
    /// What the response says otherwise than [`Self::usage`], where it contradicts itself.
    pub stated: Stated,
    /// What kind of call it was, in the words of OpenTelemetry's `gen_ai.operation.name`.
    pub operation: Option<&'static str>,
}

/// A provider's own sums, where they contradict each other and so are not those that were counted. None where they
/// are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// Of all input.
    pub input: Option<u64>,
    /// Of input that was read from a cache.
    pub cache_read: Option<u64>,
    /// Of all output.
    pub output: Option<u64>,
    /// Of reasoning.
    pub reasoning: Option<u64>,
}

/// What a response says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of it.
    pub status: Status,
    /// The shape it has; none if none is known.
    pub shape: Option<&'static str>,
    /// Who served it, as far as it is known.
    pub provider: Option<ProviderId>,
    /// The model that answered, or was asked for.
    pub model: Option<ModelId>,
    /// Whether it broke off, so that the counts are what was known by then.
    pub partial: bool,
    /// What was used: by the model that answered, and then by each other model that took part; of a batch's
    /// results, one for each line. Never empty if the status is [`Status::Ok`], and empty otherwise.
    pub calls: Vec<Extraction>,
    /// Why what is recognised cannot be counted.
    pub problem: Option<ExtractError>,
    /// What contradicts itself in what was counted: a part above its whole, of which as much is counted as the whole
    /// holds, or a total that the parts do not add up to.
    pub contradiction: Option<ExtractError>,
}
