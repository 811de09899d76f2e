//! Ollama's counting rule: `prompt_eval_count` and `eval_count`, on the line that is done.
//!
//! A prompt that was still in memory is not evaluated again and not counted; nothing else is known of it then.
//! `/api/embeddings` states nothing, `/api/embed` the prompt.
//! Source: <https://github.com/ollama/ollama/blob/main/docs/api.md>.

use super::ExtractError;
use super::context::Context;
use super::document::Document;
use super::family::{Counted, Family, Seen};
use super::read::count;
use crate::usage::{Bucket, Usage};

/// `/api/chat`, `/api/generate` and `/api/embed`.
pub(super) struct Native;

impl Family for Native {
    fn shape(&self) -> &'static str {
        "ollama"
    }

    fn provider(&self) -> &'static str {
        "ollama"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        value.get("prompt_eval_count").is_some()
            || value.get("eval_count").is_some()
            || (value["done"].is_boolean() && value.get("model").is_some())
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        let value = document.value;
        seen.names(value);
        if value.get("prompt_eval_count").is_some() || value.get("eval_count").is_some() {
            seen.usage = value.clone();
        }
        seen.complete |= value["done"] != false;
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        let input = count(&seen.usage, "prompt_eval_count")?;
        let output = count(&seen.usage, "eval_count")?;
        Ok(Usage::new([(Bucket::Input, input), (Bucket::Output, output)])?.into())
    }
}
