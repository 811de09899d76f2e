//! What has to hold of any workload.
#![allow(clippy::float_arithmetic, clippy::unwrap_used, reason = "a test compares, and fails by panicking")]

use fastrand::Rng;

use crate::plan::Given;
use crate::plan::choose::{Plan, choose};
use crate::plan::config::{Config, Profile};
use crate::plan::lanes::spread;
use crate::plan::limit::Kind;
use crate::plan::workload::Workload;

const PROFILES: [Profile; 3] = [Profile::KinesisOnDemand, Profile::KinesisProvisioned, Profile::Direct];

/// Workloads of all sizes, each with a profile and a window.
fn workloads() -> impl Iterator<Item = (Workload, Profile, u32)> {
    let mut rng = Rng::with_seed(7);
    (0..400).map(move |_| {
        let agents = 10_u32.pow(rng.u32(1..6)) * rng.u32(1..10);
        let rate = f64::from(10_u32.pow(rng.u32(0..5)) * rng.u32(1..10));
        let batch = [1, 3, 10, 50, 100, 500][rng.usize(..6)];
        let window = [1, 2, 10, 60, 300][rng.usize(..5)];
        (Workload::of(agents, rate, batch), PROFILES[rng.usize(..3)], window)
    })
}

fn used(plan: &Plan, name: &str) -> f64 {
    plan.limits.iter().find(|limit| limit.name.starts_with(name)).map_or(0.0, |limit| limit.used)
}

#[test]
fn twice_the_rate_costs_no_less_and_uses_no_less() {
    for (load, profile, window) in workloads() {
        let config = Config::of(&load, profile, window);
        let more = Workload { rate: load.rate * 2.0, ..load };
        let (one, two) = (Plan::of(&load, config), Plan::of(&more, config));
        let what = format!("{load:?} {config:?}");
        // Batches that become full leave rollups to the next, so of rollups there may be fewer: all else grows.
        for (before, after) in one.bill.lines.iter().zip(&two.bill.lines) {
            let is_of_settling = before.what.contains("rollups") || before.what.contains("alerter");
            let is_of_batches = ["aggregator function", "PutMetricData", "table: reads of the aggregator"];
            if !is_of_settling && !is_of_batches.contains(&before.what) && before.what != "table: journal" {
                assert!(after.usd >= before.usd, "{}: {} and {}: {what}", before.what, before.usd, after.usd);
            }
        }
        if two.demand.cycle.batches == 1 && one.demand.busy < 1.0 && two.demand.busy < 1.0 {
            assert!(
                two.bill.total() >= one.bill.total(),
                "{} and {}: {what}",
                one.bill.total(),
                two.bill.total()
            );
            for name in
                ["table: write", "API", "Lambda: executions", "aggregator: fullest", "stream:", "inbox"]
            {
                assert!(used(&two, name) >= used(&one, name) * 0.999, "{name}: {what}");
            }
        }
    }
}

#[test]
fn more_agents_at_the_same_rate_cost_no_less() {
    for (load, profile, window) in workloads() {
        let config = Config::of(&load, profile, window);
        let more =
            Workload { agents: load.agents * 10, ..Workload::of(load.agents * 10, load.rate, load.batch) };
        let (one, two) = (Plan::of(&load, config), Plan::of(&more, config));
        let over = |load: &Workload| spread(load, config.lanes, load.busiest);
        if over(&load) != over(&more) || load.agents < config.lanes {
            // Of few agents each is much of the traffic, and goes to several lanes.
            continue;
        }
        // More may make the entries so many that settling is due earlier.
        let (few, many) = (one.demand.rollups_per_event, two.demand.rollups_per_event);
        assert!(many >= few * 0.999, "{few} and {many}: {load:?} {config:?}");
        assert!(
            two.bill.total() * rust_decimal::Decimal::new(1_001, 3) >= one.bill.total(),
            "{load:?} {config:?}"
        );
    }
}

