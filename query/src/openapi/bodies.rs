//! What a submission may be. Its parser reads fields one by one, to name each fault, so there is no type to
//! take this from; the second tier sends what it describes.

use edge::limits::MAX_EVENTS;
use serde_json::{Map, Value, json};
use shared::budget::{MAX_PERCENT, MAX_THRESHOLDS};
use shared::event::{MAX_TAG_VALUE, MAX_TAGS};
use shared::id::{MAX_ID_LEN, MAX_MODEL_LEN};
use shared::usage::{Bucket, MAX_COUNT};

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The body of `POST /v1/usage`. That it may be gzip, as any body of HTTP may, is in its description alone: a
/// generator of requests would name an encoding and not encode.
pub(super) fn submission() -> Value {
    let events =
        json!({"type": "array", "items": reference("CloudEvent"), "minItems": 1, "maxItems": MAX_EVENTS});
    let call = json!({"agent_id": "researcher-7", "task_id": "T-1182", "provider": "openai",
        "model": "gpt-4o-mini", "usage": {"input": 812, "cache_read": 4096, "output": 220}});
    let done = json!({"type": "task_outcome", "agent_id": "researcher-7", "task_id": "T-1182", "outcome": "success"});
    let void = json!({"type": "void", "agent_id": "researcher-7", "corrects": "call-0001#0"});
    let sent = json!({"specversion": "1.0", "id": "call-78", "source": "/runners/eu-3",
        "type": "com.example.model.usage", "subject": "researcher-7",
        "data": {"model": "gpt-4o-mini", "usage": {"input": 812, "output": 220}}});
    let stream = json!({"schema": {"type": "string",
        "description": "A provider's own stream, as it came: each call of it is an event."}});
    json!({
        "required": true,
        "description": "May be sent with `content-encoding: gzip`; the limits hold for what is in it too.",
        "content": {
            "application/json": {
                "schema": {"anyOf": [
                    reference("Event"), reference("Events"), reference("ProviderResponse"), reference("CloudEvent"),
                ]},
                "examples": {"call": {"value": call}, "events": {"value": {"events": [call, done, void]}}},
            },
            "application/cloudevents+json": {
                "schema": reference("CloudEvent"), "examples": {"call": {"value": sent}},
            },
            "application/cloudevents-batch+json": {
                "schema": events, "examples": {"calls": {"value": [sent]}},
            },
            "text/event-stream": stream,
            "application/x-ndjson": stream,
            "application/vnd.amazon.eventstream": {"schema": {"type": "string", "format": "binary",
                "description": "A stream of Amazon Bedrock's, as it came."}},
        },
    })
}

/// An IANA time zone. The first few are for those who generate requests: a random string is none.
pub(super) fn zone() -> Value {
    json!({"anyOf": [
        {"enum": ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]},
        {"type": "string", "minLength": 1, "description": "Any other IANA time zone."},
    ]})
}

/// A budget as it is sent: one limit, in dollars or in tokens.
pub(super) fn budget() -> Value {
    let names = format!("^(org|(team|agent|task):[!-~]{{1,{MAX_ID_LEN}}}|model:[!-~]{{1,{MAX_MODEL_LEN}}})$");
    let limit = |name: &str, schema: Value, about: &str| {
        let other = if name == "limit_usd" { "limit_tokens" } else { "limit_usd" };
        let mut zone = zone();
        zone["description"] = json!("In which periods start and end; UTC if left out.");
        json!({
            "type": "object", "description": about, "additionalProperties": false,
            "required": ["scope", "period", name],
            "properties": {
                "scope": {"type": "string", "pattern": names},
                "period": {"enum": ["hour", "day", "week", "month"]},
                name: schema,
                other: {"type": "null"},
                "timezone": {"anyOf": [zone, {"type": "null"}]},
                "thresholds": {"type": ["array", "null"], "minItems": 1, "maxItems": MAX_THRESHOLDS,
                    "items": {"type": "integer", "minimum": 1, "maximum": MAX_PERCENT},
                    "description": "Percentages of the limit; 50, 80 and 100 if left out."},
                "unpriced": unpriced(name == "limit_usd"),
            },
        })
    };
    // A decimal above 0 and below 10^11.
    let usd = json!({"type": "string",
        "pattern": r"^([0-9]{0,5}[1-9][0-9]{0,5}(\.[0-9]{1,15})?|0{1,5}\.[0-9]{0,7}[1-9][0-9]{0,7})$"});
    json!({"anyOf": [
        limit("limit_usd", usd, "A limit in US dollars, as a decimal string above 0."),
        limit("limit_tokens", json!({"type": "integer", "minimum": 1, "maximum": u64::MAX}), "A limit in tokens."),
    ]})
}

