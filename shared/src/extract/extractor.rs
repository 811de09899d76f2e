//! Bytes of a response in, what was used out: which family it is, and what its documents add up to.

use serde_json::{Map, Value};

use super::answer::{Answer, Extraction, Status};
use super::context::Context;
use super::document::Document;
use super::failure::is_failure;
use super::family::{Counted, Family, Seen};
use super::frame::{End, Frames, Framing};
use super::tree::KEEP;
use super::{ExtractError, Hints, MAX_CALLS, Stated};
use super::{anthropic, bedrock, cohere, google, ollama, openai, others, xai};
use crate::id::{ModelId, ProviderId};
use crate::usage::{Bucket, Usage};

/// Every family, in the order in which they are asked: who is sure of a mark before who takes a common one.
static FAMILIES: &[&dyn Family] = &[
    &openai::Realtime,
    &openai::Speech,
    &openai::Transcriptions,
    &openai::Images,
    &openai::Responses,
    &openai::Runs,
    &google::Interactions,
    &google::Live,
    &google::Embeddings,
    &google::GenerateContent,
    &anthropic::Messages,
    &anthropic::Complete,
    &cohere::Chat,
    &cohere::Meta,
    &bedrock::Converse,
    &bedrock::Titan,
    &bedrock::Llama,
    &others::Watsonx,
    &others::Prediction,
    &others::Ocr,
    &xai::Grpc,
    &openai::Completions,
    &openai::Embeddings,
    &openai::Chat,
    &ollama::Native,
    &openai::Plain,
];

/// A tier whose name is no name: it has no price.
const UNREADABLE: &str = "unreadable";

/// Takes the bytes of one response as they come.
#[derive(Debug)]
pub struct Extractor {
    frames: Frames,
    reading: Reading,
}

impl Extractor {
    /// For a response of which this is known.
    pub fn new(hints: Hints<'_>) -> Self {
        Self { frames: Frames::new(hints.content_type, &KEEP), reading: Reading::new(&hints) }
    }

    /// Takes the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        let reading = &mut self.reading;
        self.frames.push(bytes, &mut |document| reading.document(document));
    }

    /// The body ended, or broke off: what it says.
    pub fn finish(self) -> Answer {
        let mut reading = self.reading;
        let end = self.frames.finish(&mut |document| reading.document(document));
        reading.answer(end)
    }
}

/// What a whole body says.
pub fn extract(body: &[u8], hints: Hints<'_>) -> Answer {
    let mut extractor = Extractor::new(hints);
    extractor.push(body);
    extractor.finish()
}

/// What a body says that is one JSON document, and parsed already.
pub fn extract_value(body: &Value, hints: Hints<'_>) -> Answer {
    extract(body.to_string().as_bytes(), hints)
}

/// The state of one response.
struct Reading {
    context: Context,
    family: Option<&'static dyn Family>,
    seen: Seen,
    calls: Vec<Extraction>,
    problem: Option<ExtractError>,
    contradiction: Option<ExtractError>,
    /// What Bedrock measured at the end of a stream.
    metrics: Option<Usage>,
    /// Whether it is an event of our own, which no family may claim.
    native: bool,
    /// Whether a document said that the call failed.
    failed: bool,
    /// Whether something is missing of what was used.
    incomplete: bool,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("shape", &self.family.map(Family::shape)).finish_non_exhaustive()
    }
}

impl Reading {
    fn new(hints: &Hints<'_>) -> Self {
        let named = hints.provider.map(ProviderId::parse);
        let problem = named
            .and_then(Result::err)
            .map(|error| ExtractError::Name { field: "x-provider", reason: error.to_string() });
        Self {
            context: Context::new(hints),
            family: None,
            seen: Seen::default(),
            calls: Vec::new(),
            problem,
            contradiction: None,
            metrics: None,
            native: false,
            failed: false,
            incomplete: false,
        }
    }

    fn document(&mut self, document: Document<'_>) {
        let value = document.value;
        if value.is_null() && document.event.is_none() && !document.exception {
            return;
        }
        // Of a batch, its results are what is metered: its own sums would count them again.
        if value["object"] == "batch" {
            return;
        }
        if self.family.is_none() && is_native(value) {
            self.native = true;
            return;
        }
        if let Some(line) = Line::of(value) {
            self.line(&line);
            return;
        }
        if let Some(measured) = value.get("amazon-bedrock-invocationMetrics") {
            match bedrock::metrics(measured) {
                Ok(usage) => self.metrics = Some(usage),
                Err(error) => self.fail(error),
            }
        }
        // A wrapper around each chunk, as some clients of Gemini's get it.
        let inner = Document { value: &value["response"], ..document };
        let document = if value["response"].get("usageMetadata").is_some() { inner } else { document };
        if is_failure(&document) {
            self.failed = true;
            return;
        }
        if self.family.is_none() {
            self.family = claimed(&document, &self.context);
        }
        let Some(family) = self.family else { return };
        family.gather(&mut self.seen, &document);
        if family.each() && !self.seen.usage.is_null() {
            let seen = std::mem::take(&mut self.seen);
            self.seen.complete = seen.complete;
            self.count(family, &seen, None);
        }
    }

