//! Random histories: what clients send, repeat, regroup, correct and get wrong.

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

/// One POST: its `idempotency-key`, and its events as JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The key, if it is sealed.
    pub key: Option<String>,
    /// Its events.
    pub events: Vec<Value>,
}

impl Submission {
    /// Whether sending it again is safe: nothing in it gets a new id each time.
    pub fn is_repeatable(&self) -> bool {
        self.key.is_some() || self.events.iter().all(|event| event.get("id").is_some())
    }
}

/// When the histories play.
pub const START: &str = "2026-03-07T12:00:00Z";

const AGENTS: [&str; 3] = ["planner", "researcher", "writer#2"];
const TEAMS: [&str; 2] = ["growth", "core"];
const TASKS: [&str; 3] = ["T-1", "T-2", "acme/repo#12"];
const MODELS: [(&str, &str); 3] = [("p", "cheap"), ("p", "dear"), ("q", "mystery")];

/// What a history is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plot {
    /// Everything that senders do.
    Wide,
    /// One agent that spends and takes back, on one day: totals go up and down past the same thresholds.
    Seesaw,
}

/// A history of about `size` submissions, some of them several times, in the order of sending.
pub fn history(rng: &mut Rng, size: usize, plot: Plot) -> Vec<Submission> {
    let mut sent: Vec<Submission> = Vec::new();
    let mut sealed = 0;
    let mut ids = 0;
    let mut targets: Vec<(String, String)> = Vec::new();
    while sent.len() < size {
        let next = match rng.u32(..100) {
            // A client repeats a whole submission.
            0..20 if !sent.is_empty() => {
                let again = rng.choice(&sent).cloned();
                again.filter(Submission::is_repeatable)
            }
            // Events with their own ids come again in another grouping, perhaps under a key.
            20..35 => regroup(rng, &sent, &mut sealed),
            // The same key or the same ids with other content.
            35..41 => alter(rng, &sent),
            _ if plot == Plot::Seesaw => Some(seesaw(rng, &mut ids, &mut targets)),
            _ => Some(fresh(rng, &mut sealed, &mut ids, &mut targets)),
        };
        sent.extend(next);
    }
    sent
}

/// A new submission; `targets` are the events so far, by agent and id, for corrections to aim at.
fn fresh(rng: &mut Rng, sealed: &mut u32, ids: &mut u32, targets: &mut Vec<(String, String)>) -> Submission {
    let key = (rng.u32(..3) > 0).then(|| {
        *sealed += 1;
        format!("k{sealed}")
    });
    let count = match rng.u32(..20) {
        0 => rng.usize(90..=210),
        1 => 0,
        _ => rng.usize(1..=5),
    };
    // Many tasks in one part do not fit one transaction.
    let tasks = if count > 50 { 60 } else { 0 };
    let events = (0..count.max(1))
        .map(|n| {
            let mut event = event(rng, *sealed, *ids, tasks);
            let correction = event.get("corrects").is_some();
            if correction
                && rng.u32(..4) > 0
                && let Some((agent, id)) = rng.choice(&*targets)
            {
                event.insert("agent_id".to_owned(), json!(agent));
                event.insert("corrects".to_owned(), json!(id));
            }
            if key.is_none() && (correction || rng.bool()) || rng.u32(..4) == 0 {
                // Now and then an id that is taken: by this agent, or by another, whose it is as well.
                let taken = *ids > 0 && rng.u32(..8) == 0;
                *ids += u32::from(!taken);
                let id = if taken { rng.u32(1..=*ids) } else { *ids };
                event.insert("id".to_owned(), json!(format!("e{id}")));
            }
            let agent = event["agent_id"].as_str().unwrap_or_default().to_owned();
            match (&key, event.get("id").and_then(Value::as_str)) {
                (_, Some(id)) => targets.push((agent, id.to_owned())),
                (Some(key), None) => targets.push((agent, format!("{key}#{n}"))),
                (None, None) => {}
            }
            Value::Object(event)
        })
        .collect();
    Submission { key, events }
}

/// A dear call, or the end of one.
fn seesaw(rng: &mut Rng, ids: &mut u32, targets: &mut Vec<(String, String)>) -> Submission {
    *ids += 1;
    let id = format!("e{ids}");
    let event = match rng.choice(&*targets).cloned().filter(|_| rng.u32(..5) < 2) {
        Some((agent, corrects)) => json!({"type": "void", "id": id, "agent_id": agent, "corrects": corrects}),
        None => {
            targets.push((AGENTS[0].to_owned(), id.clone()));
            let usage = json!({"input": rng.u32(1_000..4_000)});
            json!({"id": id, "agent_id": AGENTS[0], "time": START, "provider": "p", "model": "dear", "usage": usage})
        }
    };
    Submission { key: None, events: vec![event] }
}

