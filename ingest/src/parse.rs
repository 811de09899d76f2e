//! From a body and its headers to drafts: events that are valid and have no identity yet.

use edge::{Fault, Problem};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value};
use shared::event::{Amend, Body, MAX_EVENT_BYTES, TaskOutcome, UsageEvent, Void};
use shared::extract::{self, Hints};
use shared::id::{AgentId, ModelId, OwnId, ProviderId, SealKey, SessionId, TaskId, TeamId};

use crate::MAX_EVENTS;
use crate::fields::{Fields, kind, server_time};
use crate::problem::invalid;

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
    pub(crate) drafts: Vec<Draft>,
    /// Top-level fields of events that nobody knows.
    pub(crate) ignored: usize,
}

/// What the headers say of every event.
struct Defaults {
    agent: Option<AgentId>,
    /// The agent of a token that can write for no other: it holds where the request names none.
    token_agent: Option<AgentId>,
    task: Option<TaskId>,
    session: Option<SessionId>,
    team: Option<TeamId>,
    parent: Option<AgentId>,
    provider: Option<ProviderId>,
    now: Timestamp,
    closed_before: Timestamp,
}

impl Defaults {
    fn agent(&self) -> Option<AgentId> {
        self.agent.clone().or_else(|| self.token_agent.clone())
    }

    fn hints(&self) -> Hints<'_> {
        Hints { provider: self.provider.as_ref().map(ProviderId::as_str) }
    }
}

pub(crate) fn submission(
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
    closed_before: Timestamp,
    token_agent: Option<&AgentId>,
) -> Result<Submission, Problem> {
    let mut faults = Vec::new();
    let key = header(headers, "idempotency-key", &mut faults, |text| SealKey::parse(unquoted(text)));
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
    let body: Value = serde_json::from_slice(body).map_err(|e| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_json", format!("the body is not JSON: {e}"))
    })?;
    let Value::Object(object) = &body else {
        let detail = format!("the body is {}; send one event, or {{\"events\": […]}}", kind(&body));
        return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail));
    };
    let mut drafts = Vec::new();
    let mut ignored = 0;
    let mut take = |read: Result<(Draft, usize), Vec<Fault>>| match read {
        Ok((draft, unknown)) => {
            drafts.push(draft);
            ignored += unknown;
        }
        Err(more) => faults.extend(more),
    };
    match object.get("events") {
        Some(Value::Array(events)) => {
            if events.is_empty() || events.len() > MAX_EVENTS {
                let status =
                    if events.is_empty() { StatusCode::BAD_REQUEST } else { StatusCode::PAYLOAD_TOO_LARGE };
                let detail =
                    format!("`events` holds {} events; 1 to {MAX_EVENTS} are accepted", events.len());
                return Err(Problem::new(status, "event_count", detail));
            }
            for (index, event) in events.iter().enumerate() {
                take(one(event, index, &defaults));
            }
        }
        Some(other) => {
            return Err(invalid(vec![Fault::of_request(
                "events",
                format!("is {}, not an array", kind(other)),
            )]));
        }
        None => {
            let hints = defaults.hints();
            match extract::recognise(&body, hints) {
                Some(family) => match response(family, &body, &defaults) {
                    Ok(calls) => drafts.extend(calls),
                    Err(more) => faults.extend(more),
                },
                None => take(one(&body, 0, &defaults)),
            }
        }
    }
    if faults.is_empty() { Ok(Submission { key, drafts, ignored }) } else { Err(invalid(faults)) }
}

/// The IETF draft writes the key as a quoted string; most clients do not.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn header<T>(
    headers: &HeaderMap,
    name: &'static str,
    faults: &mut Vec<Fault>,
    parse: impl Fn(&str) -> Result<T, shared::id::IdError>,
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
    defaults: &Defaults,
) -> Result<Vec<Draft>, Vec<Fault>> {
    let fault = |field: &str, reason: String| vec![Fault::of_event(0, field, reason)];
    let Some(agent) = defaults.agent() else {
        return Err(fault("agent_id", NO_AGENT.to_owned()));
    };
    let found = family
        .extract(body, defaults.hints())
        .map_err(|e| fault("usage", format!("of this {} response cannot be read: {e}", family.name())))?;
    let draft = |found: extract::Extraction| {
        let mut event = UsageEvent::new(server_time(defaults.now), found.usage);
        event.time_assigned = true;
        event.provider = Some(found.provider);
        event.model = found.model;
        event.service_tier = found.service_tier;
        apply(&mut event, defaults);
        Draft { agent: agent.clone(), id: None, body: Body::Usage(event) }
    };
    Ok(found.into_iter().map(draft).collect())
}

const NO_AGENT: &str = "is missing; name the agent in the header x-agent-id or in the event";

fn apply(event: &mut UsageEvent, defaults: &Defaults) {
    event.task_id = event.task_id.take().or_else(|| defaults.task.clone());
    event.session_id = event.session_id.take().or_else(|| defaults.session.clone());
    event.team_id = event.team_id.take().or_else(|| defaults.team.clone());
    event.parent_agent_id = event.parent_agent_id.take().or_else(|| defaults.parent.clone());
}

fn one(value: &Value, index: usize, defaults: &Defaults) -> Result<(Draft, usize), Vec<Fault>> {
    let Value::Object(object) = value else {
        let reason = format!("is {}, not an object", kind(value));
        return Err(vec![Fault::of_event(index, "event", reason)]);
    };
    let mut fields = Fields::new(object, index);
    let id = fields.id("id", OwnId::parse);
    let agent = agent(&mut fields, object, defaults);
    let given = fields.time(defaults.now, defaults.closed_before);
    let (time, time_assigned) = given.map_or((server_time(defaults.now), true), |time| (time, false));
    let kind = fields.take("type").map(|v| v.as_str().unwrap_or_default());
    let body = match kind {
        None | Some("usage") => usage(&mut fields, time, time_assigned, defaults).map(Body::Usage),
        Some("void") => fields.corrects().map(|corrects| Body::Void(Void { time, time_assigned, corrects })),
        Some("amend") => amend(&mut fields, time, time_assigned).map(Body::Amend),
        Some("task_outcome") => task(&mut fields, time, time_assigned, defaults).map(Body::TaskOutcome),
        Some(_) => {
            fields.fault("type", "is none of usage, void, amend, task_outcome");
            None
        }
    };
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

fn agent(fields: &mut Fields<'_>, object: &Map<String, Value>, defaults: &Defaults) -> Option<AgentId> {
    if object.get("agent_id").is_none_or(Value::is_null) {
        fields.take("agent_id");
        let agent = defaults.agent();
        if agent.is_none() {
            fields.fault("agent_id", NO_AGENT);
        }
        return agent;
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
