//! The command as its users run it: real processes, real sockets, real exit codes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod extract;
mod intake;
mod operate;
mod prices;
mod reprice;
mod support;
mod unpriced;

use serde_json::{Value, json};

use support::{Up, run, said};

/// The README's first request.
const CURL: &str = "x-agent-id: researcher-7\r\ncontent-type: application/x-www-form-urlencoded\r\n";

#[test]
fn the_first_request_is_metered_and_unpriced_not_free() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    let receipt = up.post(CURL, &json!({"usage": {"total_tokens": 1500}}));
    assert_eq!((&receipt["metered"], &receipt["accepted"]), (&json!(true), &json!(1)));
    assert_eq!(receipt["event_ids"].as_array().unwrap().len(), 1);
    let report = up.wait(&["report", "--by", "agent"], |report| report["total"]["events"] == 1);
    let row = json!({"key": {"agent": "researcher-7"}, "events": 1, "tokens": 1500, "usage": {"unsplit": 1500},
        "cost_usd": null, "unpriced_events": 1, "unpriced_tokens": 1500});
    assert_eq!(report["rows"], json!([row]));
    let table = String::from_utf8(up.run(&["report", "--by", "agent"]).stdout).unwrap();
    assert!(
        table.contains("researcher-7") && table.contains("1500 tokens whose price is unknown"),
        "{table}"
    );
    assert_eq!(up.terminate(), Some(0));
}

#[test]
fn with_a_fallback_price_it_costs_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("agentledger.toml");
    std::fs::write(&config, "[prices]\nfallback_usd_per_token = \"0.000002\"\n").unwrap();
    let up = Up::start(&dir.path().join("data"), &["--config", config.to_str().unwrap()]);
    up.post(CURL, &json!({"usage": {"total_tokens": 1500}}));
    let report = up.wait(&["report", "--by", "agent"], |report| report["total"]["events"] == 1);
    assert_eq!(report["rows"][0]["cost_usd"], "0.003");
    assert_eq!(report["rows"][0]["unpriced_events"], 0);
}

#[test]
fn a_budget_alerts_and_everything_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    let set = up.run(&[
        "budget",
        "set",
        "daily",
        "--scope",
        "team:growth",
        "--limit-usd",
        "0.0003",
        "--period",
        "day",
    ]);
    assert!(set.status.success(), "{}", said(&set));
    let response = json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18",
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
            "prompt_tokens_details": {"cached_tokens": 600}}});
    let headers = "x-agent-id: writer\r\nx-team-id: growth\r\nidempotency-key: k-1\r\n";
    let receipt = up.post(headers, &response);
    assert_eq!(receipt["event_ids"], json!(["k-1#0"]));
    assert_eq!(up.post(headers, &response), receipt, "a retried submission gets the same ids");
    // 400 × 0.15 + 600 × 0.075 + 100 × 0.60 per million: $0.000165, past 50% of the limit.
    let alerts = up.wait(&["alerts"], |alerts| alerts["alerts"][0]["state"] == "delivered");
    let alert = &alerts["alerts"][0];
    assert_eq!((&alert["threshold_percent"], &alert["spend_usd"]), (&json!(50), &json!("0.000165")));
    assert_eq!((&alert["limit_usd"], &alert["kind"]), (&json!("0.0003"), &json!("threshold")));
    assert_eq!(alert["top"][0]["name"], "writer");
    assert_eq!(up.terminate(), Some(0));

    let up = Up::start(dir.path(), &[]);
    up.post(headers, &response);
    up.post("", &json!({"type": "void", "id": "v-1", "agent_id": "writer", "corrects": "k-1#0"}));
    let recovered = |alerts: &Value| alerts["alerts"].as_array().is_some_and(|a| a.len() == 2);
    let alerts = up.wait(&["alerts", "--budget", "daily"], recovered);
    assert_eq!(alerts["alerts"][0]["kind"], "recovered");
    let events = up.json(&["events", "--agent", "writer"]);
    assert_eq!(
        (&events["events"][0]["state"], events["events"].as_array().unwrap().len()),
        (&json!("voided"), 1)
    );
    assert_eq!(up.json(&["budget", "list"])["budgets"][0]["name"], "daily");
    assert!(up.run(&["budget", "rm", "daily"]).status.success());
    assert_eq!(up.run(&["budget", "rm", "daily"]).status.code(), Some(1));
    assert_eq!(up.json(&["budget", "list"])["budgets"], json!([]));
}

