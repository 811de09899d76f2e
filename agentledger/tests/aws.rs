//! `--aws` against an emulator of AWS, whose address `AGENTLEDGER_ENDPOINT` says; `scripts/emulator/start.sh` starts
//! one. Run with `cargo test -p agentledger --features aws --test aws -- --ignored`.

#![cfg(feature = "aws")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

#[path = "aws/deployment.rs"]
mod deployment;

use std::collections::BTreeMap;

use deployment::{Deployment, said};
use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};

/// A day that is over: nothing of it is closed.
fn day() -> (String, String) {
    let now = SystemClock.now();
    let day = |hours| {
        let at = now.checked_sub(jiff::SignedDuration::from_hours(hours)).unwrap();
        at.strftime("%Y-%m-%d").to_string()
    };
    (day(24), day(0))
}

fn events(day: &str) -> Value {
    let event = |n: usize| {
        json!({
            "id": format!("e{n}"), "agent_id": format!("agent-{}", n % 3), "task_id": format!("t{}", n % 5),
            "time": format!("{day}T{:02}:30:00Z", n % 24), "provider": "openai", "model": "gpt-4o-mini",
            "usage": {"input": 1_000 + n, "output": 10}
        })
    };
    json!({"events": (0..60).map(event).collect::<Vec<_>>()})
}

