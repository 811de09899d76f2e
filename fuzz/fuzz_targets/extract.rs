//! A provider's response: whatever the bytes and however they are cut, reading them ends without a panic, gives
//! the same answer, and an answer that can be stored.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::extract::{Extractor, Hints, Status, extract};

const PROVIDERS: [Option<&str>; 8] = [
    None,
    Some("openai"),
    Some("anthropic"),
    Some("google"),
    Some("bedrock"),
    Some("cohere"),
    Some("xai"),
    Some("perplexity"),
];
const PATHS: [Option<&str>; 8] = [
    None,
    Some("/v1/chat/completions"),
    Some("/v1/responses"),
    Some("/v1/messages"),
    Some("/v1beta/models/m:streamGenerateContent"),
    Some("/model/m/invoke-with-response-stream"),
    Some("/v2/chat"),
    Some("/api/generate"),
];
const HEADERS: [(&str, &str); 2] =
    [("x-amzn-bedrock-input-token-count", "3"), ("x-amzn-bedrock-output-token-count", "4")];

// The first three bytes choose what is known besides the body, and how it is cut.
fuzz_target!(|data: &[u8]| {
    let [hint, path, cut, body @ ..] = data else { return };
    let pick = |from: [Option<&'static str>; 8], n: u8| from[usize::from(n % 8)];
    let hints = Hints {
        provider: pick(PROVIDERS, *hint),
        path: pick(PATHS, *path),
        model: (hint & 8 != 0).then_some("m"),
        content_type: None,
        status: (hint & 16 != 0).then_some(if hint & 32 != 0 { 500 } else { 200 }),
        headers: if path & 8 != 0 { &HEADERS } else { &[] },
    };
    let whole = extract(body, hints);
    let mut extractor = Extractor::new(hints);
    for chunk in body.chunks(usize::from(*cut) + 1) {
        extractor.push(chunk);
    }
    assert_eq!(whole, extractor.finish(), "the same bytes, cut otherwise, are read otherwise");
    assert_eq!(whole.status == Status::Ok, !whole.calls.is_empty(), "counts are there if and only if it is well");
    for call in &whole.calls {
        let stored = serde_json::to_string(&call.usage).expect("counts can be written");
        assert_eq!(call.usage, serde_json::from_str(&stored).expect("and read"));
    }
});
