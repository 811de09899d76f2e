//! How an agent works: a conversation that grows turn by turn, with what a provider would count for each.

use shared::event::Outcome;
use shared::usage::{Bucket, Usage};

use super::cast::{Family, Model, RUNAWAY, RUNAWAY_MODEL, RUNAWAY_TEAM, Role, Wire};
use super::rng::Rng;

/// Milliseconds of the simulated day.
pub(super) type Millis = u64;

pub(super) const SECOND: Millis = 1_000;
pub(super) const MINUTE: Millis = 60 * SECOND;
pub(super) const HOUR: Millis = 60 * MINUTE;
/// How long the day is.
pub(super) const DAY: Millis = 8 * HOUR;

/// One model call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Since the day began.
    pub(super) at: Millis,
    /// Its own id; none where the submission's key names it.
    pub(super) id: Option<String>,
    pub(super) agent: String,
    pub(super) team: &'static str,
    pub(super) task: String,
    pub(super) session: String,
    pub(super) parent: Option<String>,
    pub(super) model: &'static Model,
    pub(super) usage: Usage,
    pub(super) outcome: Outcome,
    pub(super) latency: Millis,
}

/// Whose conversation it is, and on what.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) agent: String,
    pub(super) team: &'static str,
    pub(super) task: String,
    pub(super) parent: Option<String>,
}

/// What one turn uses.
struct Turn {
    /// The whole prompt.
    prompt: u64,
    /// How much of it the provider has seen a moment ago.
    seen: u64,
    answer: u64,
    reasoning: u64,
}

/// The calls of one conversation from `start` on, as far as the day reaches.
pub(super) fn conversation(role: &'static Role, who: &Who, start: Millis, rng: &mut Rng) -> Vec<Call> {
    let model = &role.models[rng.index(role.models.len())];
    let session = rng.id("s");
    let turns = rng.between(role.turns.0, role.turns.1);
    // Another conversation may have left the instructions in the provider's cache.
    let mut seen = if rng.chance(60) { role.system } else { 0 };
    let (mut said, mut at) = (role.system, start);
    let mut calls = Vec::new();
    for _ in 0..turns {
        let outcome = if role.wire == Wire::Response { Outcome::Success } else { ending(rng) };
        let whole = rng.between(role.answers.0, role.answers.1);
        let answer = match outcome {
            Outcome::Success => whole,
            Outcome::Partial => whole / 3,
            Outcome::Cancelled => whole / 2,
            Outcome::Error | Outcome::Timeout => 0,
        };
        let thinks = model.reasons && answer > 0 && rng.chance(70);
        let reasoning = if thinks { answer * rng.between(1, 4) / 64 * 64 } else { 0 };
        let prompt = said + rng.between(role.brings.0, role.brings.1);
        let usage = count(model, &Turn { prompt, seen, answer, reasoning }, rng);
        let latency = match outcome {
            Outcome::Timeout => MINUTE,
            _ => 300 + answer * 14 + reasoning * 6 + rng.between(0, 900),
        };
        at += latency;
        if at >= DAY - MINUTE {
            break;
        }
        calls.push(call(who, &session, at, model, usage, outcome, latency));
        (seen, said) = (prompt, prompt + answer);
        at += rng.between(4 * SECOND, 75 * SECOND);
    }
    calls
}

fn call(
    who: &Who,
    session: &str,
    at: Millis,
    model: &'static Model,
    usage: Usage,
    outcome: Outcome,
    latency: Millis,
) -> Call {
    Call {
        at,
        id: None,
        agent: who.agent.clone(),
        team: who.team,
        task: who.task.clone(),
        session: session.to_owned(),
        parent: who.parent.clone(),
        model,
        usage,
        outcome,
        latency,
    }
}

fn ending(rng: &mut Rng) -> Outcome {
    match rng.between(1, 100) {
        1..=2 => Outcome::Error,
        3 => Outcome::Timeout,
        4 => Outcome::Partial,
        5 => Outcome::Cancelled,
        _ => Outcome::Success,
    }
}

