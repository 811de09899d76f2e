//! What a submission may be. Its parser reads fields one by one, to name each fault, so there is no type to
//! take this from; the second tier sends what it describes.

use edge::limits::MAX_EVENTS;
use serde_json::{Map, Value, json};
use shared::event::{MAX_TAG_VALUE, MAX_TAGS};
use shared::id::MAX_ID_LEN;
use shared::usage::{Bucket, MAX_COUNT};

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The body of `POST /v1/usage`.
pub(super) fn submission() -> Value {
    let events =
        json!({"type": "array", "items": reference("CloudEvent"), "minItems": 1, "maxItems": MAX_EVENTS});
    json!({"required": true, "content": {
        "application/json": {"schema": {"anyOf": [
            reference("Event"), reference("Events"), reference("ProviderResponse"), reference("CloudEvent"),
        ]}},
        "application/cloudevents+json": {"schema": reference("CloudEvent")},
        "application/cloudevents-batch+json": {"schema": events},
    }})
}

/// The schemas that it refers to.
pub(super) fn schemas() -> Map<String, Value> {
    let text = |about: &str| {
        json!({"type": "string", "minLength": 1, "maxLength": MAX_ID_LEN,
        "pattern": "^[!-~]+$", "description": about})
    };
    let id = json!({"type": "string", "minLength": 1, "maxLength": MAX_ID_LEN, "pattern": "^[!-\"$-~]+$",
        "description": "The event's identity with its agent."});
    let count = json!({"type": "integer", "minimum": 0, "maximum": MAX_COUNT});
    let mut counts: Map<_, _> =
        Bucket::ALL.into_iter().map(|bucket| (bucket.name().to_owned(), count.clone())).collect();
    counts.insert("total_tokens".to_owned(), count.clone());
    let usage = json!({"type": "object", "properties": counts, "additionalProperties": false, "minProperties": 1,
        "description": "Disjoint counts by bucket. `total_tokens` alone is a total whose split is unknown; beside \
            buckets it must be their sum."});
    let time = json!({"type": "string", "format": "date-time",
        "description": "With an offset; at most 5 minutes ahead, and not from a period that is closed."});
    let amount = json!({"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,15})?$"});
    let event = json!({
        "type": "object",
        "description": "One model call, a correction of one, or a task's outcome. What is not known is ignored and counted.",
        "properties": {
            "type": {"enum": ["usage", "void", "amend", "task_outcome"], "default": "usage"},
            "id": id, "time": time, "agent_id": reference("AgentId"), "task_id": reference("TaskId"),
            "session_id": reference("SessionId"), "parent_agent_id": reference("AgentId"),
            "team_id": reference("TeamId"), "provider": reference("ProviderId"), "model": reference("ModelId"),
            "operation": text("Such as chat."), "service_tier": text("The provider's service tier."),
            "tags": {"type": "object", "maxProperties": MAX_TAGS,
                "additionalProperties": {"type": "string", "maxLength": MAX_TAG_VALUE}},
            "usage": usage,
            "outcome": {"enum": ["success", "error", "timeout", "cancelled", "partial", "failure", "abandoned"]},
            "latency_ms": count, "reported_cost_usd": amount, "value": amount,
            "corrects": text("The id of an event of the same agent: ID or KEY#n."),
            "revision": {"type": "integer", "minimum": 1, "maximum": MAX_COUNT},
        },
    });
    let envelope = json!({
        "type": "object",
        "description": "CloudEvents 1.0, structured. The agent is named by the data, the header, the subject or the source.",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"}, "id": id, "source": text("Who sent it."),
            "type": {"type": "string", "minLength": 1, "maxLength": MAX_ID_LEN}, "subject": reference("AgentId"), "time": time,
            "datacontenttype": {"const": "application/json"},
            "data": {"anyOf": [reference("Event"), reference("ProviderResponse")]},
            "data_base64": {"type": "string", "contentEncoding": "base64"},
        },
    });
    let schemas = [
        ("Event", event),
        (
            "Events",
            json!({"type": "object", "required": ["events"], "properties": {"events": {
            "type": "array", "items": reference("Event"), "minItems": 1, "maxItems": MAX_EVENTS}}}),
        ),
        (
            "ProviderResponse",
            json!({"type": "object", "required": ["usage"],
            "description": "A provider's own response body, as it came; recognised by its shape, or by x-provider.",
            "properties": {"usage": {"type": "object"}, "model": {"type": "string"}, "object": {"type": "string"}}}),
        ),
        ("CloudEvent", envelope),
        (
            "Receipt",
            json!({"type": "object", "required": ["metered", "accepted", "event_ids"],
            "properties": {"metered": {"const": true}, "accepted": {"type": "integer", "minimum": 1},
                "event_ids": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                "ignored_fields": {"type": "integer", "minimum": 1}}}),
        ),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}
