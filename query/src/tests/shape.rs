//! The answers as other programs read them, byte by byte, and what is refused.

use std::sync::Arc;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::encodings::Body;
use jiff::Timestamp;
use shared::clock::Clock;

use super::fake::Fake;
use super::{at, event, now, single};
use crate::http::Query;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        at("2026-11-24T12:00:00Z")
    }
}

fn get(ledger: Fake, target: &str) -> (i64, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = ApiGatewayV2httpRequest::default();
    request.raw_path = Some(path.to_owned());
    request.raw_query_string = Some(query.to_owned());
    request.request_context.request_id = Some("r-1".to_owned());
    let response = now(Query::new(Arc::new(ledger), Noon, auth::Access::open()).handle(request));
    match response.body {
        Some(Body::Text(text)) => (response.status_code, text),
        other => panic!("{other:?}"),
    }
}

fn ledger() -> Fake {
    Fake::of(vec![
        single("researcher-7", "1", event(at("2026-11-24T09:00:00Z"), [""; 5], 1500)),
        single(
            "writer",
            "2",
            event(at("2026-11-24T10:00:00Z"), ["growth", "T-1", "s", "openai", "gpt-4o-mini"], 1000),
        ),
    ])
}

#[test]
fn spend_by_agent() {
    assert_eq!(
        get(ledger(), "/v1/spend?by=agent"),
        (
            200,
            concat!(
                r#"{"by":["agent"],"from":"2026-11-01T00:00:00Z","to":"2026-12-01T00:00:00Z","tz":"UTC","#,
                r#""rows":[{"key":{"agent":"writer"},"events":1,"tokens":1000,"usage":{"input":1000},"#,
                r#""cost_usd":"0.00015","unpriced_events":0,"unpriced_tokens":0},"#,
                r#"{"key":{"agent":"researcher-7"},"events":1,"tokens":1500,"usage":{"input":1500},"#,
                r#""cost_usd":null,"unpriced_events":1,"unpriced_tokens":1500}],"#,
                r#""total":{"events":2,"tokens":2500,"usage":{"input":2500},"cost_usd":"0.00015","#,
                r#""unpriced_events":1,"unpriced_tokens":1500},"next":null}"#
            )
            .to_owned()
        )
    );
}

