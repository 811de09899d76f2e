//! OpenAI's endpoints that make or hear something else than text: realtime, speech, transcriptions, images. The
//! counting rule and its sources: [`super`].

use super::super::ExtractError;
use super::super::compatible;
use super::super::context::Context;
use super::super::document::Document;
use super::super::family::{Counted, Family, Seen};
use super::super::read::{begun, first, known, text};
use super::{NAMES, inclusive};
use crate::usage::{Bucket, Usage};

/// A `response.done` message of the realtime API, or the transcription of what it heard.
pub(in crate::extract) struct Realtime;

impl Family for Realtime {
    fn shape(&self) -> &'static str {
        "openai.realtime"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        let value = document.value;
        value["response"]["object"] == "realtime.response"
            || value["type"] == "response.done"
            || value["type"] == "conversation.item.input_audio_transcription.completed"
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        let value = document.value;
        seen.latest(&value["response"], "usage");
        // xAI states it beside the response.
        seen.latest(value, "usage");
        seen.complete = true;
    }

    fn each(&self) -> bool {
        true
    }

    fn count(&self, seen: &Seen, context: &Context) -> Result<Counted, ExtractError> {
        if seen.usage.get("type").is_some() {
            return Transcriptions.count(seen, context);
        }
        compatible::count(seen, context)
    }
}

/// `POST /v1/audio/transcriptions`.
pub(in crate::extract) struct Transcriptions;

impl Family for Transcriptions {
    fn shape(&self) -> &'static str {
        "openai.transcriptions"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn operation(&self) -> &'static str {
        "transcription"
    }

    fn claims(&self, document: &Document<'_>, context: &Context) -> bool {
        let value = document.value;
        let billed = &value["usage"]["type"];
        billed == "tokens"
            || billed == "duration"
            || text(value, "type").is_some_and(|kind| kind.starts_with("transcript.text."))
            || (context.path_has("/audio/") && value["usage"].get("input_tokens").is_some())
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        seen.latest(document.value, "usage");
        seen.complete |= text(document.value, "type").is_none_or(|kind| kind == "transcript.text.done");
    }

    fn count(&self, seen: &Seen, context: &Context) -> Result<Counted, ExtractError> {
        if seen.usage["type"] == "duration" {
            let seconds = begun(&seen.usage, "seconds", 1)?.ok_or(ExtractError::NoUsage)?;
            return Ok(Usage::new([(Bucket::AudioSeconds, seconds)])?.into());
        }
        compatible::count(seen, context)
    }
}

/// `POST /v1/audio/speech`, as a stream of events.
pub(in crate::extract) struct Speech;

impl Family for Speech {
    fn shape(&self) -> &'static str {
        "openai.speech"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn operation(&self) -> &'static str {
        "speech"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        text(document.value, "type").is_some_and(|kind| kind.starts_with("speech.audio."))
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        seen.latest(document.value, "usage");
        seen.complete |= document.value["type"] == "speech.audio.done";
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        let mut counts = inclusive(&seen.usage)?;
        counts.output_audio = counts.output;
        counts.disjoint(NAMES)
    }
}

/// `POST /v1/images/generations` and `/edits`.
pub(in crate::extract) struct Images;

impl Family for Images {
    fn shape(&self) -> &'static str {
        "openai.images"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn operation(&self) -> &'static str {
        "image_generation"
    }

    fn claims(&self, document: &Document<'_>, context: &Context) -> bool {
        let value = document.value;
        let data = value["data"].as_array().and_then(|data| data.first());
        let image = data.is_some_and(|datum| datum.get("b64_json").is_some() || datum.get("url").is_some());
        let streamed = text(value, "type")
            .is_some_and(|kind| kind.starts_with("image_generation.") || kind.starts_with("image_edit."));
        image || streamed || (context.path_has("/images/") && value["usage"].get("input_tokens").is_some())
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        seen.latest(document.value, "usage");
        seen.images = document.value["data"].as_array().map_or(0, |data| data.len() as u64);
        seen.complete |= text(document.value, "type").is_none_or(|kind| kind.ends_with(".completed"));
    }

    fn count(&self, seen: &Seen, context: &Context) -> Result<Counted, ExtractError> {
        let (_, details) = first(&seen.usage, &["output_tokens_details", "output_token_details"]);
        if known(details, "image_tokens")?.is_some() {
            return compatible::count(seen, context);
        }
        if known(&seen.usage, "input_tokens")?.is_none() && known(&seen.usage, "total_tokens")?.is_none() {
            // xAI bills each image, and states what it cost.
            let reported = compatible::reported(&seen.usage).ok_or(ExtractError::NoUsage)?;
            let usage = Usage::new([(Bucket::Images, seen.images)])?;
            return Ok(Counted { usage, reported: Some(reported), ..Counted::default() });
        }
        // Where they are not split, the output tokens are those of the images.
        let mut counts = inclusive(&seen.usage)?;
        counts.output_image = counts.output;
        Ok(Counted { reported: compatible::reported(&seen.usage), ..counts.disjoint(NAMES)? })
    }
}
