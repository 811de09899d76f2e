//! xAI's counting rule: OpenAI's, except that a chat's completion leaves reasoning out.
//!
//! Chat completions and gRPC: `total_tokens` is prompt, completion and reasoning, so reasoning stands beside the
//! completion; the Responses API counts it inside `output_tokens`, as OpenAI does. `cached_tokens` are inside the
//! prompt, and at most all of it; some calls state more, by a hidden prefix (Azure's Grok, images), that is in neither
//! `prompt_tokens` nor the total: then all of the prompt counts as cached. gRPC spells the parts `prompt_text_tokens`, `prompt_image_tokens`,
//! `cached_prompt_text_tokens`. Realtime states `billable_audio_seconds`.
//!
//! Tools of xAI's are a fee for each call that succeeded: `server_side_tool_usage_details` (REST),
//! `server_side_tools_used` (gRPC). Searches of the web and of stored collections have a bucket; X, code and
//! documents have none, and `num_sources_used` counts sources, not searches: these are left out.
//! `cost_in_usd_ticks` is what xAI charged, in 10^-10 dollars.
//! Source: <https://docs.x.ai/developers/cost-tracking>, <https://docs.x.ai/developers/tools/tool-usage-details>,
//! <https://docs.x.ai/developers/advanced-api-usage/prompt-caching/usage-and-pricing>.

use rust_decimal::Decimal;
use serde_json::Value;

use super::context::Context;
use super::document::Document;
use super::family::{Counted, Family, Seen};
use super::inclusive::{Inclusive, Names};
use super::read::{begun, count, known};
use super::{ExtractError, Usd};
use crate::usage::{Bucket, Usage};

/// `xai_api.Chat/GetCompletion` over gRPC, in the JSON form of its message.
pub(super) struct Grpc;

impl Family for Grpc {
    fn shape(&self) -> &'static str {
        "xai.grpc"
    }

    fn provider(&self) -> &'static str {
        "xai"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        value["usage"].get("prompt_text_tokens").is_some()
            || (value.get("outputs").is_some()
                && value.get("object").is_none()
                && value["usage"].get("prompt_tokens").is_some())
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        let usage = &seen.usage;
        let reasoning = count(usage, "reasoning_tokens")?;
        let counts = Inclusive {
            input: count(usage, "prompt_tokens")?,
            cached: count(usage, "cached_prompt_text_tokens")?,
            image: count(usage, "prompt_image_tokens")?,
            audio: count(usage, "prompt_audio_tokens")?,
            output: count(usage, "completion_tokens")?.saturating_add(reasoning),
            reasoning,
            ..Inclusive::default()
        };
        let names = Names {
            input: "prompt_tokens",
            input_details: "cached_prompt_text_tokens",
            output: "completion_tokens",
            output_details: "reasoning_tokens",
        };
        let counted = counts.disjoint(names)?.check_total(known(usage, "total_tokens")?);
        let usage_and_fees = Usage::new(counted.usage.iter().chain(fees(usage)?))?;
        Ok(Counted { usage: usage_and_fees, reported: reported(usage), ..counted })
    }
}

/// Whether a usage says which of xAI's tools ran.
pub(super) fn states_tools(usage: &Value) -> bool {
    usage.get("server_side_tool_usage_details").is_some() || usage.get("server_side_tools_used").is_some()
}

/// The fees of xAI's own.
pub(super) fn fees(usage: &Value) -> Result<Vec<(Bucket, u64)>, ExtractError> {
    let details = &usage["server_side_tool_usage_details"];
    let used = |name: &str| {
        let tools = usage["server_side_tools_used"].as_array().into_iter().flatten();
        tools.filter(|tool| *tool == name).count() as u64
    };
    let mut fees = vec![
        (Bucket::WebSearches, count(details, "web_search_calls")? + used("SERVER_SIDE_TOOL_WEB_SEARCH")),
        (
            Bucket::FileSearches,
            count(details, "file_search_calls")? + used("SERVER_SIDE_TOOL_COLLECTIONS_SEARCH"),
        ),
    ];
    if let Some(seconds) = begun(usage, "billable_audio_seconds", 1)? {
        fees.push((Bucket::AudioSeconds, seconds));
    }
    Ok(fees)
}

/// What xAI says that it charged. Azure passes the field on as 0, which is not what Azure charges.
pub(super) fn reported(usage: &Value) -> Option<Usd> {
    let ticks = known(usage, "cost_in_usd_ticks").ok().flatten().filter(|ticks| *ticks > 0)?;
    let value = Decimal::try_from_i128_with_scale(i128::from(ticks), 10).ok()?;
    Usd::new(value).ok()
}
