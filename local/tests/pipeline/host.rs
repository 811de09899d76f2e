//! The host: restarts, poison, and one holder of a directory.

use crate::support::World;
use bytes::Bytes;
use local::dir::{DataDir, DataDirError};
use local::stream::{StreamLog, StreamOptions};
use serde_json::json;
use shared::ledger::{RecordStore, RollupQuery, RollupStore};
use shared::rollup::ScopeKind;
use shared::stream::{EventStream, PutRecord};
use shared::window::WindowKind;

fn tokens(world: &World) -> i128 {
    let query = RollupQuery {
        kind: ScopeKind::Org,
        a: None,
        b: None,
        window: WindowKind::Month,
        from: 1_772_323_200,
        to: 1_775_001_600,
    };
    let rows = world.block_on(world.pipeline().ledger().rollup_rows(&query)).unwrap();
    rows.iter().flat_map(|row| &row.parts.0).map(shared::totals::Totals::tokens).sum()
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
        let record = PutRecord { partition_key: format!("{lane}"), data: Bytes::from_static(data) };
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
