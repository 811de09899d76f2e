//! Perplexity's counting rule: OpenAI's, with a fee for each request and with what deep research does beside it.
//!
//! Sonar models cost a fee for each request by `search_context_size`. Deep research states `citation_tokens`,
//! `reasoning_tokens` and `num_search_queries` beside the totals, and bills each: citation tokens at the price of
//! input, reasoning at its own, and each search. Old responses that state no size are left without the fee.
//! Source: <https://docs.perplexity.ai/getting-started/pricing>.

use serde_json::Value;

use super::ExtractError;
use super::compatible::Beside;
use super::read::{count, known, text};
use crate::usage::Bucket;

/// What stands beside the totals of a usage.
pub(super) fn beside(usage: &Value) -> Result<Beside, ExtractError> {
    let mut buckets = Vec::new();
    let cited = known(usage, "citation_tokens")?;
    if let Some(cited) = cited {
        buckets.push((Bucket::Input, cited));
        buckets.push((Bucket::Reasoning, count(usage, "reasoning_tokens")?));
        buckets.push((Bucket::WebSearches, count(usage, "num_search_queries")?));
    } else {
        let size = match text(usage, "search_context_size") {
            Some("low") => Some(Bucket::WebSearchesLow),
            Some("medium") => Some(Bucket::WebSearchesMedium),
            Some("high") => Some(Bucket::WebSearchesHigh),
            _ => None,
        };
        buckets.extend(size.map(|size| (size, 1)));
    }
    Ok(Beside { buckets, is_conserved: true, reasons: cited.is_some(), ..Beside::default() })
}
