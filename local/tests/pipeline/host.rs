//! The host: restarts, poison, and one holder of a directory.

use crate::support::World;
use bytes::Bytes;
use local::dir::{DataDir, DataDirError};
use local::stream::{StreamLog, StreamOptions};
use serde_json::json;
use shared::ledger::{RecordStore, RollupQuery, RollupStore};
use shared::price::BookStore;
use shared::rollup::ScopeKind;
use shared::stream::{EventStream, PutRecord};
use shared::window::WindowKind;

/// The organisation's tokens in the month of the clock.
fn tokens(world: &World) -> i128 {
    tokens_in(world, 1_772_323_200)
}

fn call(n: u32) -> serde_json::Value {
    json!([{"agent_id": format!("a{n}"), "usage": {"input": 1}}])
}

#[test]
fn a_restart_goes_on_where_it_stopped() {
    let mut world = World::new();
    for n in 0..20 {
        world.post(Some(&format!("k{n}")), &call(n));
        if n % 5 == 0 {
            world.restart();
        }
    }
    world.settle();
    assert_eq!(tokens(&world), 20);
    let counted: i64 = world.pipeline().status()().counts.events;
    assert!(counted < 20, "a restart does not begin from the beginning: {counted}");
}

/// A later release is compiled with another book, and what this one priced can still be repriced by it.
#[test]
fn the_compiled_in_book_is_kept_and_is_no_import() {
    let mut world = World::new();
    world.restart();
    let embedded = shared::price::embedded_file().unwrap();
    let ledger = world.pipeline().ledger();
    let kept = world.block_on(ledger.book(embedded.version.as_str())).unwrap().unwrap();
    assert_eq!(kept.json, embedded.write().unwrap());
    assert_eq!(world.block_on(ledger.newest_book()).unwrap(), None);
}

#[test]
fn a_directory_has_one_holder() {
    let world = World::new();
    for refused in [DataDir::create(world.path()), DataDir::open(world.path())] {
        assert!(matches!(refused, Err(DataDirError::InUse { .. })));
    }
}

#[test]
fn poison_is_put_aside_and_holds_nothing_up() {
    let mut world = World::new();
    world.post(Some("before"), &call(1));
    world.settle();
    world.stop();
    let stream = StreamLog::open(&world.path().join("stream"), &StreamOptions::default()).unwrap();
    let bad = [
        &b"\xff\x00 no JSON"[..],
        br#"{"v":9}"#,
        br#"{"v":1,"received":"2026-03-07T12:00:00Z","entries":7}"#,
    ];
    for (lane, data) in (0..).zip(bad) {
        let record =
            PutRecord { partition_key: format!("{lane}"), spread: 0, data: Bytes::from_static(data) };
        assert!(world.block_on(stream.put(vec![record])).iter().all(Result::is_ok));
    }
    drop(stream);
    world.restart();
    world.post(Some("after"), &call(2));
    world.settle();
    assert_eq!(tokens(&world), 2);
    let aside = world.block_on(world.pipeline().ledger().quarantined(10)).unwrap();
    assert_eq!(aside.len(), 3);
    assert!(
        aside.iter().any(|item| item.base64) && aside.iter().any(|item| item.reason.contains("version 9"))
    );
}

#[test]
fn a_stream_made_anew_is_read_from_its_beginning() {
    let mut world = World::new();
    for n in 0..5 {
        world.post(Some(&format!("k{n}")), &call(n));
    }
    world.settle();
    world.stop();
    std::fs::remove_dir_all(world.path().join("stream")).unwrap();
    world.restart();
    world.post(Some("k5"), &call(5));
    world.settle();
    assert_eq!(tokens(&world), 6);
}

#[test]
fn an_absurd_amend_that_comes_first_takes_no_call_with_it() {
    let world = World::new();
    let amend = json!({"type": "amend", "id": "a-1", "agent_id": "a", "corrects": "big#1", "revision": 1,
        "usage": {"input": 1_u64 << 53, "web_searches": 1_u64 << 53}});
    world.post(None, &json!([amend]));
    let call = json!({"agent_id": "a", "provider": "openai", "model": "gpt-4o", "usage": {"input": 1}});
    world.post(Some("big"), &json!([call, call, call]));
    world.settle();
    assert_eq!(tokens(&world), (1 << 53) + 2);
    assert_eq!(world.pipeline().status()().counts.unpriced, 1, "what cannot be paid has no known cost");
}

