//! Budgets over the whole pipeline: each crossing once, across restarts and corrections, in the periods of
//! the budget's zone.

use crate::support::World;
use serde_json::json;
use shared::alert::{AlertKind, Delivery};
use shared::budget::BudgetForm;
use shared::ledger::{AlertQuery, AlertStore};

fn daily(scope: &str, usd: &str, thresholds: &[u32], zone: &str) -> BudgetForm {
    BudgetForm {
        scope: scope.to_owned(),
        limit_usd: Some(usd.to_owned()),
        period: "day".to_owned(),
        timezone: Some(zone.to_owned()),
        thresholds: Some(thresholds.to_vec()),
        ..BudgetForm::default()
    }
}

/// A call that costs half a dollar.
fn half_a_dollar(id: &str, time: &str) -> serde_json::Value {
    json!({"id": id, "agent_id": "researcher-7", "task_id": "T-1", "time": time, "usage": {"input": 500_000}})
}

#[test]
fn a_day_of_traffic_and_restarts_gives_each_alert_once() {
    let mut world = World::new();
    world.set_budget("daily", &daily("agent:researcher-7", "10", &[50, 80, 100], "UTC"));
    world.clock.advance(12 * 3600);
    // $0.50 an hour, half hours in between: $23.50 on 8 March, with a restart every third time.
    for n in 0..47 {
        let time = format!("2026-03-08T{:02}:{:02}:00Z", n / 2, n % 2 * 30);
        let call = half_a_dollar(&format!("call-{n}"), &time);
        world.clock.advance(1800);
        world.post(None, &json!([call]));
        // A client that did not get its receipt sends again.
        world.post(Some(&format!("again-{n}")), &json!([call]));
        match n % 6 {
            // With and without having evaluated what was accepted.
            0 => world.restart(),
            3 => {
                world.settle();
                world.restart();
            }
            _ => {}
        }
    }
    world.settle();
    let ids = [
        "daily.v1.20260308T000000Z.50.1",
        "daily.v1.20260308T000000Z.80.1",
        "daily.v1.20260308T000000Z.100.1",
    ];
    assert_eq!(world.mailbox.ids(), ids);
    let alerts = world.mailbox.alerts();
    let spent: Vec<_> = alerts.iter().map(|a| a.spend_usd.unwrap().to_string()).collect();
    assert_eq!(alerts[0].top[0].name, "T-1");
    let reached = |n: usize, least: &str| alerts[n].spend_usd.unwrap() >= least.parse().unwrap();
    assert!(reached(0, "5") && reached(1, "8") && reached(2, "10"), "{spent:?}");

    // Back to $9.50: below 100%, still above 80%.
    let voids: Vec<_> =
        (0..28).map(|n| json!({"type": "void", "id": format!("void-{n}"), "agent_id": "researcher-7", "corrects": format!("call-{n}")})).collect();
    world.post(None, &json!(voids));
    world.settle();
    world.restart();
    world.settle();
    assert_eq!(world.mailbox.ids()[3..], ["daily.v1.20260308T000000Z.100.1.recovered"]);
    assert_eq!(world.mailbox.alerts()[3].spend_usd.unwrap().to_string(), "9.5");

    // And above again: a new episode.
    world.post(None, &json!([half_a_dollar("more", "2026-03-08T23:15:00Z")]));
    world.settle();
    assert_eq!(world.mailbox.ids()[4..], ["daily.v1.20260308T000000Z.100.2"]);
    world.restart();
    world.settle();
    assert_eq!(world.mailbox.ids().len(), 5, "a restart delivers nothing again");
    let every = AlertQuery { limit: 100, ..AlertQuery::default() };
    let stored = world.block_on(world.pipeline().ledger().alerts(&every)).unwrap();
    assert_eq!(stored.len(), 5);
    assert!(stored.iter().all(|a| a.state == Delivery::Delivered));
}

