//! Any request, through the ingest handler over a stream in memory: it never panics, what it accepts is in the
//! stream under exactly the ids of the receipt, and what it refuses has put nothing and says why.
//!
//! An input is written as HTTP is: header lines, an empty line, the body. Lines that begin with `:` are not
//! headers: `:method` and `:path` name those, `:base64` hands the body over as it is, marked as base64, `:gzip`
//! sends it compressed, and `:tokens` demands a token, of which `:role` brings a sound one.

#![no_main]

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use auth::{AUDIENCE, Access, AgentPattern, Claims, Role, SecretKey, Verifier, sign};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use edge::limits::MAX_EVENTS;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderName, HeaderValue, Method, header};
use ingest::{Ingest, IngestConfig};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use shared::clock::Clock;
use shared::id::{OwnId, TeamId, TokenId};
use shared::mint::Mint;
use shared::sequence::MAX_SEQUENCE;
use shared::stream::{EventStream, PutError, PutRecord};
use shared::wire::{Entry, StreamRecord};

/// What a request can be answered while the stream takes everything.
const STATUSES: [i64; 8] = [200, 400, 401, 403, 404, 405, 413, 415];
/// An answer is bounded, whatever it is about.
const MAX_ANSWER: usize = 32 << 10;
/// The agents and the team of the sound tokens.
const AGENTS: [&str; 2] = ["planner", "a*"];
const TEAM: &str = "growth";

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

/// An input, as it was understood.
#[derive(Clone)]
struct Input {
    request: ApiGatewayV2httpRequest,
    tokens: bool,
}

fuzz_target!(|input: &[u8]| {
    let input = Input::read(input);
    let (response, puts) = handle(input.clone());
    let status = response.status_code;
    assert!(STATUSES.contains(&status), "it was answered {status}");
    let Some(Body::Text(body)) = &response.body else { panic!("an answer has a body") };
    let answer: Value = serde_json::from_str(body).expect("an answer is JSON");
    if status == 200 {
        accepted(&answer, &puts, &input);
    } else {
        assert!(puts.is_empty(), "{status}, and something was put");
        refused(status, body, &answer, &response);
    }
    // The same request at the same time is the same submission.
    if !input.tokens {
        assert!(status != 401 && status != 403, "{status} where everybody may send");
    }
    let (again, puts_again) = handle(input);
    assert_eq!((again.status_code, again.body), (status, response.body));
    assert_eq!(puts_again, puts);
});

static KEY: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::generate().expect("random bytes"));

/// Signed by a key of this process: an input stays the same input in the next one.
fn token(role: &str) -> Option<HeaderValue> {
    let now = Noon.now().as_second();
    let agents = || AGENTS.iter().map(|text| AgentPattern::parse(text).expect("a pattern")).collect();
    let team = || Some(TeamId::parse(TEAM).expect("an id"));
    let (role, agents, team) = match role {
        "ingest" => (Role::Ingest, agents(), team()),
        "teamless" => (Role::Ingest, agents(), None),
        "read" => (Role::Read, Vec::new(), team()),
        "admin" => (Role::Admin, Vec::new(), None),
        _ => return None,
    };
    let jti = TokenId::parse("fuzzed").expect("an id");
    let claims = Claims { jti, aud: AUDIENCE.to_owned(), role, agents, team, iat: now, exp: now + 60 };
    let token = sign(&claims, &KEY).expect("sound claims");
    HeaderValue::from_str(&format!("Bearer {token}")).ok()
}

fn handle(Input { mut request, tokens }: Input) -> (ApiGatewayV2httpResponse, Vec<PutRecord>) {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    request.request_context.request_id = Some("fuzzed".to_owned());
    let stream = Arc::new(Kept::default());
    let access = if tokens {
        let verifier = Verifier::new(vec![KEY.public()], AUDIENCE.to_owned(), Arc::new(Noon));
        Access::tokens(Arc::new(verifier))
    } else {
        Access::open()
    };
    let config = IngestConfig::default();
    let ingest = Ingest::with_mint(Arc::clone(&stream), Noon, Counter::default(), config, access);
    // Some events are from a closed period.
    ingest.closed_before().set("2025-11-01T00:00:00Z".parse().expect("a time"));
    let response = RUNTIME.with(|runtime| runtime.block_on(ingest.handle(request)));
    let puts = std::mem::take(&mut *stream.0.lock().expect("nobody panicked"));
    (response, puts)
}

fn accepted(receipt: &Value, puts: &[PutRecord], Input { request, tokens }: &Input) {
    let headers = &request.headers;

    let ids = receipt["event_ids"].as_array().expect("a receipt has ids");
    let mut ids: Vec<String> =
        ids.iter().map(|id| id.as_str().expect("an id is a string").to_owned()).collect();
    assert_eq!(receipt["accepted"].as_u64(), u64::try_from(ids.len()).ok());
    assert!((1..=MAX_EVENTS).contains(&ids.len()), "{} events", ids.len());
    if headers.contains_key("idempotency-key") {
        assert!(
            !ids.iter().any(|id| id.starts_with("minted-")),
            "a sealed event got an id that nobody can repeat"
        );
    }
    let mut stored = Vec::new();
    let mut marks = Vec::new();
    for (n, put) in puts.iter().enumerate() {
        assert!(put.data.len() <= 256 << 10, "a record of {} bytes", put.data.len());
        let record = StreamRecord::decode(&put.data).expect("what was put can be read");
        assert_eq!(put.partition_key, puts[0].partition_key, "a submission is in one lane");
        if let Some(mark) = record.mark {
            assert_eq!(n + 1, puts.len(), "a number stands after what it numbers");
            assert!(mark.sequence <= MAX_SEQUENCE);
            marks.push(mark);
        }
        for entry in record.entries {
            match entry {
                Entry::Single(single) => {
                    assert!(!tokens || allowed(single.agent.as_str()), "{}", single.agent);
                    stored.push(single.id.to_string());
                }
                Entry::Part(part) => {
                    assert!(!tokens || allowed(part.agent.as_str()), "{}", part.agent);
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
    assert_eq!(marks.len(), usize::from(headers.contains_key("x-sequence")));
    for mark in marks {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).expect("the header");
        assert_eq!(mark.sender.sender.as_str(), text("x-sender-id").trim());
        assert_eq!(text("x-sequence").trim().parse(), Ok(mark.sequence));
    }
}

/// Whether the sound tokens are for this agent.
fn allowed(agent: &str) -> bool {
    agent == AGENTS[0] || agent.starts_with('a')
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

impl Input {
    fn read(input: &[u8]) -> Self {
        let mut request = ApiGatewayV2httpRequest::default();
        request.raw_path = Some("/v1/usage".to_owned());
        request.request_context.http.method = Method::POST;
        let (mut tokens, mut gzip) = (false, false);
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
                Some(("gzip", _)) => gzip = true,
                Some(("tokens", _)) => tokens = true,
                Some(("role", role)) => {
                    tokens = true;
                    if let Some(token) = token(role) {
                        request.headers.append(header::AUTHORIZATION, token);
                    }
                }
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
        let compressed = gzip.then(|| compress(rest));
        if gzip {
            request.headers.append(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        match std::str::from_utf8(compressed.as_deref().unwrap_or(rest)) {
            Ok(text) => request.body = Some(text.to_owned()),
            // As the servers before the handler do it.
            Err(_) => {
                request.body = Some(STANDARD.encode(compressed.as_deref().unwrap_or(rest)));
                request.is_base64_encoded = true;
            }
        }
        Self { request, tokens }
    }
}

/// No fuzzer finds a checksum.
fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes everything")
}
