//! The demo as a newcomer runs it: a real process, and what it leaves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_agentledger");

fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

/// Plays a seed's day to its end, and answers what was said.
fn play(seed: &str, speed: &str, data: &Path) -> String {
    let data = data.to_str().unwrap();
    let output = run(&["demo", "--exit", "--seed", seed, "--speed", speed, "--data", data]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every report of a ledger, without the times that depend on when the day was played.
fn reports(data: &Path) -> Vec<Value> {
    let ask = |by: &str| {
        let args = ["report", "--by", by, "--format", "json", "--data", data.to_str().unwrap()];
        let mut report: Value = serde_json::from_slice(&run(&args).stdout).unwrap();
        for field in ["from", "to"] {
            report[field] = Value::Null;
        }
        for row in report["rows"].as_array_mut().unwrap().iter_mut().filter(|_| by == "hour") {
            row["key"] = Value::Null;
        }
        report
    };
    ["agent", "team", "task", "session", "model", "provider", "hour"].map(ask).into()
}

#[test]
fn a_seed_gives_the_same_totals_whatever_the_speed() {
    let dir = tempfile::tempdir().unwrap();
    let [first, again, other] = ["first", "again", "other"].map(|name| dir.path().join(name));
    // At once: each has a directory and a port of its own, and mostly waits for the disk.
    let said = std::thread::scope(|scope| {
        scope.spawn(|| play("7", "12000", &again));
        scope.spawn(|| play("8", "1000000", &other));
        play("7", "1000000", &first)
    });
    for words in [
        "Budget migrator-1: 50% reached",
        "Budget migrator-1: 80% reached",
        "Budget migrator-1: 100% reached",
        "uses a key twice",
        "Spend by team",
        "adds up to what the ledger counted",
    ] {
        assert!(said.contains(words), "{words} is not in\n{said}");
    }
    let reports = [&first, &again, &other].map(|data| self::reports(data));
    assert_eq!(reports[0], reports[1]);
    let total = |n: usize| reports[n][0]["total"].clone();
    assert_ne!(total(0), total(2));
    assert!(total(0)["unpriced_events"].as_i64().unwrap() > 0, "{}", total(0));
    assert!(total(0)["tasks"]["abandoned"].as_i64().unwrap() > 0, "{}", total(0));
    let conflicts = run(&["conflicts", "--format", "json", "--data", first.to_str().unwrap()]);
    let conflicts: Value = serde_json::from_slice(&conflicts.stdout).unwrap();
    assert_eq!(conflicts["conflicts"].as_array().unwrap().len(), 1, "{conflicts}");
    let quarantine = run(&["quarantine", "--format", "json", "--data", first.to_str().unwrap()]);
    let quarantine: Value = serde_json::from_slice(&quarantine.stdout).unwrap();
    assert_eq!(quarantine["quarantine"], serde_json::json!([]));

    let watched = run(&["watch", "--once", "--by", "team", "--data", first.to_str().unwrap()]);
    let watched = String::from_utf8(watched.stdout).unwrap();
    for words in ["platform", "unpriced", "migrator-1: 100% reached", "no server"] {
        assert!(watched.contains(words), "{words} is not in\n{watched}");
    }
}

#[test]
fn it_tells_at_once_what_to_do_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["demo", "--speed", "60"])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let opening: Vec<_> = lines.by_ref().take_while(|line| !line.starts_with("09:00")).collect();
    let url = opening[0].split(' ').next_back().unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "{opening:?}");
    for command in ["watch", "report", "alerts"] {
        let line = opening.iter().find(|line| line.contains(&format!(" {command} ")));
        assert!(line.is_some_and(|line| line.ends_with(&format!("--url {url}"))), "{command}: {opening:?}");
    }
    assert!(run(&["budget", "list", "--url", &url]).status.success());
    assert!(temporary.path().read_dir().unwrap().next().is_some());
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let rest: Vec<_> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(rest.iter().any(|line| line.contains("Stopped before the day was over")), "{rest:?}");
    assert!(temporary.path().read_dir().unwrap().next().is_none());
}

#[test]
fn watching_nothing_fails_once_and_goes_on_trying_otherwise() {
    let once = run(&["watch", "--once", "--url", "http://127.0.0.1:1"]);
    assert_eq!(once.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&once.stderr).contains("does not answer"), "{once:?}");
    assert_eq!(run(&["watch", "--url", "ftp://127.0.0.1:1"]).status.code(), Some(2));
    let mut child = Command::new(PROGRAM)
        .args(["watch", "--interval", "1", "--url", "http://127.0.0.1:1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let tries = lines.filter(|line| line.contains("does not answer")).take(2).count();
    assert_eq!(tries, 2);
    // Nobody reads any more: that is an end, and no failure.
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn it_takes_no_directory_that_is_in_use_and_no_open_address() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let used = dir.path().to_str().unwrap();
    for (args, words) in [
        (&["demo", "--data", used][..], "is in use"),
        (&["demo", "--listen", "0.0.0.0:0"], "there is no authentication"),
        (&["demo", "--speed", "0"], "--speed"),
    ] {
        let refused = run(args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains(words), "{refused:?}");
    }
}
