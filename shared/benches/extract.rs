//! How fast a response is counted and priced, in each framing.
//!
//! `cargo bench -p shared --bench extract`. With `AGENTLEDGER_CORPUS`, the recorded body of median length too.

#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::hint::black_box;

use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use shared::event::UsageEvent;
use shared::extract::{Extractor, Hints};
use shared::price::PriceBook;

#[path = "../tests/aws_encoder/mod.rs"]
mod aws_encoder;

/// What a socket gives at a time.
const CHUNK: usize = 16 << 10;

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

/// The recorded body of median length among those of OpenAI's and Anthropic's that are not streamed.
fn recorded() -> Option<Vec<u8>> {
    let root = std::path::PathBuf::from(std::env::var_os("AGENTLEDGER_CORPUS")?);
    let mut bodies = Vec::new();
    for provider in ["openai", "anthropic"] {
        for file in std::fs::read_dir(root.join("cases").join(provider)).ok()? {
            let case = std::fs::read(file.ok()?.path()).ok()?;
            let case: serde_json::Value = serde_json::from_slice(&case).ok()?;
            if case["status"] == 200 && case["streaming"] == false {
                bodies.push(case["response_body"].as_str()?.to_owned());
            }
        }
    }
    bodies.sort_by_key(String::len);
    let middle = bodies.len() / 2;
    bodies.get(middle).map(|body| body.clone().into_bytes())
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, book: &PriceBook, name: &str, body: &[u8]) {
    let at = "2026-11-24T02:30:00Z".parse().expect("a time");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let mut extractor = Extractor::new(Hints::default());
            for chunk in body.chunks(CHUNK) {
                extractor.push(chunk);
            }
            for call in extractor.finish().calls {
                let mut event = UsageEvent::new(at, call.usage);
                (event.provider, event.model) = (Some(call.provider), call.model);
                event.service_tier = call.service_tier;
                black_box(book.candidates(&event).find_map(|price| price.cost(&event.usage)));
            }
        });
    });
}

fn extract(criterion: &mut Criterion) {
    let book = PriceBook::embedded().expect("the book that is compiled in");
    let mut group = criterion.benchmark_group("extract and price");
    measure(&mut group, &book, "sse", &events());
    measure(&mut group, &book, "aws event stream", &frames());
    measure(&mut group, &book, "json of 2 KB", &completion());
    measure(&mut group, &book, "embeddings", &embeddings());
    if let Some(body) = recorded() {
        measure(&mut group, &book, &format!("recorded, {} bytes", body.len()), &body);
    }
    group.finish();
}

fn read_book(criterion: &mut Criterion) {
    criterion
        .bench_function("read the price book", |bencher| bencher.iter(|| black_box(PriceBook::embedded())));
}

criterion_group!(benches, extract, read_book);
criterion_main!(benches);
