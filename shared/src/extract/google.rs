//! Google's counting rule: thoughts and tool-use prompts stand beside, cached content stands inside.
//!
//! `usageMetadata`, the same on the Gemini API and on Vertex AI: `promptTokenCount` contains
//! `cachedContentTokenCount`; `toolUsePromptTokenCount` is further input beside it; `thoughtsTokenCount` is further
//! output beside `candidatesTokenCount` (Live: `responseTokenCount`). The details by modality are parts of these, and
//! may sum to less: the rest is text. Documents are read as text or as images, at one price, and are counted as text
//! unless they are said to be images. `totalTokenCount` is the sum; Live's leaves thoughts out of it, and some
//! models' the tool-use prompt. A stream states the counts anew in each chunk, cumulatively.
//!
//! Grounding is a fee: from Gemini 3 on for each search query that is not empty, before for each grounded prompt.
//! Batched embeddings of older models state no usage. Vertex's older embeddings count tokens for each input.
//! Source: <https://ai.google.dev/api/generate-content#UsageMetadata>, <https://ai.google.dev/api/live#UsageMetadata>,
//! <https://ai.google.dev/gemini-api/docs/google-search>, <https://ai.google.dev/gemini-api/docs/interactions>,
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>.

use serde_json::Value;

use super::ExtractError;
use super::context::Context;
use super::document::Document;
use super::family::{Counted, Family, Seen};
use super::inclusive::{Inclusive, Names};
use super::keep::MAX_ELEMENTS;
use super::read::{count, first, known, text};
use crate::id::ModelId;
use crate::usage::{Bucket, Usage};

/// `generateContent` and `streamGenerateContent`.
pub(super) struct GenerateContent;

impl Family for GenerateContent {
    fn shape(&self) -> &'static str {
        "google.generateContent"
    }

    fn provider(&self) -> &'static str {
        "google"
    }

    fn operation(&self) -> &'static str {
        "generate_content"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        let names = ["candidates", "usageMetadata", "usage_metadata"];
        names.iter().any(|name| value.get(*name).is_some())
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        gather(seen, document.value);
        let candidates = document.value["candidates"].as_array();
        let ended = |candidate: &Value| text(candidate, "finishReason").is_some();
        // A prompt that was blocked has no candidates.
        seen.complete |= candidates.is_some_and(|candidates| candidates.iter().any(ended))
            || document.value.get("promptFeedback").is_some();
        for candidate in candidates.into_iter().flatten() {
            let queries = candidate["groundingMetadata"]["webSearchQueries"].as_array();
            let asked =
                queries.map_or(0, |queries| queries.iter().filter(|query| *query != "").count() as u64);
            seen.searches = seen.searches.max(asked);
        }
    }

    fn count(&self, seen: &Seen, context: &Context) -> Result<Counted, ExtractError> {
        let counted = tokens(&seen.usage)?;
        let model = seen.model.as_deref().or(context.requested.as_ref().map(ModelId::as_str));
        let searches =
            if bills_queries(model.unwrap_or_default()) { seen.searches } else { seen.searches.min(1) };
        let usage = Usage::new(counted.usage.iter().chain([(Bucket::WebSearches, searches)]))?;
        Ok(Counted { usage, tier: tier(&seen.usage), ..counted })
    }
}

/// A message of the Live API.
pub(super) struct Live;

impl Family for Live {
    fn shape(&self) -> &'static str {
        "google.live"
    }

    fn provider(&self) -> &'static str {
        "google"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        ["serverContent", "setupComplete", "toolCall"].iter().any(|name| value.get(*name).is_some())
            || value["usageMetadata"].get("responseTokenCount").is_some()
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        gather(seen, document.value);
        seen.complete = true;
    }

    fn each(&self) -> bool {
        true
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        Ok(Counted { tier: tier(&seen.usage), ..tokens(&seen.usage)? })
    }
}

/// `embedContent` and `batchEmbedContents`, and Vertex's `predict` of embeddings.
pub(super) struct Embeddings;

impl Family for Embeddings {
    fn shape(&self) -> &'static str {
        "google.embed"
    }

    fn provider(&self) -> &'static str {
        "google"
    }

    fn operation(&self) -> &'static str {
        "embeddings"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        value["embedding"].get("values").is_some()
            || value["embeddings"][0].get("values").is_some()
            || value["predictions"][0]["embeddings"]["statistics"].is_object()
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        gather(seen, document.value);
        if document.value.get("predictions").is_some() {
            seen.usage = document.value.clone();
        }
        seen.complete = true;
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        let Some(predictions) = seen.usage["predictions"].as_array() else {
            return tokens(&seen.usage);
        };
        // More elements than are kept: their sum is not known.
        if predictions.len() >= MAX_ELEMENTS {
            return Err(ExtractError::TooManyElements { field: "predictions" });
        }
        let counted = predictions.iter().map(|one| count(&one["embeddings"]["statistics"], "token_count"));
        let sum = counted.sum::<Result<u64, _>>()?;
        Ok(Usage::new([(Bucket::Input, sum)])?.into())
    }
}

/// The Interactions API.
pub(super) struct Interactions;

