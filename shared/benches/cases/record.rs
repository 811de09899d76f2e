//! A stream record read back, and a part of a sealed submission from there into what the ledger keeps, and out of it.

use std::rc::Rc;

use shared::Timestamp;
use shared::event::{Body, UsageEvent, part_hash};
use shared::id::{AgentId, ModelId, OwnId, ProviderId, SealKey, TaskId, TeamId};
use shared::price::PriceBook;
use shared::record::RecordData;
use shared::usage::{Bucket, Usage};
use shared::wire::{Entry, Part, Single, StreamRecord};

use crate::case::{Amount, Case};

const PART: u32 = shared::id::PART_EVENTS;
const MODELS: [(&str, &str); 4] = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
];

fn received() -> Timestamp {
    "2026-11-24T02:30:00Z".parse().expect("a time")
}

fn agent() -> AgentId {
    AgentId::parse("agent-07").expect("an agent")
}

fn call(n: u32) -> UsageEvent {
    let usage = Usage::new([
        (Bucket::Input, 812 + u64::from(n % 300)),
        (Bucket::CacheRead, 512),
        (Bucket::Output, 310 + u64::from(n % 70)),
        (Bucket::Reasoning, 64),
    ]);
    let mut event = UsageEvent::new(received(), usage.expect("counts that can be added"));
    let (provider, model) = MODELS[n as usize % MODELS.len()];
    event.task_id = Some(TaskId::parse(&format!("task-{}", n % 8)).expect("a task"));
    event.team_id = Some(TeamId::parse("team-2").expect("a team"));
    event.provider = Some(ProviderId::parse(provider).expect("a provider"));
    event.model = Some(ModelId::parse(model).expect("a model"));
    event.latency_ms = Some(900 + u64::from(n % 40));
    event
}

fn part() -> Part {
    let events: Vec<_> = (0..PART).map(|n| (n, call(n))).collect();
    let hash = part_hash(&events, &[], &[]).expect("events are JSON");
    let key = SealKey::parse("0199aa00-0000-7000-8000-000000000001").expect("a key");
    Part { agent: agent(), key, part: 0, hash, events, outcomes: Vec::new(), corrections: Vec::new() }
}

fn single() -> Single {
    let body = Body::Usage(call(0));
    let hash = body.content_hash().expect("an event is JSON");
    Single { agent: agent(), id: OwnId::parse("event-1").expect("an id"), hash, body }
}

fn read(name: &str, events: usize, entry: Entry) -> Case {
    let bytes = StreamRecord::new(received(), vec![entry]).encode().expect("a record is JSON");
    Case::again(name, Amount::Events(events), move || {
        StreamRecord::decode(&bytes).expect("what was written is read")
    })
}

pub(crate) fn cases() -> Vec<Case> {
    let book = PriceBook::embedded().expect("the book that is compiled in");
    let events = Amount::Events(PART as usize);
    let part = Rc::new(part());
    let sealed = Rc::clone(&part);
    let data = move || RecordData::usage(sealed.hash.clone(), sealed.events.iter().cloned(), &book);
    let stored = serde_json::to_string(&data()).expect("a record is JSON");
    vec![
        read("read-single", 1, Entry::Single(Box::new(single()))),
        read("read-part", PART as usize, Entry::Part((*part).clone())),
        Case::again("store-part", events, move || serde_json::to_string(&data()).expect("a record is JSON")),
        Case::again("load-part", events, move || {
            serde_json::from_str::<RecordData>(&stored).expect("what was written is read")
        }),
    ]
}
