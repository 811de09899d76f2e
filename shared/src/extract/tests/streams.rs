//! Streams: what ends them, what breaks off, and batches.

use super::*;

fn sse(events: &[(&str, Value)]) -> String {
    let line = |(event, data): &(&str, Value)| {
        let name = if event.is_empty() { String::new() } else { format!("event: {event}\n") };
        format!("{name}data: {data}\n\n")
    };
    events.iter().map(line).collect()
}

fn read(body: &str) -> Answer {
    let whole = extract(body.as_bytes(), Hints::default());
    let mut extractor = Extractor::new(Hints::default());
    body.as_bytes().chunks(1).for_each(|byte| extractor.push(byte));
    assert_eq!(extractor.finish(), whole, "it depends on where the bytes are cut");
    whole
}

#[test]
fn a_chat_s_usage_comes_after_its_end() {
    let chunk = |more: Value| {
        let mut chunk = json!({"object": "chat.completion.chunk", "model": "gpt-4o-mini-2024-07-18"});
        chunk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("", chunk)
    };
    let deltas = [
        chunk(
            json!({"choices": [{"delta": {"content": "usage\": {\"prompt_tokens\": 9}"}, "finish_reason": null}], "usage": null}),
        ),
        chunk(json!({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": null})),
    ];
    let counts = chunk(
        json!({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}),
    );
    let body = sse(&deltas);
    let answer = read(&format!("{body}data: [DONE]\n\n"));
    assert_eq!((answer.status, answer.partial, answer.problem), (Status::NoUsage, false, None));
    let answer = read(&format!("{body}{}data: [DONE]\n\n", sse(&[counts])));
    assert_eq!(only(&answer), usage(&[(Bucket::Input, 5), (Bucket::Output, 2)]));
    assert!(!answer.partial);
}

#[test]
fn usage_stands_in_other_places_of_a_chunk_too() {
    let counts = json!({"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21});
    let choice =
        sse(&[("", json!({"model": "kimi-k3", "choices": [{"finish_reason": "stop", "usage": counts}]}))]);
    assert_eq!(only(&read(&choice)), usage(&[(Bucket::Input, 9), (Bucket::Output, 12)]));
    let groq = sse(&[(
        "",
        json!({"object": "chat.completion.chunk", "choices": [{"finish_reason": "stop"}],
        "x_groq": {"usage": counts}}),
    )]);
    let answer = read(&groq);
    assert_eq!(only(&answer), usage(&[(Bucket::Input, 9), (Bucket::Output, 12)]));
    assert_eq!(answer.calls[0].provider.as_str(), "groq");
}

fn message(cut: usize) -> String {
    let events = [
        (
            "message_start",
            json!({"type": "message_start", "message": {"type": "message", "role": "assistant",
            "model": "claude-sonnet-4-6", "usage": {"input_tokens": 17, "cache_creation_input_tokens": 30,
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}, "output_tokens": 1}}}),
        ),
        (
            "content_block_delta",
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}}),
        ),
        (
            "message_delta",
            json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"input_tokens": null, "output_tokens": 82}}),
        ),
        ("message_stop", json!({"type": "message_stop"})),
    ];
    sse(&events[..cut])
}

#[test]
fn a_message_s_counts_are_laid_over_those_of_its_start() {
    let want =
        [(Bucket::Input, 17), (Bucket::CacheWrite5m, 10), (Bucket::CacheWrite1h, 20), (Bucket::Output, 82)];
    let answer = read(&message(4));
    assert_eq!((only(&answer), answer.partial), (usage(&want), false));
    assert_eq!(answer.calls[0].model.as_ref().unwrap().as_str(), "claude-sonnet-4-6");
}

#[test]
fn what_breaks_off_gives_what_was_known_by_then() {
    let answer = read(&message(2));
    let mut known = usage(&[(Bucket::Input, 17), (Bucket::CacheWrite5m, 10), (Bucket::CacheWrite1h, 20)]);
    known = Usage::new(known.iter().chain([(Bucket::Output, 1)])).unwrap();
    assert_eq!((only(&answer), answer.partial), (known, true));
    let whole = message(4);
    for cut in 0..whole.len() {
        let answer = extract(&whole.as_bytes()[..cut], Hints::default());
        let tokens = answer.calls.first().map_or(0, |call| call.usage.tokens());
        assert!(tokens <= 129, "{cut}: {answer:?}");
        if tokens > 0 && tokens < 129 {
            assert!(answer.partial, "{cut}");
        }
    }
}

#[test]
fn a_failure_in_the_middle_leaves_unknown_what_was_used() {
    let chunk = ("", json!({"object": "chat.completion.chunk", "choices": [{"finish_reason": null}]}));
    let failed = ("", json!({"error": {"message": "no", "status_code": 400}}));
    let answer = read(&sse(&[chunk, failed.clone()]));
    assert_eq!((answer.status, answer.partial), (Status::NoUsage, true));
    assert_eq!(read(&sse(&[failed])).status, Status::ErrorResponse);
}

