//! Why a file is not a price book.

use super::pack::PackError;
use crate::money::MoneyError;

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
    /// A time that is none.
    #[error("price book, {provider}/{model}: cannot read the {what}")]
    When {
        /// Provider of the entry.
        provider: String,
        /// Model of the entry.
        model: String,
        /// What it is, and the text.
        what: String,
    },
    /// A provider whose prices are asked for, and which is not there.
    #[error("price book, {provider}: falls back to `{fallback}`, which is no provider of the book")]
    Fallback {
        /// Who asks.
        provider: String,
        /// Whom.
        fallback: String,
    },
}

impl From<PackError> for PriceBookError {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Fallback(provider, fallback) => Self::Fallback { provider, fallback },
            PackError::Line(error) => Self::Malformed(error),
        }
    }
}
