//! OpenAI's counting rule: parts are inside their whole.
//!
//! Chat completions: `prompt_tokens` contains `prompt_tokens_details.cached_tokens`, `.cache_write_tokens` (from
//! GPT-5.6 on, at a price of their own) and `.audio_tokens`;
//! `completion_tokens` contains `completion_tokens_details.reasoning_tokens` and `.audio_tokens`;
//! `total_tokens` is the sum of both wholes. The Responses API names them `input_tokens` and `output_tokens`.
//! Source: <https://platform.openai.com/docs/api-reference/chat/object>,
//! <https://platform.openai.com/docs/api-reference/responses/object>,
//! <https://developers.openai.com/api/docs/guides/prompt-caching>.

use serde_json::Value;

use super::{ExtractError, Extraction, Extractor, Hints, count, model, provider, tier};
use crate::usage::{Bucket, Usage};

/// `POST /v1/chat/completions`, and whoever answers in its shape.
pub(super) struct ChatCompletions;

impl Extractor for ChatCompletions {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn recognises(&self, body: &Value, _hints: Hints<'_>) -> bool {
        body["object"] == "chat.completion" || body["usage"].get("prompt_tokens").is_some()
    }

    fn extract(&self, body: &Value, hints: Hints<'_>) -> Result<Vec<Extraction>, ExtractError> {
        let names = Names {
            input: "prompt_tokens",
            input_details: "prompt_tokens_details",
            output: "completion_tokens",
            output_details: "completion_tokens_details",
        };
        read(body, hints, &names)
    }
}

/// `POST /v1/responses`.
pub(super) struct Responses;

impl Extractor for Responses {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn recognises(&self, body: &Value, hints: Hints<'_>) -> bool {
        let usage = &body["usage"];
        body["object"] == "response"
            || usage.get("input_tokens_details").is_some()
            || (hints.provider == Some("openai") && usage.get("input_tokens").is_some())
    }

    fn extract(&self, body: &Value, hints: Hints<'_>) -> Result<Vec<Extraction>, ExtractError> {
        let names = Names {
            input: "input_tokens",
            input_details: "input_tokens_details",
            output: "output_tokens",
            output_details: "output_tokens_details",
        };
        read(body, hints, &names)
    }
}

struct Names {
    input: &'static str,
    input_details: &'static str,
    output: &'static str,
    output_details: &'static str,
}

fn read(body: &Value, hints: Hints<'_>, names: &Names) -> Result<Vec<Extraction>, ExtractError> {
    let usage = &body["usage"];
    if !usage.is_object() {
        return Err(ExtractError::NoUsage);
    }
    let (inside, outside) = (&usage[names.input_details], &usage[names.output_details]);
    let input = count(usage, names.input)?;
    let cached = count(inside, "cached_tokens")?;
    let written = count(inside, "cache_write_tokens")?;
    let input_audio = count(inside, "audio_tokens")?;
    let output = count(usage, names.output)?;
    let reasoning = count(outside, "reasoning_tokens")?;
    let output_audio = count(outside, "audio_tokens")?;
    let rest = |whole: u64, parts: &[u64], part: &'static str, name: &'static str| {
        parts
            .iter()
            .try_fold(whole, |rest, n| rest.checked_sub(*n))
            .ok_or(ExtractError::PartAboveWhole { part, whole: name })
    };
    let text_in = rest(input, &[cached, written, input_audio], names.input_details, names.input)?;
    let text_out = rest(output, &[reasoning, output_audio], names.output_details, names.output)?;
    let counts = Usage::new([
        (Bucket::Input, text_in),
        (Bucket::CacheRead, cached),
        // There is one lifetime and one price of writes; this bucket is the shorter of the two there are.
        (Bucket::CacheWrite5m, written),
        (Bucket::InputAudio, input_audio),
        (Bucket::Output, text_out),
        (Bucket::Reasoning, reasoning),
        (Bucket::OutputAudio, output_audio),
    ])?;
    if !usage["total_tokens"].is_null() {
        counts.check_total(count(usage, "total_tokens")?)?;
    }
    Ok(vec![Extraction {
        provider: provider(hints, "openai")?,
        model: model(body)?,
        service_tier: tier(&body["service_tier"])?,
        usage: counts,
    }])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_taken_out_of_their_whole() {
        let body = json!({"object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "service_tier": "default",
            "usage": {"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500,
                "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": null}}});
        let found = ChatCompletions.extract(&body, Hints::default()).unwrap().remove(0);
        let want =
            [(Bucket::Input, 176), (Bucket::CacheRead, 1024), (Bucket::Output, 236), (Bucket::Reasoning, 64)];
        assert_eq!(found.usage, Usage::new(want).unwrap());
        assert_eq!(found.model.unwrap().as_str(), "gpt-4o-mini-2024-07-18");
    }

    #[test]
    fn cache_writes_are_inside_the_input_too() {
        let body = json!({"object": "chat.completion", "usage": {"prompt_tokens": 4020, "completion_tokens": 4,
            "total_tokens": 4024, "prompt_tokens_details": {"cache_write_tokens": 4012, "cached_tokens": 0}}});
        let found = ChatCompletions.extract(&body, Hints::default()).unwrap().remove(0);
        let want = [(Bucket::Input, 8), (Bucket::CacheWrite5m, 4012), (Bucket::Output, 4)];
        assert_eq!(found.usage, Usage::new(want).unwrap());
    }

    #[test]
    fn contradictions_are_errors_not_guesses() {
        let body = |usage| json!({"object": "chat.completion", "usage": usage});
        let fails = |usage| ChatCompletions.extract(&body(usage), Hints::default()).unwrap_err();
        assert!(matches!(
            fails(json!({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}})),
            ExtractError::PartAboveWhole { .. }
        ));
        assert!(matches!(
            fails(json!({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 7})),
            ExtractError::Usage(_)
        ));
        assert!(matches!(fails(json!({"prompt_tokens": 1.5})), ExtractError::Count(_)));
        assert!(matches!(fails(json!(null)), ExtractError::NoUsage));
    }

    #[test]
    fn responses_name_them_otherwise() {
        let body = json!({"object": "response", "model": "o4-mini", "usage": {"input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 17}});
        assert!(!ChatCompletions.recognises(&body, Hints::default()));
        assert!(Responses.recognises(&body, Hints::default()));
        let found = Responses.extract(&body, Hints::default()).unwrap().remove(0);
        assert_eq!((found.usage.get(Bucket::Input), found.usage.get(Bucket::Output)), (6, 2));
    }
}
