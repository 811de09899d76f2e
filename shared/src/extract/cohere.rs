//! Cohere's counting rule: what is billed is `billed_units`; `tokens` beside it counts the raw prompt.
//!
//! Version 1 states it in `meta`, version 2's chat in `usage`; a stream at its end. The raw tokens hold the prompt's
//! template, cached tokens and reasoning, none of which is billed apart, so that the billed units are not their sum.
//! `search_units` of a reranking, `images` and `image_tokens` of embeddings are units of their own; classifications have no bucket.
//! Source: <https://docs.cohere.com/reference/chat>, <https://docs.cohere.com/reference/rerank>,
//! <https://docs.cohere.com/reference/embed>, <https://docs.cohere.com/v2/docs/how-does-cohere-pricing-work>.

use serde_json::Value;

use super::ExtractError;
use super::context::Context;
use super::document::Document;
use super::family::{Counted, Family, Seen};
use super::read::{count, text};
use crate::usage::{Bucket, Usage};

/// Version 2's chat.
pub(super) struct Chat;

impl Family for Chat {
    fn shape(&self) -> &'static str {
        "cohere.v2"
    }

    fn provider(&self) -> &'static str {
        "cohere"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        let kinds = ["message-start", "content-start", "content-delta", "tool-plan-delta", "message-end"];
        is_billed(&value["usage"])
            || is_billed(&value["delta"]["usage"])
            || text(value, "type").is_some_and(|kind| kinds.contains(&kind))
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        let value = document.value;
        seen.latest(value, "usage");
        seen.usage_of(&value["delta"]["usage"]);
        seen.complete |= text(value, "type").is_none_or(|kind| kind == "message-end");
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        billed(&seen.usage)
    }
}

/// Version 1, and version 2's embeddings and rerankings, which state it as version 1 does.
pub(super) struct Meta;

impl Family for Meta {
    fn shape(&self) -> &'static str {
        "cohere.v1"
    }

    fn provider(&self) -> &'static str {
        "cohere"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        let kinds = ["stream-start", "text-generation", "search-queries-generation", "stream-end"];
        is_billed(&value["meta"])
            || is_billed(&value["response"]["meta"])
            || text(value, "event_type").is_some_and(|kind| kinds.contains(&kind))
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        let value = document.value;
        seen.names(value);
        seen.usage_of(&value["meta"]);
        seen.usage_of(&value["response"]["meta"]);
        seen.complete |= text(value, "event_type").is_none_or(|kind| kind == "stream-end");
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        billed(&seen.usage)
    }
}

fn is_billed(usage: &Value) -> bool {
    usage.get("billed_units").is_some()
}

fn billed(usage: &Value) -> Result<Counted, ExtractError> {
    let units = &usage["billed_units"];
    let known = ["input_tokens", "output_tokens", "image_tokens", "search_units", "images"];
    if !known.iter().any(|name| units.get(*name).is_some()) {
        return Err(ExtractError::NoUsage);
    }
    Ok(Usage::new([
        (Bucket::Input, count(units, "input_tokens")?),
        (Bucket::InputImage, count(units, "image_tokens")?),
        (Bucket::Output, count(units, "output_tokens")?),
        (Bucket::RerankSearches, count(units, "search_units")?),
        (Bucket::Images, count(units, "images")?),
    ])?
    .into())
}
