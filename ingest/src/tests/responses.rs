//! Providers' own responses: streams as they came, batches, hints, and what is refused.

use serde_json::{Value, json};
use shared::event::Outcome;
use shared::usage::Bucket;

use super::{World, usage};

const AGENT: (&str, &str) = ("x-agent-id", "a");

fn sse(events: &[Value]) -> Vec<u8> {
    events.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect()
}

fn message() -> [Value; 3] {
    [
        json!({"type": "message_start", "message": {"type": "message", "role": "assistant",
            "model": "claude-haiku-4-5", "usage": {"input_tokens": 10, "output_tokens": 1}}}),
        json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "never kept"}}),
        json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 7}}),
    ]
}

#[tokio::test]
async fn a_stream_is_an_event_and_one_that_broke_off_is_partial() {
    for (events, output, outcome) in [(3, 7, None), (2, 1, Some(Outcome::Partial))] {
        let world = World::sound();
        let headers = [AGENT, ("content-type", "text/event-stream; charset=utf-8"), ("idempotency-key", "k")];
        let (status, receipt) = world.send(&headers, sse(&message()[..events])).await;
        assert_eq!((status, &receipt["event_ids"]), (200, &json!(["k#0"])), "{receipt}");
        let (_, event) = world.calls().remove(0);
        assert_eq!(event.usage, usage(&[(Bucket::Input, 10), (Bucket::Output, output)]));
        assert_eq!((event.outcome, event.operation.as_deref()), (outcome, Some("chat")));
        assert_eq!(event.provider.unwrap().as_str(), "anthropic");
        let stored = world.stream.puts.lock().unwrap()[0][0].data.clone();
        assert!(!String::from_utf8_lossy(&stored).contains("never kept"), "content is not metered");
    }
}

#[tokio::test]
async fn a_binary_stream_is_read_as_it_came() {
    let frame = |headers: &[(&str, &str)], payload: &str| {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(u8::try_from(name.len()).unwrap());
            head.extend(name.as_bytes());
            head.push(7);
            head.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            head.extend(value.as_bytes());
        }
        let total = u32::try_from(16 + head.len() + payload.len()).unwrap();
        let mut frame = [total.to_be_bytes(), u32::try_from(head.len()).unwrap().to_be_bytes()].concat();
        frame.extend(crc32(&frame).to_be_bytes());
        frame.extend(&head);
        frame.extend(payload.as_bytes());
        frame.extend(crc32(&frame).to_be_bytes());
        frame
    };
    let event = |kind| [(":message-type", "event"), (":event-type", kind)];
    let usage_of = json!({"usage": {"inputTokens": 54, "outputTokens": 18, "totalTokens": 72}}).to_string();
    let body =
        [frame(&event("messageStart"), r#"{"role":"assistant"}"#), frame(&event("metadata"), &usage_of)];
    let world = World::sound();
    let headers = [
        AGENT,
        ("content-type", "application/vnd.amazon.eventstream"),
        ("x-provider-path", "/model/amazon.nova-lite-v1%3A0/converse-stream"),
    ];
    let (status, receipt) = world.send(&headers, body.concat()).await;
    assert_eq!(status, 200, "{receipt}");
    let (_, event) = world.calls().remove(0);
    assert_eq!(event.usage, usage(&[(Bucket::Input, 54), (Bucket::Output, 18)]));
    assert_eq!(event.model.unwrap().as_str(), "amazon.nova-lite-v1:0");
    assert_eq!(event.provider.unwrap().as_str(), "bedrock");
}

/// The checksum of the frames, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    })
}

#[tokio::test]
async fn each_line_of_a_batch_is_an_event() {
    let line = |n: u64| {
        json!({"custom_id": n.to_string(), "response": {"status_code": 200, "body": {"object": "chat.completion",
            "model": "gpt-4o-mini", "usage": {"prompt_tokens": n, "completion_tokens": 1, "total_tokens": n + 1}}}})
    };
    let lines = |n: u64| (1..=n).flat_map(|n| format!("{}\n", line(n)).into_bytes()).collect::<Vec<u8>>();
    let headers = [AGENT, ("content-type", "application/jsonl"), ("idempotency-key", "k")];
    let world = World::sound();
    let (status, receipt) = world.send(&headers, lines(3)).await;
    assert_eq!((status, &receipt["event_ids"]), (200, &json!(["k#0", "k#1", "k#2"])), "{receipt}");
    let calls = world.calls();
    assert!(calls.iter().all(|(_, event)| event.service_tier.as_deref() == Some("batch")));
    let (status, problem) = World::sound().send(&headers, lines(501)).await;
    assert_eq!((status, &problem["code"]), (413, &json!("too_many_events")), "{problem}");
}

