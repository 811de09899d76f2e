//! Usage extraction: from a provider's own response body to disjoint buckets.
//!
//! One file per provider family, each stating its counting rule and citing the provider's documentation.

use serde_json::Value;

use crate::id::{ModelId, ProviderId};
use crate::usage::{Usage, UsageError};

mod anthropic;
pub mod broken;
pub mod document;
pub mod frame;
pub mod keep;
mod openai;
mod scan;

/// The most models besides the one that answered: each is an event.
pub const MAX_MODELS: usize = 16;

/// What is known of a body besides itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints<'a> {
    /// The `x-provider` header.
    pub provider: Option<&'a str>,
}

/// What a response says was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extraction {
    /// Who served it.
    pub provider: ProviderId,
    /// The model that answered.
    pub model: Option<ModelId>,
    /// The service tier that applied, unless it is the standard one.
    pub service_tier: Option<String>,
    /// Disjoint counts.
    pub usage: Usage,
}

/// Why a recognised body yields no usage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtractError {
    /// The response holds no usage: what was used is unknown, not zero.
    #[error(
        "the response has no `usage`; ask the provider to include it (for OpenAI streams: stream_options.include_usage)"
    )]
    NoUsage,
    /// A count is not a whole number from 0 to 2^53.
    #[error("`{0}` is not a whole number from 0 to 2^53")]
    Count(String),
    /// A part is larger than the whole it belongs to.
    #[error("`{part}` is larger than `{whole}`, which contains it")]
    PartAboveWhole {
        /// The part's field.
        part: &'static str,
        /// The whole's field.
        whole: &'static str,
    },
    /// A name that cannot be an id.
    #[error("`{field}` {reason}")]
    Name {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// More models than take part in one call.
    #[error("more than {most} models took part; a response has one, and few that it asks")]
    TooManyModels {
        /// The most accepted.
        most: usize,
    },
    /// The counts contradict each other.
    #[error(transparent)]
    Usage(#[from] UsageError),
}

/// One family of response shapes.
pub trait Extractor: Sync {
    /// Its name, as in `x-provider`.
    fn name(&self) -> &'static str;

    /// Whether a body is of this family. Exact: a body that two families could claim is left to the hint.
    fn recognises(&self, body: &Value, hints: Hints<'_>) -> bool;

    /// Reads the usage of a body that it recognises: that of the model that answered, and then that of each
    /// other model that took part.
    fn extract(&self, body: &Value, hints: Hints<'_>) -> Result<Vec<Extraction>, ExtractError>;
}

/// Every family, in the order in which they are asked.
pub static EXTRACTORS: &[&dyn Extractor] =
    &[&openai::ChatCompletions, &openai::Responses, &anthropic::Messages];

/// The family of a body; none if it is no provider's response that is known.
pub fn recognise(body: &Value, hints: Hints<'_>) -> Option<&'static dyn Extractor> {
    EXTRACTORS.iter().copied().find(|extractor| extractor.recognises(body, hints))
}

/// A count that may be absent or null, which is 0.
fn count(object: &Value, name: &str) -> Result<u64, ExtractError> {
    match &object[name] {
        Value::Null => Ok(0),
        Value::Number(n) => n
            .as_u64()
            .filter(|n| *n <= crate::usage::MAX_COUNT)
            .ok_or_else(|| ExtractError::Count(name.to_owned())),
        _ => Err(ExtractError::Count(name.to_owned())),
    }
}

fn model(body: &Value) -> Result<Option<ModelId>, ExtractError> {
    name(&body["model"], "model", ModelId::parse)
}

/// The provider that was named, or the one whose shape it is.
fn provider(hints: Hints<'_>, family: &str) -> Result<ProviderId, ExtractError> {
    ProviderId::parse(hints.provider.unwrap_or(family))
        .map_err(|e| ExtractError::Name { field: "x-provider", reason: e.to_string() })
}

fn tier(value: &Value) -> Result<Option<String>, ExtractError> {
    let parsed = name(value, "service_tier", ProviderId::parse)?;
    Ok(parsed.map(String::from))
}

fn name<T>(
    value: &Value,
    field: &'static str,
    parse: impl Fn(&str) -> Result<T, crate::id::IdError>,
) -> Result<Option<T>, ExtractError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => {
            parse(text).map(Some).map_err(|e| ExtractError::Name { field, reason: e.to_string() })
        }
        _ => Err(ExtractError::Name { field, reason: "is not a string".to_owned() }),
    }
}
