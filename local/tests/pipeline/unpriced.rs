//! A model without a price, from its first call until it has one.

use jiff::Timestamp;
use serde_json::json;
use shared::alert::{AlertKind, UnpricedOf};
use shared::budget::BudgetForm;
use shared::ledger::{Commit, RecordQuery, RecordStore, RecordWrite};
use shared::price::PriceBook;
use shared::record::{Content, Record, RecordData};

use crate::support::World;

const START: &str = "20260301T000000Z";

fn form(limit_usd: &str, unpriced: &str) -> BudgetForm {
    BudgetForm {
        scope: "org".to_owned(),
        limit_usd: Some(limit_usd.to_owned()),
        period: "month".to_owned(),
        thresholds: Some(vec![50, 100]),
        unpriced: Some(unpriced.parse().unwrap()),
        ..BudgetForm::default()
    }
}

fn call(agent: &str, model: &str, tokens: u64) -> serde_json::Value {
    json!({"agent_id": agent, "provider": "p", "model": model, "usage": {"input": tokens}})
}

/// What a repricing does: the same calls with the prices of another book, and what that changes.
fn reprice(world: &World, usd: &str) {
    let json = format!(
        r#"{{"version":"later","source":"test","models":[
            {{"provider":"p","model":"nova","prices":[{{"per_unit":{{"input":"{usd}"}}}}]}}]}}"#
    );
    let book = PriceBook::from_json(&json).unwrap();
    let ledger = world.pipeline().ledger();
    let query = RecordQuery { limit: 1_000, ..RecordQuery::default() };
    for record in world.block_on(ledger.records(&query)).unwrap() {
        let Content::Usage(events) = &record.data.content else { continue };
        let events = events.iter().map(|stored| (stored.i, stored.event.clone()));
        let data = RecordData::usage(record.data.hash.clone().unwrap(), events, &book);
        let additions = data.difference(&record.data, &record.agent).unwrap();
        let expected = Some(record.version);
        let record = Record { version: record.version + 1, data, ..record };
        let commit = Commit { records: vec![RecordWrite { expected, record }], additions, lane: 0 };
        world.block_on(ledger.commit(commit)).unwrap();
    }
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[test]
fn a_model_without_a_price_is_told_once_and_budgets_take_their_stand() {
    let mut world = World::with_book(PriceBook::embedded().unwrap());
    world.set_budget("ignore", &form("1", "ignore"));
    world.set_budget("block", &form("1000", "block"));
    world.set_budget("assume", &form("1", "assume=0.000001"));
    for n in 0..5 {
        let calls = json!([call(&format!("a{n}"), "nova", 100_000 + n)]);
        world.post(Some(&format!("k{n}")), &calls);
    }
    world.settle();
    let told = || sorted(world.mailbox.ids());
    let first = [
        format!("assume.v1.{START}.50.1"),
        format!("block.v1.{START}.100.1"),
        format!("block.v1.{START}.50.1"),
        format!("unpriced.{START}.nova.1"),
    ];
    assert_eq!(told(), first);
    let alerts = world.mailbox.alerts();
    let of = |id: &String| alerts.iter().find(|alert| alert.id == *id).unwrap();

    let assumed = of(&first[0]);
    assert_eq!(assumed.spend_usd, None, "what is assumed is not known");
    let unpriced = assumed.unpriced.as_ref().unwrap();
    // Five calls were counted, in one commit or in several: what is assumed is for those that were there then.
    assert!(unpriced.events >= 5 && !unpriced.blocked, "{unpriced:?}");
    assert_eq!(unpriced.assumed_usd.unwrap().to_string(), "0.50001");
    let text = assumed.text().to_string();
    let words = "$0.50001 assumed for 500,010 tokens whose price is unknown ($0.000001 each) of $1.00";
    assert!(text.contains(words) && !text.contains("Not included"), "{text}");

    let blocked = of(&first[1]);
    assert!(blocked.unpriced.as_ref().unwrap().blocked);
    let text = blocked.text().to_string();
    assert!(
        text.contains("100% counts as reached, as ") && text.contains(" without a price block it."),
        "{text}"
    );

    let notice = of(&first[3]);
    assert_eq!(notice.kind, AlertKind::Unpriced);
    let nova = UnpricedOf::Model("nova".to_owned().try_into().unwrap());
    assert_eq!(notice.unpriced.as_ref().unwrap().of, Some(nova));
    assert!(notice.text().to_string().starts_with("No price for model nova: so far, "), "{}", notice.text());
    assert!(notice.top[0].name.starts_with('a') && notice.top[0].spend_usd.is_none());

    // Neither more of it, nor a restart, nor the sweep says it again.
    world.post(Some("more"), &json!([call("late", "nova", 7)]));
    world.settle();
    world.restart();
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert_eq!(sorted(world.mailbox.ids()), first);

    reprice(&world, "0.0000001");
    world.settle();
    let after: Vec<String> = world.mailbox.ids().split_off(first.len());
    assert_eq!(
        sorted(after),
        [
            format!("assume.v1.{START}.50.1.recovered"),
            format!("block.v1.{START}.100.1.recovered"),
            format!("block.v1.{START}.50.1.recovered"),
            format!("unpriced.{START}.nova.1.priced"),
        ]
    );
    let last = world.mailbox.alerts().pop().unwrap();
    let ended = world.mailbox.alerts().into_iter().find(|alert| alert.kind == AlertKind::Priced);
    let text = ended.unwrap().text().to_string();
    assert!(
        text.starts_with("Nothing is left without a price of model nova. It cost $0.0500017 in "),
        "{text}"
    );
    assert!(last.at > Timestamp::UNIX_EPOCH);
    // And if it begins once more, that is told, too.
    world.post(Some("again"), &json!([call("a1", "nova", 1)]));
    world.settle();
    assert!(world.mailbox.ids().contains(&format!("unpriced.{START}.nova.2")));
}

#[test]
fn many_agents_make_one_notice_and_many_models_a_few() {
    let world = World::with_book(PriceBook::embedded().unwrap());
    let agents: Vec<_> = (0..300).map(|n| call(&format!("a{n}"), "nova", 1)).collect();
    world.post(Some("agents"), &json!(agents));
    world.settle();
    assert_eq!(world.mailbox.ids(), [format!("unpriced.{START}.nova.1")]);
    let models: Vec<_> = (0..120).map(|n| call("a", &format!("m{n}"), 1)).collect();
    world.post(Some("models"), &json!(models));
    world.settle();
    let ids = world.mailbox.ids();
    assert_eq!(ids.len(), shared::alert::MAX_MODELS + 1, "{ids:?}");
    assert!(ids.contains(&format!("unpriced.{START}.*.1")), "{ids:?}");
    let others = world.mailbox.alerts().pop().unwrap();
    assert_eq!(others.unpriced.unwrap().of, Some(UnpricedOf::Others));
}

#[test]
fn what_is_told_of_a_month_that_is_over_says_so() {
    let world = World::with_book(PriceBook::embedded().unwrap());
    let mut late = call("a", "nova", 3);
    late["time"] = json!("2026-02-27T10:00:00Z");
    world.post(Some("late"), &json!([late]));
    world.settle();
    let alert = world.mailbox.alerts().pop().unwrap();
    assert_eq!((alert.id.as_str(), alert.late), ("unpriced.20260201T000000Z.nova.1", true));
    // Voided, it is gone.
    world.post(None, &json!([{"type": "void", "id": "v", "agent_id": "a", "corrects": "late#0"}]));
    world.settle();
    assert_eq!(world.mailbox.ids()[1], "unpriced.20260201T000000Z.nova.1.priced");
}
