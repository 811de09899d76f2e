//! From a body and its headers to drafts: events that are valid and have no identity yet.

use edge::limits::MAX_EVENTS;
use edge::{Code, Fault, Problem};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde_json::Value;
use shared::event::{Body, Outcome, UsageEvent};
use shared::extract::{self, Answer, ExtractError, Hints, Status};
use shared::id::{AgentId, ModelId, OwnId, ProviderId, SealKey, SessionId, TaskId, TeamId};
use shared::sequence::SequenceMark;

use crate::cloudevents::{self, Envelope};
use crate::content_type::Form;
use crate::event::{NO_AGENT, apply, one};
use crate::fields::{kind, server_time};
use crate::json::{self, JsonError};
use crate::problem::invalid;
use crate::sequence;

/// A valid event, without identity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub(crate) agent: AgentId,
    pub(crate) id: Option<OwnId>,
    pub(crate) body: Body,
}

/// A valid submission.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) key: Option<SealKey>,
    pub(crate) mark: Option<SequenceMark>,
    pub(crate) drafts: Vec<Draft>,
    /// Top-level fields of events that nobody knows.
    pub(crate) ignored: usize,
}

/// What the headers say of every event.
pub(crate) struct Defaults {
    pub(crate) agent: Option<AgentId>,
    /// The agent of a token that can write for no other: it holds where the request names none.
    token_agent: Option<AgentId>,
    pub(crate) task: Option<TaskId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) team: Option<TeamId>,
    pub(crate) parent: Option<AgentId>,
    pub(crate) provider: Option<ProviderId>,
    /// Of a response: the path that it was asked for at.
    path: Option<String>,
    /// Of a response: the model that was asked for.
    model: Option<ModelId>,
    /// Of a response: its content type.
    content_type: Option<String>,
    pub(crate) now: Timestamp,
    pub(crate) closed_before: Timestamp,
}

impl Defaults {
    /// Whose an event is that names no agent itself. A source is only where it came from: it names the agent
    /// where nothing else does.
    pub(crate) fn agent(&self, envelope: Option<&Envelope>) -> Option<Result<AgentId, Fault>> {
        let subject = envelope.filter(|envelope| envelope.has_subject);
        let named = self.agent.clone().map(Ok).or_else(|| subject.map(|envelope| envelope.agent.clone()));
        let token = || self.token_agent.clone().map(Ok);
        named.or_else(token).or_else(|| envelope.map(|envelope| envelope.agent.clone()))
    }

    fn hints(&self) -> Hints<'_> {
        Hints {
            provider: self.provider.as_ref().map(ProviderId::as_str),
            path: self.path.as_deref(),
            model: self.model.as_ref().map(ModelId::as_str),
            content_type: self.content_type.as_deref(),
            ..Hints::default()
        }
    }
}

/// What was read of a submission's events so far.
#[derive(Default)]
struct Reading {
    drafts: Vec<Draft>,
    ignored: usize,
    faults: Vec<Fault>,
}

impl Reading {
    fn take(&mut self, read: Result<(Vec<Draft>, usize), Vec<Fault>>) {
        match read {
            Ok((drafts, ignored)) => {
                self.drafts.extend(drafts);
                self.ignored += ignored;
            }
            Err(faults) => self.faults.extend(faults),
        }
    }
}

