//! What has no price: nothing is left out, whoever is asked for and however little may be read.

use std::collections::BTreeMap;

use proptest::prelude::*;
use shared::id::ModelId;
use shared::record::Record;
use shared::usage::{Bucket, Usage};

use super::agreement::{records, requests};
use super::fake::Fake;
use super::{agent, at, event, now, packed, single};
use crate::spend::{By, Source, SpendRequest, spend_from};
use crate::unpriced::{UnpricedLine, UnpricedReason, UnpricedRequest, unpriced_within};

const CLOCK: &str = "2026-11-01T12:00:00Z";

fn ask(ledger: &Fake, request: &UnpricedRequest, pages: usize) -> crate::UnpricedReport {
    now(unpriced_within(ledger, request, at(CLOCK), pages)).unwrap()
}

fn of_spend(request: &SpendRequest) -> UnpricedRequest {
    let (filter, from, to) = (request.filter.clone(), request.from, request.to);
    UnpricedRequest { filter, from, to, ..UnpricedRequest::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_rows_add_up_to_what_the_spend_report_calls_unpriced(
        records in records(), request in requests(), pages in prop_oneof![Just(0_usize), 1..4_usize, Just(400)],
    ) {
        let ledger = Fake::of(records);
        let spend = SpendRequest { by: By::Model, ..request };
        let spent = now(spend_from(&ledger, &spend, at(CLOCK), Source::Records)).unwrap();
        let answer = ask(&ledger, &of_spend(&spend), pages);
        let total = (answer.total.events, answer.total.tokens);
        prop_assert_eq!(total, (spent.total.unpriced_events, spent.total.unpriced_tokens));
        prop_assert_eq!((answer.total.all_events, answer.total.all_tokens), (spent.total.events, spent.total.tokens));
        let sum = answer.rows.iter().fold((0, 0), |sum, row| (sum.0 + row.events, sum.1 + row.tokens));
        prop_assert_eq!(sum, total);
        let mut models: BTreeMap<Option<String>, i64> = BTreeMap::new();
        for row in &answer.rows {
            *models.entry(row.model.as_ref().map(ToString::to_string)).or_default() += row.events;
        }
        for row in spent.rows.iter().filter(|row| row.unpriced_events > 0) {
            prop_assert_eq!(models.remove(&row.key.as_ref().unwrap()["model"]), Some(row.unpriced_events));
        }
        prop_assert!(models.is_empty());
        let unexamined = answer.rows.iter().any(|row| row.reason == UnpricedReason::NotExamined);
        prop_assert!(pages < 400 || !unexamined, "{:?}", answer.rows);
    }

    #[test]
    fn pages_put_together_are_the_whole(records in records(), limit in 1..4_usize) {
        let ledger = Fake::of(records);
        let whole = ask(&ledger, &UnpricedRequest::default(), 400);
        let mut request = UnpricedRequest { limit, ..UnpricedRequest::default() };
        let mut rows: Vec<UnpricedLine> = Vec::new();
        loop {
            let page = ask(&ledger, &request, 400);
            prop_assert!(page.rows.len() <= limit);
            rows.extend(page.rows);
            request.next = page.next;
            if request.next.is_none() {
                break;
            }
        }
        prop_assert_eq!(rows, whole.rows);
    }
}

fn call(
    second: u32,
    names: [&str; 5],
    counts: &[(Bucket, u64)],
    tier: Option<&str>,
) -> shared::event::UsageEvent {
    let mut event = event(at(&format!("2026-11-01T10:00:{second:02}Z")), names, 1);
    event.usage = Usage::new(counts.iter().copied()).unwrap();
    event.service_tier = tier.map(str::to_owned);
    event
}

#[test]
fn each_reason_is_told_with_what_it_is_about() {
    let openai = ["", "", "", "openai", "gpt-4o-mini"];
    let input = [(Bucket::Input, 10)];
    let mut records: Vec<Record> = vec![
        single("a", "none", call(1, ["", "", "", "openai", ""], &input, None)),
        single("a", "model", call(2, ["", "", "", "", "no-such-model"], &input, None)),
        single("b", "model", call(3, ["", "", "", "", "no-such-model"], &[(Bucket::Input, 30)], None)),
        single("a", "tier", call(4, openai, &input, Some("no-such-tier"))),
        single("a", "bucket", call(5, openai, &[(Bucket::Input, 5), (Bucket::Unsplit, 5)], None)),
    ];
    records.push(packed("a", "priced", vec![call(6, openai, &input, None), call(7, openai, &[], None)]));
    let absurd = [(Bucket::Input, 1 << 53), (Bucket::Output, 1 << 53)];
    records.push(single("a", "huge", call(8, ["", "", "", "openai", "gpt-4o"], &absurd, None)));
    let huge = i128::from(2_u64 << 53);
    let answer = ask(&Fake::of(records), &UnpricedRequest::default(), 400);
    let told: Vec<_> = answer
        .rows
        .iter()
        .map(|row| {
            let model = row.model.as_ref().map(ModelId::as_str).unwrap_or_default();
            (model, row.reason.name(), row.events, row.tokens)
        })
        .collect();
    assert!(told.contains(&("no-such-model", "no_price", 2, 40)), "{told:?}");
    assert!(told.contains(&("", "no_model", 1, 10)), "{told:?}");
    assert!(told.contains(&("gpt-4o-mini", "no_price_for_tier", 1, 10)), "{told:?}");
    assert!(told.contains(&("gpt-4o-mini", "no_price_for_bucket", 1, 10)), "{told:?}");
    let amounts: Vec<_> = told.iter().filter(|row| row.1 == "amount_too_large").collect();
    assert!(amounts.is_empty() || *amounts[0] == ("gpt-4o", "amount_too_large", 1, huge), "{told:?}");
    let find = |reason| answer.rows.iter().find(|row| row.reason == reason).unwrap();
    assert_eq!(find(UnpricedReason::NoPriceForBucket).buckets, ["unsplit"]);
    assert_eq!(find(UnpricedReason::NoPriceForTier).service_tiers, ["no-such-tier"]);
    let row = find(UnpricedReason::NoPrice);
    assert_eq!(
        (row.first_seen, row.last_seen),
        (Some(at("2026-11-01T10:00:02Z")), Some(at("2026-11-01T10:00:03Z")))
    );
    assert_eq!(row.agents, Some(2));
    assert_eq!(row.top_agents[0].agent_id, agent("b"));
    assert_eq!(row.provider, None);
}

#[test]
fn what_is_not_examined_is_shown_with_what_the_totals_tell() {
    let model = ["", "", "", "", "no-such-model"];
    let calls = (0..10).map(|n| single("a", &format!("e{n}"), call(n, model, &[(Bucket::Input, 4)], None)));
    let ledger = Fake::of(calls.collect());
    let answer = ask(&ledger, &UnpricedRequest::default(), 0);
    assert_eq!(answer.rows.len(), 1);
    let row = &answer.rows[0];
    assert_eq!((row.reason, row.events, row.tokens), (UnpricedReason::NotExamined, 10, 40));
    assert_eq!(
        (row.share_percent.as_deref(), answer.total.share_percent.as_deref()),
        (Some("100.00"), Some("100.00"))
    );
}

#[test]
fn an_empty_ledger_has_nothing_without_a_price() {
    let answer = ask(&Fake::default(), &UnpricedRequest::default(), 400);
    assert_eq!((answer.rows, answer.total.events, answer.total.share_percent), (vec![], 0, None));
}