#[test]
fn responses_count_when_they_complete() {
    let response = |usage: Value| json!({"object": "response", "model": "gpt-5", "usage": usage});
    let counts = json!({"input_tokens": 11, "output_tokens": 4, "total_tokens": 15,
        "input_tokens_details": {"cached_tokens": 0}});
    let created =
        ("response.created", json!({"type": "response.created", "response": response(json!(null))}));
    let delta = (
        "response.output_text.delta",
        json!({"type": "response.output_text.delta", "delta": "x".repeat(3000)}),
    );
    let completed =
        ("response.completed", json!({"type": "response.completed", "response": response(counts)}));
    let answer = read(&sse(&[created.clone(), delta.clone(), completed]));
    assert_eq!((only(&answer).tokens(), answer.partial), (15, false));
    let answer = read(&sse(&[created, delta]));
    assert_eq!((answer.status, answer.partial), (Status::NoUsage, true));
}

#[test]
fn a_list_of_chunks_is_a_stream() {
    let chunk = |text: u64, more: Value| {
        let mut chunk = json!({"candidates": [{"content": {}}], "usageMetadata": {"promptTokenCount": 10,
            "candidatesTokenCount": text, "totalTokenCount": 10 + text}});
        chunk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        chunk
    };
    let end = json!({"candidates": [{"finishReason": "STOP"}], "modelVersion": "gemini-2.0-flash"});
    let answer = read(&json!([chunk(1, json!({})), chunk(8, end)]).to_string());
    assert_eq!((only(&answer), answer.partial), (usage(&[(Bucket::Input, 10), (Bucket::Output, 8)]), false));
    let answer = read(&json!([chunk(1, json!({})), chunk(3, json!({}))]).to_string());
    assert_eq!((only(&answer).tokens(), answer.partial), (13, true));
}

#[test]
fn lines_are_documents() {
    let lines = [
        json!({"model": "llama3", "response": "hi", "done": false}),
        json!({"model": "llama3", "done": true, "prompt_eval_count": 16, "eval_count": 51}),
    ];
    let body = format!("{}\n{}\n", lines[0], lines[1]);
    let answer = read(&body);
    assert_eq!((only(&answer), answer.partial), (usage(&[(Bucket::Input, 16), (Bucket::Output, 51)]), false));
    assert_eq!(read(&format!("{}\n", lines[0])).status, Status::NoUsage);
    let results = |input: u64, output: u64| json!({"model_id": "google/flan-ul2", "results": [{"input_token_count": input, "generated_token_count": output}]});
    let body = sse(&[("message", results(8, 0)), ("message", results(0, 10)), ("message", results(0, 11))]);
    assert_eq!(only(&read(&body)), usage(&[(Bucket::Input, 8), (Bucket::Output, 11)]));
}

#[test]
fn each_line_of_a_batch_is_a_call_at_the_batch_s_price() {
    let counts = json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7});
    let openai = |id: &str| {
        json!({"id": id, "custom_id": id, "error": null, "response": {"status_code": 200, "body":
            {"object": "chat.completion", "model": format!("gpt-{id}"), "usage": counts}}})
    };
    let failed =
        json!({"custom_id": "c", "response": {"status_code": 400, "body": {"error": {"message": "no"}}}});
    let answer = read(&format!("{}\n{failed}\n{}\n", openai("a"), openai("b")));
    let shown: Vec<_> = answer
        .calls
        .iter()
        .map(|call| {
            (call.model.as_ref().unwrap().as_str(), call.service_tier.as_deref(), call.usage.tokens())
        })
        .collect();
    assert_eq!(shown, [("gpt-a", Some("batch"), 7), ("gpt-b", Some("batch"), 7)]);
    assert!(!answer.partial || answer.status == Status::Ok);
    let anthropic = json!({"custom_id": "0", "result": {"type": "succeeded", "message": {"type": "message",
        "role": "assistant", "model": "claude-haiku-4-5", "usage": {"input_tokens": 20, "output_tokens": 5,
        "service_tier": "batch"}}}});
    let errored = json!({"custom_id": "1", "result": {"type": "errored", "error": {"type": "x"}}});
    let answer = read(&format!("{anthropic}\n{errored}\n"));
    assert_eq!(only(&answer), usage(&[(Bucket::Input, 20), (Bucket::Output, 5)]));
    assert_eq!(answer.calls[0].service_tier.as_deref(), Some("batch"));
    let gemini = json!({"key": "k", "response": {"modelVersion": "gemini-2.5-flash", "candidates": [],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7}}});
    let answer = read(&format!("{gemini}\n"));
    assert_eq!((only(&answer).tokens(), answer.shape), (7, Some("google.generateContent")));
}

#[test]
fn documents_that_cannot_be_read_are_told() {
    let twice = r#"{"object":"chat.completion","usage":{"prompt_tokens":1},"usage":{"prompt_tokens":2}}"#;
    let answer = extract(twice.as_bytes(), Hints { provider: Some("openai"), ..Hints::default() });
    assert_eq!((answer.status, answer.partial), (Status::NoUsage, true));
    assert!(matches!(answer.problem, Some(ExtractError::Broken(_))), "{answer:?}");
}
