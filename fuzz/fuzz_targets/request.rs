//! Any request, through the ingest handler over a stream in memory: it never panics, what it accepts is in the
//! stream under exactly the ids of the receipt, and what it refuses has put nothing and says why.
//!
//! An input is written as HTTP is: header lines, an empty line, the body. Lines that begin with `:` are not
//! headers: `:method` and `:path` name those, and `:base64` hands the body over as it is, marked as base64.

#![no_main]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method};
use ingest::{Ingest, IngestConfig, MAX_EVENTS};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use shared::clock::Clock;
use shared::id::OwnId;
use shared::mint::Mint;
use shared::stream::{EventStream, PutError, PutRecord};
use shared::wire::{Entry, StreamRecord};

/// What a request can be answered while the stream takes everything.
const STATUSES: [i64; 6] = [200, 400, 404, 405, 413, 415];
/// An answer is bounded, whatever it is about.
const MAX_ANSWER: usize = 32 << 10;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-24T09:30:00.123456Z".parse().expect("a time")
    }
}

#[derive(Default)]
struct Counter(AtomicU64);

impl Mint for Counter {
    fn mint(&self) -> OwnId {
        OwnId::parse(&format!("minted-{}", self.0.fetch_add(1, Ordering::Relaxed))).expect("an id")
    }
}

#[derive(Default)]
struct Kept(Mutex<Vec<PutRecord>>);

impl EventStream for Kept {
    async fn put(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        let answers = records.iter().map(|_| Ok("1".to_owned())).collect();
        self.0.lock().expect("nobody panicked").extend(records);
        answers
    }

    /// Small, so that a submission is more than one record.
    fn max_record_bytes(&self) -> usize {
        4 << 10
    }
}

fuzz_target!(|input: &[u8]| {
    let request = request(input);
    let key = request.headers.get("idempotency-key").cloned();
    let (response, puts) = handle(request.clone());
    let status = response.status_code;
    assert!(STATUSES.contains(&status), "it was answered {status}");
    let Some(Body::Text(body)) = &response.body else { panic!("an answer has a body") };
    let answer: Value = serde_json::from_str(body).expect("an answer is JSON");
    if status == 200 {
        accepted(&answer, &puts, key.as_ref());
    } else {
        assert!(puts.is_empty(), "{status}, and something was put");
        refused(status, body, &answer, &response);
    }
    // The same request at the same time is the same submission.
    let (again, puts_again) = handle(request);
    assert_eq!((again.status_code, again.body), (status, response.body));
    assert_eq!(puts_again, puts);
});

fn handle(mut request: ApiGatewayV2httpRequest) -> (ApiGatewayV2httpResponse, Vec<PutRecord>) {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    request.request_context.request_id = Some("fuzzed".to_owned());
    let stream = Arc::new(Kept::default());
    let ingest = Ingest::with_mint(Arc::clone(&stream), Noon, Counter::default(), IngestConfig::default());
    // Some events are from a closed period.
    ingest.closed_before().set("2025-11-01T00:00:00Z".parse().expect("a time"));
    let response = RUNTIME.with(|runtime| runtime.block_on(ingest.handle(request)));
    let puts = std::mem::take(&mut *stream.0.lock().expect("nobody panicked"));
    (response, puts)
}

fn accepted(receipt: &Value, puts: &[PutRecord], key: Option<&HeaderValue>) {
    let ids = receipt["event_ids"].as_array().expect("a receipt has ids");
    let mut ids: Vec<String> =
        ids.iter().map(|id| id.as_str().expect("an id is a string").to_owned()).collect();
    assert_eq!(receipt["accepted"].as_u64(), u64::try_from(ids.len()).ok());
    assert!((1..=MAX_EVENTS).contains(&ids.len()), "{} events", ids.len());
    if key.is_some() {
        assert!(
            !ids.iter().any(|id| id.starts_with("minted-")),
            "a sealed event got an id that nobody can repeat"
        );
    }
    let mut stored = Vec::new();
    for put in puts {
        assert!(put.data.len() <= 256 << 10, "a record of {} bytes", put.data.len());
        let record = StreamRecord::decode(&put.data).expect("what was put can be read");
        assert_eq!(put.partition_key, puts[0].partition_key, "a submission is in one lane");
        for entry in record.entries {
            match entry {
                Entry::Single(single) => stored.push(single.id.to_string()),
                Entry::Part(part) => {
                    let indexes = part.events.iter().map(|(n, _)| n);
                    let indexes = indexes.chain(part.outcomes.iter().map(|(n, _)| n));
                    let indexes = indexes.chain(part.corrections.iter().map(|(n, _)| n));
                    stored.extend(indexes.map(|n| format!("{}#{n}", part.key)));
                }
            }
        }
    }
    ids.sort_unstable();
    stored.sort_unstable();
    assert_eq!(ids, stored, "the stream holds the events of the receipt");
}

fn refused(status: i64, body: &str, problem: &Value, response: &ApiGatewayV2httpResponse) {
    let code = problem["code"].as_str().expect("a problem has a code");
    assert!(!code.is_empty() && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
    assert_eq!(problem["type"], format!("urn:agentledger:error:{code}"));
    assert_eq!(problem["status"], status);
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    assert!(body.len() < MAX_ANSWER, "an answer of {} bytes", body.len());
    let kind = response.headers.get(http::header::CONTENT_TYPE);
    assert_eq!(kind.map(HeaderValue::as_bytes), Some(&b"application/problem+json"[..]));
}

fn request(input: &[u8]) -> ApiGatewayV2httpRequest {
    let mut request = ApiGatewayV2httpRequest::default();
    request.raw_path = Some("/v1/usage".to_owned());
    request.request_context.http.method = Method::POST;
    let mut rest = input;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        let text = String::from_utf8_lossy(line);
        let pseudo = text.strip_prefix(':').map(|text| text.split_once(' ').unwrap_or((text, "")));
        match pseudo {
            Some(("base64", _)) => request.is_base64_encoded = true,
            Some(("path", path)) => request.raw_path = Some(path.to_owned()),
            Some(("method", name)) => {
                request.request_context.http.method = name.parse().unwrap_or(Method::POST);
            }
            Some(_) => {}
            None => {
                let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
                let name = HeaderName::from_bytes(&line[..colon]);
                let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
                if let (Ok(name), Ok(value)) = (name, value) {
                    request.headers.append(name, value);
                }
            }
        }
    }
    match std::str::from_utf8(rest) {
        Ok(text) => request.body = Some(text.to_owned()),
        // As the servers before the handler do it.
        Err(_) => {
            request.body = Some(STANDARD.encode(rest));
            request.is_base64_encoded = true;
        }
    }
    request
}