#[test]
fn a_key_that_comes_again_with_another_kind_of_event_is_a_conflict() {
    let world = World::new();
    for kinds in [["call", "void"], ["void", "call"]] {
        let key = kinds.concat();
        for kind in kinds {
            let event = match kind {
                "call" => json!({"agent_id": "a", "usage": {"input": 1}}),
                _ => json!({"type": "void", "agent_id": "a", "corrects": "callvoid#0"}),
            };
            world.post(Some(&key), &json!([event]));
            world.settle();
        }
    }
    // The first of "callvoid" is a call, the first of "voidcall" takes it back: neither second has an effect.
    assert_eq!(tokens(&world), 0);
    let conflicts = world.block_on(world.pipeline().ledger().conflicts(10)).unwrap();
    let keys: Vec<_> = conflicts.iter().map(|c| c.key.as_str()).collect();
    assert_eq!(keys, ["S#voidcall#0", "S#callvoid#0"]);
}

#[test]
fn what_waited_past_the_watermark_is_put_aside_and_the_rest_of_its_part_counts() {
    let mut world = World::new();
    world.post(Some("target"), &json!([{"agent_id": "a", "usage": {"input": 100}}]));
    world.settle();
    world.stop();
    // Accepted, and then a watermark moved while it waited in the stream.
    let stream = StreamLog::open(&world.path().join("stream"), &StreamOptions::default()).unwrap();
    let ingest = ingest::Ingest::new(
        stream,
        std::sync::Arc::clone(&world.clock),
        ingest::IngestConfig::default(),
        auth::Access::open(),
    );
    let event = |time: &str, input: u32| json!({"agent_id": "a", "time": time, "usage": {"input": input}});
    let void = json!({"type": "void", "agent_id": "a", "corrects": "target#0"});
    let body = json!([event("2026-01-01T00:00:00Z", 7), event("2026-03-07T00:00:00Z", 1), void]);
    let answer = world.block_on(ingest.handle(crate::support::request(Some("k"), &body)));
    assert_eq!(answer.status_code, 200);
    drop(ingest);
    let ledger = local::ledger::SqliteLedger::open(&world.path().join("ledger.db")).unwrap();
    ledger.move_watermark("2026-02-01T00:00:00Z".parse().unwrap()).unwrap();
    drop(ledger);
    world.restart();
    world.settle();
    assert_eq!(tokens(&world), 1, "the late call is left out, the void takes effect");
    let aside = world.block_on(world.pipeline().ledger().quarantined(10)).unwrap();
    assert_eq!((aside.len(), aside[0].code.as_str()), (1, "closed_period"));
    assert!(aside[0].payload.contains("2026-01-01") && !aside[0].payload.contains("2026-03-07"));
}

#[test]
fn corrections_of_a_closed_period_are_put_aside_unless_they_change_nothing() {
    let mut world = World::new();
    let old = "2026-01-01T00:00:00Z";
    world.post(Some("old"), &json!([{"agent_id": "a", "time": old, "usage": {"input": 7}}]));
    let amend =
        json!({"type": "amend", "agent_id": "a", "corrects": "old#0", "revision": 1, "usage": {"input": 9}});
    world.post(Some("sealed"), &json!([amend]));
    world.settle();
    world.pipeline().ledger().move_watermark("2026-02-01T00:00:00Z".parse().unwrap()).unwrap();
    // Once more what was applied, and something new.
    world.post(Some("sealed"), &json!([amend]));
    world.settle();
    let aside = |world: &World| world.block_on(world.pipeline().ledger().quarantined(10)).unwrap();
    assert_eq!(aside(&world), vec![], "what was applied before is a duplicate");
    for (key, id) in [(Some("late"), None), (None, Some("v-1"))] {
        let mut void = json!({"type": "void", "agent_id": "a", "corrects": "old#0"});
        if let Some(id) = id {
            void["id"] = json!(id);
        }
        world.post(key, &json!([void]));
    }
    world.restart();
    world.settle();
    let codes: Vec<_> = aside(&world).into_iter().map(|item| item.code).collect();
    assert_eq!(codes, ["closed_period", "closed_period"]);
    let events = tokens_in(&world, 1_767_225_600);
    assert_eq!(events, 9, "the closed period stays as it was");
}

fn tokens_in(world: &World, month: i64) -> i128 {
    let window = WindowKind::Month;
    let (from, to) = (month, window.end(month));
    let query = RollupQuery { kind: ScopeKind::Org, a: None, b: None, window, from, to };
    let rows = world.block_on(world.pipeline().ledger().rollup_rows(&query)).unwrap();
    rows.iter().flat_map(|row| &row.parts.0).map(shared::totals::Totals::tokens).sum()
}
