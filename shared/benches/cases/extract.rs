//! A response, from its bytes to its cost, in each framing. The bodies are made here.

use shared::event::UsageEvent;
use shared::extract::{Extractor, Hints};
use shared::price::PriceBook;

use crate::case::{Amount, Case};

#[path = "../../tests/aws_encoder/mod.rs"]
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

/// The case of a body.
pub(crate) fn of_body(name: impl Into<String>, body: Vec<u8>) -> Case {
    let book = PriceBook::embedded().expect("the book that is compiled in");
    let at = "2026-11-24T02:30:00Z".parse().expect("a time");
    Case::again(name, Amount::Bytes(body.len()), move || {
        let mut extractor = Extractor::new(Hints::default());
        for chunk in body.chunks(CHUNK) {
            extractor.push(chunk);
        }
        for call in extractor.finish().calls {
            let mut event = UsageEvent::new(at, call.usage);
            (event.provider, event.model) = (Some(call.provider), call.model);
            event.service_tier = call.service_tier;
            std::hint::black_box(book.candidates(&event).find_map(|price| price.cost(&event.usage)));
        }
    })
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        of_body("sse", events()),
        of_body("aws-event-stream", frames()),
        of_body("json-2k", completion()),
        of_body("embeddings", embeddings()),
    ]
}
