//! OpenAI's counting rule: parts are inside their whole.
//!
//! Chat completions: `prompt_tokens` contains `prompt_tokens_details.cached_tokens`, `.cache_write_tokens` (from
//! GPT-5.6 on, at a price of their own), `.audio_tokens` and `.image_tokens`;
//! `completion_tokens` contains `completion_tokens_details.reasoning_tokens` and `.audio_tokens`;
//! `total_tokens` is the sum of both wholes. Responses, realtime and images name them `input_tokens` and
//! `output_tokens`; their `cached_tokens_details` say of what modality the cached tokens are. A transcription is
//! billed by tokens or by duration, as its usage says; speech by its text and its audio. An assistant's run states the usage of all its steps.
//!
//! A web search of the Responses API is a fee for each `search` action; opening a page or finding in it is none. The items of a
//! response are looked at up to the 128th. Chat completions do not state their searches: that fee is left out.
//! Source: <https://platform.openai.com/docs/api-reference/chat/object>,
//! <https://platform.openai.com/docs/api-reference/responses/object>,
//! <https://platform.openai.com/docs/api-reference/realtime-server-events/response/done>,
//! <https://platform.openai.com/docs/api-reference/images/object>,
//! <https://platform.openai.com/docs/api-reference/audio/json-object>,
//! <https://platform.openai.com/docs/api-reference/runs/object>,
//! <https://developers.openai.com/api/docs/guides/prompt-caching>,
//! <https://developers.openai.com/api/docs/guides/tools-web-search>.

use serde_json::Value;

use super::compatible;
use super::context::Context;
use super::document::Document;
use super::family::{Counted, Family, Seen};
use super::inclusive::{Inclusive, Names};
use super::read::{count, first, text};
use super::{ExtractError, xai};
use crate::usage::{Bucket, Usage};

mod media;

pub(super) use media::{Images, Realtime, Speech, Transcriptions};

/// `POST /v1/chat/completions`, and whoever answers in its shape.
pub(super) struct Chat;

impl Family for Chat {
    fn shape(&self) -> &'static str {
        "openai.chat"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn claims(&self, document: &Document<'_>, context: &Context) -> bool {
        let value = document.value;
        let object = text(value, "object").unwrap_or_default();
        object.starts_with("chat.completion")
            || value.get("choices").is_some_and(Value::is_array)
            || value["usage"].get("prompt_tokens").is_some()
            // A chunk of which nothing else was kept.
            || (context.path_has("chat/completions") && object.is_empty() && value.get("choices").is_some())
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        let value = document.value;
        compatible::gather(seen, value);
        let ends = |choice: &Value| text(choice, "finish_reason").is_some();
        let done = text(value, "type").is_some_and(|kind| kind.strip_suffix(".done").is_some());
        if document.event.is_none() && text(value, "object").is_some_and(|object| !object.ends_with("chunk"))
            || done
            || value["choices"].as_array().is_some_and(|choices| choices.iter().any(ends))
        {
            seen.complete = true;
        }
    }

    fn count(&self, seen: &Seen, context: &Context) -> Result<Counted, ExtractError> {
        compatible::count(seen, context)
    }
}

/// `POST /v1/completions`, the text endpoint from before chat.
pub(super) struct Completions;

impl Family for Completions {
    fn shape(&self) -> &'static str {
        "openai.completions"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn operation(&self) -> &'static str {
        "text_completion"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        document.value["object"] == "text_completion" || document.value["choices"][0].get("text").is_some()
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        Chat.gather(seen, document);
    }

    fn count(&self, seen: &Seen, context: &Context) -> Result<Counted, ExtractError> {
        compatible::count(seen, context)
    }
}

/// `POST /v1/embeddings`, and whoever answers with a list of data: rerankers too.
pub(super) struct Embeddings;

impl Family for Embeddings {
    fn shape(&self) -> &'static str {
        "openai.embeddings"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn operation(&self) -> &'static str {
        "embeddings"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        let data = value["data"].as_array().and_then(|data| data.first());
        let kinds = ["embedding", "relevance_score"];
        let of_kind = data.is_some_and(|datum| kinds.iter().any(|kind| datum.get(*kind).is_some()));
        of_kind || (value["object"] == "list" && value.get("usage").is_some())
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        compatible::gather(seen, document.value);
        seen.complete = true;
    }

    fn count(&self, seen: &Seen, context: &Context) -> Result<Counted, ExtractError> {
        compatible::count(seen, context)
    }
}

/// `POST /v1/responses`, and whoever answers in its shape.
pub(super) struct Responses;

