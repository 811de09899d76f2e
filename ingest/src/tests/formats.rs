//! CloudEvents in their three modes, gzip, and REST events.

use aws_lambda_events::encodings::Body as HttpBody;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use edge::GatewayResponse;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use shared::event::Body;
use shared::wire::Entry;
use std::io::Write;

use super::{World, usage};
use shared::usage::Bucket;

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json; charset=utf-8");
const BATCH: (&str, &str) = ("content-type", "application/cloudevents-batch+json");

fn cloud_event(more: &Value) -> Value {
    let mut event = json!({
        "specversion": "1.0", "id": "ce-1", "source": "/runners/7", "type": "com.example.model.usage",
        "subject": "researcher-7", "time": "2026-11-24T09:00:00Z", "traceparent": "00-1-2-3",
        "data": {"model": "gpt-4o-mini", "usage": {"input": 5, "output": 2}}
    });
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(event.as_object_mut().unwrap().remove(name)),
            value => event[name] = value.clone(),
        }
    }
    event
}

/// The agent, id and body of everything put.
fn singles(world: &World) -> Vec<(String, String, Body)> {
    let single = |entry| match entry {
        Entry::Single(single) => (single.agent.to_string(), single.id.to_string(), single.body),
        Entry::Part(_) => panic!("an event with an id of its own stands alone"),
    };
    world.entries().into_iter().map(single).collect()
}

