//! Providers that answer in OpenAI's shape, where they count or spell otherwise than OpenAI.
//!
//! Spellings: cached tokens as `prompt_cache_hit_tokens` (DeepSeek), `cached_tokens` beside the totals (Together,
//! Moonshot, Hugging Face's routes to them) or `num_cached_tokens` (Mistral, before `prompt_tokens_details`); cache
//! writes as `cache_creation_input_tokens` (Alibaba, Vercel); details in the singular (Writer, Mistral, assistants);
//! the usage in `choices[0]` (Moonshot) or in `x_groq` (Groq's older streams). Where the only count is
//! `total_tokens`, it is the input (Voyage).
//!
//! Countings: reasoning and audio are inside their whole, unless the provider's own total says that they stand
//! beside it (xAI's chat: [`super::xai`]; Mistral's audio: what the total of a Voxtral call has beyond text and
//! output). Mistral bills transcriptions by the time that was heard.
//! Tokens of Mistral's connectors and of Snowflake's guard are further input, beside the prompt and in the total.
//! OpenRouter may bill tokens as written to a cache and as read from it in one request, as its stated cost shows:
//! they are in both buckets then, and the buckets are more than its total.
//! Reasoning above the completion cannot be inside: Vercel's gateway charges it beside the completion, as its
//! stated cost shows, and so with cached tokens above the prompt; OpenRouter estimates it, from the text, and so it is all of the completion; Perplexity's
//! deep research: [`super::perplexity`].
//!
//! A cost that is stated in the usage (OpenRouter, Vercel, Perplexity, xAI) is kept beside the counts.
//! Source: <https://api-docs.deepseek.com/guides/kv_cache>,
//! <https://platform.moonshot.ai/docs/api/chat>,
//! <https://docs.mistral.ai/studio-api/conversations/advanced/prompt-caching>,
//! <https://docs.mistral.ai/capabilities/audio/>, <https://docs.mistral.ai/agents/connectors/websearch>,
//! <https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api>,
//! <https://console.groq.com/docs/api-reference>,
//! <https://www.alibabacloud.com/help/en/model-studio/context-cache>,
//! <https://openrouter.ai/docs/use-cases/usage-accounting>,
//! <https://vercel.com/docs/ai-gateway>,
//! <https://docs.voyageai.com/reference/embeddings-api>.

use serde_json::Value;

use super::context::Context;
use super::family::{Counted, Seen};
use super::inclusive::{Inclusive, Names};
use super::read::{begun, count as number, first, known, money, text};
use super::{ExtractError, Stated, Usd, openai, perplexity, xai};
use crate::usage::{Bucket, Usage, UsageError};

/// Takes what a document in OpenAI's shape says.
pub(super) fn gather(seen: &mut Seen, value: &Value) {
    seen.names(value);
    seen.usage_of(&value["x_groq"]["usage"]);
    for choice in value["choices"].as_array().into_iter().flatten() {
        seen.usage_of(&choice["usage"]);
    }
    seen.usage_of(&value["usage"]);
    if seen.signature.is_none() {
        seen.signature = signature(value);
    }
}

/// Who wrote such a body, where only one does.
fn signature(value: &Value) -> Option<&'static str> {
    let usage = &value["usage"];
    let body = [
        ("x_groq", "groq"),
        ("prompt_filter_results", "azure"),
        ("search_results", "perplexity"),
        ("citations", "perplexity"),
        ("timings", "llama-cpp"),
    ];
    let inside = [
        ("prompt_cache_hit_tokens", "deepseek"),
        ("market_cost", "vercel-gateway"),
        ("cost_in_usd_ticks", "xai"),
        ("search_context_size", "perplexity"),
        ("num_cached_tokens", "mistral"),
        ("prompt_audio_seconds", "mistral"),
        ("draft_tokens", "gpustack"),
    ];
    let of = |object: &Value, known: &[(&'static str, &'static str)]| {
        known
            .iter()
            .find(|(name, _)| object.get(*name).is_some_and(|found| !found.is_null()))
            .map(|(_, who)| *who)
    };
    // OpenRouter names who served it; it and Vercel's gateway alone speak of bring-your-own-key.
    let routed =
        || (text(value, "provider").is_some() || usage.get("is_byok").is_some()).then_some("openrouter");
    of(usage, &inside).or_else(|| of(value, &body)).or_else(routed)
}

/// Counts a usage in OpenAI's shape by the rule of whoever wrote it.
pub(super) fn count(seen: &Seen, context: &Context) -> Result<Counted, ExtractError> {
    let usage = &seen.usage;
    let provider =
        if context.provider.is_some() { context.provider() } else { seen.signature.unwrap_or_default() };
    let mut counts = spelled(usage)?;
    let total = known(usage, "total_tokens")?;
    let mut beside = perplexity::beside(usage)?;
    let states_parts = ["prompt_tokens", "input_tokens", "completion_tokens", "output_tokens"];
    if !states_parts.iter().any(|name| usage.get(*name).is_some_and(|count| !count.is_null())) {
        counts.input = total.ok_or(ExtractError::NoUsage)?;
    }
    place(&mut counts, usage, total, provider, &mut beside)?;
    let counted = counts.disjoint(names(usage))?.check_total(total.filter(|_| beside.is_conserved));
    let found = counted.usage.iter().chain(beside.buckets).chain(fees(usage, context)?);
    let stated = Stated {
        input: beside.stated.input,
        output: beside.stated.output,
        reasoning: counted.stated.reasoning.or(beside.stated.reasoning),
        ..counted.stated
    };
    Ok(Counted {
        usage: Usage::new(found)?,
        reported: reported(usage),
        tier: tier(usage),
        contradiction: beside.contradiction.or(counted.contradiction),
        stated,
        ..Counted::default()
    })
}

