use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::demo::behaviour::{HOUR, RUNAWAY_FROM};
use crate::demo::budgets::{RUNAWAY_LIMIT, budgets};
use crate::demo::cast::{Family, everybody};

fn book() -> PriceBook {
    PriceBook::embedded().unwrap()
}

fn start() -> Timestamp {
    "2026-11-24T09:00:00Z".parse().unwrap()
}

fn calls(scenario: &Scenario) -> Vec<&Call> {
    let first = scenario.posts.iter().filter(|post| post.kind == Kind::First);
    first
        .flat_map(|post| match &post.content {
            Content::Events(calls) => calls.iter().collect(),
            Content::Response(call) => vec![call],
            _ => Vec::new(),
        })
        .collect()
}

/// When the runaway agent has spent `percent` of its budget.
fn spent(scenario: &Scenario, percent: u32) -> Option<Millis> {
    let book = book();
    let budget =
        budgets(&shared::window::Zone::utc()).unwrap().into_iter().find(|b| b.name.as_str() == RUNAWAY);
    let limit = budget.unwrap().limit;
    let mut totals = Totals::default();
    calls(scenario).into_iter().filter(|call| call.agent == RUNAWAY).find_map(|call| {
        totals.add(&Totals::of_call(&call.usage, cost(&book, call, &call.usage, start()))).unwrap();
        limit.reached(percent, &totals).then_some(call.at)
    })
}

#[test]
fn a_day_is_a_few_thousand_calls_of_all_fifty_agents_and_all_kinds() {
    let day = Scenario::of(1);
    let calls = calls(&day);
    assert!((2_000..6_000).contains(&calls.len()), "{}", calls.len());
    let agents: BTreeSet<_> = calls.iter().map(|call| call.agent.clone()).collect();
    assert_eq!(agents, everybody().into_iter().collect());
    for outcome in [Outcome::Success, Outcome::Error, Outcome::Timeout, Outcome::Partial, Outcome::Cancelled]
    {
        assert!(calls.iter().any(|call| call.outcome == outcome), "{outcome:?}");
    }
    for family in [Family::OpenAi, Family::Anthropic] {
        let of = |post: &Post| matches!(&post.content, Content::Response(c) if c.model.family == family);
        assert!(day.posts.iter().any(of), "{family:?}");
    }
    assert!(calls.iter().any(|call| call.parent.is_some()));
    assert!(day.count(Kind::Retry) > 20);
    assert_eq!(day.count(Kind::Conflict), 1);
    let truth = day.truth(&book(), start()).unwrap();
    assert!(truth.unpriced_events > 20 && truth.tasks.iter().all(|n| *n > 0), "{truth:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_seed_decides_the_day(seed in any::<u64>()) {
        let day = Scenario::of(seed);
        prop_assert_eq!(&day, &Scenario::of(seed));
        prop_assert_ne!(&day.posts, &Scenario::of(seed.wrapping_add(1)).posts);
        prop_assert!(day.posts.is_sorted_by_key(|post| post.at));
        prop_assert!(day.posts.iter().all(|post| post.at <= DAY));
        // Nothing is dated after it was sent: the server refuses what is ahead.
        for post in &day.posts {
            if let Content::Events(calls) = &post.content {
                prop_assert!(calls.iter().all(|call| call.at <= post.at));
            }
        }
    }

    #[test]
    fn when_the_day_begins_changes_no_total(seed in any::<u64>(), later in 0_u64..1000) {
        let day = Scenario::of(seed);
        let other = instant(start(), later * HOUR);
        prop_assert_eq!(day.truth(&book(), start()), day.truth(&book(), other));
    }

    #[test]
    fn what_is_sent_again_is_the_same_and_no_two_things_share_a_name(seed in any::<u64>()) {
        let day = Scenario::of(seed);
        let mut sealed: BTreeMap<&str, &Content> = BTreeMap::new();
        let mut firsts = 0;
        for post in &day.posts {
            let Some(key) = &post.key else { continue };
            match post.kind {
                Kind::First => {
                    prop_assert!(sealed.insert(key, &post.content).is_none(), "{}", key);
                    firsts += 1;
                }
                Kind::Retry => prop_assert_eq!(sealed.get(key.as_str()), Some(&&post.content)),
                Kind::Conflict => {
                    let first = sealed.get(key.as_str());
                    prop_assert!(first.is_some() && first != Some(&&post.content));
                }
            }
        }
        prop_assert_eq!(firsts, sealed.len());
    }

    #[test]
    fn the_runaway_trips_its_budget_early(seed in any::<u64>()) {
        let day = Scenario::of(seed);
        // At the default speed, ten seconds are eighty minutes.
        prop_assert!(spent(&day, 50).unwrap() < 78 * MINUTE, "{:?}", spent(&day, 50));
        prop_assert!(spent(&day, 100).unwrap() < RUNAWAY_TO, "{} is not reached", RUNAWAY_LIMIT);
        prop_assert!(RUNAWAY_FROM < HOUR);
    }
}
