//! What has no price, as finance and operators see it.

use serde_json::{Value, json};

use super::support::{Up, said};

#[test]
fn what_has_no_price_is_listed_with_the_reason_and_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    let call = |agent: &str, model: Value, usage: Value| json!({"agent_id": agent, "provider": "openai", "model": model, "usage": usage});
    let events = json!({"events": [
        call("a", json!("gpt-4o-mini"), json!({"input": 1000})),
        call("a", json!("nova-9"), json!({"input": 600})),
        call("b", json!("nova-9"), json!({"input": 2400})),
        call("b", json!("gpt-4o-mini"), json!({"input": 5, "unsplit": 995})),
        call("b", Value::Null, json!({"input": 1000})),
    ]});
    up.post("", &events);
    let listed = up.wait(&["unpriced"], |list| list["total"]["all_events"] == 5);
    let total =
        json!({"events": 4, "tokens": 5000, "share_percent": "83.33", "all_events": 5, "all_tokens": 6000});
    assert_eq!(listed["total"], total);
    let rows = listed["rows"].as_array().unwrap();
    let reasons: Vec<_> = rows.iter().map(|row| (&row["model"], &row["reason"], &row["tokens"])).collect();
    assert_eq!(reasons[0], (&json!("nova-9"), &json!("no_price"), &json!(3000)));
    assert_eq!(rows[0]["provider"], "openai");
    assert_eq!((&rows[0]["agents"], &rows[0]["share_percent"]), (&json!(2), &json!("50.00")));
    assert_eq!(rows[0]["top_agents"][0], json!({"agent_id": "b", "events": 1, "tokens": 2400}));
    assert!(
        reasons.contains(&(&json!("gpt-4o-mini"), &json!("no_price_for_bucket"), &json!(1000))),
        "{reasons:?}"
    );
    assert!(reasons.contains(&(&Value::Null, &json!("no_model"), &json!(1000))), "{reasons:?}");
    assert!(rows.iter().any(|row| row["buckets"] == json!(["unsplit"])), "{listed}");

    assert_eq!(up.json(&["unpriced", "--agent", "a"])["total"]["tokens"], 600);
    let table = String::from_utf8(up.run(&["unpriced"]).stdout).unwrap();
    assert!(
        table.contains("agentledger reprice --unpriced --from ") && table.contains("(not stated)"),
        "{table}"
    );
    let csv = String::from_utf8(up.run(&["unpriced", "--format", "csv"]).stdout).unwrap();
    assert!(csv.starts_with("provider,model,reason,lacks,events,tokens,percent,"), "{csv}");
    assert!(csv.contains("\nopenai,nova-9,no_price,,2,3000,50.00,"), "{csv}");
    let table = String::from_utf8(up.run(&["unpriced", "--to", "2020-01-01"]).stdout).unwrap();
    assert!(table.contains("everything in it has a price"), "{table}");

    let all_told = |list: &Value| list["alerts"].as_array().is_some_and(|alerts| alerts.len() == 3);
    let notices = up.wait(&["alerts", "--budget", "unpriced"], all_told);
    let of: Vec<_> = notices["alerts"].as_array().unwrap().iter().map(|a| &a["unpriced"]["of"]).collect();
    assert!(of.contains(&&json!({"model": "nova-9"})) && of.contains(&&json!("not_stated")), "{notices}");
    assert_eq!(notices["alerts"][0]["kind"], "unpriced");
}

#[test]
fn a_budget_says_what_unpriced_usage_means_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    let set = |policy: &str| {
        let scope = ["--scope", "org", "--limit-usd", "1", "--period", "day"];
        up.run(&[&["budget", "set", "b", "--unpriced", policy], &scope[..]].concat())
    };
    let refused = set("stop");
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("none of ignore, block and assume=PRICE"), "{}", said(&refused));
    assert!(set("assume=0.001").status.success());
    let listed = up.json(&["budget", "list"]);
    assert_eq!(listed["budgets"][0]["unpriced"], json!({"assume_usd_per_token": "0.001"}));
    up.post("x-agent-id: a\r\n", &json!({"usage": {"total_tokens": 600}}));
    let alerts = up.wait(&["alerts", "--budget", "b"], |list| list["alerts"][0]["state"] == "delivered");
    let alert = &alerts["alerts"][0];
    assert_eq!((&alert["spend_usd"], &alert["unpriced"]["assumed_usd"]), (&Value::Null, &json!("0.6")));
    let table = String::from_utf8(up.run(&["alerts", "--budget", "b"]).stdout).unwrap();
    assert!(table.contains("assumed_usd") && table.contains(" 0.6 "), "{table}");

    let current = &up.json(&["budget", "list"])["budgets"][0]["current"];
    assert_eq!((&current["assumed_usd"], &current["blocked"]), (&json!("0.6"), &json!(false)));
    // Another policy is another version, evaluated at once.
    assert!(set("block").status.success());
    let blocked = |list: &Value| list["alerts"][0]["unpriced"]["blocked"] == true;
    let alerts = up.wait(&["alerts", "--budget", "b"], blocked);
    assert_eq!(
        (&alerts["alerts"][0]["budget_version"], &alerts["alerts"][0]["threshold_percent"]),
        (&json!(2), &json!(100))
    );
    let listed = up.json(&["budget", "list"]);
    assert_eq!(
        (&listed["budgets"][0]["current"]["blocked"], &listed["budgets"][0]["unpriced"]),
        (&json!(true), &json!("block"))
    );
    let body = r#"{"scope":"org","limit_usd":"1","period":"day","unpriced":{"assume_usd_per_token":"-1"}}"#;
    let (status, problem) = up.ask("PUT", "/v1/admin/budgets/b", "content-type: application/json\r\n", body);
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_budget")));
    assert!(problem["detail"].as_str().unwrap().contains("assume_usd_per_token"), "{problem}");
}
