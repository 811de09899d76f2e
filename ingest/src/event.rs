//! From one JSON object to a draft: a call, a correction or a task's outcome, field by field.

use edge::Fault;
use jiff::Timestamp;
use serde_json::{Map, Value};
use shared::event::{Amend, Body, MAX_EVENT_BYTES, TaskOutcome, UsageEvent, Void};
use shared::id::{AgentId, ModelId, OwnId, ProviderId, SessionId, TaskId, TeamId};

use crate::cloudevents::Envelope;
use crate::fields::{Fields, kind, server_time};
use crate::parse::{Defaults, Draft};

pub(crate) const NO_AGENT: &str = "is missing; name the agent in the header x-agent-id or in the event";

/// Fills in what the headers say where the event says nothing.
pub(crate) fn apply(event: &mut UsageEvent, defaults: &Defaults) {
    event.task_id = event.task_id.take().or_else(|| defaults.task.clone());
    event.session_id = event.session_id.take().or_else(|| defaults.session.clone());
    event.team_id = event.team_id.take().or_else(|| defaults.team.clone());
    event.parent_agent_id = event.parent_agent_id.take().or_else(|| defaults.parent.clone());
}

/// Reads one event.
pub(crate) fn one(
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