#[test]
fn twice_the_shards_take_half_of_each() {
    for (load, _, window) in workloads() {
        let config = Config::of(&load, Profile::KinesisProvisioned, window);
        if config.lanes > 64 || load.agents < 10_000 {
            continue;
        }
        let twice = Config { shards: config.shards * 2, ..config }.with_lanes(config.lanes * 2);
        let (one, two) = (Plan::of(&load, config), Plan::of(&load, twice));
        for name in ["stream: records", "stream: volume"] {
            let part = used(&two, name) / used(&one, name);
            // Half, but for the fullest, which of more lanes is a little more beyond the mean.
            assert!((0.499..0.6).contains(&part), "{name}: {part}: {load:?}");
        }
        let hours =
            |plan: &Plan| plan.bill.lines.iter().find(|l| l.what == "stream, by the hour").unwrap().usd;
        assert_eq!(hours(&two), hours(&one) * rust_decimal::Decimal::TWO);
    }
}

#[test]
fn larger_submissions_cost_less_at_the_door() {
    for (load, profile, window) in workloads() {
        if load.batch > 50 {
            continue;
        }
        let config = Config::of(&load, profile, window);
        let larger = Workload { batch: load.batch * 10, ..load };
        let (one, ten) = (Plan::of(&load, config), Plan::of(&larger, config));
        for what in ["API Gateway", "ingest function", "access log"] {
            let usd = |plan: &Plan| plan.bill.lines.iter().find(|line| line.what == what).unwrap().usd;
            assert!(usd(&ten) < usd(&one), "{what}: {load:?}");
        }
    }
}

#[test]
fn what_is_chosen_works_or_says_why_not() {
    let mut rng = Rng::with_seed(3);
    for (load, profile, window) in workloads().filter(|_| rng.u32(0..5) == 0) {
        let plan = choose(&load, profile, window, &Given::default());
        assert!(plan.limits.iter().all(|limit| limit.used.is_finite() && limit.most > 0.0), "{load:?}");
        assert_eq!(plan.works(), plan.impossible().count() == 0);
        assert!(plan.limits.windows(2).all(|two| two[0].used_part() >= two[1].used_part()));
        assert!(plan.limits.iter().all(|limit| !limit.remedy.is_empty() && !limit.source.is_empty()));
        if plan.works() {
            assert!(plan.demand.busy <= 1.0 && plan.demand.alerter_busy <= 1.0, "{load:?}");
        }
    }
}

#[test]
fn a_million_agents_with_single_events_are_too_many_keys() {
    let load = Workload::of(1_000_000, 100_000.0, 1);
    let plan = choose(&load, Profile::KinesisOnDemand, 60, &Given::default());
    let names: Vec<_> = plan.impossible().map(|limit| limit.name).collect();
    assert!(names.iter().any(|name| name.starts_with("hot key: R#")), "{names:?}");
    assert!(plan.limits.iter().any(|limit| limit.kind == Kind::Quota && limit.used_part() > 1.0));
    let larger =
        crate::plan::choose::with_larger_submissions(&load, Profile::KinesisOnDemand, 60, &Given::default());
    assert_eq!(larger.map(|plan| plan.load.batch), Some(20));
}

#[test]
fn one_agent_with_all_the_traffic_goes_to_all_lanes() {
    let mut load = Workload::of(100, 2_000.0, 1);
    let config = Config::of(&load, Profile::KinesisOnDemand, 60);
    let even = crate::plan::lanes::fullest(&load, &config).share;
    load.busiest = 0.9;
    let hot = crate::plan::lanes::fullest(&load, &config).share;
    assert!((0.25..0.5).contains(&hot), "{hot}, and {even} of agents alike");
    assert_eq!(crate::plan::lanes::spread(&load, 4, 0.9), 4);
    assert_eq!(crate::plan::lanes::spread(&load, 4, 0.001), 1);
}

#[test]
fn the_largest_rate_is_between_what_works_and_what_does_not() {
    let given = Given::default();
    for (agents, batch) in [(5_000, 10), (1_000_000, 1)] {
        let load = Workload::of(agents, 10_000.0, batch);
        let most = crate::plan::choose::most_rate(&load, Profile::KinesisOnDemand, 60, &given);
        let works = |rate| choose(&Workload { rate, ..load }, Profile::KinesisOnDemand, 60, &given).works();
        assert!(works(most) && !works(most * 1.1), "{agents} agents, {batch}: {most}");
    }
}
