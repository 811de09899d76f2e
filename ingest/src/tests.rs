//! The handler over a stream that is told what to answer.

mod authorise;
mod formats;
mod numbered;
mod responses;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth::Access;
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body as HttpBody;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::event::Body;
use shared::stream::{EventStream, PutError, PutRecord};
use shared::usage::{Bucket, Usage};
use shared::wire::{Entry, StreamRecord};

use crate::{Ingest, IngestConfig};

const NOW: &str = "2026-11-24T09:30:00.123456Z";

struct Noon(Mutex<Timestamp>);

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// What a put answers for its `n`-th record, by the number of the put.
type Script = dyn Fn(usize, usize) -> Result<(), PutError> + Send + Sync;

/// Keeps what was put, and answers as it was told.
struct Scripted {
    puts: Mutex<Vec<Vec<PutRecord>>>,
    script: Box<Script>,
    /// How many records of the first put are answered at all.
    answered: usize,
}

impl EventStream for Scripted {
    async fn put(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        let mut puts = self.puts.lock().unwrap();
        let number = puts.len();
        puts.push(records.clone());
        let answered = if number == 0 { self.answered } else { usize::MAX };
        let answer = |n| (self.script)(number, n).map(|()| format!("{number}.{n}"));
        (0..records.len()).take(answered).map(answer).collect()
    }

    /// Small, so that a submission is more than one record.
    fn max_record_bytes(&self) -> usize {
        4 << 10
    }
}

struct World {
    ingest: Ingest<Arc<Scripted>, Arc<Noon>>,
    stream: Arc<Scripted>,
    clock: Arc<Noon>,
}

impl World {
    fn new(script: impl Fn(usize, usize) -> Result<(), PutError> + Send + Sync + 'static) -> Self {
        Self::over(Scripted { puts: Mutex::default(), script: Box::new(script), answered: usize::MAX })
    }

    fn over(stream: Scripted) -> Self {
        let stream = Arc::new(stream);
        let clock = Arc::new(Noon(Mutex::new(NOW.parse().unwrap())));
        let config = IngestConfig { attempts: 3, backoff: Duration::ZERO, ..IngestConfig::default() };
        let ingest = Ingest::new(Arc::clone(&stream), Arc::clone(&clock), config, Access::open());
        Self { ingest, stream, clock }
    }

    fn sound() -> Self {
        Self::new(|_, _| Ok(()))
    }

