//! Responses that say that a call failed: nothing in them was metered, which is not the same as zero.
//!
//! `{"error": …}` (OpenAI and those in its shape, Google, Ollama), `{"type": "error"}` (Anthropic),
//! `{"object": "error"}` and `{"detail": …}` (Mistral, FastAPI, Replicate), `{"errors": […]}` (watsonx), `{"message": …}`
//! and nothing else that is known (Bedrock, Cohere, Mistral), and exceptions in an AWS event stream.

use serde_json::Value;

use super::document::Document;
use super::read::text;

/// Whether a document says that a call failed, and does not say what it used.
pub(super) fn is_failure(document: &Document<'_>) -> bool {
    let value = document.value;
    if document.event.is_some_and(|event| event.ends_with("Exception")) || document.exception {
        return true;
    }
    let Some(object) = value.as_object() else { return false };
    let is_there = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
    let usage = ["usage", "usageMetadata", "prompt_eval_count", "eval_count", "inputTextTokenCount"];
    if usage.iter().any(|name| is_there(name)) || value["meta"].get("billed_units").is_some() {
        return false;
    }
    is_there("error")
        || is_there("errors")
        || text(value, "type") == Some("error")
        || text(value, "object") == Some("error")
        || is_message_only(value)
}

/// Whether all that is known of a document is a message.
fn is_message_only(value: &Value) -> bool {
    let said = ["message", "Message", "detail", "__type"];
    let beside = ["status", "status_code", "__type", "message", "Message", "detail"];
    let Some(object) = value.as_object() else { return false };
    let says =
        said.iter().any(|name| object.get(*name).is_some_and(|value| !value.is_null() && !value.is_object()));
    // Mistral's and Cerebras' have a type of error beside the message.
    let typed = object.get("message").is_some_and(|message| !message.is_object());
    says && object
        .iter()
        .all(|(name, value)| beside.contains(&name.as_str()) || (typed && name == "type") || value.is_null())
}
