//! Anthropic's counting rule: cache reads and writes stand beside `input_tokens`, not inside.
//!
//! `cache_creation_input_tokens` is split by lifetime in `cache_creation`; what the split leaves out was
//! written for five minutes, the default. `output_tokens` contains thinking, which newer models also state in
//! `output_tokens_details`. Where there are `iterations`, they are what is billed: the counts at the top leave
//! compaction out, and an iteration with a `model` of its own (an advisor) is billed as that model's.
//! A stream's `message_start` states the usage so far, and each `message_delta` states it anew, cumulatively, as
//! far as it changed. Web searches are a fee for each; fetches are none. The fast mode has prices of its own, so
//! it is given as the tier `fast`. Others who answer in this shape may state a cost. The old `/v1/complete` states no usage.
//! Source: <https://platform.claude.com/docs/en/build-with-claude/prompt-caching>,
//! <https://platform.claude.com/docs/en/api/messages>,
//! <https://platform.claude.com/docs/en/build-with-claude/streaming>,
//! <https://platform.claude.com/docs/en/build-with-claude/compaction-threshold>,
//! <https://platform.claude.com/docs/en/build-with-claude/fast-mode>,
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool>,
//! <https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool>.

use std::collections::BTreeMap;

use serde_json::Value;

use super::compatible;
use super::context::Context;
use super::document::Document;
use super::family::{Counted, Family, Seen};
use super::read::{count, text};
use super::{ExtractError, MAX_MODELS, Stated};
use crate::usage::{Bucket, Usage};

/// `POST /v1/messages`, also as Vertex and Bedrock serve it.
pub(super) struct Messages;

impl Family for Messages {
    fn shape(&self) -> &'static str {
        "anthropic.messages"
    }

    fn provider(&self) -> &'static str {
        "anthropic"
    }

    fn claims(&self, document: &Document<'_>, context: &Context) -> bool {
        let value = document.value;
        let usage = &value["usage"];
        let message = value["type"] == "message" && value["role"] == "assistant";
        let started = value["type"] == "message_start" && value.get("message").is_some();
        let own = usage.get("input_tokens").is_some() && usage.get("input_tokens_details").is_none();
        let cached = ["cache_read_input_tokens", "cache_creation_input_tokens"];
        let cached = cached.iter().any(|name| usage.get(*name).is_some());
        message
            || started
            || (own && (cached || context.provider() == "anthropic" || context.path_has("/messages")))
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        let value = document.value;
        match text(value, "type") {
            Some("message_start") => {
                seen.names(&value["message"]);
                overlay(&mut seen.usage, &value["message"]["usage"]);
            }
            Some("message_delta") => {
                overlay(&mut seen.usage, &value["usage"]);
                seen.complete = true;
            }
            // Others of a stream hold none.
            Some(kind) if kind != "message" => {}
            _ => {
                seen.latest(value, "usage");
                seen.complete = true;
            }
        }
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        let usage = &seen.usage;
        if !["input_tokens", "output_tokens"].iter().any(|name| usage.get(*name).is_some()) {
            return Err(ExtractError::NoUsage);
        }
        let iterations = usage["iterations"].as_array().map(Vec::as_slice).unwrap_or_default();
        let (own, others) = rounds(iterations, seen.model.as_deref());
        let own = if own.is_empty() { vec![usage] } else { own };
        let own = own.into_iter().map(counts).collect::<Result<Vec<_>, _>>()?.concat();
        let thinking = count(&usage["output_tokens_details"], "thinking_tokens")?;
        let searches = count(&usage["server_tool_use"], "web_search_requests")?;
        let all = Usage::new(own.into_iter().chain([(Bucket::WebSearches, searches)]))?;
        // One for each model, however many iterations it took part in.
        let mut by_model: BTreeMap<&str, Vec<(Bucket, u64)>> = BTreeMap::new();
        for other in others {
            by_model.entry(text(other, "model").unwrap_or_default()).or_default().extend(counts(other)?);
            if by_model.len() > MAX_MODELS {
                return Err(ExtractError::TooManyModels { most: MAX_MODELS });
            }
        }
        let others = by_model.into_iter().map(|(model, counts)| Ok((model.to_owned(), Usage::new(counts)?)));
        Ok(Counted {
            tier: tier(usage),
            reported: compatible::reported(usage),
            others: others.collect::<Result<_, ExtractError>>()?,
            ..think(&all, thinking)?
        })
    }
}

