//! Realistic events, through the real ingest, into the stream records of lane after lane.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use auth::Access;
use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use http::Method;
use ingest::{Ingest, IngestConfig};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::hash::ContentHash;
use shared::stream::{EventStream, PutError, PutRecord};

/// Calls of one task: then the agent begins another, in another session.
pub(crate) const TASK_CALLS: u64 = 50;
/// Agents of one team.
pub(crate) const TEAM_AGENTS: u64 = 10;
/// Provider and model; each agent uses two of them in turn.
pub(crate) const MODELS: [(&str, &str); 6] = [
    ("openai", "gpt-4o-mini-2024-07-18"),
    ("openai", "gpt-4.1-2025-04-14"),
    ("anthropic", "claude-sonnet-4-5-20250929"),
    ("anthropic", "claude-haiku-4-5-20251001"),
    ("google", "gemini-2.5-flash"),
    ("google", "gemini-2.5-pro"),
];
/// Well within a quarter hour.
const BEGIN: Timestamp = Timestamp::constant(1_795_000_500, 0);

/// What is sent, and where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Traffic {
    pub(crate) agents: u64,
    /// Calls of each agent in 1,000 s.
    pub(crate) calls_per_1000_s: u64,
    /// Events of a sealed submission.
    pub(crate) per_submission: u64,
    pub(crate) lanes: u64,
}

impl Traffic {
    /// Events of a second, times 1,000.
    pub(crate) fn events_per_1000_s(self) -> u64 {
        self.agents * self.calls_per_1000_s
    }

    /// When a submission is sent, in milliseconds.
    pub(crate) fn sent_ms(self, submission: u64) -> u64 {
        submission * self.per_submission * 1_000_000 / self.events_per_1000_s()
    }
}

/// The same in each run.
#[derive(Clone, Copy)]
pub(crate) struct At(pub(crate) Timestamp);

impl At {
    pub(crate) fn begin() -> Self {
        Self(BEGIN)
    }
}

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Ingest's time: a quarter of an hour ahead, as events are not from the future.
#[derive(Clone, Default)]
struct Moving(Arc<AtomicU64>);

impl Clock for Moving {
    fn now(&self) -> Timestamp {
        let ms = i64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0);
        BEGIN + SignedDuration::from_mins(14) + SignedDuration::from_millis(ms)
    }
}

#[derive(Clone, Default)]
struct Kept {
    puts: Arc<Mutex<Vec<PutRecord>>>,
    spread: u32,
}

impl EventStream for Kept {
    async fn put(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        let answers = records.iter().map(|_| Ok("1".to_owned())).collect();
        if let Ok(mut kept) = self.puts.lock() {
            kept.extend(records);
        }
        answers
    }

    fn spread(&self) -> u32 {
        self.spread
    }
}

/// Sends submissions to ingest: to one process, which sees more of an agent than each of many would.
pub(crate) struct Sender {
    traffic: Traffic,
    kept: Kept,
    clock: Moving,
    ingest: Ingest<Kept, Moving>,
}

impl Sender {
    pub(crate) fn new(traffic: Traffic, spread: u32) -> Self {
        let kept = Kept { spread, ..Kept::default() };
        let clock = Moving::default();
        let lanes = u32::try_from(traffic.lanes).unwrap_or(1);
        let config = IngestConfig { lanes, ..IngestConfig::default() };
        let ingest = Ingest::new(kept.clone(), clock.clone(), config, Access::open());
        Self { traffic, kept, clock, ingest }
    }

    /// What the submission of that number becomes, in the stream.
    pub(crate) async fn send(&self, submission: u64) -> crate::Outcome<Vec<PutRecord>> {
        let Traffic { agents, per_submission, .. } = self.traffic;
        self.clock.0.store(self.traffic.sent_ms(submission), Ordering::Relaxed);
        // Agents in an order that is not that of their names, each as often as the others.
        let (agent, round) = (submission * 7_919 % agents, submission / agents);
        let events: Vec<_> = (0..per_submission)
            .map(|n| event(agent, round * per_submission + n, self.traffic.sent_ms(submission)))
            .collect();
        let mut request = ApiGatewayV2httpRequest::default();
        request.raw_path = Some("/v1/usage".to_owned());
        request.request_context.http.method = Method::POST;
        let key = uuid(&format!("submission {submission}"), '7');
        request.headers.insert("idempotency-key", key.parse().map_err(|_| "no header")?);
        request.body = Some(json!({ "events": events }).to_string());
        let answer = self.ingest.handle(request).await;
        if answer.status_code != 200 {
            return Err(format!("{:?}", answer.body).into());
        }
        Ok(self.kept.puts.lock().map(|mut kept| std::mem::take(&mut *kept)).unwrap_or_default())
    }
}

/// A chat call, as the meter proxy reads it from a provider's response.
fn event(agent: u64, call: u64, sent_ms: u64) -> Value {
    let task = call / TASK_CALLS;
    let (provider, model) = MODELS[usize::try_from((agent + call % 2) % 6).unwrap_or(0)];
    let some = |of: u64| (agent * 31 + call * 17) % of;
    let ms = i64::try_from(sent_ms + some(900)).unwrap_or(0) - 900;
    let time = BEGIN + SignedDuration::from_millis(ms);
    json!({
        "time": time.to_string(), "agent_id": format!("researcher-{agent:04}"),
        "task_id": format!("T-{agent:04}-{task:05}"),
        "session_id": uuid(&format!("session {agent} {task}"), '4'),
        "team_id": format!("team-{:03}", agent / TEAM_AGENTS), "tags": {"env": "prod"},
        "provider": provider, "model": model, "operation": "chat",
        "usage": {"input": 400 + some(900), "cache_read": 1_024 * some(4), "output": 150 + some(600), "reasoning": some(3) * 64},
        "outcome": "success", "latency_ms": 700 + some(2_900),
    })
}

/// What looks like a UUID, and is the same in each run.
fn uuid(of: &str, version: char) -> String {
    let hash = ContentHash::of_bytes(of.as_bytes());
    let hex = hash.as_str();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{version}{}-8{}-{}", part(0, 8), part(8, 12), part(12, 15), part(15, 18), part(18, 30))
}
