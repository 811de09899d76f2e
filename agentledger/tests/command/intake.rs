//! Everything that a sender can get wrong, against a running server: the right answer, naming what is wrong,
//! and nothing accepted is lost.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::support::Up;

/// A request that is refused, and how.
struct Case {
    name: &'static str,
    headers: String,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    /// The first fault's index, where the code comes with faults.
    index: Option<u64>,
    /// The first fault's field; empty where the code says it all.
    field: &'static str,
}

fn case(
    name: &'static str,
    headers: &str,
    body: impl Into<Vec<u8>>,
    status: u16,
    code: &'static str,
) -> Case {
    let headers: Vec<_> = headers.lines().map(str::trim).chain([""]).collect();
    let headers = headers.join("\r\n");
    Case { name, headers, body: body.into(), status, code, index: None, field: "" }
}

/// An event that is refused for one of its fields.
#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn event(name: &'static str, body: Value, field: &'static str) -> Case {
    bad(name, "x-agent-id: a", body.to_string(), Some(0), field)
}

fn bad(
    name: &'static str,
    headers: &str,
    body: impl Into<Vec<u8>>,
    index: Option<u64>,
    field: &'static str,
) -> Case {
    Case { index, field, ..case(name, headers, body, 400, "invalid_event") }
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where it is called")]
fn with(more: Value) -> Value {
    let mut event = json!({"usage": {"input": 1}});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

fn usage(count: &str) -> String {
    format!("{{\"usage\":{{\"input\":{count}}}}}")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const AGENT: &str = "x-agent-id: a";
const GZIP: &str = "x-agent-id: a\ncontent-encoding: gzip";

/// Bodies that are no submission at all.
fn bodies() -> Vec<Case> {
    let json = |name, body: &str| case(name, AGENT, body, 400, "invalid_json");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_object = format!("{}1{}", "{\"usage\":".repeat(200), "}".repeat(200));
    let many = json!({"events": vec![with(json!({})); 501]}).to_string();
    let none = json!({"events": []}).to_string();
    vec![
        json("not JSON", "usage=1500"),
        json("empty", ""),
        json("cut off", r#"{"usage":{"input":1"#),
        json("two values", r#"{"usage":{"input":1}}{"usage":{"input":1}}"#),
        json("NaN", &usage("NaN")),
        json("Infinity", &usage("-Infinity")),
        json("a number past every float", &usage("1e999")),
        json("a hexadecimal number", &usage("0x10")),
        json("a leading plus", &usage("+1")),
        json("single quotes", "{'usage':{'input':1}}"),
        json("a trailing comma", r#"{"usage":{"input":1},}"#),
        json("a comment", "{\"usage\":{\"input\":1}} // yes"),
        json("a byte order mark", "\u{feff}{\"usage\":{\"input\":1}}"),
        json("a string", "\"usage\""),
        json("a number", "1500"),
        json("null", "null"),
        json("an array of plain events", r#"[{"usage":{"input":1}}]"#),
        json("deep nesting", &deep),
        json("deep nesting of objects", &deep_object),
        json("a control character in a string", "{\"usage\":{\"input\":1},\"model\":\"a\u{1}b\"}"),
        json("a lone surrogate", r#"{"usage":{"input":1},"model":"\ud800"}"#),
        case("bad UTF-8", AGENT, &b"{\"usage\":{\"input\":1},\"model\":\"\xff\"}"[..], 400, "invalid_json"),
        case("UTF-16", AGENT, &b"{\0\"\0u\0"[..], 400, "invalid_json"),
        case("501 events", AGENT, many, 413, "too_many_events"),
        case("no events", AGENT, none, 400, "event_count"),
        case("a mebibyte and a byte", AGENT, vec![b' '; (1 << 20) + 1], 413, "body_too_large"),
        case("a gzip bomb", GZIP, gzip(&vec![b' '; 300 << 20]), 413, "body_too_large"),
        case("no gzip", GZIP, usage("1"), 400, "invalid_body"),
        case("half a gzip", GZIP, &gzip(usage("1").as_bytes())[..20], 400, "invalid_body"),
        case("gzip of no JSON", GZIP, gzip(b"usage"), 400, "invalid_json"),
    ]
}

/// Fields of one event.
fn fields() -> Vec<Case> {
    let long = "x".repeat(129);
    let tags: serde_json::Map<String, Value> = (0..17).map(|n| (format!("t{n}"), json!("v"))).collect();
    let raw = |name, count: &str| bad(name, AGENT, usage(count), Some(0), "usage.input");
    vec![
        raw("a negative count", "-1"),
        raw("negative zero as a float", "-0.0"),
        raw("a fractional count", "1.5"),
        raw("a whole count as a float", "1.0"),
        raw("a count past 2^53", "9007199254740993"),
        raw("a count past 2^64", "18446744073709551616"),
        raw("a count as a string", "\"1\""),
        raw("a count as a boolean", "true"),
        raw("a null count", "null"),
        raw("a count as an object", "{}"),
        event("no usage", json!({"model": "m"}), "usage"),
        event("usage as a number", json!({"usage": 1500}), "usage"),
        event("usage as an array", json!({"usage": [1]}), "usage"),
        event("empty usage", json!({"usage": {}}), "usage"),
        event("an unknown bucket", json!({"usage": {"inputs": 1}}), "usage.inputs"),
        event("a total that is not the sum", json!({"usage": {"input": 1, "total_tokens": 3}}), "usage"),
        event("a # in an id", with(json!({"id": "a#1"})), "id"),
        event("a control character in an id", with(json!({"id": "a\nb"})), "id"),
        event("an escape in an id", with(json!({"id": "a\u{1b}[31m"})), "id"),
        event("an empty id", with(json!({"id": ""})), "id"),
        event("an id of 129 characters", with(json!({"id": long})), "id"),
        event("an id as a number", with(json!({"id": 7})), "id"),
        event("a space in an agent", with(json!({"agent_id": "a b"})), "agent_id"),
        event("an agent beyond ASCII", with(json!({"agent_id": "é"})), "agent_id"),
        event("a task of 129 characters", with(json!({"task_id": long})), "task_id"),
        event("a session with a tab", with(json!({"session_id": "a\tb"})), "session_id"),
        event("an empty team", with(json!({"team_id": ""})), "team_id"),
        event("a parent as an array", with(json!({"parent_agent_id": []})), "parent_agent_id"),
        event("a provider with a space", with(json!({"provider": "open ai"})), "provider"),
        event("a model of 257 characters", with(json!({"model": "m".repeat(257)})), "model"),
        event("17 tags", with(json!({"tags": tags})), "tags"),
        event("a tag that is no string", with(json!({"tags": {"env": 1}})), "tags.env"),
        event("a tag value too long", with(json!({"tags": {"env": "x".repeat(257)}})), "tags.env"),
        event("tags as an array", with(json!({"tags": ["env"]})), "tags"),
        event("a time in words", with(json!({"time": "yesterday"})), "time"),
        event("a time without an offset", with(json!({"time": "2026-11-24T09:30:00"})), "time"),
        event("the 30th of February", with(json!({"time": "2026-02-30T00:00:00Z"})), "time"),
        event("a time as a number", with(json!({"time": 1_795_000_000})), "time"),
        event("a time in the future", with(json!({"time": "2999-01-01T00:00:00Z"})), "time"),
        event("an unknown outcome", with(json!({"outcome": "fine"})), "outcome"),
        event("a negative latency", with(json!({"latency_ms": -1})), "latency_ms"),
        event("a cost as a float", with(json!({"reported_cost_usd": 0.1})), "reported_cost_usd"),
        event("a negative cost", with(json!({"reported_cost_usd": "-1"})), "reported_cost_usd"),
        event("an unknown type", with(json!({"type": "refund"})), "type"),
        event("a void of nothing", json!({"type": "void"}), "corrects"),
        event("an amend without a revision", with(json!({"type": "amend", "corrects": "x"})), "revision"),
        event("an outcome of no task", json!({"type": "task_outcome", "outcome": "success"}), "task_id"),
        event(
            "a task's unknown outcome",
            json!({"type": "task_outcome", "task_id": "t", "outcome": "ok"}),
            "outcome",
        ),
        Case {
            code: "closed_period",
            ..event("an ancient time", with(json!({"time": "1999-12-31T23:59:59Z"})), "time")
        },
    ]
}

/// Headers, events among others, and envelopes.
fn around() -> Vec<Case> {
    let one = usage("1");
    let header = |name, headers: &str, field| bad(name, headers, one.clone(), None, field);
    let good = with(json!({"id": "good"}));
    let among = json!({"events": [good, with(json!({"usage": {"input": -1}})), good]}).to_string();
    let object_among = json!({"events": [good, 7]}).to_string();
    let twice = r#"{"events":[{"usage":{"input":1}},{"usage":{"input":1},"usage":{"input":2}}]}"#;
    let twice_inside = r#"{"usage":{"input":1,"output":1,"input":2}}"#;
    let envelope = |more: Value| {
        let mut event = json!({"specversion": "1.0", "id": "c", "source": "s", "type": "t", "data": {"usage": {"input": 1}}});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let batch = json!([envelope(json!({})), envelope(json!({"id": "a#b"}))]).to_string();
    let cloud = "content-type: application/cloudevents+json";
    let media = |name, media: &str| {
        let headers = format!("{AGENT}\ncontent-type: {media}");
        case(name, &headers, one.clone(), 415, "unsupported_media_type")
    };
    let encoding = |name, encoding: &str| {
        let headers = format!("{AGENT}\ncontent-encoding: {encoding}");
        case(name, &headers, one.clone(), 415, "unsupported_encoding")
    };
    let disagreeing = with(json!({"agent_id": "b"})).to_string();
    let long = "x".repeat(129);
    vec![
        bad("no agent", "", one.clone(), Some(0), "agent_id"),
        bad("header and body disagree about the agent", AGENT, disagreeing, Some(0), "agent_id"),
        bad("one bad event among good ones", AGENT, among, Some(1), "usage.input"),
        bad("a number among events", AGENT, object_among, Some(1), "event"),
        bad("events that are no array", AGENT, r#"{"events":{}}"#, None, "events"),
        bad("a key that comes twice", AGENT, twice, Some(1), "usage"),
        bad("a bucket that comes twice", AGENT, twice_inside, Some(0), "usage.input"),
        header("two agents", "x-agent-id: a\nx-agent-id: b", "x-agent-id"),
        header("the same agent twice", "x-agent-id: a\nx-agent-id: a", "x-agent-id"),
        header("an agent with a space", "x-agent-id: a b", "x-agent-id"),
        header("an empty agent", "x-agent-id:", "x-agent-id"),
        header("an agent of 129 characters", &format!("x-agent-id: {long}"), "x-agent-id"),
        header("an agent beyond ASCII", "x-agent-id: é", "x-agent-id"),
        header("a # in the key", "x-agent-id: a\nidempotency-key: k#0", "idempotency-key"),
        header("an empty key", "x-agent-id: a\nidempotency-key: \"\"", "idempotency-key"),
        header("two keys", "x-agent-id: a\nidempotency-key: k\nidempotency-key: l", "idempotency-key"),
        header("a task with a space", "x-agent-id: a\nx-task-id: a b", "x-task-id"),
        header("two teams", "x-agent-id: a\nx-team-id: a\nx-team-id: b", "x-team-id"),
        header("a number without a sender", "x-agent-id: a\nx-sequence: 1", "x-sender-id"),
        header("a negative number", "x-agent-id: a\nx-sender-id: s\nx-sequence: -1", "x-sequence"),
        header(
            "two content types",
            "x-agent-id: a\ncontent-type: text/csv\ncontent-type: application/json",
            "content-type",
        ),
        media("text", "text/plain"),
        media("a form", "multipart/form-data; boundary=x"),
        media("XML", "application/xml"),
        media("CloudEvents in another format", "application/cloudevents+avro"),
        encoding("brotli", "br"),
        encoding("gzip twice", "gzip, gzip"),
        bad(
            "an envelope's bad id in a batch",
            "content-type: application/cloudevents-batch+json",
            batch,
            Some(1),
            "id",
        ),
        bad(
            "header and subject disagree about the agent",
            "x-agent-id: a\ncontent-type: application/cloudevents+json",
            envelope(json!({"subject": "b"})).to_string(),
            Some(0),
            "subject",
        ),
        bad(
            "a binary envelope without a version",
            "x-agent-id: a\nce-id: c\nce-source: s\nce-type: t",
            one.clone(),
            Some(0),
            "ce-specversion",
        ),
        bad(
            "header and an event with a provider's counts disagree about the agent",
            AGENT,
            json!({"agent_id": "b", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}).to_string(),
            Some(0),
            "agent_id",
        ),
        bad(
            "an agent beside events",
            AGENT,
            json!({"agent_id": "b", "events": [good]}).to_string(),
            None,
            "agent_id",
        ),
        bad(
            "usage beside events",
            AGENT,
            json!({"usage": {"input": 5}, "events": [good]}).to_string(),
            None,
            "usage",
        ),
        event(
            "a time with a zone's name",
            with(json!({"time": "2026-11-24T09:30:00Z[Europe/Berlin]"})),
            "time",
        ),
        event("a time with a space", with(json!({"time": "2026-11-24 09:30:00Z"})), "time"),
        event("an offset of a day", with(json!({"time": "2026-11-24T09:30:00+25:00"})), "time"),
        event("a cost with a separator", with(json!({"reported_cost_usd": "1_000"})), "reported_cost_usd"),
        bad(
            "another version of CloudEvents",
            cloud,
            envelope(json!({"specversion": "0.3"})).to_string(),
            Some(0),
            "specversion",
        ),
        bad("an envelope without data", cloud, envelope(json!({"data": null})).to_string(), Some(0), "data"),
        bad(
            "an envelope's event",
            cloud,
            envelope(json!({"data": {"usage": {"input": -1}}})).to_string(),
            Some(0),
            "data.usage.input",
        ),
        bad(
            "a binary envelope's id",
            "ce-specversion: 1.0\nce-id: a#b\nce-source: s\nce-type: t",
            one.clone(),
            Some(0),
            "ce-id",
        ),
        case(
            "a batch that is no array",
            "content-type: application/cloudevents-batch+json",
            one.clone(),
            400,
            "invalid_json",
        ),
    ]
}

#[test]
fn what_is_wrong_is_refused_by_name_and_nothing_accepted_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    let cases: Vec<Case> = bodies().into_iter().chain(fields()).chain(around()).collect();
    assert!(cases.len() >= 100, "{}", cases.len());
    for (n, case) in cases.iter().enumerate() {
        let (status, problem) = up.ask("POST", "/v1/usage", &case.headers, &case.body);
        let name = case.name;
        assert_eq!((status, &problem["code"]), (case.status, &json!(case.code)), "{name}: {problem}");
        assert_eq!(problem["status"], case.status, "{name}");
        assert!(problem["request_id"].is_string() && problem["detail"].is_string(), "{name}: {problem}");
        if !case.field.is_empty() {
            let fault = &problem["errors"][0];
            let index = case.index.map_or(Value::Null, Value::from);
            assert_eq!((&fault["index"], &fault["field"]), (&index, &json!(case.field)), "{name}: {problem}");
            assert!(!fault["reason"].as_str().unwrap().is_empty(), "{name}");
        }
        let good = with(json!({"id": format!("good-{n}")}));
        up.post("x-agent-id: good\r\n", &good);
    }
    let count = cases.len();
    let report = up.wait(&["report", "--by", "agent"], |report| report["total"]["events"] == count);
    assert_eq!(report["rows"].as_array().unwrap().len(), 1, "only what was accepted is counted: {report}");
    assert_eq!(
        (&report["rows"][0]["key"]["agent"], &report["total"]["tokens"]),
        (&json!("good"), &json!(count))
    );
    let (_, health) = up.ask("GET", "/healthz", "", "");
    assert_eq!(health["pipeline"]["rejected"], count, "{health}");
}

#[test]
fn requests_that_two_readers_would_cut_differently_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    let head = |more: &str| {
        format!(
            "POST /v1/usage HTTP/1.1\r\nhost: {}\r\nx-agent-id: a\r\nconnection: close\r\n{more}",
            up.address()
        )
    };
    let body = usage("1");
    let length = body.len();
    for (name, request) in [
        ("two lengths", head(&format!("content-length: {length}\r\ncontent-length: 3\r\n\r\n{body}"))),
        ("a list of lengths", head(&format!("content-length: {length}, 3\r\n\r\n{body}"))),
        ("a negative length", head(&format!("content-length: -1\r\n\r\n{body}"))),
        ("a signed length", head(&format!("content-length: +{length}\r\n\r\n{body}"))),
        (
            "an unknown transfer coding",
            head(&format!("transfer-encoding: gzip, chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")),
        ),
        ("chunks that are not last", head(&format!("transfer-encoding: chunked, identity\r\n\r\n{body}"))),
        ("a chunk's bad size", head(&format!("transfer-encoding: chunked\r\n\r\n-1\r\n{body}\r\n0\r\n\r\n"))),
        (
            "a space before the colon",
            head(&format!("x-team-id : t\r\ncontent-length: {length}\r\n\r\n{body}")),
        ),
        ("a folded header", head(&format!("x-team-id: t\r\n\tu\r\ncontent-length: {length}\r\n\r\n{body}"))),
        ("a null in a header", head(&format!("x-team-id: t\0\r\ncontent-length: {length}\r\n\r\n{body}"))),
        (
            "a bare carriage return",
            head(&format!("x-team-id: t\rx-agent-id: b\r\ncontent-length: {length}\r\n\r\n{body}")),
        ),
        ("two hosts", head(&format!("host: evil.example\r\ncontent-length: {length}\r\n\r\n{body}"))),
    ] {
        let (status, head, _) = up.say(request.as_bytes());
        assert!((400..500).contains(&status), "{name}: {head}");
    }
    up.post("x-agent-id: good\r\n", &with(json!({"id": "good"})));
    let report = up.wait(&["report", "--by", "agent"], |report| report["total"]["events"] == 1);
    assert_eq!(report["rows"][0]["key"]["agent"], "good", "{report}");

    // A length beside chunks is dropped by the parser, in either order: what a proxy took for the rest of the
    // body must not be taken for the next request.
    let smuggled = format!(
        "POST /v1/usage HTTP/1.1\r\nhost: localhost\r\nx-agent-id: smuggled\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    for (first, second) in [
        ("transfer-encoding: chunked", "content-length: 5"),
        ("content-length: 5", "transfer-encoding: chunked"),
    ] {
        let request = format!(
            "POST /v1/usage HTTP/1.1\r\nhost: localhost\r\nx-agent-id: good\r\n{first}\r\n{second}\r\n\r\n\
             {length:x}\r\n{body}\r\n0\r\n\r\n{smuggled}"
        );
        let (status, head, rest) = up.say(request.as_bytes());
        assert!(status == 200 && head.contains("connection: close"), "{head}");
        assert!(!rest.contains("HTTP/1.1"), "one answer: {rest}");
    }
}

#[test]
fn what_a_numbered_sender_lost_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    for sequence in [1, 2, 5, 5, 7] {
        let headers = format!("x-agent-id: a\r\nx-sender-id: proxy-1\r\nx-sequence: {sequence}\r\n");
        up.post(&headers, &with(json!({"id": format!("e-{sequence}")})));
    }
    let list = up.wait(&["completeness"], |list| list["senders"][0]["arrived"] == 4);
    let line = &list["senders"][0];
    assert_eq!((&line["sender"], &line["last"], &line["missing"]), (&json!("proxy-1"), &json!(7), &json!(3)));
    assert_eq!(line["gaps"], json!([{"from": 3, "to": 4}, {"from": 6, "to": 6}]));
    let table = String::from_utf8(up.run(&["completeness"]).stdout).unwrap();
    assert!(table.contains("3-4 6"), "{table}");
}

#[test]
fn limits_and_error_pages_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let up = Up::start(dir.path(), &[]);
    let (status, limits) = up.ask("GET", "/v1/limits", "", "");
    let body =
        limits["limits"].as_array().unwrap().iter().find(|limit| limit["name"] == "body_bytes").unwrap();
    assert_eq!((status, &body["value"], &body["code"]), (200, &json!(1 << 20), &json!("body_too_large")));
    for name in ["connections", "request_seconds", "in_flight", "reports_at_a_time"] {
        let of_this_server = limits["limits"].as_array().unwrap().iter().any(|limit| limit["name"] == name);
        assert!(of_this_server, "{name}");
    }
    let (_, problem) = up.ask("POST", "/v1/usage", "", "");
    let help = problem["help"].as_str().unwrap();
    let request = format!("GET {help} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let (status, head, page) = up.say(request.as_bytes());
    assert!(status == 200 && head.contains("text/markdown"), "{head}");
    assert!(page.starts_with("# `invalid_json`") && page.contains("## What to do"), "{page}");
    assert_eq!(up.ask("GET", "/errors/nothing", "", "").0, 404);
}
