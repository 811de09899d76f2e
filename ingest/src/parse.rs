//! From a body and its headers to drafts: events that are valid and have no identity yet.

use edge::limits::MAX_EVENTS;
use edge::{Code, Fault, Problem};
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::Value;
use shared::event::{Body, UsageEvent};
use shared::extract::{self, Hints};
use shared::id::{AgentId, OwnId, ProviderId, SealKey, SessionId, TaskId, TeamId};
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
        Hints { provider: self.provider.as_ref().map(ProviderId::as_str) }
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
        now,
        closed_before,
    };
    if !faults.is_empty() {
        return Err(invalid(faults));
    }
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
        event(&data, index, &defaults, Some(&envelope))
    };
    match (form, &body) {
        (Form::CloudEventData, data) => {
            reading.take(
                cloudevents::binary(headers, &defaults)
                    .and_then(|envelope| event(data, 0, &defaults, Some(&envelope))),
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
            None => reading.take(event(&body, 0, &defaults, None)),
        },
        (Form::Json | Form::CloudEvent, other) => {
            let detail = format!("the body is {}; send one event, or {{\"events\": […]}}", kind(other));
            return Err(Problem::new(Code::InvalidJson, detail));
        }
    }
    let Reading { drafts, ignored, faults } = reading;
    if faults.is_empty() { Ok(Submission { key, mark, drafts, ignored }) } else { Err(invalid(faults)) }
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
/// does not say whose it is.
fn event(
    value: &Value,
    index: usize,
    defaults: &Defaults,
    envelope: Option<&Envelope>,
) -> Result<(Vec<Draft>, usize), Vec<Fault>> {
    // No provider names our agents: who does wrote an event of their own, and is to hear what is wrong with it.
    let own = value.get("agent_id").is_some();
    match extract::recognise(value, defaults.hints()).filter(|_| !own) {
        Some(family) => response(family, value, index, defaults, envelope).map(|drafts| (drafts, 0)),
        None => native(value, index, defaults, envelope),
    }
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

/// A provider's own response, by the headers alone: an event for each model that took part.
fn response(
    family: &dyn extract::Extractor,
    body: &Value,
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
    let found = family
        .extract(body, defaults.hints())
        .map_err(|e| fault("usage", format!("of this {} response cannot be read: {e}", family.name())))?;
    let given = envelope.and_then(|envelope| envelope.time);
    let draft = |(n, found): (usize, extract::Extraction)| {
        let mut event = UsageEvent::new(given.unwrap_or(server_time(defaults.now)), found.usage);
        event.time_assigned = given.is_none();
        event.provider = Some(found.provider);
        event.model = found.model;
        event.service_tier = found.service_tier;
        if let Some(envelope) = envelope {
            envelope.tag(&agent, &mut event.tags, index).map_err(|fault| vec![fault])?;
        }
        apply(&mut event, defaults);
        let id = match envelope.map(|envelope| &envelope.id) {
            None => None,
            Some(id) if n == 0 => Some(id.clone()),
            // One envelope has one id; what else took part is numbered after it.
            Some(id) => Some(OwnId::parse(&format!("{id}.{n}")).map_err(|e| fault_of_id(index, &e))?),
        };
        Ok(Draft { agent: agent.clone(), id, body: Body::Usage(event) })
    };
    found.into_iter().enumerate().map(draft).collect()
}

fn fault_of_id(index: usize, error: &shared::id::IdError) -> Vec<Fault> {
    let reason = format!("is continued for each model that took part, and then {error}");
    vec![Fault::of_event(index, "id", reason)]
}