/// In disjoint buckets, by each provider's rule of what its prompt cache holds.
fn count(model: &Model, turn: &Turn, rng: &mut Rng) -> Usage {
    let (read, written) = match model.family {
        // In steps of 128 tokens from 1,024 on; writing costs nothing extra.
        Family::OpenAi if turn.seen >= 1_024 => (turn.seen / 128 * 128, 0),
        // All but the last words is written for the next turn.
        Family::Anthropic => (turn.seen, (turn.prompt - turn.seen).saturating_sub(rng.between(4, 40))),
        Family::OpenAi | Family::Other => (0, 0),
    };
    let counts = [
        (Bucket::Input, turn.prompt - read - written),
        (Bucket::CacheRead, read),
        (Bucket::CacheWrite5m, written),
        (Bucket::Output, turn.answer),
        (Bucket::Reasoning, turn.reasoning),
    ];
    // Counts of this size are always a usage.
    Usage::new(counts).unwrap_or_default()
}

/// From when to when the runaway agent runs.
pub(super) const RUNAWAY_FROM: Millis = 40 * MINUTE;
pub(super) const RUNAWAY_TO: Millis = 100 * MINUTE;
/// Where its context is cut down to its instructions, and grows again.
const RUNAWAY_CONTEXT: u64 = 160_000;

/// An agent that tries the same thing again and again, each time with all that went before in its prompt.
pub(super) fn runaway(task: &str, rng: &mut Rng) -> Vec<Call> {
    let who = Who {
        agent: RUNAWAY.to_owned(),
        team: RUNAWAY_TEAM,
        task: task.to_owned(),
        parent: Some("planner-1".to_owned()),
    };
    let session = rng.id("s");
    let instructions = 12_000;
    let (mut seen, mut at) = (0, RUNAWAY_FROM);
    let mut calls = Vec::new();
    loop {
        let latency = rng.between(3 * SECOND, 6 * SECOND);
        at += latency;
        if at >= RUNAWAY_TO {
            return calls;
        }
        if seen > RUNAWAY_CONTEXT {
            seen = instructions;
        }
        let prompt = seen.max(instructions) + rng.between(900, 1_500);
        let answer = rng.between(250, 450);
        let turn = Turn { prompt, seen, answer, reasoning: answer / 2 };
        let usage = count(RUNAWAY_MODEL, &turn, rng);
        calls.push(call(&who, &session, at, RUNAWAY_MODEL, usage, Outcome::Success, latency));
        seen = prompt;
        at += rng.between(2 * SECOND, 4 * SECOND);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::cast::role;

    fn calls(name: &str, seed: u64) -> Vec<Call> {
        let role = role(name).unwrap();
        let who = Who { agent: format!("{name}-1"), team: role.team, task: "T-1".to_owned(), parent: None };
        conversation(role, &who, 0, &mut Rng::new(seed))
    }

    #[test]
    fn cached_prompts_grow_over_a_conversation() {
        for name in ["code-fixer", "ticket-answerer", "analyst"] {
            for seed in 0..20 {
                let cached: Vec<_> =
                    calls(name, seed).iter().map(|call| call.usage.get(Bucket::CacheRead)).collect();
                assert!(cached.is_sorted() && cached.last() > cached.first(), "{name} {cached:?}");
            }
        }
    }

    #[test]
    fn only_models_that_reason_do() {
        let reasoning = |name| -> u64 {
            (0..20).flat_map(|seed| calls(name, seed)).map(|c| c.usage.get(Bucket::Reasoning)).sum()
        };
        assert!(reasoning("analyst") > 0);
        assert_eq!(reasoning("campaign-writer"), 0);
    }

    #[test]
    fn nothing_happens_after_the_day() {
        let role = role("code-fixer").unwrap();
        let who = Who { agent: "a".into(), team: "t", task: "T".into(), parent: None };
        assert!(conversation(role, &who, DAY - MINUTE, &mut Rng::new(1)).is_empty());
        assert!(runaway("T", &mut Rng::new(1)).iter().all(|c| c.at > RUNAWAY_FROM && c.at < RUNAWAY_TO));
    }
}
