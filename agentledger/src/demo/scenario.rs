//! The day: which submissions are sent when. A pure function of the seed.
//!
//! What goes wrong between agents and a meter goes wrong here too: answers are lost and submissions come again,
//! a key is used twice for different things, a call is taken back, counts are mended.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use shared::event::{Outcome, TaskResult, UsageEvent};
use shared::id::{ModelId, ProviderId};
use shared::price::PriceBook;
use shared::totals::Totals;
use shared::usage::{Bucket, Usage};

use super::behaviour::{Call, DAY, MINUTE, Millis, RUNAWAY_TO, SECOND, Who, conversation, runaway};
use super::cast::{self, ROLES, RUNAWAY, RUNAWAY_TEAM, Role, Wire};
use super::rng::Rng;

/// One submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Post {
    /// When it is sent, since the day began.
    pub(super) at: Millis,
    pub(super) agent: String,
    /// Its idempotency key.
    pub(super) key: Option<String>,
    pub(super) content: Content,
    pub(super) kind: Kind,
}

/// What a submission says. A retry says the same, also of when it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Native events: one as it is, several in a list.
    Events(Vec<Call>),
    /// A provider's response body.
    Response(Call),
    /// Takes a call back.
    Void { at: Millis, id: String, corrects: String, call: Call },
    /// Replaces a call's counts.
    Amend { at: Millis, id: String, corrects: String, call: Call, usage: Usage },
    /// A task's end.
    Ended { at: Millis, id: String, team: &'static str, task: String, result: TaskResult },
}

/// Whether a submission adds anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    First,
    /// The same again, because its sender saw no receipt.
    Retry,
    /// Another content under the same key: the first stands.
    Conflict,
}

/// A seed's day.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scenario {
    /// In the order of sending.
    pub(super) posts: Vec<Post>,
    /// What happens, for who watches.
    pub(super) story: Vec<(Millis, String)>,
}

/// A task that was worked on, with its delegated parts.
struct Task {
    calls: Vec<Call>,
    end: Post,
}

impl Scenario {
    /// The day of this seed.
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut desk = Desk { number: 100, given: 0 };
        let mut posts = Vec::new();
        let mut by_agent: BTreeMap<String, (&'static Role, Vec<Call>)> = BTreeMap::new();
        for role in ROLES {
            for agent in cast::agents(role) {
                let mut own = rng.fork();
                for n in 0..role.tasks {
                    let Some(task) = desk.task(role, &agent, n, &mut own) else { continue };
                    for call in task.calls {
                        let (name, _) = call.agent.rsplit_once('-').unwrap_or_default();
                        let role = cast::role(name).unwrap_or(role);
                        by_agent.entry(call.agent.clone()).or_insert((role, Vec::new())).1.push(call);
                    }
                    posts.push(task.end);
                }
            }
        }
        for (role, mut calls) in by_agent.into_values() {
            calls.sort_by_key(|call| call.at);
            posts.extend(submissions(role.wire, calls, &mut rng.fork()));
        }
        let (mut story, stuck) = stuck(&mut desk, &mut rng.fork());
        posts.extend(stuck);
        correct(&mut posts, &mut story, &mut rng.fork());
        repeat(&mut posts, &mut rng.fork());
        // A stable sort: the same instant keeps the order of generation.
        posts.sort_by_key(|post| post.at);
        story.sort_by_key(|(at, _)| *at);
        Self { posts, story }
    }

    /// How many submissions are of this kind.
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.posts.iter().filter(|post| post.kind == kind).count()
    }

    /// What the ledger has to say in the end, priced by `book`, if the day begins at `start`. None if a sum does
    /// not fit, which no day does.
    pub(super) fn truth(&self, book: &PriceBook, start: Timestamp) -> Option<Totals> {
        let mut truth = Totals::default();
        let call = |call: &Call, usage: &Usage| Totals::of_call(usage, cost(book, call, usage, start));
        for post in self.posts.iter().filter(|post| post.kind == Kind::First) {
            match &post.content {
                Content::Events(calls) => {
                    calls.iter().try_for_each(|c| truth.add(&call(c, &c.usage)).ok())?;
                }
                Content::Response(c) => truth.add(&call(c, &c.usage)).ok()?,
                Content::Void { call: c, .. } => truth.add(&call(c, &c.usage).negated()).ok()?,
                Content::Amend { call: c, usage, .. } => {
                    truth.add(&call(c, &c.usage).negated()).ok()?;
                    truth.add(&call(c, usage)).ok()?;
                }
                Content::Ended { result, .. } => truth.add(&Totals::of_task(*result, None)).ok()?,
            }
        }
        Some(truth)
    }
}

