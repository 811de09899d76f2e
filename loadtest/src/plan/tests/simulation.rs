//! What is computed against what is counted when it is played.
#![allow(clippy::float_arithmetic, reason = "a test compares")]

use crate::plan::Given;
use crate::plan::choose::{Plan, choose};
use crate::plan::config::{Config, Profile};
use crate::plan::simulate::{Played, expected_growth, play, span};
use crate::plan::workload::Workload;

/// By how much a simulation of so few settlings may be off: of the rollups, and of a writer's time, of which the busiest is
/// the largest of many.
const ROLLUPS: f64 = 0.05;
const BUSY: f64 = 0.12;
/// Of the rate, by how much a backlog may seem to grow that does not: what is left of a batch goes up and down.
const GROWTH: f64 = 0.03;

fn near(computed: f64, played: f64, part: f64, what: &str) {
    let off = (computed - played).abs() / played.max(1e-9);
    assert!(off <= part, "{what}: computed {computed}, played {played}, off by {:.1} %", off * 100.0);
}

fn compare(load: &Workload, config: Config, seconds: f64) -> (Plan, Played) {
    let plan = Plan::of(load, config);
    let played = play(load, &config, seconds, 1);
    let what = format!("{load:?} {config:?}");
    near(plan.demand.rollups_per_event, played.rollups_per_event, ROLLUPS, &format!("rollups: {what}"));
    near(plan.demand.busy.min(1.0), played.busiest, BUSY, &format!("aggregator: {what}"));
    let growth = (played.growth - expected_growth(&plan)).abs() / load.rate;
    assert!(
        growth < GROWTH,
        "backlog: {} played, {} computed: {what}",
        played.growth,
        expected_growth(&plan)
    );
    (plan, played)
}

#[test]
fn a_small_deployment_is_played_as_it_is_computed() {
    for profile in [Profile::KinesisOnDemand, Profile::KinesisProvisioned, Profile::Direct] {
        for (agents, rate, batch, window) in
            [(5_000, 500.0, 10, 60), (2_000, 200.0, 1, 60), (5_000, 500.0, 100, 2)]
        {
            let load = Workload::of(agents, rate, batch);
            let config = Config { aggregator_mb: 1_769, ..Config::of(&load, profile, window) };
            let seconds = span(&Plan::of(&load, config).demand.cycle).max(300.0);
            compare(&load, config, seconds);
        }
    }
}

#[test]
fn a_million_agents_at_a_hundred_thousand_events_a_second() {
    let load = Workload::of(1_000_000, 100_000.0, 50);
    let plan = choose(&load, Profile::KinesisOnDemand, 60, &Given::default());
    assert!(plan.works(), "{:?}", plan.impossible().map(|limit| limit.name).collect::<Vec<_>>());
    let (plan, played) = compare(&load, plan.config, 400.0);
    assert!(played.events > 10_000_000.0, "{}", played.events);
    let at_most = |seconds: f64, played: &hdrhistogram::Histogram<u64>| {
        let p99: u32 = played.value_at_quantile(0.99).try_into().unwrap_or(u32::MAX);
        let p99 = f64::from(p99) / 1_000.0;
        assert!(p99 <= seconds * 1.05 && p99 >= seconds * 0.5, "p99 {p99} s, computed at most {seconds} s");
    };
    at_most(plan.demand.total_s, &played.total);
    at_most(plan.demand.rollup_s, &played.rollup);
    at_most(plan.demand.alert_s, &played.alert);
}

#[test]
fn a_backlog_grows_where_the_model_says_that_it_falls_behind() {
    // From what one lane bears to more than it does: by the rate, everything else being equal.
    let mut fell_behind = Vec::new();
    for rate in [10.0, 20.0, 30.0, 40.0, 60.0, 100.0, 300.0] {
        let load = Workload::of(5_000, rate, 1);
        let config = Config { shards: 1, ..Config::of(&load, Profile::KinesisProvisioned, 10) }.with_lanes(1);
        let plan = Plan::of(&load, config);
        let played = play(&load, &config, 900.0, 2);
        let (computed, grows) = (expected_growth(&plan), played.growth);
        assert!((computed - grows).abs() < 0.1 * rate, "{rate}/s: {computed} computed, {grows} played");
        assert_eq!(
            plan.demand.busy > 1.0,
            grows > 0.05 * rate,
            "{rate}/s: {} busy, {grows} played",
            plan.demand.busy
        );
        fell_behind.push(plan.demand.busy > 1.0);
    }
    assert!(fell_behind.contains(&true) && fell_behind.contains(&false), "{fell_behind:?}");
}

#[test]
fn a_seed_is_one_run() {
    let load = Workload::of(1_000, 100.0, 3);
    let config = Config::of(&load, Profile::Direct, 2);
    let of = |seed| play(&load, &config, 60.0, seed).json();
    assert_eq!(of(5), of(5));
    assert_ne!(of(5), of(6));
}

#[test]
fn a_million_agents_with_single_events_fall_behind_as_computed() {
    let load = Workload::of(1_000_000, 100_000.0, 1);
    let plan = choose(&load, Profile::KinesisOnDemand, 60, &Given::default());
    // From its middle to its end is a settling of all lanes, which here begin together.
    let played = play(&load, &plan.config, 180.0, 1);
    let (computed, grows) = (expected_growth(&plan) / load.rate, played.growth / load.rate);
    assert!(computed > 0.1, "{computed} computed");
    assert!((computed - grows).abs() < 0.05, "{computed} of the rate computed, {grows} played");
    near(plan.demand.rollups_per_event, played.rollups_per_event, 0.08, "rollups");
}
