//! Tests over a ledger in memory.

mod agreement;
mod explain;
mod fake;
mod listing;
mod shape;
mod unpriced;

use jiff::Timestamp;
use shared::event::UsageEvent;
use shared::hash::ContentHash;
use shared::id::{AgentId, ModelId, OwnId, ProviderId, RecordKey, SealKey, SessionId, TaskId, TeamId};
use shared::price::PriceBook;
use shared::record::{Record, RecordData};
use shared::usage::{Bucket, Usage};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A ready future's value: the ledger in memory never waits.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the ledger in memory waits for nothing"),
    }
}

pub(crate) fn agent(name: &str) -> AgentId {
    AgentId::parse(name).unwrap()
}

/// An event; empty names are not stated.
pub(crate) fn event(time: Timestamp, names: [&str; 5], input: u64) -> UsageEvent {
    let [team, task, session, provider, model] = names;
    let mut event = UsageEvent::new(time, Usage::new([(Bucket::Input, input)]).unwrap());
    event.team_id = TeamId::parse(team).ok();
    event.task_id = TaskId::parse(task).ok();
    event.session_id = SessionId::parse(session).ok();
    event.provider = ProviderId::parse(provider).ok();
    event.model = ModelId::parse(model).ok();
    event
}

pub(crate) fn single(who: &str, id: &str, event: UsageEvent) -> Record {
    let key = RecordKey::Single(OwnId::parse(id).unwrap());
    record(who, key, vec![(0, event)])
}

pub(crate) fn packed(who: &str, key: &str, events: Vec<UsageEvent>) -> Record {
    record(who, RecordKey::Part(SealKey::parse(key).unwrap(), 0), (0..).zip(events).collect())
}

fn record(who: &str, key: RecordKey, events: Vec<(u32, UsageEvent)>) -> Record {
    let book = PriceBook::embedded().unwrap();
    let hash = ContentHash::of(&events).unwrap();
    Record { agent: agent(who), key, version: 1, data: RecordData::usage(hash, events, &book) }
}
