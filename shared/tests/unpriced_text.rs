//! What people read of usage without a price.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::Timestamp;
use shared::alert::{Alert, AlertKind, AlertState, Contributor, Notice, UnpricedOf};
use shared::budget::{Budget, BudgetForm};
use shared::totals::Totals;
use shared::usage::{Bucket, Usage};

const MONTH: i64 = 1_793_491_200;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn spent(usd: Option<&str>, unpriced: &[u64]) -> Totals {
    let usage = |n| Usage::new([(Bucket::Input, n)]).unwrap();
    let mut totals = Totals::default();
    if let Some(usd) = usd {
        totals.add(&Totals::of_call(&usage(10), Some(usd.parse().unwrap()))).unwrap();
    }
    for tokens in unpriced {
        totals.add(&Totals::of_call(&usage(*tokens), None)).unwrap();
    }
    totals
}

fn notice(of: UnpricedOf, kind: AlertKind, totals: &Totals, now: &str) -> String {
    let top = vec![Contributor {
        dimension: "agent".to_owned(),
        name: "researcher-7".to_owned(),
        spend_usd: Some("3".parse().unwrap()),
        tokens: 1_200,
    }];
    let notice = Notice { of, episode: 1, kind, at: at(now) };
    let top = if kind == AlertKind::Unpriced { top } else { Vec::new() };
    Alert::of_unpriced(&notice, MONTH, totals, top).unwrap().text().to_string()
}

#[test]
fn notices_say_of_what_and_how_much_and_what_to_do() {
    let model = || UnpricedOf::Model("nova-9".to_owned().try_into().unwrap());
    let now = "2026-11-24T12:00:00Z";
    assert_eq!(
        notice(model(), AlertKind::Unpriced, &spent(Some("2"), &[1_200, 300]), now),
        "No price for model nova-9: so far, 1,500 tokens of 2 calls are not in the cost of the month from 2026-11-01 \
         00:00 to 2026-12-01 00:00 (UTC time). Most of it: agent researcher-7 1,200 tokens. `agentledger unpriced` \
         lists it, and says how it gets a price. Alert id: unpriced.20261101T000000Z.nova-9.1"
    );
    let told = notice(UnpricedOf::NotStated, AlertKind::Unpriced, &spent(None, &[1]), "2026-12-02T00:00:00Z");
    assert!(
        told.starts_with("No price for calls that name no model: so far, 1 tokens of 1 call are not"),
        "{told}"
    );
    assert!(told.contains("This period is over"), "{told}");
    let told = notice(UnpricedOf::Others, AlertKind::Unpriced, &spent(None, &[1, 1]), now);
    assert!(
        told.starts_with("No price for models beyond the first 50 of the month: so far, 2 tokens"),
        "{told}"
    );
    assert_eq!(
        notice(model(), AlertKind::Priced, &spent(Some("2.5"), &[]), now),
        "Nothing is left without a price of model nova-9. It cost $2.50 in the month from 2026-11-01 00:00 to \
         2026-12-01 00:00 (UTC time). Alert id: unpriced.20261101T000000Z.nova-9.1.priced"
    );
}

#[test]
fn a_budget_s_alert_tells_what_is_known_from_what_is_assumed_and_why_it_blocks() {
    let told = |policy: &str, totals: &Totals| {
        let form = BudgetForm {
            scope: "team:growth".to_owned(),
            limit_usd: Some("10".to_owned()),
            period: "month".to_owned(),
            thresholds: Some(vec![50]),
            unpriced: Some(policy.parse().unwrap()),
            ..BudgetForm::default()
        };
        let budget = Budget { spec: form.spec("b").unwrap(), version: 1, since: at("2026-11-01T00:00:00Z") };
        let (_, steps) = AlertState::default().advance(&budget, totals, at("2026-11-24T12:00:00Z"));
        let period = budget.spec.period.containing(at("2026-11-24T12:00:00Z"), &budget.spec.timezone);
        let alert = Alert::new(&budget, period, steps[0], totals, Vec::new());
        // Years later it reads the same.
        let kept: Alert = serde_json::from_str(&serde_json::to_string(&alert).unwrap()).unwrap();
        kept.text().to_string()
    };
    let text = told("assume=0.002", &spent(Some("3"), &[1_000, 500]));
    let words = "Budget b: 50% reached. Spent by team growth: $3.00, and $3.00 assumed for 1,500 tokens whose price is \
                 unknown ($0.002 each), of $10.00 in the month";
    assert!(text.starts_with(words) && !text.contains("Not included"), "{text}");
    let text = told("block", &spent(Some("3"), &[7]));
    let words = "Budget b: 50% counts as reached, as 1 call without a price block it. Spent by team growth: $3.00 of \
                 $10.00 in the month";
    assert!(text.starts_with(words) && text.contains("Not included: 7 tokens"), "{text}");
    let text = told("block", &spent(Some("6"), &[]));
    assert!(text.starts_with("Budget b: 50% reached. Spent"), "{text}");
}
