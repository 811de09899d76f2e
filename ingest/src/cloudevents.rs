//! CloudEvents 1.0: an envelope around an event, in structured, batched or binary mode.
//!
//! The envelope's `id` is the event's identity. Its `subject` names the agent where neither the event nor the
//! header does, and its `source` where there is no subject either. A source that is not the agent is kept as a
//! tag: the same id from two sources is then a conflict that is seen, not a duplicate that is dropped.
//!
//! Source: CloudEvents specification 1.0.2, its JSON event format and its HTTP protocol binding.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use edge::Fault;
use http::HeaderMap;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use shared::event::{MAX_TAG_VALUE, MAX_TAGS};
use shared::id::{AgentId, OwnId};

use crate::fields::{Fields, kind};
use crate::json;
use crate::parse::Defaults;

/// The one version that is read.
const VERSION: &str = "1.0";
/// The tag that keeps a source.
const SOURCE_TAG: &str = "cloudevents.source";
/// What a header of binary mode starts with.
const HEADER: &str = "ce-";
/// The attributes that are looked at.
const ATTRIBUTES: [&str; 7] = ["specversion", "id", "source", "type", "subject", "time", "datacontenttype"];

/// What an envelope says of its event.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) id: OwnId,
    /// The subject, or else the source.
    pub(crate) agent: Result<AgentId, Fault>,
    pub(crate) has_subject: bool,
    pub(crate) time: Option<Timestamp>,
    /// The event's type, where the envelope's type ends in the name of one.
    pub(crate) kind: Option<&'static str>,
    source: String,
}

/// Whether an object is an envelope.
pub(crate) fn is_envelope(value: &Value) -> bool {
    value.get("specversion").is_some()
}

/// Whether the headers are an envelope in binary mode.
pub(crate) fn is_binary(headers: &HeaderMap) -> bool {
    // Any of the required ones: one that is forgotten is to be missed, not to turn the id into nothing.
    ["ce-specversion", "ce-id", "ce-source", "ce-type"].into_iter().any(|name| headers.contains_key(name))
}

/// Reads an event in structured mode: its envelope, and its data.
pub(crate) fn structured(
    value: &Value,
    index: usize,
    defaults: &Defaults,
) -> Result<(Envelope, Value), Vec<Fault>> {
    let Value::Object(object) = value else {
        let reason = format!("is {}, not a CloudEvents object", kind(value));
        return Err(vec![Fault::of_event(index, "event", reason)]);
    };
    let mut fields = Fields::new(object, index, "");
    let envelope = envelope(&mut fields, defaults);
    let data = data(&mut fields);
    match (envelope, data) {
        (Some(envelope), Some(data)) if fields.faults.is_empty() => Ok((envelope, data)),
        _ => Err(fields.faults),
    }
}

/// Reads the envelope of binary mode, from the headers; the body is its data.
pub(crate) fn binary(headers: &HeaderMap, defaults: &Defaults) -> Result<Envelope, Vec<Fault>> {
    let mut object = Map::new();
    for name in ATTRIBUTES {
        let header = format!("{HEADER}{name}");
        let mut values = headers.get_all(&header).iter();
        let Some(value) = values.next() else { continue };
        if values.next().is_some() {
            return Err(vec![Fault::of_event(0, &header, "comes more than once; send it once")]);
        }
        // Values outside visible ASCII come percent-encoded.
        let text = value.to_str().ok().and_then(|text| percent_decode_str(text).decode_utf8().ok());
        let Some(text) = text else {
            return Err(vec![Fault::of_event(0, &header, "is not UTF-8 when percent-decoded")]);
        };
        object.insert(name.to_owned(), Value::String(text.into_owned()));
    }
    let mut fields = Fields::new(&object, 0, HEADER);
    match envelope(&mut fields, defaults) {
        Some(envelope) if fields.faults.is_empty() => Ok(envelope),
        _ => Err(fields.faults),
    }
}

