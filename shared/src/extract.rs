//! Usage extraction: from a provider's own response body to disjoint buckets.
//!
//! Bytes in, in any pieces; documents are taken out of their framing, of each only what may hold usage is kept, and
//! one family of shapes counts it. One file per provider family, each stating its counting rule and citing the
//! provider's documentation. A response without usage is unknown, and one that says that the call failed has
//! nothing to meter: neither is a zero.

use crate::money::Usd;
use crate::usage::{Usage, UsageError};

mod answer;
mod anthropic;
mod bedrock;
pub mod broken;
mod cohere;
mod compatible;
mod context;
pub mod document;
mod extractor;
mod failure;
mod family;
pub mod frame;
mod google;
mod inclusive;
pub mod keep;
mod ollama;
mod openai;
mod others;
mod perplexity;
mod read;
mod scan;
#[cfg(test)]
mod tests;
mod tree;
mod xai;

pub use answer::{Answer, Extraction, Stated, Status};
pub use broken::Broken;
pub use extractor::{Extractor, extract, extract_value};

/// The most models besides the one that answered: each is an event.
pub const MAX_MODELS: usize = 16;
/// The most calls of one response. A batch's results hold at most so many:
/// <https://platform.claude.com/docs/en/build-with-claude/batch-processing>.
pub const MAX_CALLS: usize = 100_000;

/// What is known of a body besides itself. All of it is optional.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hints<'a> {
    /// The provider's name: the `x-provider` header. It decides where the body is ambiguous.
    pub provider: Option<&'a str>,
    /// The path of the request.
    pub path: Option<&'a str>,
    /// The model, deployment or profile that was asked for.
    pub model: Option<&'a str>,
    /// The response's content type.
    pub content_type: Option<&'a str>,
    /// The response's HTTP status.
    pub status: Option<u16>,
    /// The response's headers.
    pub headers: &'a [(&'a str, &'a str)],
}

/// Why what is recognised cannot be counted.
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
    /// More elements of a list than are looked at, so that their sum is unknown.
    #[error("`{field}` holds more than can be counted")]
    TooManyElements {
        /// The list.
        field: &'static str,
    },
    /// Its bytes are not what they should be.
    #[error("a part of the response cannot be read: {0}")]
    Broken(Broken),
    /// The counts contradict each other.
    #[error(transparent)]
    Usage(#[from] UsageError),
}