    async fn post(&self, headers: &[(&'static str, &str)], body: &Value) -> (i64, Value) {
        self.send(headers, body.to_string().into_bytes()).await
    }

    async fn send(&self, headers: &[(&'static str, &str)], body: Vec<u8>) -> (i64, Value) {
        let mut request = ApiGatewayV2httpRequest::default();
        request.raw_path = Some("/v1/usage".to_owned());
        request.request_context.http.method = Method::POST;
        for (name, value) in headers {
            request.headers.append(*name, value.parse().unwrap());
        }
        match String::from_utf8(body) {
            Ok(text) => request.body = Some(text),
            Err(error) => {
                use base64::Engine;
                request.body = Some(base64::engine::general_purpose::STANDARD.encode(error.as_bytes()));
                request.is_base64_encoded = true;
            }
        }
        read(self.ingest.handle(request).await)
    }

    /// Every entry put so far.
    fn entries(&self) -> Vec<Entry> {
        let puts = self.stream.puts.lock().unwrap();
        puts.iter().flatten().flat_map(|put| StreamRecord::decode(&put.data).unwrap().entries).collect()
    }

    /// The usage events put so far, with their ids.
    fn calls(&self) -> Vec<(String, shared::event::UsageEvent)> {
        let one = |entry| match entry {
            Entry::Part(part) => {
                let key = part.key;
                part.events.into_iter().map(|(i, event)| (format!("{key}#{i}"), event)).collect()
            }
            Entry::Single(single) => match single.body {
                Body::Usage(event) => vec![(single.id.to_string(), event)],
                _ => Vec::new(),
            },
        };
        self.entries().into_iter().flat_map(one).collect::<Vec<_>>()
    }
}

fn read(response: ApiGatewayV2httpResponse) -> (i64, Value) {
    let Some(HttpBody::Text(body)) = response.body else { panic!("an answer has a body") };
    (response.status_code, serde_json::from_str(&body).unwrap())
}

fn usage(counts: &[(Bucket, u64)]) -> Usage {
    Usage::new(counts.iter().copied()).unwrap()
}

#[tokio::test]
async fn every_shape_of_a_body_becomes_the_same_kind_of_event() {
    let agent = [("x-agent-id", "a")];
    for (body, counts, model) in [
        (json!({"usage": {"total_tokens": 1500}}), vec![(Bucket::Unsplit, 1500)], None),
        (
            json!({"usage": {"input": 5, "cache_read": 4, "total_tokens": 9}, "model": "m"}),
            vec![(Bucket::Input, 5), (Bucket::CacheRead, 4)],
            Some("m"),
        ),
        (
            json!({"object": "chat.completion", "id": "chatcmpl-1", "model": "gpt-4o-mini",
                "choices": [{"message": {"content": "never kept"}}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
                    "prompt_tokens_details": {"cached_tokens": 4}}}),
            vec![(Bucket::Input, 6), (Bucket::CacheRead, 4), (Bucket::Output, 5)],
            Some("gpt-4o-mini"),
        ),
        (
            json!({"type": "message", "role": "assistant", "id": "msg_1", "model": "claude-haiku-4-5",
                "content": [{"type": "text", "text": "never kept"}],
                "usage": {"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 5}}),
            vec![(Bucket::Input, 10), (Bucket::CacheRead, 4), (Bucket::Output, 5)],
            Some("claude-haiku-4-5"),
        ),
    ] {
        let world = World::sound();
        let (status, receipt) = world.post(&agent, &body).await;
        assert_eq!(
            (status, &receipt["accepted"], &receipt["metered"]),
            (200, &json!(1), &json!(true)),
            "{body}"
        );
        let (id, event) = world.calls().remove(0);
        assert_eq!(receipt["event_ids"], json!([id]));
        assert_ne!(id, "chatcmpl-1", "a provider's id is not an identity");
        assert_eq!(event.usage, usage(&counts), "{body}");
        assert_eq!(event.model.as_ref().map(shared::id::ModelId::as_str), model);
        assert_eq!(
            (event.time.to_string().as_str(), event.time_assigned),
            ("2026-11-24T09:30:00.123Z", true)
        );
        let stored = world.stream.puts.lock().unwrap()[0][0].data.clone();
        assert!(!String::from_utf8_lossy(&stored).contains("never kept"), "content is not metered");
    }
}

#[tokio::test]
async fn a_response_of_two_models_is_an_event_for_each() {
    let world = World::sound();
    let body = json!({"type": "message", "role": "assistant", "model": "claude-sonnet-4-6", "usage": {
        "input_tokens": 10, "output_tokens": 5, "iterations": [
            {"type": "message", "input_tokens": 10, "output_tokens": 5},
            {"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 70, "output_tokens": 7}]}});
    let (_, receipt) = world.post(&[("x-agent-id", "a"), ("idempotency-key", "k")], &body).await;
    assert_eq!((&receipt["accepted"], &receipt["event_ids"]), (&json!(2), &json!(["k#0", "k#1"])));
    let calls = world.calls();
    let advice = &calls[1].1;
    assert_eq!((advice.model.as_ref().unwrap().as_str(), advice.usage.tokens()), ("claude-opus-4-8", 77));
}

#[tokio::test]
async fn what_is_wrong_is_named_by_event_and_field() {
    let world = World::sound();
    let key = ("idempotency-key", "k");
    let agent = ("x-agent-id", "a");
    let long = "x".repeat(129);
    let event = |more: Value| {
        let mut event = json!({"agent_id": "a", "usage": {"input": 1}});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let cases = [
        (vec![], json!({"usage": {"input": 1}}), 0, "agent_id"),
        (vec![agent], json!({"usage": {"input": -1}}), 0, "usage.input"),
        (vec![agent], json!({"usage": {"input": 1.5}}), 0, "usage.input"),
        (vec![agent], json!({"usage": {"input": 9_007_199_254_740_993_u64}}), 0, "usage.input"),
        (vec![agent], json!({"usage": {"inputs": 1}}), 0, "usage.inputs"),
        (vec![agent], json!({"usage": {}}), 0, "usage"),
        (vec![agent], json!({"usage": {"input": 3, "total_tokens": 4}}), 0, "usage"),
        (vec![agent], json!({"model": "m"}), 0, "usage"),
        (vec![], event(json!({"id": "a#1"})), 0, "id"),
        (vec![], event(json!({"task_id": long})), 0, "task_id"),
        (vec![], event(json!({"team_id": "a b"})), 0, "team_id"),
        (vec![], event(json!({"time": "yesterday"})), 0, "time"),
        (vec![], event(json!({"time": "2026-11-24T09:30:00"})), 0, "time"),
        (vec![], event(json!({"time": "2026-11-24T09:35:01Z"})), 0, "time"),
        (vec![], event(json!({"outcome": "fine"})), 0, "outcome"),
        (vec![], event(json!({"reported_cost_usd": 0.1})), 0, "reported_cost_usd"),
        (vec![], event(json!({"type": "refund"})), 0, "type"),
        (vec![], event(json!({"type": "void"})), 0, "corrects"),
        (vec![], event(json!({"type": "amend", "corrects": "x", "revision": 0})), 0, "revision"),
        (vec![], event(json!({"type": "task_outcome", "outcome": "success"})), 0, "task_id"),
        (vec![("x-agent-id", "b")], event(json!({})), 0, "agent_id"),
        (vec![], json!({"events": [event(json!({})), event(json!({"time": 7}))]}), 1, "time"),
        (vec![], json!({"events": [event(json!({})), 7]}), 1, "event"),
    ];
    for (mut headers, body, index, field) in cases {
        headers.push(key);
        let (status, problem) = world.post(&headers, &body).await;
        assert_eq!(status, 400, "{body}: {problem}");
        let found = &problem["errors"][0];
        assert_eq!((&found["index"], &found["field"]), (&json!(index), &json!(field)), "{body}: {problem}");
    }
    assert!(world.entries().is_empty(), "nothing of a refused submission is put");
}

#[tokio::test]
async fn what_is_no_submission_says_what_would_be() {
    let world = World::sound();
    let agent = [("x-agent-id", "a")];
    for (body, status, code) in [
        (&b"not JSON"[..], 400, "invalid_json"),
        (b"", 400, "invalid_json"),
        (b"[]", 400, "invalid_json"),
        (b"7", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (br#"{"events":[]}"#, 400, "event_count"),
        (br#"{"events":7}"#, 400, "invalid_event"),
    ] {
        let (found, problem) = world.send(&agent, body.to_vec()).await;
        assert_eq!((found, problem["code"].as_str().unwrap()), (status, code), "{problem}");
    }
    let many = vec![json!({"usage": {"input": 1}}); 501];
    let (status, problem) = world.post(&agent, &json!({"events": many})).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (413, "too_many_events"));
    let (status, _) = world.post(&[agent[0], ("content-type", "text/csv")], &json!({})).await;
    assert_eq!(status, 415);
    let twice = [agent[0], ("x-agent-id", "b")];
    let (status, problem) = world.post(&twice, &json!({"usage": {"input": 1}})).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!("x-agent-id")));
}

#[tokio::test]
async fn deep_nesting_is_an_answer_not_a_crash() {
    let world = World::sound();
    let body = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    let (status, problem) = world.send(&[("x-agent-id", "a")], body.into_bytes()).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (400, "invalid_json"));
}

#[tokio::test]
async fn an_answer_is_bounded_whatever_is_wrong() {
    let world = World::sound();
    let many: serde_json::Map<String, Value> = (0..50_000).map(|n| (format!("b{n}"), json!(1))).collect();
    let long = json!({"agent_id": "a", "usage": {"x".repeat(900_000): 1}});
    let bad = json!({"usage": {"input": -1}});
    for body in [json!({"agent_id": "a", "usage": many}), long, json!({"events": vec![bad; 500]})] {
        let (status, problem) = world.post(&[], &body).await;
        assert_eq!(status, 400);
        let (size, named) = (problem.to_string().len(), problem["errors"].as_array().unwrap().len());
        assert!(named <= 20 && size < 20_000, "{named} faults in {size} bytes");
    }
}

/// 250 events of two agents, of which every tenth has an id of its own.
fn large() -> Value {
    let event = |n: u32| {
        let mut event =
            json!({"agent_id": if n.is_multiple_of(2) { "even" } else { "odd" }, "usage": {"input": n}});
        if n.is_multiple_of(10) {
            event["id"] = json!(format!("own-{n}"));
        }
        event
    };
    json!({"events": (0..250).map(event).collect::<Vec<_>>()})
}

#[tokio::test]
async fn a_sealed_submission_is_packed_by_agent_and_index_and_its_retry_is_the_same() {
    let world = World::sound();
    let key = [("idempotency-key", "k")];
    let (_, receipt) = world.post(&key, &large()).await;
    let ids: Vec<_> =
        receipt["event_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!((ids.len(), ids[0], ids[1], ids[249]), (250, "own-0", "k#1", "k#249"));
    let first = world.entries();
    let parts: Vec<_> = first
        .iter()
        .filter_map(|entry| match entry {
            Entry::Part(part) => Some((part.agent.as_str(), part.part, part.events.len())),
            Entry::Single(_) => None,
        })
        .collect();
    let expected =
        [("even", 0, 40), ("even", 1, 40), ("even", 2, 20), ("odd", 0, 50), ("odd", 1, 50), ("odd", 2, 25)];
    assert_eq!(parts, expected);
    assert_eq!(first.len(), 25 + 6);
    // Half an hour later: the times that the server assigned are others, the identity is not.
    *world.clock.0.lock().unwrap() = "2026-11-24T10:00:00Z".parse().unwrap();
    let (_, again) = world.post(&key, &large()).await;
    assert_eq!(again, receipt);
    let second = world.entries().split_off(first.len());
    let identity = |entries: &[Entry]| -> Vec<_> {
        entries.iter().map(|e| (e.agent().clone(), e.key(), e.hash().clone())).collect()
    };
    assert_eq!(identity(&second), identity(&first));
    let lanes: std::collections::BTreeSet<_> = {
        let puts = world.stream.puts.lock().unwrap();
        puts.iter().flatten().map(|put| put.partition_key.clone()).collect()
    };
    assert_eq!(lanes.len(), 1, "a submission and its retry are in one lane");
}

#[tokio::test]
async fn other_content_under_the_same_key_has_another_hash() {
    let hash = async |headers: &[(&'static str, &str)], body: Value| {
        let world = World::sound();
        assert_eq!(world.post(headers, &body).await.0, 200);
        world.entries()[0].hash().clone()
    };
    let headers = [("idempotency-key", "k"), ("x-agent-id", "a")];
    let plain = hash(&headers, json!({"usage": {"input": 1}})).await;
    assert_eq!(plain, hash(&headers, json!({"usage": {"input": 1}, "unknown": true})).await);
    let timed = hash(&headers, json!({"usage": {"input": 1}, "time": "2026-11-24T09:30:00.123Z"})).await;
    let teamed = hash(&[headers[0], headers[1], ("x-team-id", "t")], json!({"usage": {"input": 1}})).await;
    let counted = hash(&headers, json!({"usage": {"input": 2}})).await;
    for other in [timed, teamed, counted] {
        assert_ne!(plain, other);
    }
}

#[tokio::test]
async fn only_what_failed_is_put_again() {
    let world = World::new(|put, n| match (put, n) {
        (0, 1 | 3) | (1, 0) => Err(PutError::Retry("throttled".to_owned())),
        _ => Ok(()),
    });
    let (status, receipt) = world.post(&[("idempotency-key", "k")], &large()).await;
    assert_eq!((status, &receipt["accepted"]), (200, &json!(250)));
    let puts = world.stream.puts.lock().unwrap();
    assert_eq!(puts.len(), 3);
    assert!(puts[0].len() > 3, "the submission is several records");
    let datas = |put: &[PutRecord]| put.iter().map(|record| record.data.clone()).collect::<Vec<_>>();
    assert_eq!(datas(&puts[1]), [puts[0][1].data.clone(), puts[0][3].data.clone()]);
    assert_eq!(datas(&puts[2]), [puts[0][1].data.clone()]);
    // Each time in another lane: its own may be what is too busy.
    let lane = |put: &PutRecord| put.partition_key.parse::<u32>().unwrap();
    let first = lane(&puts[0][1]);
    assert_eq!((lane(&puts[1][0]), lane(&puts[2][0])), ((first + 1) % 4, (first + 2) % 4));
}

#[tokio::test]
async fn a_missing_answer_is_no_acknowledgement() {
    let script: Box<Script> = Box::new(|_, _| Ok(()));
    let world = World::over(Scripted { puts: Mutex::default(), script, answered: 2 });
    let (status, _) = world.post(&[("idempotency-key", "k")], &large()).await;
    assert_eq!(status, 200);
    let puts = world.stream.puts.lock().unwrap();
    assert!(puts[1].iter().map(|record| &record.data).eq(puts[0][2..].iter().map(|record| &record.data)));
}

#[tokio::test]
async fn what_the_stream_refuses_is_told_with_what_it_took() {
    let world =
        World::new(|_, n| if n == 1 { Err(PutError::Refused("too long".to_owned())) } else { Ok(()) });
    let (status, problem) = world.post(&[("idempotency-key", "k")], &large()).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (500, "stream_refused"));
    let again = problem["send_again"].as_array().unwrap().len();
    assert_eq!(again + problem["stored"].as_array().unwrap().len(), 250);
    assert_eq!(world.stream.puts.lock().unwrap().len(), 1, "it is not tried again");
}

#[tokio::test]
async fn a_name_is_not_taken_for_a_closed_period() {
    let world = World::sound();
    let body = json!({"agent_id": "before", "usage": {"input": 1}});
    let (_, problem) = world.post(&[("x-agent-id", "x")], &body).await;
    assert_eq!(problem["code"], "invalid_event");
}

#[tokio::test]
async fn without_all_acknowledgements_there_is_no_receipt() {
    let world =
        World::new(|_, n| if n == 0 { Err(PutError::Retry("the disk is full".to_owned())) } else { Ok(()) });
    let (status, problem) = world.post(&[("idempotency-key", "k")], &large()).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (503, "stream_unavailable"));
    assert!(problem["detail"].as_str().unwrap().contains("the disk is full"), "{problem}");
    let again = problem["send_again"].as_array().unwrap().len();
    let stored = problem["stored"].as_array().unwrap().len();
    assert!(again > 0 && stored > 0 && again + stored == 250, "{again} + {stored}");
}

#[tokio::test]
async fn events_of_a_closed_period_are_refused_by_name() {
    let world = World::sound();
    world.ingest.closed_before().set("2026-01-01T00:00:00Z".parse().unwrap());
    let body = json!({"usage": {"input": 1}, "time": "2025-12-31T23:59:59Z"});
    let (status, problem) = world.post(&[("x-agent-id", "a")], &body).await;
    assert_eq!((status, problem["code"].as_str().unwrap()), (400, "closed_period"), "{problem}");
}
