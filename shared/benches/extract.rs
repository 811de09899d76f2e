//! How fast documents are found in a response, in each framing.
//!
//! `cargo bench -p shared --bench extract`. What is asked for here is as much as the families ask for.

use std::hint::black_box;

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use shared::extract::frame::Frames;
use shared::extract::keep::Keep::{self, All, Members, Presence, Scalar};

#[path = "../tests/aws_encoder/mod.rs"]
mod aws_encoder;

/// What a socket gives at a time.
const CHUNK: usize = 16 << 10;

static KEEP: Keep = Members(&[
    ("agent_id", Presence),
    ("amazon-bedrock-invocationMetrics", All),
    ("candidates", Members(&[("finishReason", Scalar)])),
    ("choices", Members(&[("finish_reason", Scalar), ("usage", All)])),
    ("citations", Presence),
    ("completion", Presence),
    ("contentBlockDelta", Presence),
    ("custom_id", Scalar),
    ("data", Members(&[("b64_json", Presence), ("embedding", Presence), ("url", Presence)])),
    ("delta", Members(&[("usage", All)])),
    ("detail", Presence),
    ("done", Scalar),
    ("embedding", Presence),
    ("embeddings", Presence),
    ("error", Presence),
    ("errors", Presence),
    ("eval_count", Scalar),
    ("event_type", Scalar),
    ("generation_token_count", Scalar),
    ("inputTextTokenCount", Scalar),
    ("key", Scalar),
    ("message", Members(&[("model", Scalar), ("role", Scalar), ("type", Scalar), ("usage", All)])),
    ("messageStart", Presence),
    ("messageStop", Presence),
    ("meta", Members(&[("billed_units", All), ("tokens", All)])),
    ("metadata", Members(&[("usage", All)])),
    ("model", Scalar),
    ("modelVersion", Scalar),
    ("model_id", Scalar),
    ("object", Scalar),
    ("output", Members(&[("type", Scalar), ("message", Presence)])),
    ("outputText", Presence),
    ("outputs", Presence),
    ("pages", Presence),
    ("prompt_eval_count", Scalar),
    ("prompt_filter_results", Presence),
    ("prompt_token_count", Scalar),
    ("provider", Scalar),
    ("request", Presence),
    ("response", Members(&[("model", Scalar), ("object", Scalar), ("usage", All)])),
    ("role", Scalar),
    ("search_results", Presence),
    ("serverContent", Presence),
    ("serviceTier", All),
    ("service_tier", Scalar),
    ("setupComplete", Presence),
    ("status", Scalar),
    ("stopReason", Scalar),
    ("timings", Presence),
    ("toolCall", Presence),
    ("type", Scalar),
    ("urls", Presence),
    ("usage", All),
    ("usageMetadata", All),
    ("usage_info", All),
    ("usage_metadata", All),
    ("version", Scalar),
    ("x_groq", Members(&[("usage", All)])),
]);

fn deltas() -> impl Iterator<Item = String> {
    (0..4000).map(|n| {
        format!(
            r#"{{"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012","object":"chat.completion.chunk","created":1764150000,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{{"index":0,"delta":{{"content":" word{n}"}},"logprobs":null,"finish_reason":null}}],"usage":null,"obfuscation":"aBcDeFgH"}}"#
        )
    })
}

fn events() -> Vec<u8> {
    let mut body = String::new();
    for delta in deltas() {
        body.extend([format!("data: {delta}\n\n")]);
    }
    body.push_str(r#"data: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":4000,"total_tokens":4005}}"#);
    body.push_str("\n\ndata: [DONE]\n\n");
    body.into_bytes()
}

fn frames() -> Vec<u8> {
    deltas().flat_map(|delta| aws_encoder::chunk(&delta, "abcdefghijklmnop")).collect()
}

/// A chat completion of about 2 KB.
fn completion() -> Vec<u8> {
    let text = "The quick brown fox jumps over the lazy dog. \\n".repeat(24);
    format!(
        r#"{{"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012","object":"chat.completion","created":1764150000,"model":"gpt-4o-mini-2024-07-18","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":812,"completion_tokens":310,"total_tokens":1122,"prompt_tokens_details":{{"cached_tokens":512,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":64,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_0123456789"}}"#
    )
    .into_bytes()
}

/// An answer of embeddings: lists of numbers.
fn embeddings() -> Vec<u8> {
    let vector = "0.0023064255,".repeat(1535) + "0.1";
    let data: Vec<_> =
        (0..50).map(|n| format!(r#"{{"object":"embedding","index":{n},"embedding":[{vector}]}}"#)).collect();
    format!(
        r#"{{"object":"list","data":[{}],"model":"text-embedding-3-small","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#,
        data.join(",")
    )
    .into_bytes()
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, body: &[u8]) {
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let mut frames = Frames::new(None, &KEEP);
            let mut emit = |document: shared::extract::document::Document<'_>| {
                black_box(document.value);
            };
            for chunk in body.chunks(CHUNK) {
                frames.push(chunk, &mut emit);
            }
            black_box(frames.finish(&mut emit))
        });
    });
}

fn extract(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames");
    measure(&mut group, "sse", &events());
    measure(&mut group, "aws event stream", &frames());
    measure(&mut group, "json of 2 KB", &completion());
    measure(&mut group, "embeddings", &embeddings());
    group.finish();
}

criterion_group!(benches, extract);
criterion_main!(benches);
