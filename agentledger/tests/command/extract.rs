//! `agentledger extract`: one answer for one response, one line for one line.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const AT: &str = "2026-11-24T02:30:00Z";

fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_agentledger"))
        .arg("extract")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What is asked wrongly is refused before anything is read.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn answer(args: &[&str], input: &[u8]) -> Value {
    let output = run(args, input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn chat() -> Value {
    json!({"object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "usage": {"prompt_tokens": 1200,
        "completion_tokens": 300, "total_tokens": 1500, "prompt_tokens_details": {"cached_tokens": 1024},
        "completion_tokens_details": {"reasoning_tokens": 64}}})
}

#[test]
fn a_response_is_counted_and_priced() {
    let found = answer(&["--at", AT], chat().to_string().as_bytes());
    assert_eq!(found["status"], "ok");
    assert_eq!(found["usage"], json!({"input": 176, "cache_read": 1024, "output": 236, "reasoning": 64}));
    let totals = json!({"input": 1200, "output": 300, "cache_read": 1024, "cache_write": 0, "cache_write_5m": 0,
        "cache_write_1h": 0, "reasoning": 64});
    assert_eq!(found["totals"], totals);
    // 176 × 0.15 + 1024 × 0.075 + 300 × 0.60, per million.
    assert_eq!((&found["cost_usd"], &found["fees_usd"]), (&json!("0.0002832"), &json!("0")));
    assert_eq!(found["price"]["tier"], "standard");
    assert_eq!(found["price"]["unit"]["cache_read"], "0.000000075");
    assert_eq!(found["unpriced_reason"], Value::Null);
}

#[test]
fn what_is_unknown_is_said_and_is_no_zero() {
    let status = |args: &[&str], body: &str| answer(args, body.as_bytes());
    let silent =
        status(&[], "data: {\"object\":\"chat.completion.chunk\",\"choices\":[]}\n\ndata: [DONE]\n\n");
    assert_eq!(
        (&silent["status"], &silent["totals"], &silent["cost_usd"]),
        (&json!("no_usage"), &Value::Null, &Value::Null)
    );
    let failed = status(&["--status", "429"], r#"{"error":{"message":"slow down"}}"#);
    assert_eq!((&failed["status"], &failed["cost_usd"]), (&json!("error_response"), &Value::Null));
    assert_eq!(status(&[], "<html>")["status"], "unrecognised");
    let mut strange = chat();
    strange["model"] = json!("no-such-model");
    let unpriced = status(&["--provider", "openai"], &strange.to_string());
    assert_eq!((&unpriced["totals"]["input"], &unpriced["cost_usd"]), (&json!(1200), &Value::Null));
    let reason = unpriced["unpriced_reason"].as_str().unwrap();
    assert!(reason.contains("no-such-model of openai"), "{reason}");
    // A deployment of any name is priced as the model that was asked for.
    assert_eq!(
        status(&["--provider", "openai", "--model", "gpt-4o-mini", "--at", AT], &strange.to_string())["cost_usd"],
        "0.0002832"
    );
}

#[test]
fn a_contradiction_is_named_beside_what_counts() {
    let mut body = chat();
    body["usage"]["prompt_tokens_details"]["cached_tokens"] = json!(5000);
    let found = answer(&["--at", AT], body.to_string().as_bytes());
    assert_eq!((&found["usage"]["cache_read"], &found["totals"]["cache_read"]), (&json!(1200), &json!(5000)));
    assert!(found["contradiction"].as_str().unwrap().contains("prompt_tokens_details"), "{found}");
}

#[test]
fn each_line_has_its_answer_in_order_and_a_bad_one_holds_nothing_up() {
    let stream = "data: {\"type\":\"message_start\",\"message\":{\"type\":\"message\",\"role\":\"assistant\",\
        \"model\":\"claude-haiku-4-5\",\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n";
    let lines = [
        json!({"provider": "openai", "at": AT, "body": chat().to_string()}).to_string(),
        "{broken".to_owned(),
        json!({"provider": "anthropic", "at": AT, "body": stream}).to_string(),
        json!({"provider": "openai", "body": "!", "body_encoding": "base64"}).to_string(),
        json!({"provider": "anthropic", "model": "claude-haiku-4-5", "mode": "batch", "at": AT,
            "usage": {"input_tokens": 1000, "cache_read_tokens": 400, "output_tokens": 100}})
        .to_string(),
        json!({"at": AT}).to_string(),
    ];
    let output = run(&["--jsonl"], lines.join("\n").as_bytes());
    assert!(output.status.success());
    let answers: Vec<Value> = output
        .stdout
        .split(|b| *b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    assert_eq!(answers.len(), lines.len());
    assert_eq!(answers[0]["cost_usd"], "0.0002832");
    assert_eq!((&answers[1]["line"], answers[1]["error"].is_string()), (&json!(2), true));
    // The stream broke off: 10 × 1 + 1 × 5, per million, were known by then.
    assert_eq!((&answers[2]["partial"], &answers[2]["cost_usd"]), (&json!(true), &json!("0.000015")));
    assert!(answers[3]["error"].as_str().unwrap().contains("base64"));
    // Half of 600 × 1 + 400 × 0.1 + 100 × 5.
    assert_eq!((&answers[4]["cost_usd"], &answers[4]["price"]["tier"]), (&json!("0.00057"), &json!("batch")));
    assert!(answers[5]["error"].as_str().unwrap().contains("neither `body` nor `usage`"));
}

#[test]
fn given_counts_are_priced_and_wrong_ones_are_misuse() {
    let args = ["--provider", "openai", "--model", "gpt-4o-mini", "--at", AT, "--usage"];
    let with = |usage: &'static str| [&args[..], &[usage]].concat();
    let priced = answer(&with(r#"{"input_tokens":1200,"cache_read_tokens":1024,"output_tokens":300}"#), b"");
    assert_eq!(priced["cost_usd"], "0.0002832");
    for wrong in ["{", r#"{"inputs":1}"#, r#"{"input_tokens":1,"cache_read_tokens":2}"#] {
        let output = run(&with(wrong), b"");
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(run(&["--at", "yesterday"], b"").status.code(), Some(2));
}