fn event(rng: &mut Rng, sealed: u32, ids: u32, tasks: u32) -> Map<String, Value> {
    let agent = AGENTS[rng.usize(..AGENTS.len())];
    let target = |rng: &mut Rng| {
        if rng.bool() {
            format!("e{}", rng.u32(1..=ids + 3))
        } else {
            format!("k{}#{}", rng.u32(1..=sealed + 2), rng.u32(..4))
        }
    };
    let mut event = match rng.u32(..100) {
        0..8 => json!({"type": "void", "corrects": target(rng)}),
        8..18 => {
            json!({"type": "amend", "corrects": target(rng), "revision": rng.u32(1..=3), "usage": usage(rng)})
        }
        18..23 => {
            let outcome = ["success", "failure", "abandoned"][rng.usize(..3)];
            json!({"type": "task_outcome", "task_id": TASKS[rng.usize(..TASKS.len())], "outcome": outcome,
                   "value": if rng.u32(..10) == 0 { "9000000000000".to_owned() } else { format!("{}.5", rng.u32(..9)) }})
        }
        _ => {
            let mut event = json!({"usage": usage(rng)});
            if rng.u32(..4) > 0 {
                let (provider, model) = MODELS[rng.usize(..MODELS.len())];
                let provider = if rng.u32(..8) == 0 { "q" } else { provider };
                event["provider"] = json!(provider);
                event["model"] = json!(model);
            }
            if tasks > 0 {
                event["task_id"] = json!(format!("many-{}", rng.u32(..tasks)));
            } else if rng.bool() {
                event["task_id"] = json!(TASKS[rng.usize(..TASKS.len())]);
            }
            event
        }
    };
    event["agent_id"] = json!(agent);
    if rng.bool() && event.get("corrects").is_none() {
        event["team_id"] = json!(TEAMS[rng.usize(..TEAMS.len())]);
    }
    if rng.u32(..5) > 0 {
        event["time"] = json!(time(rng).to_string());
    }
    match event {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Mostly now, sometimes days late: across a change of daylight saving and the ends of days.
fn time(rng: &mut Rng) -> Timestamp {
    let start: Timestamp = START.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let seconds = if rng.u32(..4) == 0 { -rng.i64(0..20 * 86_400) } else { -rng.i64(0..3 * 3_600) };
    start.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(start)
}

fn usage(rng: &mut Rng) -> Value {
    let mut usage = json!({"input": rng.u32(..5_000)});
    if rng.bool() {
        usage["output"] = json!(rng.u32(..900));
    }
    if rng.u32(..4) == 0 {
        usage["cache_read"] = json!(rng.u32(..90_000));
    }
    // Rarely, as such a call leaves nothing for others to cross.
    if rng.u32(..250) == 0 {
        usage["reasoning"] = json!(1_u64 << 40);
    }
    if rng.u32(..250) == 0 {
        // At a dear model's price this is more than an amount of money can be.
        usage["input"] = json!(1_u64 << 53);
    }
    usage
}

fn regroup(rng: &mut Rng, sent: &[Submission], sealed: &mut u32) -> Option<Submission> {
    let owned: Vec<&Value> = sent.iter().flat_map(|s| &s.events).filter(|e| e.get("id").is_some()).collect();
    if owned.is_empty() {
        return None;
    }
    let key = rng.bool().then(|| {
        *sealed += 1;
        format!("k{sealed}")
    });
    let events = (0..rng.usize(1..=4)).filter_map(|_| rng.choice(&owned).map(|e| (*e).clone())).collect();
    Some(Submission { key, events })
}

/// The same key or ids with other content: other counts, another kind of event, another agent, fewer or more.
fn alter(rng: &mut Rng, sent: &[Submission]) -> Option<Submission> {
    let mut altered = rng.choice(sent).cloned().filter(Submission::is_repeatable)?;
    let at = rng.usize(..altered.events.len());
    let (sealed, several) = (altered.key.is_some(), altered.events.len() > 1);
    let event = altered.events.get_mut(at)?;
    match rng.u32(..6) {
        0 => event["agent_id"] = json!(AGENTS[rng.usize(..AGENTS.len())]),
        1 => {
            let mut void = json!({"type": "void", "agent_id": event["agent_id"], "corrects": "e1"});
            if let Some(id) = event.get("id") {
                void["id"] = id.clone();
            }
            *event = void;
        }
        2 if sealed && several => {
            altered.events.pop();
        }
        3 if sealed => {
            let agent = event["agent_id"].clone();
            altered.events.push(json!({"agent_id": agent, "usage": {"input": rng.u32(5_001..9_999)}}));
        }
        _ if event.get("usage").is_some() => event["usage"] = json!({"input": rng.u32(5_001..9_999)}),
        _ => return None,
    }
    Some(altered)
}
