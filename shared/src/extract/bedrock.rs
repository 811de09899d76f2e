//! Amazon Bedrock's counting rule: cached tokens stand beside `inputTokens`, as with Anthropic.
//!
//! Converse, `ConverseStream` (its `metadata` event) and Nova: `totalTokens` is `inputTokens`, cache reads, cache
//! writes and `outputTokens`; `cacheDetails` splits the writes by lifetime, and what it leaves out was written for
//! five minutes. `InvokeModel` answers in each model's own shape; Titan's and Llama's are here, others' with their
//! families. Where a shape states nothing, the headers `x-amzn-bedrock-*-token-count` do, and at the end of a
//! stream `amazon-bedrock-invocationMetrics`.
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CacheDetail.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-text.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-meta.html>,
//! <https://docs.aws.amazon.com/nova/latest/userguide/complete-request-schema.html>.

use serde_json::Value;

use super::ExtractError;
use super::context::Context;
use super::document::Document;
use super::family::{Counted, Family, Seen};
use super::read::{count, first, known, text};
use crate::usage::{Bucket, Usage};

/// Converse and `ConverseStream`, and Nova's own shape, which is the same.
pub(super) struct Converse;

impl Family for Converse {
    fn shape(&self) -> &'static str {
        "bedrock.converse"
    }

    fn provider(&self) -> &'static str {
        "bedrock"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        let events =
            ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop"];
        value["usage"].get("inputTokens").is_some()
            || value["metadata"]["usage"].get("inputTokens").is_some()
            || document.event.is_some_and(|event| events.contains(&event))
            || ["messageStart", "contentBlockDelta", "messageStop"]
                .iter()
                .any(|name| value.get(*name).is_some())
            || (value.get("stopReason").is_some() && value["output"].get("message").is_some())
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        let value = document.value;
        seen.usage_of(&value["metadata"]["usage"]);
        seen.latest(value, "usage");
        let (_, tier) = first(value, &["serviceTier"]);
        if let Some(tier) = tier.as_str().or_else(|| text(tier, "type")) {
            seen.tier = Some(tier.to_owned());
        }
        seen.complete |= !seen.usage.is_null();
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        let usage = &seen.usage;
        let (read, _) = first(usage, &["cacheReadInputTokens", "cacheReadInputTokenCount"]);
        let (written, _) = first(usage, &["cacheWriteInputTokens", "cacheWriteInputTokenCount"]);
        let written = count(usage, written)?;
        let mut long = 0_u64;
        for detail in usage["cacheDetails"].as_array().into_iter().flatten() {
            if detail["ttl"] == "1h" {
                long = long.saturating_add(count(detail, "inputTokens")?);
            }
        }
        let short = written
            .checked_sub(long)
            .ok_or(ExtractError::PartAboveWhole { part: "cacheDetails", whole: "cacheWriteInputTokens" })?;
        let counts = Usage::new([
            (Bucket::Input, count(usage, "inputTokens")?),
            (Bucket::CacheRead, count(usage, read)?),
            (Bucket::CacheWrite5m, short),
            (Bucket::CacheWrite1h, long),
            (Bucket::Output, count(usage, "outputTokens")?),
        ])?;
        Ok(Counted::from(counts).check_total(known(usage, "totalTokens")?))
    }
}

/// Titan's own shape.
pub(super) struct Titan;

impl Family for Titan {
    fn shape(&self) -> &'static str {
        "bedrock.titan"
    }

    fn provider(&self) -> &'static str {
        "bedrock"
    }

    fn operation(&self) -> &'static str {
        "text_completion"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        document.value.get("inputTextTokenCount").is_some() || document.value.get("outputText").is_some()
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        // A stream's chunks count too, but what is billed is what Bedrock measured at its end: a prompt that a
        // guardrail stopped never reached the model.
        if document.value.get("outputText").is_none() {
            seen.usage = document.value.clone();
        }
        seen.complete = true;
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        let usage = &seen.usage;
        let mut output = 0_u64;
        for result in usage["results"].as_array().into_iter().flatten() {
            output = output.saturating_add(count(result, "tokenCount")?);
        }
        Ok(Usage::new([(Bucket::Input, count(usage, "inputTextTokenCount")?), (Bucket::Output, output)])?
            .into())
    }
}

/// Llama's own shape.
pub(super) struct Llama;

impl Family for Llama {
    fn shape(&self) -> &'static str {
        "bedrock.llama"
    }

    fn provider(&self) -> &'static str {
        "bedrock"
    }

    fn operation(&self) -> &'static str {
        "text_completion"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        document.value.get("generation_token_count").is_some()
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        let value = document.value;
        // The first document of a stream states the prompt, each the output so far.
        let prompt = seen.usage["prompt_token_count"].clone();
        seen.usage = value.clone();
        if value["prompt_token_count"].is_null() && !prompt.is_null() {
            seen.usage["prompt_token_count"] = prompt;
        }
        seen.complete = text(value, "stop_reason").is_some() || seen.complete;
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        let input = count(&seen.usage, "prompt_token_count")?;
        let output = count(&seen.usage, "generation_token_count")?;
        Ok(Usage::new([(Bucket::Input, input), (Bucket::Output, output)])?.into())
    }
}

/// What Bedrock measured at the end of a stream. `inputTokenCount` leaves cached tokens out, as the headers do.
pub(super) fn metrics(metrics: &Value) -> Result<Usage, ExtractError> {
    Ok(Usage::new([
        (Bucket::Input, count(metrics, "inputTokenCount")?),
        (Bucket::CacheRead, count(metrics, "cacheReadInputTokenCount")?),
        (Bucket::CacheWrite5m, count(metrics, "cacheWriteInputTokenCount")?),
        (Bucket::Output, count(metrics, "outputTokenCount")?),
    ])?)
}
