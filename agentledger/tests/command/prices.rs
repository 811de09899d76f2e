//! `agentledger prices`: what is imported prices the next call, and the one before keeps its price.

use serde_json::{Value, json};

use crate::support::{Up, run, said};

const OWN: &str = r#"
[[discount]]
provider = "openai"
model = "gpt-4o-mini"
percent = "50"

[[price]]
provider = "acme"
model = "acme-7b"
per_million = { input = "2", output = "4" }
"#;

fn call(model: &str, provider: &str) -> Value {
    json!({"agent_id": "a", "provider": provider, "model": model, "usage": {"input": 1_000_000}})
}

fn costs(events: &Value) -> Vec<Value> {
    let events = events["events"].as_array().unwrap();
    // The newest first, of which several may have come within a millisecond.
    let mut costs: Vec<Value> = events.iter().map(|e| json!([e["model"], e["cost_usd"]])).collect();
    costs.sort_by_key(ToString::to_string);
    costs
}

#[test]
fn an_import_prices_what_is_counted_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own.toml");
    std::fs::write(&own, OWN).unwrap();
    let data = dir.path().join("data");
    let up = Up::start(&data, &[]);
    up.post("", &call("gpt-4o-mini", "openai"));
    up.post("", &call("acme-7b", "acme"));
    up.wait(&["events"], |events| events["events"].as_array().is_some_and(|e| e.len() == 2));
    let import = ["prices", "import", own.to_str().unwrap(), "--name", "own-1"];
    let imported = up.run(&import);
    assert!(imported.status.success(), "{}", said(&imported));
    assert_eq!(up.json(&["prices", "list"])["current"], "own-1");
    up.post("", &call("gpt-4o-mini", "openai"));
    up.post("", &call("acme-7b", "acme"));
    let events = up.wait(&["events"], |events| events["events"].as_array().is_some_and(|e| e.len() == 4));
    let wanted = [
        ("acme-7b", json!("2")),
        ("acme-7b", Value::Null),
        ("gpt-4o-mini", json!("0.075")),
        ("gpt-4o-mini", json!("0.15")),
    ];
    let wanted: Vec<Value> = wanted.into_iter().map(|(model, cost)| json!([model, cost])).collect();
    assert_eq!(costs(&events), wanted);

    // A version is one book's: other prices need another.
    std::fs::write(&own, OWN.replace("50", "25")).unwrap();
    let refused = up.run(&import);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("another price book"), "{}", said(&refused));
    assert_eq!(up.terminate(), Some(0));

    // It is in force again after a restart, and by the files alone.
    let data_arg = data.to_str().unwrap();
    let shown =
        run(&["prices", "show", "acme-7b", "--provider", "acme", "--format", "json", "--data", data_arg]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["book"], &shown["prices"][0]["usd_per_million"]), (&json!("own-1"), &json!("2")));
    let up = Up::start(&data, &[]);
    up.post("", &call("acme-7b", "acme"));
    let events = up.wait(&["events"], |events| events["events"].as_array().is_some_and(|e| e.len() == 5));
    assert!(costs(&events).iter().filter(|cost| **cost == json!(["acme-7b", "2"])).count() == 2, "{events}");
}

#[test]
fn prices_of_the_configuration_hold_and_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("own.toml");
    std::fs::write(&own, OWN).unwrap();
    let config = dir.path().join("config.toml");
    std::fs::write(&config, format!("[prices]\noverrides = [{:?}]\n", own.to_str().unwrap())).unwrap();
    let up = Up::start(&dir.path().join("data"), &["--config", config.to_str().unwrap()]);
    up.post("", &call("acme-7b", "acme"));
    let events = up.wait(&["events"], |events| events["events"].as_array().is_some_and(|e| e.len() == 1));
    assert_eq!(events["events"][0]["cost_usd"], "2");
    let listed = up.json(&["prices", "list"]);
    let current = listed["current"].as_str().unwrap();
    assert!(current.contains('+'), "{current}");
    let versions: Vec<_> = listed["books"].as_array().unwrap().iter().map(|b| &b["version"]).collect();
    assert!(versions.contains(&&json!(current)), "what it made can be explained later");
}

#[test]
fn the_book_that_is_compiled_in_needs_no_ledger() {
    let shown = run(&["prices", "show", "gpt-4o-mini-2024-07-18", "--format", "json"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let input = shown["prices"].as_array().unwrap().iter().find(|p| p["bucket"] == "input").unwrap();
    assert_eq!((&input["entry"], &input["usd_per_million"]), (&json!("openai/gpt-4o-mini"), &json!("0.15")));
    let unknown = run(&["prices", "show", "no-such-model"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("no-such-model"), "{}", said(&unknown));
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list.json");
    let text = r#"{"openai/gpt-4o-mini":{"litellm_provider":"openai","input_cost_per_token":1e-07}}"#;
    std::fs::write(&list, text).unwrap();
    let version = &json!("2026-11-26");
    let differ =
        run(&["prices", "diff", version.as_str().unwrap(), list.to_str().unwrap(), "--format", "json"]);
    let differ: Value =
        serde_json::from_slice(&differ.stdout).unwrap_or_else(|_| panic!("{}", said(&differ)));
    let lines = differ["differences"].as_array().unwrap();
    let changed = lines.iter().find(|d| d["model"] == "openai/gpt-4o-mini" && d["price"] == "input").unwrap();
    assert_eq!((&changed["from"], &changed["to"]), (&json!("0.15"), &json!("0.1")));
}