/// What usage without a price means. A limit in tokens has no use for a price.
fn unpriced(in_dollars: bool) -> Value {
    let mut policies = vec![json!({"enum": ["ignore", "block", null]})];
    if in_dollars {
        let price = json!({"type": "string", "pattern": r"^[0-9]{1,5}(\.[0-9]{1,15})?$"});
        policies.push(json!({"type": "object", "additionalProperties": false,
            "required": ["assume_usd_per_token"], "properties": {"assume_usd_per_token": price}}));
    }
    json!({"anyOf": policies, "description": "What calls of unknown cost mean; they are ignored if left out."})
}

/// What is null is not stated.
fn or_null(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
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
    let split = json!({"type": "object", "properties": counts, "additionalProperties": false, "minProperties": 1,
        "description": "Disjoint counts by bucket."});
    let total = json!({"type": "object", "properties": {"total_tokens": count}, "required": ["total_tokens"],
        "additionalProperties": false, "description": "A total whose split is unknown."});
    counts.insert("total_tokens".to_owned(), count.clone());
    let both = json!({"type": "object", "properties": counts, "additionalProperties": false, "minProperties": 2,
        "required": ["total_tokens"], "description": "Beside buckets, the total must be their sum."});
    let usage = json!({"anyOf": [split, total, both]});
    let time = json!({"type": "string", "format": "date-time",
        "description": "With an offset; at most 5 minutes ahead, and not from a period that is closed."});
    let amount = json!({"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,15})?$"});
    let common = [
        ("id", id.clone()),
        ("time", time.clone()),
        ("agent_id", reference("AgentId")),
        ("task_id", reference("TaskId")),
        ("session_id", reference("SessionId")),
        ("parent_agent_id", reference("AgentId")),
        ("team_id", reference("TeamId")),
    ];
    // What is not known is ignored and counted, so these are open.
    let kind = |about: &str, required: &[&str], own: Value| {
        let all = common.iter().map(|(name, schema)| (*name, schema));
        let own = own.as_object().into_iter().flatten().map(|(name, schema)| (name.as_str(), schema));
        let properties: Map<_, _> = all
            .chain(own)
            .map(|(name, schema)| {
                let must = required.contains(&name);
                (name.to_owned(), if must { schema.clone() } else { or_null(schema) })
            })
            .collect();
        json!({"type": "object", "description": about, "required": required, "properties": properties})
    };
    let corrects = text("The id of an event of the same agent: ID or KEY#n.");
    let call = json!({
        "type": {"enum": ["usage"], "default": "usage"},
        "provider": reference("ProviderId"), "model": reference("ModelId"),
        "operation": text("Such as chat."), "service_tier": text("The provider's service tier."),
        "tags": {"type": "object", "maxProperties": MAX_TAGS,
            "additionalProperties": {"type": "string", "maxLength": MAX_TAG_VALUE}},
        "usage": usage,
        "outcome": {"enum": ["success", "error", "timeout", "cancelled", "partial"]},
        "latency_ms": count, "reported_cost_usd": amount,
    });
    let amend = json!({"type": {"const": "amend"}, "corrects": corrects, "usage": usage,
        "revision": {"type": "integer", "minimum": 1, "maximum": MAX_COUNT}});
    let outcome = json!({"type": {"const": "task_outcome"}, "value": amount,
        "outcome": {"enum": ["success", "failure", "abandoned"]}});
    let event = json!({"anyOf": [
        kind("One model call.", &["usage"], call),
        kind("Takes an event out of all totals.", &["type", "corrects"],
            json!({"type": {"const": "void"}, "corrects": corrects})),
        kind("Replaces an event's counts; the highest revision wins.", &["type", "corrects", "revision", "usage"], amend),
        kind("How a task ended.", &["type", "outcome"], outcome),
    ]});
    // The envelope's type may say what the data is.
    let told = json!({"type": "object", "anyOf": [{"required": ["corrects"]}, {"required": ["outcome"]}],
        "description": "A correction or a task outcome, where `type` is, or ends in a dot and, its name."});
    let envelope = json!({
        "type": "object",
        "description": "CloudEvents 1.0, structured. The agent is named by the data, the header, the subject or the source.",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"}, "id": id, "source": text("Who sent it."),
            "type": {"type": "string", "minLength": 1}, "subject": or_null(&reference("AgentId")), "time": or_null(&time),
            "datacontenttype": {"enum": ["application/json", null]},
            "data": {"anyOf": [reference("Event"), reference("ProviderResponse"), told]},
            "data_base64": {"type": ["string", "null"], "contentEncoding": "base64"},
        },
        "anyOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
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
            "properties": {"usage": {"type": "object"}, "model": {"type": ["string", "null"]},
                "object": {"description": "Names the shape."}}}),
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