pub(crate) fn submission(
    headers: &HeaderMap,
    form: Form,
    body: &[u8],
    now: Timestamp,
    closed_before: Timestamp,
    token_agent: Option<&AgentId>,
) -> Result<Submission, Problem> {
    let mut faults = Vec::new();
    let key = header(headers, "idempotency-key", &mut faults, |text| SealKey::parse(unquoted(text)));
    let mark = sequence::mark(headers, &mut faults);
    let defaults = Defaults {
        agent: header(headers, "x-agent-id", &mut faults, AgentId::parse),
        token_agent: token_agent.cloned(),
        task: header(headers, "x-task-id", &mut faults, TaskId::parse),
        session: header(headers, "x-session-id", &mut faults, SessionId::parse),
        team: header(headers, "x-team-id", &mut faults, TeamId::parse),
        parent: header(headers, "x-parent-agent-id", &mut faults, AgentId::parse),
        provider: header(headers, "x-provider", &mut faults, ProviderId::parse),
        path: header(headers, "x-provider-path", &mut faults, path),
        model: header(headers, "x-model", &mut faults, ModelId::parse),
        content_type: headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned),
        now,
        closed_before,
    };
    if !faults.is_empty() {
        return Err(invalid(faults));
    }
    if form == Form::Stream {
        let drafts =
            response(extract::extract(body, defaults.hints()), 0, &defaults, None).map_err(invalid)?;
        return bounded(Submission { key, mark, drafts, ignored: 0 });
    }
    let raw = body;
    let body = json::read(body).map_err(|error| match (error.fault(), error) {
        (Some(fault), _) => invalid(vec![fault]),
        (None, JsonError::Syntax(error)) => {
            Problem::new(Code::InvalidJson, format!("the body is not JSON: {error}"))
        }
        (None, JsonError::Repeated(_)) => Problem::new(Code::InvalidJson, "the body repeats a key"),
    })?;
    let mut reading = Reading::default();
    let enveloped = |value: &Value, index| {
        let (envelope, data) = cloudevents::structured(value, index, &defaults)?;
        event(&data, index, &defaults, Some(&envelope), None)
    };
    match (form, &body) {
        (Form::CloudEventData, data) => {
            reading.take(
                cloudevents::binary(headers, &defaults)
                    .and_then(|envelope| event(data, 0, &defaults, Some(&envelope), Some(raw))),
            );
        }
        (Form::CloudEvents, Value::Array(events)) => {
            several(events, &mut reading, enveloped)?;
        }
        (Form::Json, Value::Array(events)) if events.first().is_some_and(cloudevents::is_envelope) => {
            several(events, &mut reading, enveloped)?;
        }
        (Form::CloudEvents, other) => {
            let detail = format!("the body is {}; a batch is an array of CloudEvents", kind(other));
            return Err(Problem::new(Code::InvalidJson, detail));
        }
        (Form::CloudEvent, Value::Object(_)) => reading.take(enveloped(&body, 0)),
        (Form::Json, Value::Object(_)) if cloudevents::is_envelope(&body) => {
            reading.take(enveloped(&body, 0));
        }
        (Form::Json, Value::Object(object)) => match object.get("events") {
            Some(Value::Array(events)) => {
                let beside = ["agent_id", "usage", "id"].into_iter().find(|name| object.contains_key(*name));
                if let Some(name) = beside {
                    let reason =
                        "stands beside `events`, where it belongs to none of them; state it in each event";
                    return Err(invalid(vec![Fault::of_request(name, reason)]));
                }
                reading.ignored += object.len() - 1;
                several(events, &mut reading, |value, index| native(value, index, &defaults, None))?;
            }
            Some(other) => {
                let reason = format!("is {}, not an array", kind(other));
                return Err(invalid(vec![Fault::of_request("events", reason)]));
            }
            None => reading.take(event(&body, 0, &defaults, None, Some(raw))),
        },
        (Form::Json | Form::CloudEvent | Form::Stream, other) => {
            let detail = format!("the body is {}; send one event, or {{\"events\": […]}}", kind(other));
            return Err(Problem::new(Code::InvalidJson, detail));
        }
    }
    let Reading { drafts, ignored, faults } = reading;
    if faults.is_empty() { bounded(Submission { key, mark, drafts, ignored }) } else { Err(invalid(faults)) }
}

/// A submission of as many events as one may hold: a response can be several.
fn bounded(submission: Submission) -> Result<Submission, Problem> {
    let events = submission.drafts.len();
    if events > MAX_EVENTS {
        let detail =
            format!("the response holds {events} calls; at most {MAX_EVENTS} are accepted in one submission");
        return Err(Problem::new(Code::TooManyEvents, detail));
    }
    Ok(submission)
}

/// The longest path that is read as a hint, in bytes.
const MAX_PATH: usize = 1024;

fn path(text: &str) -> Result<String, &'static str> {
    let is_path =
        text.starts_with('/') && text.len() <= MAX_PATH && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_path {
        Ok(text.to_owned())
    } else {
        Err("is no path of at most 1024 visible ASCII characters, such as /v1/messages")
    }
}

/// Reads a list of events, each of which may add faults.
fn several(
    events: &[Value],
    reading: &mut Reading,
    read: impl Fn(&Value, usize) -> Result<(Vec<Draft>, usize), Vec<Fault>>,
) -> Result<(), Problem> {
    if events.is_empty() || events.len() > MAX_EVENTS {
        let code = if events.is_empty() { Code::EventCount } else { Code::TooManyEvents };
        let detail = format!("the submission holds {} events; 1 to {MAX_EVENTS} are accepted", events.len());
        return Err(Problem::new(code, detail));
    }
    for (index, value) in events.iter().enumerate() {
        reading.take(read(value, index));
    }
    Ok(())
}