#[tokio::test]
async fn the_headers_say_what_a_body_does_not() {
    let body = json!({"choices": [{"finish_reason": "stop"}], "usage": {"prompt_tokens": 9, "completion_tokens": 2,
        "total_tokens": 11, "cost": 7.02e-05, "completion_tokens_details": {"reasoning_tokens": 25}}});
    let world = World::sound();
    let headers = [AGENT, ("x-provider", "vercel-gateway"), ("x-model", "google/gemini-2.5-flash")];
    let (status, receipt) = world.post(&headers, &body).await;
    assert_eq!(status, 200, "{receipt}");
    let (_, event) = world.calls().remove(0);
    assert_eq!(event.usage, usage(&[(Bucket::Input, 9), (Bucket::Output, 2), (Bucket::Reasoning, 25)]));
    assert_eq!(event.model.unwrap().as_str(), "google/gemini-2.5-flash");
    assert_eq!(event.reported_cost_usd.unwrap().to_string(), "0.0000702");
    // Elsewhere that is a contradiction, and no call is lost for it: as much is reasoning as there is output.
    let world = World::sound();
    let (status, receipt) = world.post(&[AGENT, ("x-provider", "openai")], &body).await;
    assert_eq!(status, 200, "{receipt}");
    let (_, event) = world.calls().remove(0);
    assert_eq!(event.usage, usage(&[(Bucket::Input, 9), (Bucket::Reasoning, 2)]));
    let said = "`completion_tokens_details` is larger than `completion_tokens`, which contains it";
    assert_eq!(event.tags["usage_contradiction"], said);
    for (name, value) in [("x-provider-path", "v1/messages"), ("x-provider-path", "/a b"), ("x-model", "")] {
        let (status, problem) = World::sound().post(&[AGENT, (name, value)], &body).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!(name)), "{problem}");
    }
}

#[tokio::test]
async fn what_says_nothing_of_usage_is_refused_by_name() {
    let chunk = json!({"object": "chat.completion.chunk", "choices": [{"finish_reason": "stop"}]});
    let failed = json!({"type": "error", "error": {"type": "overloaded_error", "message": "never kept"}});
    let stream = ("content-type", "text/event-stream");
    for (headers, body, field) in [
        (vec![AGENT, stream], sse(&[chunk]), "usage"),
        (vec![AGENT, stream], sse(std::slice::from_ref(&failed)), "error"),
        (vec![AGENT], failed.to_string().into_bytes(), "error"),
        (vec![AGENT, stream], b"<html>".to_vec(), "usage"),
        (vec![AGENT, stream], sse(&[json!({"agent_id": "a", "usage": {"input": 1}})]), "usage"),
        (vec![stream], sse(&message()), "agent_id"),
    ] {
        let (status, problem) = World::sound().send(&headers, body).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (400, &json!(field)), "{problem}");
        assert!(!problem.to_string().contains("never kept"), "{problem}");
    }
}

#[tokio::test]
async fn an_event_of_our_own_stays_one() {
    for body in [
        json!({"usage": {"input": 5}, "choices": [], "object": "chat.completion", "error": "x", "request": {}}),
        json!({"usage": {"total_tokens": 5}, "message": "x", "results": [], "response": {}}),
    ] {
        let world = World::sound();
        let (status, receipt) = world.post(&[AGENT, ("x-provider", "openai")], &body).await;
        assert_eq!(status, 200, "{receipt}");
        let (_, event) = world.calls().remove(0);
        assert_eq!((event.usage.tokens(), event.operation), (5, None));
    }
    let world = World::sound();
    let void = json!({"type": "void", "corrects": "k#0", "detail": "x", "error": "y"});
    assert_eq!(world.post(&[AGENT], &void).await.0, 200);
}
