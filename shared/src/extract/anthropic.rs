//! Anthropic's counting rule: cache reads and writes stand beside `input_tokens`, not inside.
//!
//! `cache_creation_input_tokens` is split by lifetime in `cache_creation`; what the split leaves out was
//! written for five minutes, the default. `output_tokens` contains thinking, which is not counted apart.
//! Source: <https://docs.claude.com/en/docs/build-with-claude/prompt-caching>,
//! <https://docs.claude.com/en/api/messages>.

use serde_json::Value;

use super::{ExtractError, Extraction, Extractor, Hints, count, model, provider, tier};
use crate::usage::{Bucket, Usage};

/// `POST /v1/messages`.
pub(super) struct Messages;

impl Extractor for Messages {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn recognises(&self, body: &Value, hints: Hints<'_>) -> bool {
        let usage = &body["usage"];
        let message = body["type"] == "message" && body["role"] == "assistant";
        let cached = ["cache_read_input_tokens", "cache_creation_input_tokens"];
        message
            || cached.iter().any(|name| usage.get(name).is_some())
            || (hints.provider == Some("anthropic") && usage.get("input_tokens").is_some())
    }

    fn extract(&self, body: &Value, hints: Hints<'_>) -> Result<Extraction, ExtractError> {
        let usage = &body["usage"];
        if !usage.is_object() {
            return Err(ExtractError::NoUsage);
        }
        let written = count(usage, "cache_creation_input_tokens")?;
        let split = &usage["cache_creation"];
        let short = count(split, "ephemeral_5m_input_tokens")?;
        let long = count(split, "ephemeral_1h_input_tokens")?;
        // Streams state the split only at their start, so it can be smaller than the total; never larger.
        let unsplit = match written.checked_sub(short.saturating_add(long)) {
            Some(unsplit) => unsplit,
            None if usage["cache_creation_input_tokens"].is_null() => 0,
            None => {
                return Err(ExtractError::PartAboveWhole {
                    part: "cache_creation",
                    whole: "cache_creation_input_tokens",
                });
            }
        };
        let counts = Usage::new([
            (Bucket::Input, count(usage, "input_tokens")?),
            (Bucket::CacheRead, count(usage, "cache_read_input_tokens")?),
            (Bucket::CacheWrite5m, short.saturating_add(unsplit)),
            (Bucket::CacheWrite1h, long),
            (Bucket::Output, count(usage, "output_tokens")?),
            (Bucket::WebSearches, count(&usage["server_tool_use"], "web_search_requests")?),
        ])?;
        Ok(Extraction {
            provider: provider(hints, "anthropic")?,
            model: model(body)?,
            service_tier: tier(&usage["service_tier"])?,
            usage: counts,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cache_tokens_are_beside_the_input() {
        let body = json!({"type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001",
            "usage": {"input_tokens": 10, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 500,
                "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 300},
                "output_tokens": 50, "server_tool_use": {"web_search_requests": 2}, "service_tier": "standard"}});
        assert!(Messages.recognises(&body, Hints::default()));
        let found = Messages.extract(&body, Hints::default()).unwrap();
        let want = [
            (Bucket::Input, 10),
            (Bucket::CacheRead, 2000),
            (Bucket::CacheWrite5m, 200),
            (Bucket::CacheWrite1h, 300),
            (Bucket::Output, 50),
            (Bucket::WebSearches, 2),
        ];
        assert_eq!(found.usage, Usage::new(want).unwrap());
        assert_eq!(found.usage.tokens(), 2560);
    }
}
