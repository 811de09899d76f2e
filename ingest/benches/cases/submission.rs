//! Submissions of native events, and an ingest for them at a time that stands still. What is made of them is the same
//! each time.

#![allow(dead_code, reason = "each program that includes it takes some of it")]

use auth::Access;
use http::HeaderMap;
use ingest::{Ingest, IngestConfig, Parsed};
use serde_json::{Value, json};
use shared::Timestamp;
use shared::clock::Clock;
use shared::id::OwnId;
use shared::mint::Mint;
use shared::stream::{EventStream, PutError, PutRecord};

const MODELS: [&str; 8] = [
    "gpt-4o",
    "gpt-4o-mini",
    "gpt-4.1",
    "o3",
    "claude-sonnet-4-5",
    "claude-3-5-haiku-20241022",
    "gemini-2.5-pro",
    "no-such-model",
];

/// 2026-11-24T02:30:00Z, always.
#[derive(Clone, Copy)]
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        const NOW: Timestamp = Timestamp::constant(1_795_487_400, 0);
        NOW
    }
}

/// One id for all that have none.
pub(crate) struct Same;

impl Mint for Same {
    fn mint(&self) -> OwnId {
        OwnId::parse("0199aa00-0000-7000-8000-000000000000").expect("a UUID is an id")
    }
}

/// Takes nothing: only what comes before the stream is measured.
pub(crate) struct Nowhere;

impl EventStream for Nowhere {
    async fn put(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        records.iter().map(|_| Err(PutError::Refused("nothing is put".to_owned()))).collect()
    }
}

pub(crate) type StillIngest = Ingest<Nowhere, Still, Same>;

pub(crate) fn ingest() -> StillIngest {
    Ingest::with_mint(Nowhere, Still, Same, IngestConfig::default(), Access::open())
}

/// The headers of a sealed submission, or of one without a key.
pub(crate) fn headers(key: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().expect("a header's value"));
    if let Some(key) = key {
        headers.insert("idempotency-key", key.parse().expect("a key is a header's value"));
    }
    headers
}

/// Event `n` of 50 agents and 8 models.
pub(crate) fn event(n: usize) -> Value {
    json!({
        "agent_id": format!("agent-{:02}", n % 50), "task_id": format!("task-{}", n % 400), "team_id": format!("team-{}", n % 5),
        "model": MODELS[n % MODELS.len()],
        "usage": {"input": 812 + n % 300, "cache_read": 512, "output": 310 + n % 70, "reasoning": 64},
    })
}

/// A submission of one agent's events, as its sender batches them.
pub(crate) fn body(events: usize) -> Vec<u8> {
    let events: Vec<_> = (0..events)
        .map(|n| {
            let mut event = event(50 * n);
            event["time"] = "2026-11-24T02:29:30Z".into();
            event["provider"] = "openai".into();
            event["session_id"] = format!("session-{}", n % 4).into();
            event["latency_ms"] = (900 + n % 40).into();
            event
        })
        .collect();
    json!({"events": events}).to_string().into_bytes()
}

/// The records that ingest makes of a submission.
pub(crate) fn records(ingest: &StillIngest, key: Option<&str>, body: &Value) -> Vec<PutRecord> {
    let parsed = ingest.parse(&headers(key), body.to_string().as_bytes());
    seal(ingest, parsed.unwrap_or_else(|problem| panic!("{problem:?}")))
}

pub(crate) fn seal(ingest: &StillIngest, parsed: Parsed) -> Vec<PutRecord> {
    ingest.seal(parsed).unwrap_or_else(|problem| panic!("{problem:?}"))
}
