//! Providers with a shape of their own and little to count: watsonx, Replicate, Mistral's OCR.
//!
//! watsonx: `input_token_count` and `generated_token_count` of each result; a stream counts cumulatively, and states
//! the input at its beginning only. Replicate: an official language model is billed by `metrics`' tokens, anything
//! else by `predict_time`, of which each begun millisecond counts. Mistral's OCR: `pages_processed`.
//! Source: <https://cloud.ibm.com/apidocs/watsonx-ai#text-generation>,
//! <https://replicate.com/docs/reference/http#predictions.get>, <https://replicate.com/docs/topics/billing>,
//! <https://docs.mistral.ai/api/endpoint/ocr>.

use serde_json::{Value, json};

use super::ExtractError;
use super::context::Context;
use super::document::Document;
use super::family::{Counted, Family, Seen};
use super::keep::MAX_ELEMENTS;
use super::read::{begun, count, known, text};
use crate::usage::{Bucket, Usage};

/// watsonx's `generation/text` and `/text_stream`.
pub(super) struct Watsonx;

impl Family for Watsonx {
    fn shape(&self) -> &'static str {
        "watsonx.generation"
    }

    fn provider(&self) -> &'static str {
        "watsonx"
    }

    fn operation(&self) -> &'static str {
        "text_completion"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        document.value["results"][0].get("generated_token_count").is_some()
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        let value = document.value;
        if let Some(model) = text(value, "model_id") {
            seen.model = Some(model.to_owned());
        }
        let results = value["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut latest = json!({});
        for name in ["input_token_count", "generated_token_count"] {
            let sum = results.iter().filter_map(|one| one[name].as_u64()).fold(0_u64, u64::saturating_add);
            latest[name] = sum.max(seen.usage[name].as_u64().unwrap_or(0)).into();
        }
        // What is no count is to be seen as such.
        latest["results"] = if results.len() < MAX_ELEMENTS { value["results"].clone() } else { Value::Null };
        seen.usage = latest;
        seen.complete = true;
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        let usage = &seen.usage;
        let Some(results) = usage["results"].as_array() else {
            return Err(ExtractError::TooManyElements { field: "results" });
        };
        for result in results {
            count(result, "input_token_count")?;
            count(result, "generated_token_count")?;
        }
        let input = count(usage, "input_token_count")?;
        let output = count(usage, "generated_token_count")?;
        Ok(Usage::new([(Bucket::Input, input), (Bucket::Output, output)])?.into())
    }
}

/// A prediction of Replicate's.
pub(super) struct Prediction;

impl Family for Prediction {
    fn shape(&self) -> &'static str {
        "replicate.prediction"
    }

    fn provider(&self) -> &'static str {
        "replicate"
    }

    fn operation(&self) -> &'static str {
        "prediction"
    }

    fn claims(&self, document: &Document<'_>, context: &Context) -> bool {
        let value = document.value;
        value["metrics"].get("predict_time").is_some()
            || (value.get("urls").is_some() && context.provider() == "replicate")
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        seen.latest(document.value, "metrics");
        if seen.model.is_none() {
            seen.model = text(document.value, "version").map(str::to_owned);
        }
        seen.complete = true;
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        let metrics = &seen.usage;
        let input = known(metrics, "input_token_count")?;
        let output = known(metrics, "output_token_count")?;
        if input.is_some() || output.is_some() {
            let counts = [(Bucket::Input, input.unwrap_or(0)), (Bucket::Output, output.unwrap_or(0))];
            return Ok(Usage::new(counts)?.into());
        }
        let computed = begun(metrics, "predict_time", 1000)?.ok_or(ExtractError::NoUsage)?;
        Ok(Usage::new([(Bucket::ComputeMs, computed)])?.into())
    }
}

/// `POST /v1/ocr` of Mistral's.
pub(super) struct Ocr;

impl Family for Ocr {
    fn shape(&self) -> &'static str {
        "mistral.ocr"
    }

    fn provider(&self) -> &'static str {
        "mistral"
    }

    fn operation(&self) -> &'static str {
        "ocr"
    }

    fn claims(&self, document: &Document<'_>, _: &Context) -> bool {
        document.value["usage_info"].get("pages_processed").is_some()
    }

    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        seen.latest(document.value, "usage_info");
        seen.complete = true;
    }

    fn count(&self, seen: &Seen, _: &Context) -> Result<Counted, ExtractError> {
        Ok(Usage::new([(Bucket::Pages, count(&seen.usage, "pages_processed")?)])?.into())
    }
}
