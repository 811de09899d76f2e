//! Other prices for stored calls, over the whole pipeline: what was alerted is taken back, and can come again.

use std::sync::Arc;

use aggregator::{RepriceError, Repricer};
use serde_json::json;
use shared::budget::BudgetForm;
use shared::id::OwnId;
use shared::ledger::RecordStore;
use shared::price::PriceBook;
use shared::repricing::{Run, Selection};

use crate::support::World;

/// At half the price, or another, for a million tokens.
fn book(usd: &str) -> PriceBook {
    let json = r#"{"version":"half","source":"test","models":[]}"#;
    PriceBook::from_json(json).unwrap().with_fallback(usd.parse().unwrap())
}

fn everything() -> Selection {
    Selection {
        from: "2026-03-01T00:00:00Z".parse().unwrap(),
        to: "2026-04-01T00:00:00Z".parse().unwrap(),
        agents: Vec::new(),
        models: Vec::new(),
        unpriced: false,
        closed: false,
    }
}

/// Applies a repricing to its end.
fn reprice(world: &World, run: &str, book: &PriceBook, selection: &Selection) -> Result<Run, RepriceError> {
    let pipeline = world.pipeline();
    let counters = Arc::clone(pipeline.counters());
    let repricer = Repricer::new(Arc::clone(pipeline.ledger()), counters, Arc::clone(&world.clock));
    world.block_on(async {
        let mut run = repricer.begin(&OwnId::parse(run).unwrap(), selection, book).await?;
        while run.next.is_some() {
            run = repricer.advance(run, book).await?.0;
        }
        Ok(run)
    })
}

fn call(id: &str, tokens: u64) -> serde_json::Value {
    json!({"id": id, "agent_id": "a", "time": "2026-03-07T11:00:00Z", "usage": {"input": tokens}})
}

#[test]
fn spend_that_falls_below_recovers_and_crosses_again_as_another_episode() {
    let mut world = World::new();
    let form = BudgetForm {
        scope: "agent:a".to_owned(),
        limit_usd: Some("10".to_owned()),
        period: "day".to_owned(),
        thresholds: Some(vec![80]),
        ..BudgetForm::default()
    };
    world.set_budget("daily", &form);
    // $8.50 of $10.
    world.post(None, &json!([call("c1", 4_000_000), call("c2", 4_500_000)]));
    world.settle();
    let first = "daily.v1.20260307T000000Z.80.1".to_owned();
    assert_eq!(world.mailbox.ids(), std::slice::from_ref(&first));

    let half = book("0.0000005");
    let done = reprice(&world, "run-1", &half, &everything()).unwrap();
    assert_eq!((done.figures.events, done.figures.changed), (2, 2));
    assert_eq!(done.figures.difference_usd.to_string(), "-4.25");
    world.settle();
    let recovered = format!("{first}.recovered");
    assert_eq!(world.mailbox.ids(), [first.clone(), recovered.clone()]);
    assert_eq!(world.mailbox.alerts()[1].spend_usd.unwrap().to_string(), "4.25");

    // The same again, under its name and under another, and after a restart, changes nothing.
    assert_eq!(reprice(&world, "run-1", &half, &everything()).unwrap(), done);
    let again = reprice(&world, "run-2", &half, &everything()).unwrap();
    assert_eq!((again.figures.events, again.figures.changed), (2, 0));
    world.restart();
    world.settle();
    assert_eq!(world.mailbox.ids().len(), 2);

    // What arrives is priced by the book in use: $4.25 and $4 are above 80% once more.
    world.post(None, &json!([call("c3", 4_000_000)]));
    world.settle();
    assert_eq!(world.mailbox.ids(), [first, recovered, "daily.v1.20260307T000000Z.80.2".to_owned()]);
    assert_eq!(world.mailbox.alerts()[2].spend_usd.unwrap().to_string(), "8.25");
    // An amend of a repriced call goes by its new price: from 4.5 million tokens to 1 million.
    let amend = json!({"type": "amend", "id": "m1", "agent_id": "a", "corrects": "c2", "revision": 1,
        "usage": {"input": 1_000_000}});
    world.post(None, &json!([amend]));
    world.settle();
    assert_eq!(world.mailbox.alerts()[3].spend_usd.unwrap().to_string(), "6.5");
}

#[test]
fn closed_periods_are_repriced_only_if_that_is_asked_for() {
    let world = World::new();
    world.post(None, &json!([call("c1", 1_000_000)]));
    world.settle();
    let closed = "2026-03-07T11:30:00Z".parse().unwrap();
    world.block_on(world.pipeline().ledger().close_before(closed)).unwrap();
    let half = book("0.0000005");
    let refused = reprice(&world, "run-1", &half, &everything()).unwrap_err();
    assert!(matches!(refused, RepriceError::Closed { .. }), "{refused}");
    let asked = Selection { closed: true, ..everything() };
    assert_eq!(reprice(&world, "run-1", &half, &asked).unwrap().figures.changed, 1);
    // A name stands for one question.
    let other = reprice(&world, "run-1", &book("0.1"), &Selection { unpriced: true, ..asked }).unwrap_err();
    assert!(matches!(other, RepriceError::OtherRun(_)), "{other}");
}