fn cost(book: &PriceBook, call: &Call, usage: &Usage, start: Timestamp) -> Option<shared::money::Usd> {
    let mut event = UsageEvent::new(instant(start, call.at), *usage);
    event.provider = ProviderId::parse(call.model.provider).ok();
    event.model = ModelId::parse(call.model.name).ok();
    book.candidates(&event).find_map(|price| price.cost(usage))
}

/// The instant of the day at `at`.
pub(super) fn instant(start: Timestamp, at: Millis) -> Timestamp {
    let since = SignedDuration::from_millis(i64::try_from(at).unwrap_or(i64::MAX));
    start.checked_add(since).unwrap_or(start)
}

/// Hands out the work.
struct Desk {
    /// Of the newest task.
    number: u64,
    /// How many parts were given to others.
    given: usize,
}

impl Desk {
    fn task_id(&mut self, team: &str) -> String {
        self.number += 1;
        let team: String = team.chars().take(3).collect::<String>().to_uppercase();
        format!("{team}-{}", self.number)
    }

    /// An agent's `n`th task of the day, with what it delegates; none if the day is over before it starts.
    fn task(&mut self, role: &'static Role, agent: &str, n: u64, rng: &mut Rng) -> Option<Task> {
        // The last half hour is for finishing.
        let slot = (DAY - 30 * MINUTE) / role.tasks.max(1);
        let start = n * slot + rng.between(0, slot * 3 / 4);
        let who =
            Who { agent: agent.to_owned(), team: role.team, task: self.task_id(role.team), parent: None };
        let mut calls = conversation(role, &who, start, rng);
        if let Some((to, least, most)) = role.delegates
            && let Some(to) = cast::role(to)
            && let Some(planned) = calls.get(1).map(|call| call.at)
        {
            for part in 0..rng.between(least, most) {
                self.given += 1;
                let who = Who {
                    agent: format!("{}-{}", to.name, self.given % to.agents + 1),
                    parent: Some(agent.to_owned()),
                    ..who.clone()
                };
                let start = planned + (part + 1) * rng.between(2 * SECOND, 40 * SECOND);
                calls.extend(conversation(to, &who, start, rng));
            }
        }
        let last = calls.iter().map(|call| call.at).max()?;
        let result = match rng.between(1, 100) {
            1..=82 => TaskResult::Success,
            83..=93 => TaskResult::Failure,
            _ => TaskResult::Abandoned,
        };
        let at = (last + rng.between(5 * SECOND, 40 * SECOND)).min(DAY);
        Some(Task { calls, end: ended(at, agent, role.team, &who.task, result, rng) })
    }
}

fn ended(at: Millis, agent: &str, team: &'static str, task: &str, result: TaskResult, rng: &mut Rng) -> Post {
    let content = Content::Ended { at, id: rng.id("end"), team, task: task.to_owned(), result };
    Post { at, agent: agent.to_owned(), key: None, content, kind: Kind::First }
}

/// The submissions of one agent's calls, in their order.
fn submissions(wire: Wire, calls: Vec<Call>, rng: &mut Rng) -> Vec<Post> {
    let post = |calls: Vec<Call>, key: Option<String>, wait: Millis| {
        let last = calls.last()?;
        let (at, agent) = ((last.at + wait).min(DAY), last.agent.clone());
        Some(Post { at, agent, key, content: Content::Events(calls), kind: Kind::First })
    };
    match wire {
        Wire::Response => {
            let response = |call: Call| Post {
                at: call.at,
                agent: call.agent.clone(),
                key: Some(rng.id("call")),
                content: Content::Response(call),
                kind: Kind::First,
            };
            calls.into_iter().map(response).collect()
        }
        Wire::Native => calls
            .into_iter()
            .filter_map(|mut call| {
                // Both ways to be safe to send again: an id of its own, or a sealed submission.
                if rng.chance(50) {
                    call.id = Some(rng.id("call"));
                    return post(vec![call], None, 0);
                }
                post(vec![call], Some(rng.id("call")), 0)
            })
            .collect(),
        Wire::Batch(size) => calls
            .chunks(size.max(1))
            .filter_map(|calls| post(calls.to_vec(), Some(rng.id("batch")), rng.between(1, 5) * SECOND))
            .collect(),
    }
}