fn outcomes(answer: &Value) -> Vec<&str> {
    answer["retried"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect()
}

#[test]
#[ignore = "needs an emulator"]
fn a_stream_is_counted_and_lost_totals_come_back_exactly() {
    let deployment = Deployment::new();
    let (from, to) = day();
    deployment.put(&events(&from));
    deployment.put_raw(b"{\"v\":1, oops");

    // A look changes nothing, and says what would.
    let look = deployment.json(&["replay"]);
    assert_eq!((&look["applied"], &look["total"]["events"]), (&json!(false), &json!(60)), "{look}");
    assert_eq!(deployment.json(&["report", "--by", "agent"])["total"]["events"], 0);
    let counted = deployment.json(&["replay", "--apply"]);
    assert_eq!((&counted["total"]["events"], &counted["quarantined"]), (&json!(60), &json!(1)), "{counted}");
    let again = deployment.json(&["replay", "--apply"]);
    assert_eq!((&again["rows"], &again["quarantined"]), (&json!([]), &json!(0)), "{again}");
    assert!(
        deployment.text(&["replay", "--apply"]).contains("nothing changed: all of it was counted before")
    );

    let report = deployment.json(&["report", "--by", "agent"]);
    let tokens: u64 = (0..60).map(|n| 1_010 + n).sum();
    assert_eq!(
        (&report["total"]["events"], &report["total"]["tokens"]),
        (&json!(60), &json!(tokens)),
        "{report}"
    );
    assert_eq!(report["rows"].as_array().unwrap().len(), 3);

    let shadow = ["replay", "--shadow", "--from", &from, "--to", &to];
    let promote = [&shadow[..], &["--promote"]].concat();
    assert_eq!(deployment.json(&shadow)["different"], 0);
    let before = deployment.rollups();
    assert!(deployment.delete_day() > 100);
    assert_ne!(deployment.rollups(), before);
    let found = deployment.json(&shadow);
    assert!(found["different"].as_u64().unwrap() > 100 && found["repaired"] == 0, "{found}");
    let repaired = deployment.json(&promote);
    assert_eq!(repaired["repaired"], found["different"], "{repaired}");
    assert_eq!(deployment.rollups(), before);
    let nothing = deployment.json(&promote);
    assert_eq!((&nothing["different"], &nothing["repaired"]), (&json!(0), &json!(0)), "{nothing}");
    assert_eq!(deployment.rollups(), before);
    assert_eq!(deployment.json(&["report", "--by", "agent"]), report);
}

#[test]
#[ignore = "needs an emulator"]
fn an_archive_and_an_inbox_are_counted() {
    let mut deployment = Deployment::new();
    let (from, _) = day();
    deployment.put(&events(&from));
    let archive = deployment.archive();
    let of_archive = ["replay", "--from-archive", &archive, "--from", &from];
    let counted = deployment.json(&[&of_archive[..], &["--apply"]].concat());
    assert_eq!(counted["total"]["events"], 60, "{counted}");
    assert_eq!(deployment.json(&["replay"])["duplicates"], 60);
    // The profile without a stream.
    deployment.set("AGENTLEDGER_STREAM", "");
    deployment.set("AGENTLEDGER_LANES", "16");
    deployment.put_in_inbox(&json!({"events": [{"id": "i", "agent_id": "a", "usage": {"input": 7}}]}));
    for (events, duplicates) in [(1, 0), (0, 1)] {
        let counted = deployment.json(&["replay", "--apply"]);
        assert_eq!(counted["total"]["events"], events, "{counted}");
        assert_eq!(counted["duplicates"], duplicates, "{counted}");
    }
    assert_eq!(deployment.run(&["replay", "--from", "7"]).status.code(), Some(2));
}

#[test]
#[ignore = "needs an emulator"]
fn what_was_put_aside_is_listed_mended_and_gone() {
    let deployment = Deployment::new();
    deployment.put_raw(b"{\"v\":1, oops");
    deployment.json(&["replay", "--apply"]);
    let listed = deployment.json(&["redrive", "list"]);
    let id = listed["quarantine"][0]["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("unreadable "), "{listed}");
    let stuck = deployment.run(&["redrive", "retry", &id, "--format", "json"]);
    assert_eq!(stuck.status.code(), Some(1), "{}", said(&stuck));
    let shown = deployment.text(&["redrive", "show", &id]);
    assert!(shown.contains("oops") && shown.contains("stuck"), "{shown}");
    let mended = deployment.dir().join("mended.json");
    std::fs::write(&mended, json!({"agent_id": "mended", "usage": {"input": 7}}).to_string()).unwrap();
    let retried = deployment.json(&["redrive", "retry", &id, "--payload", mended.to_str().unwrap()]);
    assert_eq!(outcomes(&retried), ["counted"]);
    assert_eq!(deployment.json(&["redrive", "list"])["quarantine"], json!([]));
    assert_eq!(deployment.json(&["report", "--by", "agent"])["total"]["tokens"], 7);
}

#[test]
#[ignore = "needs an emulator"]
fn what_a_mapping_gave_up_is_read_again() {
    let deployment = Deployment::new();
    let (from, _) = day();
    deployment.put(&events(&from));
    let (shard, first, last) = deployment.positions();
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{}", deployment.function("aggregator"));
    let letter = json!({
        "requestContext": {"functionArn": arn, "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3},
        "timestamp": "2026-11-24T10:00:00.000Z",
        "KinesisBatchInfo": {
            "shardId": shard, "startSequenceNumber": first, "endSequenceNumber": last, "batchSize": 1,
            "streamArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"
        }
    });
    deployment.fail("aggregator", &letter);
    deployment.fail("aggregator", &json!({"what": "else"}));
    let listed = deployment.json(&["redrive", "list"]);
    let letters = listed["dead_letters"].as_array().unwrap();
    assert_eq!(letters.len(), 2, "{listed}");
    let about = letters.iter().find(|letter| !letter["about"].is_null()).unwrap();
    assert_eq!(about["about"], json!({"shard": shard, "from": first, "to": last}));
    let id = about["id"].as_str().unwrap();
    assert_eq!(outcomes(&deployment.json(&["redrive", "retry", id])), ["counted"]);
    assert_eq!(deployment.json(&["report", "--by", "agent"])["total"]["events"], 60);
    let listed = deployment.json(&["redrive", "list"]);
    let other = listed["dead_letters"][0]["id"].as_str().unwrap();
    assert_eq!(deployment.run(&["redrive", "retry", other]).status.code(), Some(1));
    assert!(deployment.run(&["redrive", "purge", other, "--yes"]).status.success());
    assert_eq!(deployment.json(&["redrive", "list"])["dead_letters"], json!([]));
}

#[test]
#[ignore = "needs an emulator"]
fn mappings_are_paused_for_a_repair_and_go_on_after_it() {
    let mut deployment = Deployment::new();
    deployment.functions();
    let (from, to) = day();
    let shadow = ["replay", "--shadow", "--promote", "--from", &from, "--to", &to];
    let repaired = deployment.run(&shadow);
    assert!(repaired.status.success(), "{}", said(&repaired));
    assert!(said(&repaired).contains("the event source mappings are off"), "{}", said(&repaired));
    assert!(deployment.states().iter().all(|state| state.starts_with("Enabl")), "{:?}", deployment.states());
    let doctor = deployment.run(&["doctor", "--format", "json"]);
    let found: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let mut by_check: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in found["findings"].as_array().unwrap() {
        let text = |name: &str| finding[name].as_str().unwrap().to_owned();
        by_check.entry(text("check")).or_default().push(text("verdict"));
    }
    for check in ["clock", "table", "journals", "mappings", "lag", "dead letters", "quarantine", "ledger"] {
        assert!(by_check.contains_key(check), "{check}: {found}");
    }
    assert_eq!(by_check["ledger"], ["ok"], "{found}");
    assert_eq!(by_check["clock"], ["ok"], "{found}");
    // A name that no function has is no reason to write beside one that runs.
    deployment.set("AGENTLEDGER_AGGREGATOR", "nobody");
    let refused = deployment.run(&shadow);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("AGENTLEDGER_AGGREGATOR"), "{}", said(&refused));
}

#[test]
#[ignore = "needs an emulator"]
fn budgets_are_set_and_listed_in_the_table() {
    let deployment = Deployment::new();
    let set = ["budget", "set", "b", "--scope", "org", "--limit-tokens", "10", "--period", "day"];
    assert!(deployment.run(&set).status.success());
    assert_eq!(deployment.json(&["budget", "list"])["budgets"][0]["name"], "b");
    assert!(deployment.run(&["budget", "rm", "b"]).status.success());
    assert!(deployment.run(&["token", "revoke", "j"]).status.success());
    for list in [
        &["events"][..],
        &["alerts"],
        &["conflicts"],
        &["quarantine"],
        &["unpriced"],
        &["corrections"],
        &["completeness"],
        &["deliveries"],
        &["repricings"],
        &["prices", "list"],
        &["reprice", "--from", "2026-01-01", "--to", "2026-01-02"],
        &["differences"],
    ] {
        deployment.json(list);
    }
}