/// What stands beside the totals, and whether these still hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    pub(super) buckets: Vec<(Bucket, u64)>,
    pub(super) is_conserved: bool,
    /// Whether reasoning is among it.
    pub(super) reasons: bool,
    /// What was read otherwise than it is stated.
    pub(super) stated: Stated,
    pub(super) contradiction: Option<ExtractError>,
}

/// OpenAI's counts, with what others spell otherwise.
fn spelled(usage: &Value) -> Result<Inclusive, ExtractError> {
    let mut counts = openai::inclusive(usage)?;
    if counts.cached == 0 {
        let names = ["prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens"];
        counts.cached = number(usage, first(usage, &names).0)?;
    }
    if counts.written_5m == 0 {
        let (_, inside) = first(usage, &["prompt_tokens_details", "input_tokens_details"]);
        let holder = if inside.get("cache_creation_input_tokens").is_some() { inside } else { usage };
        counts.written_5m = number(holder, "cache_creation_input_tokens")?;
    }
    if counts.reasoning == 0 {
        counts.reasoning = number(usage, "reasoning_tokens")?;
    }
    Ok(counts)
}

/// Puts reasoning and audio inside or beside their whole, as the total and the provider say.
fn place(
    counts: &mut Inclusive,
    usage: &Value,
    total: Option<u64>,
    provider: &str,
    beside: &mut Beside,
) -> Result<(), ExtractError> {
    if beside.reasons {
        counts.reasoning = 0;
        return Ok(());
    }
    for name in ["connector_tokens", "guard_tokens"] {
        counts.input = counts.input.saturating_add(number(usage, name)?);
    }
    let sum = counts.input.saturating_add(counts.output);
    let extra = total.and_then(|total| total.checked_sub(sum)).filter(|extra| *extra > 0);
    let heard = begun(usage, "prompt_audio_seconds", 1)?.is_some_and(|seconds| seconds > 0);
    match extra {
        Some(extra) if extra == counts.reasoning => counts.output = counts.output.saturating_add(extra),
        Some(extra) if heard || extra == counts.audio => {
            beside.stated.input = Some(counts.input);
            beside.contradiction =
                Some(UsageError::NotConserved { sum, total: sum.saturating_add(extra) }.into());
            counts.audio = extra;
            counts.input = counts.input.saturating_add(extra);
        }
        _ => {}
    }
    let spoken = counts.output_audio.saturating_add(counts.output_image);
    if counts.reasoning.saturating_add(spoken) > counts.output && provider == "vercel-gateway" {
        beside.stated.output = Some(counts.output);
        beside.contradiction = Some(ExtractError::PartAboveWhole {
            part: "completion_tokens_details",
            whole: "completion_tokens",
        });
        counts.output = counts.output.saturating_add(counts.reasoning);
        beside.is_conserved = false;
    }
    let apart = counts.cached.saturating_add(counts.written_5m);
    if apart > counts.input && provider == "vercel-gateway" {
        counts.input = counts.input.saturating_add(apart);
        beside.is_conserved = false;
    }
    let twice = counts.cached.saturating_add(counts.written_5m) > counts.input;
    if twice && provider == "openrouter" && counts.cached.max(counts.written_5m) <= counts.input {
        beside.stated.input = Some(counts.input);
        beside.contradiction =
            Some(ExtractError::PartAboveWhole { part: "prompt_tokens_details", whole: "prompt_tokens" });
        let fresh = counts.input - counts.cached.max(counts.written_5m);
        counts.input = fresh.saturating_add(counts.cached).saturating_add(counts.written_5m);
        beside.is_conserved = false;
    }
    Ok(())
}

/// Units that are not tokens.
fn fees(usage: &Value, context: &Context) -> Result<Vec<(Bucket, u64)>, ExtractError> {
    let (_, tools) = first(usage, &["server_tool_use", "server_tool_use_details"]);
    let mut fees = xai::fees(usage)?;
    fees.push((Bucket::WebSearches, number(tools, "web_search_requests")?));
    fees.push((Bucket::WebSearches, number(&usage["connectors"], "web_search")?));
    if context.path_has("/transcriptions") {
        fees.push((Bucket::AudioSeconds, begun(usage, "prompt_audio_seconds", 1)?.unwrap_or(0)));
    }
    Ok(fees)
}

/// The cost that a usage states.
pub(super) fn reported(usage: &Value) -> Option<Usd> {
    let cost = &usage["cost"];
    xai::reported(usage).or_else(|| money(&cost["total_cost"])).or_else(|| money(cost))
}

fn tier(usage: &Value) -> Option<String> {
    text(usage, "service_tier").map(str::to_owned)
}

fn names(usage: &Value) -> Names {
    if usage.get("prompt_tokens").is_none() {
        return openai::NAMES;
    }
    Names {
        input: "prompt_tokens",
        input_details: "prompt_tokens_details",
        output: "completion_tokens",
        output_details: "completion_tokens_details",
    }
}
