//! From a body and its headers to drafts: events that are valid and have no identity yet.

use edge::limits::MAX_EVENTS;
use edge::{Code, Fault, Problem};
use http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Map, Value};
use shared::event::{Amend, Body, MAX_EVENT_BYTES, TaskOutcome, UsageEvent, Void};
use shared::extract::{self, Hints};
use shared::id::{AgentId, ModelId, OwnId, ProviderId, SealKey, SessionId, TaskId, TeamId};
use shared::sequence::SequenceMark;

use crate::cloudevents::{self, Envelope};
use crate::content_type::Form;
use crate::fields::{Fields, kind, server_time};
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
    agent: Option<AgentId>,
    /// The agent of a token that can write for no other: it holds where the request names none.
    token_agent: Option<AgentId>,
    task: Option<TaskId>,
    session: Option<SessionId>,
    team: Option<TeamId>,
    parent: Option<AgentId>,
    provider: Option<ProviderId>,
    pub(crate) now: Timestamp,
    pub(crate) closed_before: Timestamp,
}

impl Defaults {
    /// Whose an event is that names no agent itself. A source is only where it came from: it names the agent
    /// where nothing else does.
    fn agent(&self, envelope: Option<&Envelope>) -> Option<Result<AgentId, Fault>> {
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
    match extract::recognise(value, defaults.hints()) {
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

const NO_AGENT: &str = "is missing; name the agent in the header x-agent-id or in the event";

fn apply(event: &mut UsageEvent, defaults: &Defaults) {
    event.task_id = event.task_id.take().or_else(|| defaults.task.clone());
    event.session_id = event.session_id.take().or_else(|| defaults.session.clone());
    event.team_id = event.team_id.take().or_else(|| defaults.team.clone());
    event.parent_agent_id = event.parent_agent_id.take().or_else(|| defaults.parent.clone());
}

fn one(
    value: &Value,
    index: usize,
    defaults: &Defaults,
    envelope: Option<&Envelope>,
) -> Result<(Draft, usize), Vec<Fault>> {
    let Value::Object(object) = value else {
        let reason = format!("is {}, not an object", kind(value));
        return Err(vec![Fault::of_event(index, "event", reason)]);
    };
    let mut fields = Fields::new(object, index, if envelope.is_some() { "data." } else { "" });
    let id = id(&mut fields, envelope);
    let agent = agent(&mut fields, object, defaults, envelope);
    let given = fields.time(defaults.now, defaults.closed_before).or(envelope.and_then(|e| e.time));
    let (time, time_assigned) = given.map_or((server_time(defaults.now), true), |time| (time, false));
    let kind = fields.take("type").map(|v| v.as_str().unwrap_or_default());
    let body = match kind.or(envelope.and_then(|e| e.kind)) {
        None | Some("usage") => usage(&mut fields, time, time_assigned, defaults).map(Body::Usage),
        Some("void") => fields.corrects().map(|corrects| Body::Void(Void { time, time_assigned, corrects })),
        Some("amend") => amend(&mut fields, time, time_assigned).map(Body::Amend),
        Some("task_outcome") => task(&mut fields, time, time_assigned, defaults).map(Body::TaskOutcome),
        Some(_) => {
            fields.fault("type", "is none of usage, void, amend, task_outcome");
            None
        }
    };
    let mut body = body;
    if let (Some(Body::Usage(event)), Some(agent), Some(envelope)) = (&mut body, &agent, envelope)
        && let Err(fault) = envelope.tag(agent, &mut event.tags, index)
    {
        fields.faults.push(fault);
    }
    if let Some(body) = &body {
        let bytes = serde_json::to_vec(body).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_EVENT_BYTES {
            fields.fault(
                "event",
                format!(
                    "takes {bytes} bytes; at most {MAX_EVENT_BYTES} are accepted, use fewer or shorter tags"
                ),
            );
        }
    }
    match (agent, body) {
        (Some(agent), Some(body)) if fields.faults.is_empty() => {
            Ok((Draft { agent, id, body }, fields.ignored()))
        }
        _ => Err(fields.faults),
    }
}

fn id(fields: &mut Fields<'_>, envelope: Option<&Envelope>) -> Option<OwnId> {
    let own = fields.id("id", OwnId::parse);
    let Some(envelope) = envelope else { return own };
    if own.is_some_and(|own| own != envelope.id) {
        fields.fault("id", format!("is another than the envelope's, {}; leave it out", envelope.id));
    }
    Some(envelope.id.clone())
}

fn agent(
    fields: &mut Fields<'_>,
    object: &Map<String, Value>,
    defaults: &Defaults,
    envelope: Option<&Envelope>,
) -> Option<AgentId> {
    if object.get("agent_id").is_none_or(Value::is_null) {
        fields.take("agent_id");
        return match defaults.agent(envelope) {
            Some(agent) => agent.map_err(|fault| fields.faults.push(fault)).ok(),
            None => {
                fields.fault("agent_id", NO_AGENT);
                None
            }
        };
    }
    let named = fields.id("agent_id", AgentId::parse)?;
    if let Some(header) = &defaults.agent
        && *header != named
    {
        fields.fault("agent_id", format!("is {named}, but the header x-agent-id says {header}"));
    }
    Some(named)
}

fn usage(
    fields: &mut Fields<'_>,
    time: Timestamp,
    time_assigned: bool,
    defaults: &Defaults,
) -> Option<UsageEvent> {
    let counts = fields.usage();
    let mut event = UsageEvent::new(time, counts.unwrap_or_default());
    event.time_assigned = time_assigned;
    event.task_id = fields.id("task_id", TaskId::parse);
    event.session_id = fields.id("session_id", SessionId::parse);
    event.parent_agent_id = fields.id("parent_agent_id", AgentId::parse);
    event.team_id = fields.id("team_id", TeamId::parse);
    event.tags = fields.tags();
    event.provider = fields.id("provider", ProviderId::parse).or_else(|| defaults.provider.clone());
    event.model = fields.id("model", ModelId::parse);
    event.operation = fields.name("operation");
    event.service_tier = fields.name("service_tier");
    event.outcome = fields.outcome();
    event.latency_ms = fields.count("latency_ms");
    event.reported_cost_usd = fields.decimal("reported_cost_usd");
    apply(&mut event, defaults);
    counts.map(|_| event)
}

fn amend(fields: &mut Fields<'_>, time: Timestamp, time_assigned: bool) -> Option<Amend> {
    let corrects = fields.corrects();
    let usage = fields.usage();
    let revision = fields.count("revision").filter(|revision| *revision > 0);
    if revision.is_none() {
        fields.fault("revision", "is missing; give a whole number from 1, the highest wins");
    }
    Some(Amend { time, time_assigned, corrects: corrects?, revision: revision?, usage: usage? })
}

fn task(
    fields: &mut Fields<'_>,
    time: Timestamp,
    time_assigned: bool,
    defaults: &Defaults,
) -> Option<TaskOutcome> {
    let task_id = fields.id("task_id", TaskId::parse).or_else(|| defaults.task.clone());
    if task_id.is_none() {
        fields.fault("task_id", "is missing; name the task that ended");
    }
    let team_id = fields.id("team_id", TeamId::parse).or_else(|| defaults.team.clone());
    let outcome = fields.task_result();
    let value = fields.decimal("value");
    Some(TaskOutcome { time, time_assigned, task_id: task_id?, team_id, outcome: outcome?, value })
}
