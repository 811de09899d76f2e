//! Looking a known model up and pricing a call allocates nothing.

#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::time::Instant;

use shared::event::UsageEvent;
use shared::id::{ModelId, ProviderId};
use shared::price::PriceBook;
use shared::usage::{Bucket, Usage};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn events() -> Vec<UsageEvent> {
    let calls = [
        (Some("openai"), "gpt-4o-mini-2024-07-18", None),
        (Some("bedrock"), "us.anthropic.claude-sonnet-4-5-20250929-v1:0", None),
        (Some("gcp.vertex_ai"), "publishers/google/models/gemini-2.5-pro", Some("ON_DEMAND")),
        (Some("openai"), "gpt-5", Some("flex")),
        (Some("deepseek"), "deepseek-v4-pro", None),
        (None, "claude-opus-4-6", Some("batch")),
        (Some("openai"), "no-such-model", None),
        (Some("no-such-provider"), "gpt-4o", None),
    ];
    let event = |(provider, model, tier): (Option<&str>, &str, Option<&str>)| {
        let usage = Usage::new([
            (Bucket::Input, 812),
            (Bucket::CacheRead, 4096),
            (Bucket::Output, 220),
            (Bucket::Reasoning, 64),
        ]);
        let mut event = UsageEvent::new("2026-11-24T02:30:00Z".parse().unwrap(), usage.unwrap());
        event.provider = provider.map(|p| ProviderId::parse(p).unwrap());
        event.model = Some(ModelId::parse(model).unwrap());
        event.service_tier = tier.map(str::to_owned);
        event
    };
    calls.into_iter().map(event).collect()
}

/// The only test here: another thread's allocations would be counted, too.
#[test]
fn a_known_model_is_priced_without_allocating() {
    let begun = Instant::now();
    let book = PriceBook::embedded().unwrap();
    println!("the book is read in {:?}", begun.elapsed());
    let events = events();
    let price = |event: &UsageEvent| book.candidates(event).find_map(|p| p.cost_parts(&event.usage));
    let first: Vec<_> = events.iter().map(price).collect();
    assert_eq!(first.iter().filter(|cost| cost.is_some()).count(), 6);

    let region = Region::new(ALLOCATOR);
    let begun = Instant::now();
    for _ in 0..1_000 {
        for (event, first) in events.iter().zip(&first) {
            assert_eq!(price(event), *first);
        }
    }
    let each = begun.elapsed() / 8_000;
    let change = region.change();
    println!("a lookup and its cost take {each:?}");
    assert_eq!((change.allocations, change.reallocations), (0, 0));
}