#[test]
fn the_same_key_with_other_content_is_a_conflict_that_can_be_listed() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    let headers = "x-agent-id: a\r\nidempotency-key: k\r\n";
    up.post(headers, &json!({"usage": {"input": 1}}));
    up.post(headers, &json!({"usage": {"input": 2}}));
    let listed = up.wait(&["conflicts"], |list| list["conflicts"].as_array().is_some_and(|l| l.len() == 1));
    assert_eq!(listed["conflicts"][0]["agent"], "a");
    assert_eq!(up.json(&["report", "--by", "agent"])["total"]["tokens"], 1, "the first stands");
}

#[test]
fn a_directory_that_is_held_is_refused_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    let data = dir.path().to_str().unwrap();
    for args in [
        &["up", "--listen", "127.0.0.1:0", "--data", data][..],
        &["report", "--by", "agent", "--data", data],
        &["budget", "set", "b", "--scope", "org", "--limit-usd", "1", "--period", "day", "--data", data],
    ] {
        let refused = run(args);
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        let words = said(&refused);
        assert!(words.contains(&format!("in use by process {}", up.child.id())), "{words}");
        assert!(words.contains("--url"), "{words}");
    }
    up.post(CURL, &json!({"usage": {"total_tokens": 7}}));
    assert_eq!(up.terminate(), Some(0));
    assert!(!dir.path().join("ledger.db-wal").exists(), "after a clean stop the ledger is one file");
    // What was accepted before the signal was counted, and can be read without a server.
    let output = run(&["report", "--by", "agent", "--format", "json", "--data", data]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["total"]["tokens"], 7);
}

#[test]
fn wrong_use_exits_with_2_and_failure_with_1() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nothing").display().to_string();
    let config = dir.path().join("bad.toml");
    std::fs::write(&config, "[price]\n").unwrap();
    let config = config.to_str().unwrap();
    for (args, code, words) in [
        (&["report"][..], 2, "--by"),
        (&["report", "--by", "agent", "--data", &missing], 2, "no such directory"),
        (&["up", "--listen", "0.0.0.0:1"], 2, "there is no authentication"),
        (&["up", "--config", config], 2, "the nearest known key is `prices`"),
        (&["report", "--by", "agent", "--url", "http://127.0.0.1:1"], 1, "does not answer"),
        (&["report", "--by", "agent", "--data", dir.path().to_str().unwrap()], 1, "holds no ledger"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{args:?}: {}", said(&output));
    }
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}

#[test]
fn health_tells_how_far_the_pipeline_is() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    up.post(CURL, &json!({"usage": {"total_tokens": 7}}));
    up.wait(&["report", "--by", "agent"], |report| report["total"]["events"] == 1);
    let (status, health) = up.ask("GET", "/healthz", "", "");
    assert_eq!((status, &health["status"]), (200, &json!("ok")), "{health}");
    assert_eq!(health["pipeline"]["counts"]["tokens"], 7, "{health}");
}

#[test]
fn metrics_tell_what_was_asked_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    up.post(CURL, &json!({"usage": {"total_tokens": 7}}));
    up.wait(&["report", "--by", "agent"], |report| report["total"]["events"] == 1);
    assert_eq!(up.ask("GET", "/v1/spend", "", "").0, 400);
    let (_, head, body) = up.say(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let answer = format!("{head}\r\n{body}");
    for line in [
        "content-type: text/plain; version=0.0.4; charset=utf-8",
        "agentledger_tokens_total{bucket=\"unsplit\"} 7",
        "agentledger_agent_tokens_total{agent_id=\"researcher-7\"} 7",
        "agentledger_unpriced_events_total 1",
        "agentledger_commit_lag_seconds_count 1",
        "agentledger_http_requests_total{route=\"/v1/usage\",status=\"2xx\"} 1",
        "agentledger_http_problems_total{code=\"bad_parameter\"} 1",
        "agentledger_http_requests_in_flight 1",
        "agentledger_alerts_pending 0",
    ] {
        assert!(answer.contains(line), "{line}\n{answer}");
    }
    assert_eq!(up.ask("POST", "/metrics", "", "{}").0, 405);
}