    /// One line of a batch's results: a call of its own.
    fn line(&mut self, line: &Line<'_>) {
        let document = Document { event: None, exception: false, value: line.body };
        let Some(family) = claimed(&document, &self.context) else {
            self.failed |= line.failed || is_failure(&document);
            self.incomplete |= !line.failed;
            return;
        };
        self.family = Some(family);
        let mut seen = Seen::default();
        family.gather(&mut seen, &document);
        self.seen.complete = true;
        if seen.usage.is_null() {
            self.incomplete = true;
        } else {
            self.count(family, &seen, Some("batch"));
        }
    }

    /// Counts one call, and those that took part in it.
    fn count(&mut self, family: &'static dyn Family, seen: &Seen, tier: Option<&str>) {
        let counted = family.count(seen, &self.context).and_then(|mut counted| {
            self.contradiction = self.contradiction.take().or(counted.contradiction.take());
            self.extractions(family, seen, counted, tier)
        });
        match counted {
            Ok(calls) if self.calls.len() + calls.len() > MAX_CALLS => {
                self.fail(ExtractError::TooManyElements { field: "calls" });
            }
            Ok(calls) => self.calls.extend(calls),
            Err(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: ExtractError) {
        self.problem.get_or_insert(error);
    }

    fn extractions(
        &self,
        family: &dyn Family,
        seen: &Seen,
        counted: Counted,
        tier: Option<&str>,
    ) -> Result<Vec<Extraction>, ExtractError> {
        let provider = self.provider(family, seen)?;
        // A name that is no id is left out, and its call is not: it counts, without a price.
        let answered = seen.model.as_deref().and_then(|name| model(name).ok());
        let stated = counted.tier.or_else(|| seen.tier.clone()).or_else(|| self.context.header_tier.clone());
        let service_tier = match tier {
            Some(tier) => Some(tier.to_owned()),
            None => {
                stated.as_deref().map(|tier| service_tier(tier).unwrap_or_else(|_| UNREADABLE.to_owned()))
            }
        };
        let requested = &self.context.requested;
        let call = |model: Option<ModelId>, usage, reported_cost_usd| Extraction {
            provider: provider.clone(),
            model,
            requested_model: requested.clone(),
            service_tier: service_tier.clone(),
            usage,
            reported_cost_usd,
            stated: Stated::default(),
            operation: Some(family.operation()),
        };
        // Bedrock's models answer by their makers' names; what was asked for names the region, too, and so the price.
        let asked =
            requested.clone().filter(|asked| provider.as_str() == "bedrock" && asked.as_str().contains('.'));
        let answered = asked.or(answered).or_else(|| requested.clone());
        let own = call(answered, counted.usage, counted.reported);
        let mut calls = vec![Extraction { stated: counted.stated, ..own }];
        for (name, usage) in counted.others {
            calls.push(Extraction { requested_model: None, ..call(Some(model(&name)?), usage, None) });
        }
        Ok(calls)
    }

    fn provider(&self, family: &dyn Family, seen: &Seen) -> Result<ProviderId, ExtractError> {
        let own = || ProviderId::parse(seen.signature.unwrap_or(family.provider()));
        let named = self.context.provider.clone().map_or_else(own, Ok);
        named.map_err(|error| ExtractError::Name { field: "provider", reason: error.to_string() })
    }

    /// What Bedrock counted beside a body that states nothing.
    fn measured(&mut self) {
        let usage = self.metrics.or_else(|| self.context.headers.filter(|usage| usage.tokens() > 0));
        let Some(usage) = usage else { return };
        let bedrock: &dyn Family = self.family.unwrap_or(&bedrock::Converse);
        let mut seen = Seen { signature: Some("bedrock"), ..Seen::default() };
        seen.model = self.seen.model.take();
        match self.extractions(bedrock, &seen, usage.into(), None) {
            Ok(calls) => self.calls = calls,
            Err(error) => self.fail(error),
        }
    }

    fn answer(mut self, end: End) -> Answer {
        let refused = self.context.status.is_some_and(|status| status >= 400);
        if !self.native && !refused {
            if let Some(family) = self.family.filter(|_| !self.seen.usage.is_null()) {
                let seen = std::mem::take(&mut self.seen);
                self.seen.complete = seen.complete;
                self.seen.model.clone_from(&seen.model);
                self.count(family, &seen, None);
            }
            if self.calls.is_empty() && self.problem.is_none() && (self.family.is_some() || !self.failed) {
                self.measured();
            }
        }
        if self.problem.is_some() || refused {
            self.calls.clear();
        }
        let streams = matches!(end.framing, Framing::Sse | Framing::AwsEventStream) || end.documents > 1;
        let cut = streams && self.family.is_some() && !self.seen.complete && !end.done;
        let status = self.status(&end);
        if status != Status::Ok && self.problem.is_none() && end.broken > 0 {
            self.problem = end.reason.map(ExtractError::Broken);
        }
        let first = self.calls.first();
        Answer {
            status,
            shape: self.family.map(Family::shape).filter(|_| !self.native),
            provider: first.map(|call| call.provider.clone()).or_else(|| self.context.provider.clone()),
            model: first.map_or_else(|| self.context.requested.clone(), |call| call.model.clone()),
            partial: end.truncated
                || end.broken > 0
                || cut
                || self.incomplete
                || (self.failed && first.is_some()),
            calls: self.calls,
            problem: self.problem,
            contradiction: self.contradiction.filter(|_| status == Status::Ok),
        }
    }

    fn status(&self, end: &End) -> Status {
        let status = self.context.status;
        if status.is_some_and(|status| status >= 400) {
            return Status::ErrorResponse;
        }
        if self.native {
            return Status::Unrecognised;
        }
        if !self.calls.is_empty() {
            return Status::Ok;
        }
        // What failed after it began, or with a status of success, may have used something: unknown.
        if self.failed && self.family.is_none() && status.is_none() {
            return Status::ErrorResponse;
        }
        if self.family.is_some() || self.failed || (self.context.hinted && !end.empty) {
            Status::NoUsage
        } else {
            Status::Unrecognised
        }
    }
}

/// Whether it is an event of our own: no provider names our agents or our buckets, or states a lone total of what it
/// does not name.
fn is_native(value: &Value) -> bool {
    let own = |usage: &Map<String, Value>| {
        let total_only =
            usage.len() == 1 && usage.contains_key("total_tokens") && value.get("object").is_none();
        total_only || usage.keys().any(|name| Bucket::from_name(name).is_some())
    };
    value.get("agent_id").is_some() || value["usage"].as_object().is_some_and(own)
}

fn claimed(document: &Document<'_>, context: &Context) -> Option<&'static dyn Family> {
    // The commonest by far says so itself, and is not claimed by any before it.
    let chat: &dyn Family = &openai::Chat;
    let said = matches!(document.value["object"].as_str(), Some("chat.completion" | "chat.completion.chunk"));
    if said && chat.claims(document, context) {
        return Some(chat);
    }
    FAMILIES.iter().copied().find(|family| family.claims(document, context))
}

fn model(name: &str) -> Result<ModelId, ExtractError> {
    ModelId::parse(name).map_err(|error| ExtractError::Name { field: "model", reason: error.to_string() })
}

fn service_tier(name: &str) -> Result<String, ExtractError> {
    let parsed = ProviderId::parse(name);
    parsed
        .map(String::from)
        .map_err(|error| ExtractError::Name { field: "service_tier", reason: error.to_string() })
}

/// One line of a batch's results, whose body is a response like any other.
///
/// OpenAI and those in its shape: `{"custom_id", "response": {"status_code", "body"}}`; Anthropic:
/// `{"custom_id", "result": {"type", "message"}}`, on Vertex `{"custom_id", "request", "response"}` with the message in
/// the response; Gemini: `{"key", "response"}`; Vertex: `{"request", "response"}`; Bedrock: `{"recordId", "modelInput",
/// "modelOutput"}`.
/// Source: <https://platform.openai.com/docs/api-reference/batch/request-output>,
/// <https://platform.claude.com/docs/en/build-with-claude/batch-processing>,
/// <https://ai.google.dev/gemini-api/docs/batch-api>,
/// <https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude-batch>,
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-results.html>.
struct Line<'a> {
    body: &'a Value,
    failed: bool,
}

impl<'a> Line<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        let (custom, response) = (value.get("custom_id").is_some(), &value["response"]);
        let keyed = value.get("key").is_some() || value.get("request").is_some();
        if custom && value.get("result").is_some() {
            let failed = value["result"]["type"] != "succeeded";
            return Some(Self { body: &value["result"]["message"], failed });
        }
        if custom && response["type"] == "message" {
            return Some(Self { body: response, failed: false });
        }
        if value.get("recordId").is_some() {
            let body = &value["modelOutput"];
            return Some(Self { body, failed: !body.is_object() });
        }
        if custom && (value.get("response").is_some() || value.get("error").is_some()) {
            let failed = response["status_code"].as_u64().is_none_or(|status| status >= 400);
            return Some(Self { body: &response["body"], failed });
        }
        let answered = response.get("usageMetadata").is_some() || response.get("candidates").is_some();
        (keyed && (answered || !value["error"].is_null()))
            .then_some(Self { body: response, failed: !answered })
    }
}