/// The agent that is stuck, until somebody stops it.
fn stuck(desk: &mut Desk, rng: &mut Rng) -> (Vec<(Millis, String)>, Vec<Post>) {
    let task = desk.task_id(RUNAWAY_TEAM);
    let calls = runaway(&task, rng);
    let began = calls.first().map_or(0, |call| call.at);
    let end = RUNAWAY_TO + MINUTE;
    let story = vec![
        (began, format!("{RUNAWAY} begins {task}: a test that cannot pass. It will try again, and again")),
        (end, format!("{RUNAWAY} is stopped by its operator, who read the alerts; {task} is abandoned")),
    ];
    let mut posts = submissions(Wire::Response, calls, rng);
    posts.push(ended(end, RUNAWAY, RUNAWAY_TEAM, &task, TaskResult::Abandoned, rng));
    (story, posts)
}

/// Takes calls back, mends counts, and uses one key twice.
fn correct(posts: &mut Vec<Post>, story: &mut Vec<(Millis, String)>, rng: &mut Rng) {
    let single = |post: &Post| match &post.content {
        Content::Events(calls) if calls.len() == 1 && calls[0].outcome == Outcome::Success => {
            Some((post.key.clone(), calls[0].clone()))
        }
        _ => None,
    };
    let mut candidates: Vec<_> =
        posts.iter().filter_map(single).filter(|(_, c)| c.at < DAY / 4 * 3).collect();
    let mut n = 0;
    // Each candidate is taken out, so that no call is corrected twice.
    while n < 9 && !candidates.is_empty() {
        let (key, call) = candidates.swap_remove(rng.index(candidates.len()));
        if n == 8 && key.is_none() {
            continue;
        }
        let at = call.at + rng.between(5 * MINUTE, 40 * MINUTE);
        let agent = call.agent.clone();
        let of_key = key.as_ref().map(|key| format!("{key}#0"));
        let Some(corrects) = call.id.clone().or(of_key) else { continue };
        n += 1;
        let words = match n {
            ..=4 => format!("{agent} takes a call of {} back, which it had reported twice", call.task),
            5..=8 => format!("{agent} mends the counts of a call of {}", call.task),
            _ => format!("{agent} uses a key twice for different calls: the first stands, see `conflicts`"),
        };
        let (key, content, kind) = match n {
            ..=4 => (None, Content::Void { at, id: rng.id("void"), corrects, call }, Kind::First),
            5..=8 => {
                let usage = half(&call.usage);
                (None, Content::Amend { at, id: rng.id("amend"), corrects, call, usage }, Kind::First)
            }
            _ => {
                let usage = half(&call.usage);
                (key, Content::Events(vec![Call { usage, ..call }]), Kind::Conflict)
            }
        };
        story.push((at, words));
        posts.push(Post { at, agent, key, content, kind });
    }
}

/// As if the prompt had been counted without what it did not need.
fn half(usage: &Usage) -> Usage {
    let counts = usage.iter().map(|(bucket, count)| match bucket {
        Bucket::Input => (bucket, count / 2 + 1),
        _ => (bucket, count),
    });
    Usage::new(counts).unwrap_or_default()
}

/// Some senders see no receipt, and send the same again: once, or twice.
fn repeat(posts: &mut Vec<Post>, rng: &mut Rng) {
    let mut again = Vec::new();
    for post in posts.iter().filter(|post| post.kind == Kind::First) {
        if rng.chance(3) {
            for n in 1..=rng.between(1, 2) {
                let at = (post.at + n * rng.between(2 * SECOND, 30 * SECOND)).min(DAY);
                again.push(Post { at, kind: Kind::Retry, ..post.clone() });
            }
        }
    }
    posts.extend(again);
}