impl Family for Responses {
    fn shape(&self) -> &'static str {
        "openai.responses"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        let usage = &value["usage"];
        value["object"] == "response"
            || value["response"]["object"] == "response"
            || text(value, "type")
                .is_some_and(|kind| kind.starts_with("response.") && kind != "response.done")
            || usage.get("input_tokens_details").is_some()
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        let value = document.value;
        let response = if value["response"].is_object() { &value["response"] } else { value };
        seen.latest(response, "usage");
        if let Some(items) = response["output"].as_array() {
            let ran = |kind: &str| {
                items.iter().filter(|item| item["type"] == kind && searches(item)).count() as u64
            };
            seen.searches = seen.searches.max(ran("web_search_call"));
            seen.file_searches = seen.file_searches.max(ran("file_search_call"));
        }
        let ends = ["response.completed", "response.incomplete", "response.failed"];
        seen.complete |= match text(value, "type") {
            Some(kind) => ends.contains(&kind),
            None => true,
        };
    }

    fn count(&self, seen: &Seen, context: &Context) -> Result<Counted, ExtractError> {
        let counted = compatible::count(seen, context)?;
        // xAI states the calls that succeeded, and these are what it bills.
        if counted.usage.get(Bucket::WebSearches) > 0 || xai::states_tools(&seen.usage) {
            return Ok(counted);
        }
        let fees = [(Bucket::WebSearches, seen.searches), (Bucket::FileSearches, seen.file_searches)];
        let usage = Usage::new(counted.usage.iter().chain(fees))?;
        Ok(Counted { usage, ..counted })
    }
}

/// Whoever states input and output, without a part that would tell the shape: all count these alike.
pub(super) struct Plain;

impl Family for Plain {
    fn shape(&self) -> &'static str {
        "plain"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn claims(&self, document: &Document<'_>, context: &Context) -> bool {
        let usage = &document.value["usage"];
        context.hinted && ["input_tokens", "output_tokens"].iter().all(|name| usage.get(*name).is_some())
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        seen.latest(document.value, "usage");
        seen.complete = true;
    }

    fn count(&self, seen: &Seen, context: &Context) -> Result<Counted, ExtractError> {
        compatible::count(seen, context)
    }
}

/// Whether a call of a search tool is a search: other actions of it (`open_page`, `find_in_page`) are no fee.
fn searches(item: &Value) -> bool {
    text(&item["action"], "type").is_none_or(|action| action == "search")
}

/// A run of an assistant.
pub(super) struct Runs;

impl Family for Runs {
    fn shape(&self) -> &'static str {
        "openai.assistants"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn operation(&self) -> &'static str {
        "invoke_agent"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        text(document.value, "object").is_some_and(|object| object.starts_with("thread."))
            || document.event.is_some_and(|event| event.starts_with("thread."))
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        // A step's usage is inside that of its run.
        if document.value["object"] == "thread.run" {
            seen.latest(document.value, "usage");
            let running = ["queued", "in_progress", "requires_action", "cancelling"];
            seen.complete = text(document.value, "status").is_none_or(|status| !running.contains(&status));
        }
    }

    fn count(&self, seen: &Seen, context: &Context) -> Result<Counted, ExtractError> {
        compatible::count(seen, context)
    }
}

pub(super) const NAMES: Names = Names {
    input: "input_tokens",
    input_details: "input_tokens_details",
    output: "output_tokens",
    output_details: "output_tokens_details",
};

/// The counts under either of OpenAI's names, as far as there are any of its own.
pub(super) fn inclusive(usage: &Value) -> Result<Inclusive, ExtractError> {
    let (input, _) = first(usage, &["prompt_tokens", "input_tokens"]);
    let (output, _) = first(usage, &["completion_tokens", "output_tokens"]);
    let (_, inside) = first(
        usage,
        &["prompt_tokens_details", "input_tokens_details", "input_token_details", "prompt_token_details"],
    );
    let (_, outside) = first(
        usage,
        &[
            "completion_tokens_details",
            "output_tokens_details",
            "output_token_details",
            "completion_token_details",
        ],
    );
    let cached = &inside["cached_tokens_details"];
    Ok(Inclusive {
        input: count(usage, input)?,
        cached: count(inside, "cached_tokens")?,
        cached_audio: count(cached, "audio_tokens")?,
        cached_image: count(cached, "image_tokens")?,
        written_5m: count(inside, "cache_write_tokens")?,
        written_1h: 0,
        audio: count(inside, "audio_tokens")?,
        image: count(inside, "image_tokens")?.saturating_add(count(inside, "video_tokens")?),
        output: count(usage, output)?,
        reasoning: count(outside, "reasoning_tokens")?,
        output_audio: count(outside, "audio_tokens")?,
        output_image: count(outside, "image_tokens")?,
    })
}
