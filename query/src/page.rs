//! Paging tokens: opaque to the reader, and bound to the question that they continue.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::hash::ContentHash;

use crate::error::QueryError;

/// Rows of a page unless asked otherwise.
pub(crate) const DEFAULT_LIMIT: usize = 1_000;

#[derive(Serialize, Deserialize)]
struct Token<T> {
    q: ContentHash,
    at: T,
}

/// Identifies a question, so that a token is not used with another.
pub(crate) fn question<T: Serialize>(question: &T) -> ContentHash {
    // Requests are structs of strings and numbers, which always serialise.
    ContentHash::of(question).unwrap_or_else(|_| ContentHash::from(""))
}

/// The token to continue `question` at a place.
pub(crate) fn write<T: Serialize>(question: &ContentHash, at: T) -> Option<String> {
    let json = serde_json::to_vec(&Token { q: question.clone(), at }).ok()?;
    Some(URL_SAFE_NO_PAD.encode(json))
}

/// Reads a token back.
pub(crate) fn read<T: DeserializeOwned>(question: &ContentHash, token: &str) -> Result<T, QueryError> {
    let bad =
        || QueryError::parameter("next", "is not a token of an earlier answer; leave it out to start over");
    let json = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let token: Token<T> = serde_json::from_slice(&json).map_err(|_| bad())?;
    if token.q != *question {
        return Err(QueryError::parameter(
            "next",
            "continues another question; repeat the same parameters, or leave it out to start over",
        ));
    }
    Ok(token.at)
}
