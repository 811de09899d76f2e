//! Submissions as their senders write them: headers and a JSON body.

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::event::{Outcome, TaskResult};
use shared::usage::Bucket;

use super::behaviour::{Call, Millis};
use super::cast::Family;
use super::scenario::{Content, Post, instant};

/// What goes over the wire.
pub(super) struct Request {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Value,
}

/// `post` of a day that begins at `start`. The same post gives the same request: a retry repeats it.
pub(super) fn request(post: &Post, start: Timestamp) -> Request {
    let mut headers = vec![("x-agent-id", post.agent.clone())];
    headers.extend(post.key.clone().map(|key| ("idempotency-key", key)));
    let time = |at: Millis| json!(instant(start, at));
    let body = match &post.content {
        Content::Events(calls) => match calls.as_slice() {
            [call] => native(call, start),
            _ => json!({"events": calls.iter().map(|call| native(call, start)).collect::<Vec<_>>()}),
        },
        Content::Response(call) => {
            headers.push(("x-task-id", call.task.clone()));
            headers.push(("x-session-id", call.session.clone()));
            headers.push(("x-team-id", call.team.to_owned()));
            headers.extend(call.parent.clone().map(|parent| ("x-parent-agent-id", parent)));
            match call.model.family {
                Family::Anthropic => message(call),
                Family::OpenAi | Family::Other => completion(call, start),
            }
        }
        Content::Void { at, id, corrects, .. } => {
            json!({"type": "void", "id": id, "time": time(*at), "corrects": corrects})
        }
        Content::Amend { at, id, corrects, usage, .. } => {
            json!({"type": "amend", "id": id, "time": time(*at), "corrects": corrects, "revision": 1,
                "usage": usage})
        }
        Content::Ended { at, id, team, task, result } => {
            let outcome = match result {
                TaskResult::Success => "success",
                TaskResult::Failure => "failure",
                TaskResult::Abandoned => "abandoned",
            };
            json!({"type": "task_outcome", "id": id, "time": time(*at), "team_id": team,
                "task_id": task, "outcome": outcome})
        }
    };
    Request { headers, body }
}

fn native(call: &Call, start: Timestamp) -> Value {
    let outcome = match call.outcome {
        Outcome::Success => "success",
        Outcome::Error => "error",
        Outcome::Timeout => "timeout",
        Outcome::Cancelled => "cancelled",
        Outcome::Partial => "partial",
    };
    let mut event = json!({
        "time": instant(start, call.at), "agent_id": call.agent, "team_id": call.team, "task_id": call.task,
        "session_id": call.session, "provider": call.model.provider, "model": call.model.name,
        "operation": "chat", "usage": call.usage, "outcome": outcome, "latency_ms": call.latency,
        "tags": {"env": "demo", "priority": if call.parent.is_some() { "background" } else { "interactive" }},
    });
    for (field, value) in [("id", &call.id), ("parent_agent_id", &call.parent)] {
        if let Some(value) = value {
            event[field] = json!(value);
        }
    }
    event
}

/// OpenAI's rule: parts are inside their whole.
fn completion(call: &Call, start: Timestamp) -> Value {
    let count = |bucket| call.usage.get(bucket);
    let prompt = count(Bucket::Input) + count(Bucket::CacheRead);
    let completion = count(Bucket::Output) + count(Bucket::Reasoning);
    json!({
        "id": format!("chatcmpl-{}", call.session), "object": "chat.completion",
        "created": instant(start, call.at).as_second(), "model": call.model.name, "service_tier": "default",
        "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "(what it said is not looked at)"}}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": count(Bucket::CacheRead), "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": count(Bucket::Reasoning), "audio_tokens": 0}},
    })
}

/// Anthropic's rule: what the cache holds is beside the input, and thinking is inside the output.
fn message(call: &Call) -> Value {
    let count = |bucket| call.usage.get(bucket);
    let written = count(Bucket::CacheWrite5m);
    json!({
        "id": format!("msg_{}", call.session), "type": "message", "role": "assistant", "model": call.model.name,
        "content": [{"type": "text", "text": "(what it said is not looked at)"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": count(Bucket::Input), "cache_read_input_tokens": count(Bucket::CacheRead),
            "cache_creation_input_tokens": written,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": count(Bucket::Output) + count(Bucket::Reasoning),
            "output_tokens_details": {"thinking_tokens": count(Bucket::Reasoning)}, "service_tier": "standard"},
    })
}