#[test]
fn a_name_that_was_not_stated_is_null() {
    let (_, body) = get(ledger(), "/v1/spend?by=task&agent=researcher-7");
    assert!(body.contains(r#""rows":[{"key":{"task":null},"events":1,"#), "{body}");
}

#[test]
fn an_empty_ledger_has_an_empty_report() {
    assert_eq!(
        get(Fake::default(), "/v1/spend?by=day&tz=Europe/Berlin"),
        (
            200,
            concat!(
                r#"{"by":["day"],"from":"2026-11-01T01:00:00+01:00","to":"2026-12-01T01:00:00+01:00","#,
                r#""tz":"Europe/Berlin","rows":[],"total":{"events":0,"tokens":0,"usage":{},"#,
                r#""cost_usd":null,"unpriced_events":0,"unpriced_tokens":0},"next":null}"#
            )
            .to_owned()
        )
    );
}

fn keys(ledger: Fake, target: &str) -> Vec<String> {
    let (status, body) = get(ledger, target);
    assert_eq!(status, 200, "{body}");
    let report: crate::SpendReport = serde_json::from_str(&body).unwrap();
    report.rows.iter().map(|row| format!("{} {}", row.name(), row.events)).collect()
}

#[test]
fn days_and_hours_follow_clocks_that_change() {
    let times = [
        "2026-11-01T03:59:59Z", // 31 October, 23:59:59
        "2026-11-01T04:00:00Z", // midnight
        "2026-11-01T05:30:00Z", // 01:30, the first time
        "2026-11-01T06:30:00Z", // 01:30, the second time
        "2026-11-02T04:59:59Z", // still 1 November: a day of 25 hours
        "2026-11-02T05:00:00Z",
    ];
    let ledger = || {
        let record = |(n, time): (usize, &&str)| single("a", &n.to_string(), event(at(time), [""; 5], 1));
        Fake::of(times.iter().enumerate().map(record).collect())
    };
    assert_eq!(
        keys(ledger(), "/v1/spend?by=day&tz=America/New_York"),
        ["2026-10-31 1", "2026-11-01 4", "2026-11-02 1"]
    );
    assert_eq!(
        keys(ledger(), "/v1/spend?by=hour&tz=America/New_York&from=2026-11-01&to=2026-11-02"),
        [
            "2026-11-01T00:00:00-04:00 1",
            "2026-11-01T01:00:00-04:00 1",
            "2026-11-01T01:00:00-05:00 1",
            "2026-11-01T23:00:00-05:00 1"
        ]
    );
}

#[test]
fn times_are_widened_to_quarter_hours_and_say_so() {
    let (_, body) =
        get(ledger(), "/v1/spend?by=agent&from=2026-11-24T09:59:00Z&to=2026-11-24T11:01:00%2B01:00");
    assert!(body.contains(r#""from":"2026-11-24T09:45:00Z","to":"2026-11-24T10:15:00Z""#), "{body}");
    assert!(body.contains(r#""total":{"events":1,"#), "{body}");
}

#[test]
fn what_cannot_be_answered_says_why() {
    for (target, status, words) in [
        ("/v1/spend", 400, "parameter `by` is missing; give one of agent, team"),
        ("/v1/spend?by=agents", 400, r#"is \"agents\"; give one of agent"#),
        ("/v1/spend?by=agent&modle=x", 400, "did you mean `model`?"),
        ("/v1/spend?by=agent&tz=Mars", 400, "parameter `tz` is wrong"),
        ("/v1/spend?by=agent&task=", 400, "parameter `task` is empty"),
        ("/v1/spend?by=agent&task=a&task=b", 400, "given more than once"),
        ("/v1/spend?by=agent&limit=0", 400, "from 1 to 10000"),
        ("/v1/spend?by=agent&next=zzz", 400, "is not a token of an earlier answer"),
        ("/v1/spend?by=agent&from=yesterday", 400, "give a date such as"),
        ("/v1/spend?by=agent&from=2026-11-24&to=2026-11-24", 400, "not before `to`"),
        ("/v1/budgets?x=1", 400, "takes no parameters"),
        ("/v1/nothing", 404, "reports are at /v1/spend"),
    ] {
        let (found, body) = get(ledger(), target);
        assert_eq!(found, status, "{target}: {body}");
        assert!(body.contains(words), "{target}: {body}");
        assert!(body.contains(r#""request_id":"r-1""#), "{body}");
    }
}

#[test]
fn a_token_continues_only_its_own_question() {
    let (_, body) = get(ledger(), "/v1/spend?by=agent&limit=1");
    let report: crate::SpendReport = serde_json::from_str(&body).unwrap();
    let next = report.next.unwrap();
    let rest = keys(ledger(), &format!("/v1/spend?by=agent&limit=1&next={next}"));
    assert_eq!(rest, ["researcher-7 1"]);
    let (status, body) = get(ledger(), &format!("/v1/spend?by=team&next={next}"));
    assert_eq!(status, 400);
    assert!(body.contains("another question"), "{body}");
}

#[test]
fn sums_beyond_64_bits_survive_the_answer() {
    let totals = shared::totals::Totals {
        events: 1,
        usage: [(shared::usage::Bucket::Input, i128::from(u64::MAX) * 10)].into_iter().collect(),
        ..Default::default()
    };
    let line = crate::SpendLine::new(None, &totals);
    let json = serde_json::to_string(&line).unwrap();
    assert!(json.contains("184467440737095516150"), "{json}");
    assert_eq!(serde_json::from_str::<crate::SpendLine>(&json).unwrap(), line);
}

#[test]
fn lists_have_their_names() {
    for (path, wanted) in [
        ("/v1/events?limit=1&agent=nobody", r#"{"events":[],"next":null}"#),
        ("/v1/alerts?state=pending", r#"{"alerts":[],"next":null}"#),
        ("/v1/deliveries?alert=a.v1&limit=5", r#"{"deliveries":[],"next":null}"#),
        ("/v1/conflicts", r#"{"conflicts":[],"next":null}"#),
        ("/v1/quarantine", r#"{"quarantine":[],"next":null}"#),
        ("/v1/corrections", r#"{"corrections":[],"next":null}"#),
        ("/v1/budgets", r#"{"budgets":[],"next":null}"#),
    ] {
        assert_eq!(get(ledger(), path), (200, wanted.to_owned()));
    }
}