impl Family for Interactions {
    fn shape(&self) -> &'static str {
        "google.interactions"
    }

    fn provider(&self) -> &'static str {
        "google"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        value["object"] == "interaction"
            || value["interaction"]["object"] == "interaction"
            || text(value, "event_type").is_some_and(|kind| kind.starts_with("interaction."))
            || value["usage"].get("total_input_tokens").is_some()
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        let value = document.value;
        let interaction = if value["interaction"].is_object() { &value["interaction"] } else { value };
        seen.latest(interaction, "usage");
        let kind = text(value, "event_type");
        seen.complete |= kind.is_none_or(|kind| kind.starts_with("interaction.complete"));
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        let usage = &seen.usage;
        if usage.get("total_input_tokens").is_none() && usage.get("total_output_tokens").is_none() {
            return Err(ExtractError::NoUsage);
        }
        let details = |name: &str| modalities(&usage[name], "tokens");
        let inside = details("input_tokens_by_modality")?;
        let cached = details("cached_tokens_by_modality")?;
        let tool = details("tool_use_tokens_by_modality")?;
        let out = details("output_tokens_by_modality")?;
        let thoughts = count(usage, "total_thought_tokens")?;
        let names = Names {
            input: "total_input_tokens",
            input_details: "input_tokens_by_modality",
            output: "total_output_tokens",
            output_details: "output_tokens_by_modality",
        };
        let counts = Inclusive {
            input: count(usage, "total_input_tokens")?.saturating_add(count(usage, "total_tool_use_tokens")?),
            cached: count(usage, "total_cached_tokens")?,
            cached_audio: cached.audio,
            cached_image: cached.image,
            audio: inside.audio.saturating_add(tool.audio),
            image: inside.image.saturating_add(tool.image),
            output: count(usage, "total_output_tokens")?.saturating_add(thoughts),
            reasoning: thoughts,
            output_audio: out.audio,
            output_image: out.image,
            ..Inclusive::default()
        };
        Ok(counts.disjoint(names)?.check_total(known(usage, "total_tokens")?))
    }
}

fn gather(seen: &mut Seen, value: &Value) {
    seen.names(value);
    if let Some(model) = text(value, "modelVersion") {
        seen.model = Some(model.to_owned());
    }
    let (_, usage) = first(value, &["usageMetadata", "usage_metadata"]);
    // Vertex's first chunks state the kind of traffic only.
    let counts = ["promptTokenCount", "candidatesTokenCount", "responseTokenCount", "totalTokenCount"];
    if counts.iter().any(|name| usage.get(*name).is_some()) {
        seen.usage_of(usage);
    }
}

/// The tier that Vertex names as a kind of traffic, and the Gemini API as a tier.
fn tier(usage: &Value) -> Option<String> {
    let traffic = match text(usage, "trafficType") {
        Some("PROVISIONED_THROUGHPUT") => Some("provisioned_throughput"),
        Some("ON_DEMAND_FLEX") => Some("flex"),
        Some("ON_DEMAND_PRIORITY") => Some("priority"),
        _ => None,
    };
    traffic.or_else(|| text(usage, "serviceTier")).map(str::to_ascii_lowercase)
}

/// Whether each query is billed, as from Gemini 3 on.
fn bills_queries(model: &str) -> bool {
    let version = model.rsplit('/').next().unwrap_or_default().strip_prefix("gemini-");
    let major = version.and_then(|version| version.split(['.', '-']).next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= 3)
}

/// Parts by modality.
#[derive(Clone, Copy, Debug, Default)]
struct Modalities {
    audio: u64,
    image: u64,
}

fn modalities(details: &Value, counted: &str) -> Result<Modalities, ExtractError> {
    let mut parts = Modalities::default();
    for detail in details.as_array().into_iter().flatten() {
        let tokens = count(detail, counted)?;
        match text(detail, "modality").unwrap_or_default().to_ascii_uppercase().as_str() {
            "AUDIO" => parts.audio = parts.audio.saturating_add(tokens),
            "IMAGE" | "VIDEO" => parts.image = parts.image.saturating_add(tokens),
            _ => {}
        }
    }
    Ok(parts)
}

/// The tokens of a `usageMetadata`.
fn tokens(usage: &Value) -> Result<Counted, ExtractError> {
    let details = |names: &[&'static str]| modalities(first(usage, names).1, "tokenCount");
    let (output_name, _) = first(usage, &["candidatesTokenCount", "responseTokenCount"]);
    let inside = details(&["promptTokensDetails", "promptTokenDetails"])?;
    let cached = details(&["cacheTokensDetails"])?;
    let tool_details = details(&["toolUsePromptTokensDetails"])?;
    let outside = details(&["candidatesTokensDetails", "responseTokensDetails"])?;
    let tool = count(usage, "toolUsePromptTokenCount")?;
    let thoughts = count(usage, "thoughtsTokenCount")?;
    let counts = Inclusive {
        input: count(usage, "promptTokenCount")?.saturating_add(tool),
        cached: count(usage, "cachedContentTokenCount")?,
        cached_audio: cached.audio,
        cached_image: cached.image,
        audio: inside.audio.saturating_add(tool_details.audio),
        image: inside.image.saturating_add(tool_details.image),
        output: count(usage, output_name)?.saturating_add(thoughts),
        reasoning: thoughts,
        output_audio: outside.audio,
        output_image: outside.image,
        ..Inclusive::default()
    };
    let counted = counts.disjoint(Names {
        input: "promptTokenCount",
        input_details: "promptTokensDetails",
        output: output_name,
        output_details: "candidatesTokensDetails",
    })?;
    if let Some(total) = known(usage, "totalTokenCount")? {
        // What a cached content holds is stated as a total only.
        let sum = counted.usage.tokens();
        if usage.get("promptTokenCount").is_none() && sum == 0 {
            return Ok(Usage::new([(Bucket::Unsplit, total)])?.into());
        }
        let left_out = [0, thoughts, tool, thoughts.saturating_add(tool)];
        if !left_out.iter().any(|left_out| sum.checked_sub(*left_out) == Some(total)) {
            return Ok(counted.check_total(Some(total)));
        }
    }
    Ok(counted)
}