#[test]
fn days_start_at_local_midnight_in_every_zone() {
    let world = World::new();
    // To 3 April 2026, so that both changes of clocks are past.
    world.clock.advance(27 * 86_400);
    let cases = [
        ("Asia/Tokyo", "2026-03-10T14:59:59Z", "2026-03-09T15:00:00Z", "2026-03-10T15:00:00Z"),
        ("Asia/Tokyo", "2026-03-10T15:00:00Z", "2026-03-10T15:00:00Z", "2026-03-11T15:00:00Z"),
        ("Asia/Kathmandu", "2026-03-10T18:14:59.999Z", "2026-03-09T18:15:00Z", "2026-03-10T18:15:00Z"),
        ("Asia/Kathmandu", "2026-03-10T18:15:00Z", "2026-03-10T18:15:00Z", "2026-03-11T18:15:00Z"),
        // Clocks went back on 2 November 2025: a day of 25 hours.
        ("America/New_York", "2025-11-02T03:59:59Z", "2025-11-01T04:00:00Z", "2025-11-02T04:00:00Z"),
        ("America/New_York", "2025-11-02T04:00:00Z", "2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"),
        ("America/New_York", "2025-11-03T05:00:00Z", "2025-11-03T05:00:00Z", "2025-11-04T05:00:00Z"),
        // And forward on 8 March 2026: a day of 23.
        ("America/New_York", "2026-03-08T04:59:59Z", "2026-03-07T05:00:00Z", "2026-03-08T05:00:00Z"),
        ("America/New_York", "2026-03-08T05:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
        ("America/New_York", "2026-03-09T04:00:00Z", "2026-03-09T04:00:00Z", "2026-03-10T04:00:00Z"),
    ];
    for (n, (zone, ..)) in cases.iter().enumerate() {
        world.set_budget(&format!("b{n}"), &daily(&format!("agent:a{n}"), "1", &[100], zone));
    }
    let calls: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(n, (_, time, ..))| json!({"agent_id": format!("a{n}"), "time": time, "usage": {"input": 1_000_000}}))
        .collect();
    world.post(Some("all"), &json!(calls));
    world.settle();
    let alerts = world.mailbox.alerts();
    assert_eq!(alerts.len(), cases.len());
    for alert in alerts {
        let n: usize = alert.budget.as_str()[1..].parse().unwrap();
        let (zone, time, from, to) = cases[n];
        let period = (alert.period_start.to_string(), alert.period_end.to_string());
        assert_eq!(period, (from.to_owned(), to.to_owned()), "{zone} {time}");
        assert!(alert.late, "its period is over");
        assert_eq!(alert.kind, AlertKind::Threshold);
    }
}

#[test]
fn spend_beside_midnight_counts_only_in_its_own_day() {
    let world = World::new();
    world.clock.advance(27 * 86_400);
    world.set_budget("b", &daily("org", "1", &[100], "America/New_York"));
    // $0.60 in the last second of a day of 25 hours and $0.60 in the first of the next: neither reaches $1.
    let call = |time: &str| json!({"agent_id": "a", "time": time, "usage": {"input": 600_000}});
    world.post(Some("k1"), &json!([call("2025-11-03T04:59:59.999Z"), call("2025-11-03T05:00:00Z")]));
    world.settle();
    assert_eq!(world.mailbox.ids(), Vec::<String>::new());
    world.post(Some("k2"), &json!([call("2025-11-02T04:00:00Z")]));
    world.settle();
    assert_eq!(world.mailbox.ids(), ["b.v1.20251102T040000Z.100.1"]);
}

#[test]
fn a_budget_changed_within_its_period_is_evaluated_at_once() {
    let world = World::new();
    let now = "2026-03-07T12:00:00Z";
    world.post(Some("k"), &json!([{"agent_id": "a", "time": now, "usage": {"input": 3_000_000}}]));
    world.settle();
    world.set_budget("b", &daily("org", "10", &[100], "UTC"));
    world.settle();
    assert_eq!(world.mailbox.ids(), Vec::<String>::new());
    world.set_budget("b", &daily("org", "3", &[100], "UTC"));
    world.settle();
    assert_eq!(world.mailbox.ids(), ["b.v2.20260307T000000Z.100.1"]);
}

#[test]
fn absurd_numbers_of_one_sender_stop_nobody_elses_alerts() {
    let world = World::new();
    let tokens =
        BudgetForm { limit_usd: None, limit_tokens: Some(1_000), ..daily("agent:good", "1", &[100], "UTC") };
    world.set_budget("a-org", &daily("org", "10", &[100], "UTC"));
    world.set_budget("good", &tokens);
    // Together far more than one amount of money can be, in every lane.
    for n in 0..40 {
        let outcome = json!({"type": "task_outcome", "agent_id": "bad", "task_id": "T", "outcome": "success",
            "value": "9000000000000"});
        let call = json!({"agent_id": "bad", "usage": {"input": 9_000_000_000_000_000_u64}});
        world.post(Some(&format!("k{n}")), &json!([outcome, call]));
    }
    world.post(Some("good"), &json!([{"agent_id": "good", "usage": {"input": 15_000}}]));
    world.settle();
    let alerted: Vec<_> = world.mailbox.alerts().iter().map(|a| a.budget.to_string()).collect();
    assert!(alerted.contains(&"good".to_owned()) && alerted.contains(&"a-org".to_owned()), "{alerted:?}");
    let query = shared::ledger::RecordStore::quarantined(&**world.pipeline().ledger(), 10);
    assert_eq!(world.block_on(query).unwrap(), vec![], "and all of them are counted");
}

#[test]
fn every_kind_of_scope_has_its_budgets_evaluated() {
    let world = World::new();
    for scope in ["org", "team:growth", "agent:a", "task:T-1", "model:m"] {
        world.set_budget(&scope.replace(':', "-"), &daily(scope, "1", &[100], "UTC"));
    }
    world.settle();
    let call = json!({"agent_id": "a", "team_id": "growth", "task_id": "T-1", "model": "m",
        "usage": {"input": 1_000_000}});
    world.post(Some("k"), &json!([call]));
    world.settle();
    let mut alerted: Vec<_> = world.mailbox.alerts().iter().map(|a| a.budget.to_string()).collect();
    alerted.sort();
    assert_eq!(alerted, ["agent-a", "model-m", "org", "task-T-1", "team-growth"]);
}
