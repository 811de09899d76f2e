//! Anthropic's counting rule: cache reads and writes stand beside `input_tokens`, not inside.
//!
//! `cache_creation_input_tokens` is split by lifetime in `cache_creation`; what the split leaves out was
//! written for five minutes, the default. `output_tokens` contains thinking, which newer models also state in
//! `output_tokens_details`. Where there are `iterations`, they are what is billed: the counts at the top leave
//! compaction out, and an iteration with a `model` of its own (an advisor) is billed as that model's.
//! Source: <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>,
//! <https://platform.claude.com/docs/en/api/messages>,
//! <https://platform.claude.com/docs/en/build-with-claude/compaction-threshold>,
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool>.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{ExtractError, Extraction, Extractor, Hints, MAX_MODELS, count, model, provider, tier};
use crate::id::ModelId;
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

    fn extract(&self, body: &Value, hints: Hints<'_>) -> Result<Vec<Extraction>, ExtractError> {
        let usage = &body["usage"];
        if !usage.is_object() {
            return Err(ExtractError::NoUsage);
        }
        let iterations = usage["iterations"].as_array().map(Vec::as_slice).unwrap_or_default();
        let (own, others): (Vec<&Value>, Vec<&Value>) =
            iterations.iter().partition(|iteration| iteration["model"].is_null());
        let own = if own.is_empty() { vec![usage] } else { own };
        let own = own.into_iter().map(counts).collect::<Result<Vec<_>, _>>()?.concat();
        let thinking = count(&usage["output_tokens_details"], "thinking_tokens")?;
        let (provider, service_tier) = (provider(hints, "anthropic")?, tier(&usage["service_tier"])?);
        let extraction = |model, usage| Extraction {
            provider: provider.clone(),
            model,
            service_tier: service_tier.clone(),
            usage,
        };
        let searches = count(&usage["server_tool_use"], "web_search_requests")?;
        let all = Usage::new(own.into_iter().chain([(Bucket::WebSearches, searches)]))?;
        let mut found = vec![extraction(model(body)?, think(&all, thinking)?)];
        // One for each model, however many iterations it took part in.
        let mut by_model: BTreeMap<Option<ModelId>, Vec<(Bucket, u64)>> = BTreeMap::new();
        for other in others {
            by_model.entry(model(other)?).or_default().extend(counts(other)?);
            if by_model.len() > MAX_MODELS {
                return Err(ExtractError::TooManyModels { most: MAX_MODELS });
            }
        }
        for (model, counts) in by_model {
            found.push(extraction(model, Usage::new(counts)?));
        }
        Ok(found)
    }
}

/// The tokens of a response, or of one of its iterations.
fn counts(usage: &Value) -> Result<Vec<(Bucket, u64)>, ExtractError> {
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
    Ok(vec![
        (Bucket::Input, count(usage, "input_tokens")?),
        (Bucket::CacheRead, count(usage, "cache_read_input_tokens")?),
        (Bucket::CacheWrite5m, short.saturating_add(unsplit)),
        (Bucket::CacheWrite1h, long),
        (Bucket::Output, count(usage, "output_tokens")?),
    ])
}

/// Takes thinking out of the output that contains it.
fn think(usage: &Usage, thinking: u64) -> Result<Usage, ExtractError> {
    let visible = usage
        .get(Bucket::Output)
        .checked_sub(thinking)
        .ok_or(ExtractError::PartAboveWhole { part: "thinking_tokens", whole: "output_tokens" })?;
    let rest = usage.iter().filter(|(bucket, _)| *bucket != Bucket::Output);
    Ok(Usage::new(rest.chain([(Bucket::Output, visible), (Bucket::Reasoning, thinking)]))?)
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
        let found = Messages.extract(&body, Hints::default()).unwrap().remove(0);
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

    #[test]
    fn iterations_are_what_is_billed_each_to_its_model() {
        let iteration = |kind: &str, input: u64, output: u64| json!({"type": kind, "input_tokens": input, "output_tokens": output});
        let mut advice = iteration("advisor_message", 1000, 20);
        advice["model"] = json!("claude-opus-4-8");
        let iterations =
            [iteration("compaction", 55_000, 125), advice.clone(), iteration("message", 220, 8), advice];
        let body = json!({"type": "message", "role": "assistant", "model": "claude-sonnet-4-6",
            "usage": {"input_tokens": 220, "output_tokens": 8, "output_tokens_details": {"thinking_tokens": 3},
                "iterations": iterations}});
        let found = Messages.extract(&body, Hints::default()).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|f| (f.model.as_ref().unwrap().as_str(), f.usage.get(Bucket::Input), f.usage.tokens()))
            .collect();
        assert_eq!(shown, [("claude-sonnet-4-6", 55_220, 55_353), ("claude-opus-4-8", 2000, 2040)]);
        assert_eq!(found[0].usage.get(Bucket::Reasoning), 3);
    }

    #[test]
    fn a_response_of_absurdly_many_models_is_refused() {
        let iterations: Vec<_> =
            (0..100).map(|n| json!({"model": format!("m{n}"), "input_tokens": 1})).collect();
        let body = json!({"type": "message", "role": "assistant", "usage": {"iterations": iterations}});
        let refused = Messages.extract(&body, Hints::default());
        assert!(matches!(refused, Err(ExtractError::TooManyModels { .. })), "{refused:?}");
    }

    #[test]
    fn a_part_larger_than_its_whole_is_an_error() {
        for usage in [
            json!({"output_tokens": 2, "output_tokens_details": {"thinking_tokens": 3}}),
            json!({"cache_creation_input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 2}}),
        ] {
            let body = json!({"type": "message", "role": "assistant", "usage": usage});
            let refused = Messages.extract(&body, Hints::default());
            assert!(matches!(refused, Err(ExtractError::PartAboveWhole { .. })), "{refused:?}");
        }
    }
}