fn envelope(fields: &mut Fields<'_>, defaults: &Defaults) -> Option<Envelope> {
    match fields.text("specversion") {
        Some(VERSION) => {}
        Some(_) => fields.fault("specversion", format!("is none that is read; send {VERSION}")),
        None => fields.fault("specversion", format!("is missing; send \"{VERSION}\"")),
    }
    let id = required(fields, "id").and_then(|text| match OwnId::parse(text) {
        Ok(id) => Some(id),
        Err(error) => {
            fields.fault("id", error.to_string());
            None
        }
    });
    let source = required(fields, "source").map(str::to_owned);
    let kind = required(fields, "type").and_then(|text| {
        let last = text.rsplit('.').next().unwrap_or(text);
        ["usage", "void", "amend", "task_outcome"].into_iter().find(|known| *known == last)
    });
    let time = fields.time(defaults.now, defaults.closed_before);
    if let Some(media) = fields.text("datacontenttype") {
        let essence = media.split(';').next().unwrap_or(media).trim().to_ascii_lowercase();
        if essence != "application/json" && !essence.ends_with("+json") {
            fields.fault("datacontenttype", "is not JSON; the data has to be application/json");
        }
    }
    let subject = fields.text("subject").map(str::to_owned);
    if let (Some(header), Some(subject)) = (&defaults.agent, &subject)
        && header.as_str() != subject
    {
        fields.fault("subject", format!("is another agent than the header x-agent-id says, {header}"));
    }
    let (id, source) = (id?, source?);
    let (name, text) = subject.as_ref().map_or(("source", &source), |subject| ("subject", subject));
    let agent = AgentId::parse(text).map_err(|e| fields.fault_of(name, format!("names the agent and {e}")));
    Some(Envelope { id, agent, has_subject: subject.is_some(), time, kind, source })
}

fn required<'a>(fields: &mut Fields<'a>, name: &str) -> Option<&'a str> {
    let text = fields.text(name);
    if text.is_none_or(str::is_empty) && fields.faults.iter().all(|fault| !fault.field.ends_with(name)) {
        fields.fault(name, "is missing; CloudEvents requires it");
    }
    text.filter(|text| !text.is_empty())
}

fn data(fields: &mut Fields<'_>) -> Option<Value> {
    let (plain, encoded) = (fields.take("data").cloned(), fields.text("data_base64"));
    let data = match (plain, encoded) {
        (Some(data), None) => data,
        (None, Some(text)) => {
            let read = STANDARD.decode(text).ok().and_then(|bytes| json::read(&bytes).ok());
            if read.is_none() {
                fields.fault("data_base64", "is no JSON in base64");
            }
            read?
        }
        (Some(_), Some(_)) => {
            fields.fault("data_base64", "comes beside data; send one of them");
            return None;
        }
        (None, None) => {
            fields.fault("data", "is missing; it holds the event, such as {\"usage\": {\"input\": 812}}");
            return None;
        }
    };
    if !data.is_object() {
        fields.fault("data", format!("is {}, not an object", kind(&data)));
        return None;
    }
    Some(data)
}

impl Envelope {
    /// Keeps the source beside an event whose agent it is not.
    pub(crate) fn tag(
        &self,
        agent: &AgentId,
        tags: &mut BTreeMap<String, String>,
        index: usize,
    ) -> Result<(), Fault> {
        if self.source == agent.as_str() {
            return Ok(());
        }
        let fault = |reason: String| Err(Fault::of_event(index, "source", reason));
        if self.source.len() > MAX_TAG_VALUE || self.source.chars().any(char::is_control) {
            return fault(format!(
                "is kept as a tag, so it has at most {MAX_TAG_VALUE} bytes, without control characters"
            ));
        }
        if tags.len() >= MAX_TAGS && !tags.contains_key(SOURCE_TAG) {
            return fault(format!("is kept as a tag, and there are {MAX_TAGS} others; send fewer"));
        }
        tags.insert(SOURCE_TAG.to_owned(), self.source.clone());
        Ok(())
    }
}