fn call(body: &Body) -> &shared::event::UsageEvent {
    match body {
        Body::Usage(event) => event,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_three_modes_of_a_cloud_event_are_one_event() {
    let event = cloud_event(&json!({}));
    let data = event["data"].to_string();
    let ce = |name: &'static str| event[name.strip_prefix("ce-").unwrap()].as_str().unwrap();
    let binary = ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject", "ce-time"]
        .map(|name| (name, ce(name)));
    let binary = [&binary[..], &[("content-type", "application/json")]].concat();
    let encoded = cloud_event(&json!({"data": null, "data_base64": STANDARD.encode(&data)}));
    let mut seen = Vec::new();
    for (headers, body) in [
        (vec![STRUCTURED], event.to_string()),
        (vec![], event.to_string()),
        (vec![("content-type", "application/json")], json!([event]).to_string()),
        (vec![BATCH], json!([event]).to_string()),
        (vec![STRUCTURED], encoded.to_string()),
        (binary, data.clone()),
    ] {
        let world = World::sound();
        let (status, receipt) = world.send(&headers, body.clone().into_bytes()).await;
        assert_eq!((status, &receipt["event_ids"]), (200, &json!(["ce-1"])), "{body}: {receipt}");
        seen.push(singles(&world));
    }
    let (agent, id, body) = &seen[0][0];
    assert_eq!((agent.as_str(), id.as_str()), ("researcher-7", "ce-1"));
    let event = call(body);
    assert_eq!(event.usage, usage(&[(Bucket::Input, 5), (Bucket::Output, 2)]));
    assert_eq!((event.time.to_string().as_str(), event.time_assigned), ("2026-11-24T09:00:00Z", false));
    assert_eq!(event.tags["cloudevents.source"], "/runners/7");
    assert!(seen.iter().all(|other| *other == seen[0]), "{seen:#?}");
}

#[tokio::test]
async fn who_the_agent_is_goes_from_the_named_to_the_source() {
    for (headers, more, agent, tagged) in [
        (vec![("x-agent-id", "header")], json!({"subject": null}), "header", true),
        (vec![("x-agent-id", "researcher-7")], json!({}), "researcher-7", true),
        (vec![], json!({"data": {"agent_id": "named", "usage": {"input": 1}}}), "named", true),
        (vec![], json!({}), "researcher-7", true),
        (vec![], json!({"subject": null}), "/runners/7", false),
    ] {
        let world = World::sound();
        let body = cloud_event(&more);
        let (status, receipt) = world.post(&[&[STRUCTURED][..], &headers].concat(), &body).await;
        assert_eq!(status, 200, "{receipt}");
        let (found, _, body) = singles(&world).remove(0);
        assert_eq!(found, agent);
        assert_eq!(call(&body).tags.contains_key("cloudevents.source"), tagged, "{agent}");
    }
}

#[tokio::test]
async fn one_id_from_two_sources_has_two_contents() {
    let hash = |source: &'static str| async move {
        let world = World::sound();
        world.post(&[STRUCTURED], &cloud_event(&json!({"source": source}))).await;
        world.entries().remove(0).hash().clone()
    };
    assert_eq!(hash("/a").await, hash("/a").await);
    assert_ne!(hash("/a").await, hash("/b").await);
}

#[tokio::test]
async fn the_envelope_carries_corrections_outcomes_and_responses() {
    let world = World::sound();
    let events = json!([
        cloud_event(&json!({"id": "v", "type": "com.example.void", "data": {"corrects": "k#0"}})),
        cloud_event(
            &json!({"id": "o", "type": "task_outcome", "data": {"task_id": "t", "outcome": "failure"}})
        ),
        cloud_event(&json!({"id": "a", "data": {"type": "amend", "corrects": "x", "revision": 1,
            "usage": {"input": 1}}})),
        cloud_event(&json!({"id": "r", "data": {"object": "chat.completion", "model": "gpt-4o-mini",
            "id": "chatcmpl-9", "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}})),
    ]);
    let (status, receipt) = world.post(&[BATCH], &events).await;
    assert_eq!((status, &receipt["event_ids"]), (200, &json!(["v", "o", "a", "r"])), "{receipt}");
    let bodies: Vec<_> = singles(&world).into_iter().map(|(_, _, body)| body).collect();
    assert!(matches!(bodies[0], Body::Void(_)) && matches!(bodies[1], Body::TaskOutcome(_)));
    assert!(matches!(bodies[2], Body::Amend(_)));
    assert_eq!(call(&bodies[3]).provider.as_ref().unwrap().as_str(), "openai");
}

#[tokio::test]
async fn a_response_of_two_models_in_an_envelope_has_an_id_for_each() {
    let world = World::sound();
    let data = json!({"type": "message", "role": "assistant", "model": "claude-sonnet-4-6", "usage": {
        "input_tokens": 10, "output_tokens": 5, "iterations": [
            {"type": "message", "input_tokens": 10, "output_tokens": 5},
            {"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 70, "output_tokens": 7}]}});
    let (_, receipt) = world.post(&[STRUCTURED], &cloud_event(&json!({"data": data}))).await;
    assert_eq!(receipt["event_ids"], json!(["ce-1", "ce-1.1"]));
}

#[tokio::test]
async fn a_bad_envelope_is_named_by_index_and_attribute() {
    let long = "x".repeat(129);
    for (more, field) in [
        (json!({"specversion": "0.3"}), "specversion"),
        (json!({"id": ""}), "id"),
        (json!({"id": null}), "id"),
        (json!({"id": "a#1"}), "id"),
        (json!({"id": 7}), "id"),
        (json!({"source": null}), "source"),
        (json!({"source": "s".repeat(257)}), "source"),
        (json!({"type": null}), "type"),
        (json!({"subject": long}), "subject"),
        (json!({"specversion": 1.0}), "specversion"),
        (json!({"subject": null, "source": "two words"}), "source"),
        (json!({"time": "yesterday"}), "time"),
        (json!({"time": "2026-11-24T10:00:00Z"}), "time"),
        (json!({"datacontenttype": "application/protobuf"}), "datacontenttype"),
        (json!({"data": null}), "data"),
        (json!({"data": "text"}), "data"),
        (json!({"data_base64": "e30="}), "data_base64"),
        (json!({"data": null, "data_base64": "e3"}), "data_base64"),
        (json!({"data": {"usage": {"input": -1}}}), "data.usage.input"),
        (json!({"data": {"id": "other", "usage": {"input": 1}}}), "data.id"),
        (json!({"data": {"agent_id": "a b", "usage": {"input": 1}}}), "data.agent_id"),
    ] {
        let world = World::sound();
        let batch = json!([cloud_event(&json!({"id": "fine"})), cloud_event(&more)]);
        let (status, problem) = world.post(&[BATCH], &batch).await;
        assert_eq!(status, 400, "{more}: {problem}");
        let found = &problem["errors"][0];
        assert_eq!((&found["index"], &found["field"]), (&json!(1), &json!(field)), "{more}: {problem}");
        assert!(world.entries().is_empty(), "nothing of a refused batch is put");
    }
    let world = World::sound();
    let headers = [("ce-specversion", "1.0"), ("ce-id", "a#1"), ("ce-source", "s"), ("ce-type", "t")];
    let (status, problem) = world.post(&headers, &json!({"usage": {"input": 1}})).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!("ce-id")));
}

#[tokio::test]
async fn gzip_is_read_as_what_is_in_it() {
    let world = World::sound();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(br#"{"id":"z","usage":{"input":1}}"#).unwrap();
    let body = encoder.finish().unwrap();
    let headers = [("x-agent-id", "a"), ("content-encoding", "gzip")];
    let (status, receipt) = world.send(&headers, body).await;
    assert_eq!((status, &receipt["event_ids"]), (200, &json!(["z"])), "{receipt}");
}

#[tokio::test]
async fn a_rest_api_gets_its_receipt_in_its_own_format() {
    let world = World::sound();
    let event = json!({
        "resource": "/v1/usage", "path": "/v1/usage", "httpMethod": "POST",
        "headers": {"x-agent-id": "a"}, "multiValueHeaders": {"x-agent-id": ["a"]},
        "requestContext": {"stage": "prod", "requestId": "r-1", "httpMethod": "POST", "identity": {}},
        "body": STANDARD.encode(r#"{"id":"rest","usage":{"input":1}}"#), "isBase64Encoded": true
    });
    let request = serde_json::from_value(event).unwrap();
    let GatewayResponse::V1(answer) = world.ingest.handle_gateway(request).await else {
        panic!("a REST API gets format 1.0")
    };
    let Some(HttpBody::Text(body)) = answer.body else { panic!("a receipt has a body") };
    assert_eq!((answer.status_code, answer.headers["x-request-id"].to_str().unwrap()), (200, "r-1"));
    assert!(body.contains(r#""event_ids":["rest"]"#), "{body}");
    assert_eq!(world.entries().len(), 1);
}
