//! Replay, shadow, redrive and doctor, as an operator runs them.

use std::path::Path;

use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};

use super::support::{Up, run, said};

/// A directory with two agents' calls in it, that no server holds any more.
fn filled(dir: &Path, more: impl Fn(&Up)) -> String {
    let up = Up::start(dir, &[]);
    assert!(
        up.run(&["budget", "set", "b", "--scope", "org", "--limit-tokens", "10", "--period", "day"])
            .status
            .success()
    );
    up.post(
        "x-agent-id: writer\r\nidempotency-key: k\r\n",
        &json!({"model": "gpt-4o-mini", "provider": "openai", "usage": {"input": 1_000_000}}),
    );
    for n in 0..5 {
        up.post("x-agent-id: planner\r\n", &json!({"id": format!("p{n}"), "usage": {"input": 7}}));
    }
    up.wait(&["report", "--by", "agent"], |report| report["total"]["events"] == 6);
    up.wait(&["alerts", "--budget", "b"], |alerts| {
        alerts["alerts"]
            .as_array()
            .is_some_and(|all| all.len() == 3 && all.iter().all(|a| a["state"] == "delivered"))
    });
    more(&up);
    assert_eq!(up.terminate(), Some(0));
    dir.to_str().unwrap().to_owned()
}

fn json(args: &[&str]) -> Value {
    let output = run(&[args, &["--format", "json"]].concat());
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    assert_eq!(said(&output), "", "{args:?}: nothing is drawn where there is no terminal");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(args: &[&str], code: i32, words: &str) {
    let output = run(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
    assert!(said(&output).contains(words), "{args:?}: {}", said(&output));
}

#[test]
fn a_replay_changes_nothing_twice_and_brings_back_what_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let data = filled(&dir.path().join("data"), |_| ());
    let report = ["report", "--by", "agent", "--data", &data];
    let before = json(&report);
    for args in [
        &["replay", "--data", &data][..],
        &["replay", "--apply", "--data", &data],
        &["replay", "--apply", "--data", &data],
    ] {
        let found = json(args);
        assert_eq!((&found["complete"], &found["rows"]), (&json!(true), &json!([])), "{found}");
        assert_eq!((&found["records"], &found["duplicates"]), (&json!(6), &json!(6)), "{found}");
    }
    assert!(
        text(&["replay", "--data", &data]).contains("nothing would change: all of it was counted before")
    );
    assert_eq!(json(&report), before);

    // Another ledger over the same stream: everything would be counted, by whoever runs it.
    let lost = dir.path().join("lost");
    std::fs::create_dir(&lost).unwrap();
    let copied = std::process::Command::new("cp").args(["-r", &data, lost.to_str().unwrap()]).status();
    assert!(copied.unwrap().success());
    let lost = lost.join("data").to_str().unwrap().to_owned();
    for table in ["record", "rollup", "checkpoint", "alert", "alert_state", "change"] {
        sqlite(&lost, &format!("DELETE FROM {table}"));
    }
    assert_eq!(json(&["report", "--by", "agent", "--data", &lost])["total"]["events"], 0);
    let shown = json(&["replay", "--data", &lost]);
    assert_eq!((&shown["applied"], &shown["total"]["events"]), (&json!(false), &json!(6)), "{shown}");
    assert_eq!(
        (&shown["rows"][1]["agent"], &shown["rows"][1]["cost_usd"]),
        (&json!("writer"), &json!("0.15"))
    );
    let table = text(&["replay", "--agent", "planner", "--data", &lost]);
    assert!(
        table.contains("planner") && !table.contains("writer") && table.contains("--apply does it"),
        "{table}"
    );
    assert_eq!(json(&["report", "--by", "agent", "--data", &lost])["total"]["events"], 0, "only looked at");

    let place = dir.path().join("place.json");
    let place = place.to_str().unwrap();
    let applied = json(&["replay", "--apply", "--rate", "1000", "--resume", place, "--data", &lost]);
    assert_eq!((&applied["rows"], &applied["total"]), (&shown["rows"], &shown["total"]));
    assert!(!Path::new(place).exists(), "the place is removed at the end");
    assert_eq!(json(&["report", "--by", "agent", "--data", &lost])["rows"], before["rows"]);
}

/// What a test does behind the back of the command.
fn sqlite(data: &str, sql: &str) {
    let db = rusqlite::Connection::open(Path::new(data).join("ledger.db")).unwrap();
    db.execute_batch(sql).unwrap();
}

#[test]
fn a_replay_says_what_it_cannot_do() {
    let dir = tempfile::tempdir().unwrap();
    let data = filled(dir.path(), |up| {
        let url = up.url.clone();
        refused(&["replay", "--url", &url], 2, "--data DIR");
        refused(&["replay", "--data", dir.path().to_str().unwrap()], 1, "in use by process");
    });
    let place = dir.path().join("place.json");
    std::fs::write(&place, r#"{"question":["--apply"],"position":{"after":{},"done":[]}}"#).unwrap();
    for (args, code, words) in [
        (&["replay"][..], 2, "--data DIR"),
        (&["replay", "--data", &data, "--from", "soon"], 2, "no date such as"),
        (&["replay", "--data", &data, "--from", "3"], 2, "name one with --shard"),
        (&["replay", "--data", &data, "--shard", "77"], 2, "there is no shard"),
        (&["replay", "--data", &data, "--from-archive", "s3://bucket/x"], 2, "copy the archive"),
        (&["replay", "--data", &data, "--resume", place.to_str().unwrap()], 2, "another replay, `--apply`"),
        (&["replay", "--data", &data, "--promote"], 2, "--shadow"),
        (
            &["replay", "--data", &data, "--shadow", "--from", "2026-11-24T10:30:00Z", "--to", "2026-11-25"],
            2,
            "no whole hour",
        ),
    ] {
        refused(args, code, words);
    }
    let shard = json(&["replay", "--data", &data, "--shard", "0", "--from", "1", "--to", "999"]);
    assert_eq!(shard["position"]["done"], json!(["shardId-000000000000"]));
}

#[test]
fn an_archive_is_replayed_from_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data = filled(&dir.path().join("data"), |_| ());
    let archive = dir.path().join("archive");
    std::fs::create_dir(&archive).unwrap();
    let call = |id: &str, time: &str| {
        json!({"v": 1, "received": time, "entries": [{"single": {"agent": "archived", "id": id, "hash": id,
            "body": {"usage": {"time": time, "usage": {"input": 3}}}}}]})
    };
    let now = SystemClock.now().to_string();
    let lines = format!("{}\n{}\n", call("a1", &now), call("a2", "2001-01-01T00:00:00Z"));
    std::fs::write(archive.join("2026"), lines).unwrap();
    let archive = archive.to_str().unwrap();
    let args = ["replay", "--data", &data, "--from-archive", archive, "--to", "2100-01-01"];
    let found = json(&args);
    assert_eq!((&found["records"], &found["total"]["tokens"]), (&json!(2), &json!(3)), "{found}");
    assert_eq!(found["too_old"], 1);
    assert!(text(&args).contains("1 events are too old to be counted"));
    assert_eq!(json(&[&args[..], &["--apply"]].concat())["total"]["tokens"], 3);
    assert_eq!(
        json(&["quarantine", "--data", &data])["quarantine"],
        json!([]),
        "what is too old is not put aside"
    );
    assert_eq!(
        json(&["report", "--by", "agent", "--agent", "archived", "--data", &data])["total"]["tokens"],
        3
    );
}

#[test]
fn a_deleted_day_of_rollups_is_restored_exactly_and_no_alert_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let data = filled(dir.path(), |_| ());
    let report = ["report", "--by", "hour", "--data", &data];
    let (before, alerts) = (json(&report), json(&["alerts", "--data", &data]));
    let shadow = ["replay", "--shadow", "--from", "2026-01-01", "--to", "2027-01-01", "--data", &data];
    let this_year = SystemClock.now().to_string()[..4].to_owned();
    let from = format!("{this_year}-01-01");
    let to = format!("{}-01-01", this_year.parse::<u32>().unwrap() + 1);
    let shadow = shadow.map(|arg| match arg {
        "2026-01-01" => from.as_str(),
        "2027-01-01" => to.as_str(),
        other => other,
    });
    assert_eq!(json(&shadow)["different"], 0);
    sqlite(&data, "DELETE FROM rollup WHERE win < 2");
    assert_ne!(json(&report), before);
    let seen = json(&shadow);
    assert!(seen["different"].as_u64().unwrap() > 10, "{seen}");
    assert!(text(&shadow).contains("--promote repairs them"));
    assert_ne!(json(&report), before, "only looked at");
    let promoted = json(&[&shadow[..], &["--promote"]].concat());
    assert_eq!(promoted["repaired"], seen["different"], "{promoted}");
    assert_eq!(json(&report), before);
    assert_eq!(json(&[&shadow[..], &["--promote"]].concat())["repaired"], 0);
    // A server looks at what changed, and finds what it knew.
    let up = Up::start(dir.path(), &[]);
    up.wait(&["report", "--by", "hour"], |now| now["rows"] == before["rows"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(up.terminate(), Some(0));
    assert_eq!(json(&["alerts", "--data", &data]), alerts);
}

#[test]
fn what_was_put_aside_is_shown_tried_again_mended_and_purged() {
    let dir = tempfile::tempdir().unwrap();
    let data = filled(&dir.path().join("data"), |_| ());
    let aside = |id: &str, payload: &str| {
        json!({"id": id, "position": "shardId-000000000000:00000000000000000099", "code": "unreadable", "reason": "broken",
            "payload": payload, "base64": false, "at": "2026-11-24T09:30:00Z"})
    };
    let put = |id: &str, payload: &str| {
        let item = aside(id, payload).to_string();
        sqlite(&data, &format!("INSERT INTO quarantine (id, data) VALUES ('{id}', '{item}')"));
    };
    put("unreadable s:1 aa", "{");
    put("unreadable s:2 bb", "{");
    let now = SystemClock.now();
    let fine = json!({"v": 1, "received": now.to_string(), "entries": [{"single": {"agent": "late", "id": "l", "hash": "h",
        "body": {"usage": {"time": now.to_string(), "usage": {"input": 3}}}}}]});
    put("unreadable s:3 cc", &fine.to_string().replace('"', "\\\""));
    let item = aside("unreadable s:3 cc", &fine.to_string()).to_string();
    sqlite(&data, &format!("UPDATE quarantine SET data = '{item}' WHERE id = 'unreadable s:3 cc'"));

    let up = Up::start(Path::new(&data), &[]);
    let table = String::from_utf8(up.run(&["redrive", "list"]).stdout).unwrap();
    assert!(table.contains("unreadable s:1 aa") && table.contains("open"), "{table}");
    let shown = up.run(&["redrive", "show", "unreadable s:1 aa"]);
    assert_eq!(serde_json::from_slice::<Value>(&shown.stdout).unwrap()["payload"], "{");
    assert_eq!(up.run(&["redrive", "show", "nothing"]).status.code(), Some(1));
    // What was read by a newer version is counted; the rest stays, with the reason.
    let all = up.run(&["redrive", "retry", "--all", "--format", "json"]);
    assert_eq!(all.status.code(), Some(1), "{}", said(&all));
    assert!(said(&all).contains("2 of 3 stay"), "{}", said(&all));
    let outcomes: Value = serde_json::from_slice(&all.stdout).unwrap();
    let words: Vec<_> =
        outcomes["retried"].as_array().unwrap().iter().map(|one| one["outcome"].clone()).collect();
    assert_eq!(words, ["stuck", "stuck", "counted"]);
    up.wait(&["report", "--by", "agent", "--agent", "late"], |report| report["total"]["tokens"] == 3);
    assert!(up.run(&["redrive", "retry", "--all"]).status.success(), "what is stuck is not tried with all");
    let mended = dir.path().join("mended.json");
    std::fs::write(&mended, r#"{"agent_id":"late","usage":{"input":4}}"#).unwrap();
    let mended = mended.to_str().unwrap();
    let retried = up.json(&["redrive", "retry", "unreadable s:1 aa", "--payload", mended]);
    assert_eq!(retried["retried"][0]["outcome"], "counted", "{retried}");
    assert_eq!(
        up.ask("POST", "/v1/admin/quarantine/unreadable%20s%3A2%20bb/retry", "", r#"{"x":1}"#).1["code"],
        "invalid_redrive"
    );
    let refusal = up.run(&["redrive", "purge", "unreadable s:2 bb"]);
    assert_eq!((refusal.status.code(), said(&refusal).contains("--yes")), (Some(2), true));
    assert!(up.run(&["redrive", "purge", "unreadable s:2 bb", "--yes"]).status.success());
    assert_eq!(up.run(&["redrive", "purge", "unreadable s:2 bb", "--yes"]).status.code(), Some(1));
    assert_eq!(up.json(&["redrive", "list"])["quarantine"], json!([]));
    assert_eq!(up.terminate(), Some(0));
    assert_eq!(json(&["report", "--by", "agent", "--agent", "late", "--data", &data])["total"]["tokens"], 7);
    // The same without a server.
    put("unreadable s:4 dd", "{");
    refused(&["redrive", "retry", "unreadable s:4 dd", "--data", &data], 1, "1 of 1 stay");
    refused(&["redrive", "retry", "--data", &data], 2, "required");
}

#[test]
fn the_doctor_says_in_words_how_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let verdicts = |found: &Value| -> Vec<(String, String)> {
        let name = |value: &Value| value.as_str().unwrap().to_owned();
        let all = found["findings"].as_array().unwrap();
        all.iter().map(|one| (name(&one["check"]), name(&one["verdict"]))).collect()
    };
    let data = filled(dir.path(), |up| {
        let found = up.json(&["doctor"]);
        for check in ["clock", "stream", "alerter", "ledger", "quarantine", "alerts"] {
            assert!(verdicts(&found).contains(&(check.to_owned(), "ok".to_owned())), "{check}: {found}");
        }
    });
    sqlite(
        &data,
        "INSERT INTO meta VALUES ('closed_before', '2999-01-01T00:00:00Z') ON CONFLICT DO UPDATE SET value = '2999-01-01T00:00:00Z'",
    );
    let keys = dir.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    let config = dir.path().join("c.toml");
    std::fs::write(&config, format!("[auth]\npublic_keys = {:?}\n", keys.display().to_string())).unwrap();
    let output = run(&["doctor", "--data", &data, "--config", config.to_str().unwrap(), "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("2 checks failed"), "{}", said(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |check: &str| verdicts(&found).into_iter().find(|(name, _)| name == check).unwrap().1;
    assert_eq!([of("watermark"), of("keys"), of("stream"), of("ledger")], ["fail", "fail", "ok", "ok"]);
    assert!(found["findings"].as_array().unwrap().iter().any(|one| one["check"] == "disk"));
    refused(&["doctor", "--url", "http://127.0.0.1:1"], 1, "checks failed");
}