/// `POST /v1/complete`, the text endpoint from before messages.
pub(super) struct Complete;

impl Family for Complete {
    fn shape(&self) -> &'static str {
        "anthropic.complete"
    }

    fn provider(&self) -> &'static str {
        "anthropic"
    }

    fn operation(&self) -> &'static str {
        "text_completion"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        document.value["type"] == "completion" && document.value.get("completion").is_some()
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        seen.names(document.value);
        seen.complete = true;
    }

    fn count(&self, _: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        Err(ExtractError::NoUsage)
    }
}

fn tier(usage: &Value) -> Option<String> {
    let fast = (usage["speed"] == "fast").then_some("fast");
    fast.or_else(|| text(usage, "service_tier")).map(str::to_owned)
}

/// Lays later counts over earlier ones; null says nothing.
fn overlay(usage: &mut Value, later: &Value) {
    let Some(later) = later.as_object() else { return };
    if !usage.is_object() {
        *usage = Value::Object(serde_json::Map::new());
    }
    if let Some(usage) = usage.as_object_mut() {
        for (name, value) in later.iter().filter(|(_, value)| !value.is_null()) {
            usage.insert(name.clone(), value.clone());
        }
    }
}

/// The iterations of the model that answered, and those of others: advisors, and models that declined.
///
/// Newer responses name the model of each iteration, older ones only an advisor's.
fn rounds<'a>(iterations: &'a [Value], answered: Option<&str>) -> (Vec<&'a Value>, Vec<&'a Value>) {
    let (mut others, main): (Vec<&Value>, Vec<&Value>) =
        iterations.iter().partition(|iteration| text(iteration, "type") == Some("advisor_message"));
    let is_own = |iteration: &&Value| text(iteration, "model").is_none_or(|model| Some(model) == answered);
    if !main.iter().any(is_own) {
        // The same model by another name: each round is of some model, and one of them answered.
        let (aside, own) =
            main.iter().partition(|one| text(one, "model") != main.last().and_then(|m| text(m, "model")));
        others.extend::<Vec<&Value>>(aside);
        return (own, others);
    }
    let (own, aside): (Vec<&Value>, Vec<&Value>) = main.into_iter().partition(is_own);
    others.extend(aside);
    (own, others)
}

/// The tokens of a response, or of one of its iterations.
fn counts(usage: &Value) -> Result<Vec<(Bucket, u64)>, ExtractError> {
    let written = count(usage, "cache_creation_input_tokens")?;
    let split = &usage["cache_creation"];
    let short = count(split, "ephemeral_5m_input_tokens")?;
    let long = count(split, "ephemeral_1h_input_tokens")?;
    // Streams state the split only at their start, so it can be smaller than the total.
    let unsplit = written.saturating_sub(short.saturating_add(long));
    Ok(vec![
        (Bucket::Input, count(usage, "input_tokens")?),
        (Bucket::CacheRead, count(usage, "cache_read_input_tokens")?),
        (Bucket::CacheWrite5m, short.saturating_add(unsplit)),
        (Bucket::CacheWrite1h, long),
        (Bucket::Output, count(usage, "output_tokens")?),
    ])
}

/// Takes thinking out of the output that contains it.
fn think(usage: &Usage, thinking: u64) -> Result<Counted, ExtractError> {
    let output = usage.get(Bucket::Output);
    let above = ExtractError::PartAboveWhole { part: "thinking_tokens", whole: "output_tokens" };
    let contradiction = (thinking > output).then_some(above);
    let stated = Stated { reasoning: contradiction.is_some().then_some(thinking), ..Stated::default() };
    let thinking = thinking.min(output);
    let visible = output - thinking;
    let rest = usage.iter().filter(|(bucket, _)| *bucket != Bucket::Output);
    let usage = Usage::new(rest.chain([(Bucket::Output, visible), (Bucket::Reasoning, thinking)]))?;
    Ok(Counted { usage, contradiction, stated, ..Counted::default() })
}