/// Reads one event, or a provider's own response. Among several native events there is no place for one: it
/// does not say whose it is. `raw` are the bytes of the value, where it is all of the body.
fn event(
    value: &Value,
    index: usize,
    defaults: &Defaults,
    envelope: Option<&Envelope>,
    raw: Option<&[u8]>,
) -> Result<(Vec<Draft>, usize), Vec<Fault>> {
    // No provider names our agents or corrects our events: who does wrote an event of their own, and is to hear
    // what is wrong with it.
    let kinds = ["usage", "void", "amend", "task_outcome"];
    let own =
        value.get("agent_id").is_some() || value["type"].as_str().is_some_and(|kind| kinds.contains(&kind));
    if !own {
        let answer = match raw {
            Some(bytes) => extract::extract(bytes, defaults.hints()),
            None => extract::extract_value(value, defaults.hints()),
        };
        if answer.shape.is_some() || answer.status == Status::ErrorResponse {
            return response(answer, index, defaults, envelope).map(|drafts| (drafts, 0));
        }
    }
    native(value, index, defaults, envelope)
}

fn native(
    value: &Value,
    index: usize,
    defaults: &Defaults,
    envelope: Option<&Envelope>,
) -> Result<(Vec<Draft>, usize), Vec<Fault>> {
    one(value, index, defaults, envelope).map(|(draft, ignored)| (vec![draft], ignored))
}

/// The IETF draft writes the key as a quoted string; most clients do not.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

pub(crate) fn header<T, E: ToString>(
    headers: &HeaderMap,
    name: &'static str,
    faults: &mut Vec<Fault>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<T> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        faults.push(Fault::of_request(name, "comes more than once; send it once"));
        return None;
    }
    let parsed = value.to_str().map_err(|_| "is not visible ASCII".to_owned());
    let parsed = parsed.and_then(|text| parse(text).map_err(|e| e.to_string()));
    parsed.map_err(|reason| faults.push(Fault::of_request(name, reason))).ok()
}

/// The tag of a call whose response contradicts itself: says how.
const CONTRADICTION_TAG: &str = "usage_contradiction";

/// A provider's own response, by the headers alone: an event for each call of it, and for each model that took part.
fn response(
    answer: Answer,
    index: usize,
    defaults: &Defaults,
    envelope: Option<&Envelope>,
) -> Result<Vec<Draft>, Vec<Fault>> {
    let prefix = if envelope.is_some() { "data." } else { "" };
    let fault = |field: &str, reason: String| {
        let prefix = if field == "agent_id" { "" } else { prefix };
        vec![Fault::of_event(index, &format!("{prefix}{field}"), reason)]
    };
    let agent = match defaults.agent(envelope) {
        Some(agent) => agent.map_err(|fault| vec![fault])?,
        None => return Err(fault("agent_id", NO_AGENT.to_owned())),
    };
    let shape = answer.shape.unwrap_or("provider's");
    match answer.status {
        Status::Ok => {}
        Status::ErrorResponse => {
            let reason =
                "says that the call failed: there is nothing to meter; send responses that succeeded";
            return Err(fault("error", reason.to_owned()));
        }
        Status::NoUsage => {
            let error = answer.problem.unwrap_or(ExtractError::NoUsage);
            return Err(fault("usage", format!("of this {shape} response cannot be read: {error}")));
        }
        Status::Unrecognised => {
            let reason = "is not found: the body is no response of a provider that is known; send it as it came, \
                          and name the provider in x-provider";
            return Err(fault("usage", reason.to_owned()));
        }
    }
    let given = envelope.and_then(|envelope| envelope.time);
    // What was counted in spite of it is to be seen with the call.
    let contradiction = answer.contradiction.map(|contradiction| contradiction.to_string());
    let draft = |(n, found): (usize, extract::Extraction)| {
        let mut event = UsageEvent::new(given.unwrap_or(server_time(defaults.now)), found.usage);
        event.time_assigned = given.is_none();
        event.provider = Some(found.provider);
        event.model = found.model;
        event.service_tier = found.service_tier;
        event.operation = found.operation.map(str::to_owned);
        event.reported_cost_usd = found.reported_cost_usd;
        event.outcome = answer.partial.then_some(Outcome::Partial);
        if let Some(contradiction) = &contradiction {
            event.tags.insert(CONTRADICTION_TAG.to_owned(), contradiction.clone());
        }
        if let Some(envelope) = envelope {
            envelope.tag(&agent, &mut event.tags, index).map_err(|fault| vec![fault])?;
        }
        apply(&mut event, defaults);
        let id = match envelope.map(|envelope| &envelope.id) {
            None => None,
            Some(id) if n == 0 => Some(id.clone()),
            // One envelope has one id; what else it holds is numbered after it.
            Some(id) => Some(OwnId::parse(&format!("{id}.{n}")).map_err(|e| fault_of_id(index, &e))?),
        };
        Ok(Draft { agent: agent.clone(), id, body: Body::Usage(event) })
    };
    answer.calls.into_iter().enumerate().map(draft).collect()
}

fn fault_of_id(index: usize, error: &shared::id::IdError) -> Vec<Fault> {
    let reason = format!("is continued for each model that took part, and then {error}");
    vec![Fault::of_event(index, "id", reason)]
}
