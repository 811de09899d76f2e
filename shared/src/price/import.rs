//! Other projects' price lists, as layers of a book. What a book cannot say is left out, and told.

mod decimal;
mod genai;
mod litellm;
mod overrides;
mod regex;

pub use genai::genai;
pub use litellm::litellm;
pub use overrides::{Discount, Overrides, OwnPrice, OwnProvider};

use super::file::BookFile;

/// A list that was read.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// It, as a layer.
    pub file: BookFile<'static>,
    /// What is not in it, and why.
    pub left_out: Vec<LeftOut>,
}

/// Something of a list that a book cannot say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// The model, as `provider/model`.
    pub model: String,
    /// What of it.
    pub what: String,
}

/// Why a file is no price list.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not the JSON that was expected.
    #[error("the price list is not readable: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A number that is no exact price.
    #[error("{model}, `{name}`: {text} is no price that can be kept exactly")]
    Price {
        /// The model, as `provider/model`.
        model: String,
        /// The name of the price.
        name: String,
        /// What was found.
        text: String,
    },
}
