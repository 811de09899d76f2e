//! Who may do what, as tables: every role at every endpoint, and every credential that does not hold. What is
//! expected is written down for each cell, and not worked out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, unreachable_pub, reason = "each test crate uses its part")]
mod support;

use auth::{Role, SecretKey, sign};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::clock::{Clock, SystemClock};

use support::{Answer, Site, Up, claims, token, until};

/// What a cell of the table means.
fn meaning(cell: &str) -> (u16, &str) {
    match cell {
        "yes" => (200, ""),
        "role" => (403, "forbidden"),
        "agent" => (403, "agent_not_allowed"),
        "team" => (403, "team_not_allowed"),
        // No agent is named, and the token leaves a choice.
        "who" => (400, "invalid_event"),
        "gone" => (404, "not_found"),
        "none" => (404, "no_such_budget"),
        "event" => (404, "no_such_event"),
        "run" => (404, "no_such_repricing"),
        "aside" => (404, "no_such_quarantined"),
        other => panic!("{other:?} means nothing"),
    }
}

const CALLERS: [(&str, Role, &[&str], Option<&str>); 6] = [
    ("ingest", Role::Ingest, &["writer"], None),
    ("ingest of a team", Role::Ingest, &["writer"], Some("growth")),
    ("ingest of a pattern", Role::Ingest, &["writer-*", "planner"], None),
    ("read", Role::Read, &[], None),
    ("read of a team", Role::Read, &[], Some("growth")),
    ("admin", Role::Admin, &[], None),
];

struct Row {
    method: &'static str,
    path: &'static str,
    header: &'static str,
    body: Value,
    cells: [&'static str; 6],
}

fn post(header: &'static str, body: Value, ingest: [&'static str; 3]) -> Row {
    let [a, b, c] = ingest;
    // Neither who reads nor who administers may send.
    Row { method: "POST", path: "/v1/usage", header, body, cells: [a, b, c, "role", "role", "role"] }
}

fn get(path: &'static str, readers: [&'static str; 3]) -> Row {
    let [read, of_team, admin] = readers;
    let cells = ["role", "role", "role", read, of_team, admin];
    Row { method: "GET", path, header: "", body: Value::Null, cells }
}

fn change(method: &'static str, path: &'static str, body: Value, admin: &'static str) -> Row {
    let cells = ["role", "role", "role", "role", "role", admin];
    Row { method, path, header: "", body, cells }
}

#[rustfmt::skip]
fn table() -> Vec<Row> {
    let usage = || json!({"usage": {"input": 1}});
    let of = |agent: &str| json!({"agent_id": agent, "usage": {"input": 1}});
    let void = |agent: &str| json!({"type": "void", "agent_id": agent, "corrects": "x"});
    let amend = |agent: &str| json!({"type": "amend", "agent_id": agent, "corrects": "x", "revision": 1, "usage": {"input": 1}});
    let ended = |agent: &str| json!({"type": "task_outcome", "agent_id": agent, "task_id": "t", "outcome": "success"});
    let teamed = |team: &str| json!({"agent_id": "writer", "team_id": team, "usage": {"input": 1}});
    let ended_by = |team: &str| json!({"type": "task_outcome", "agent_id": "writer", "task_id": "t", "team_id": team, "outcome": "success"});
    let response = || json!({"object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}});
    let budget = || json!({"scope": "org", "limit_usd": "1", "period": "day"});
    vec![
        // Own agent, another, none; by header and by field; every type of event. Columns: one agent, one agent of
        // a team, a pattern.
        post("x-agent-id: writer", usage(), ["yes", "yes", "agent"]),
        post("x-agent-id: writer-7", usage(), ["agent", "agent", "yes"]),
        post("x-agent-id: planner", usage(), ["agent", "agent", "yes"]),
        post("x-agent-id: other", usage(), ["agent", "agent", "agent"]),
        post("x-agent-id: WRITER", usage(), ["agent", "agent", "agent"]),
        post("", usage(), ["yes", "yes", "who"]),
        post("", response(), ["yes", "yes", "who"]),
        post("x-agent-id: other", response(), ["agent", "agent", "agent"]),
        post("", of("writer"), ["yes", "yes", "agent"]),
        post("", of("writer-7"), ["agent", "agent", "yes"]),
        post("", of("other"), ["agent", "agent", "agent"]),
        post("", json!({"events": [of("writer"), of("other")]}), ["agent", "agent", "agent"]),
        post("", json!({"events": [usage(), of("writer")]}), ["yes", "yes", "who"]),
        post("", void("writer"), ["yes", "yes", "agent"]),
        post("", void("other"), ["agent", "agent", "agent"]),
        post("", amend("writer"), ["yes", "yes", "agent"]),
        post("", amend("other"), ["agent", "agent", "agent"]),
        post("", ended("writer"), ["yes", "yes", "agent"]),
        post("", ended("other"), ["agent", "agent", "agent"]),
        // Own team, another, and any where the token has none.
        post("x-team-id: growth", usage(), ["team", "yes", "who"]),
        post("x-team-id: sales", usage(), ["team", "team", "who"]),
        post("x-team-id: sales", teamed("growth"), ["team", "team", "agent"]),
        post("x-team-id: growth", teamed("sales"), ["team", "team", "agent"]),
        post("", teamed("growth"), ["team", "yes", "agent"]),
        post("", teamed("sales"), ["team", "team", "agent"]),
        post("", ended_by("growth"), ["team", "yes", "agent"]),
        post("", ended_by("sales"), ["team", "team", "agent"]),
        post("x-team-id: sales", void("writer"), ["team", "team", "agent"]),
        // Columns: read, read of a team, admin.
        get("/v1/spend?by=agent", ["yes", "yes", "yes"]),
        get("/v1/spend?by=agent&team=growth", ["yes", "yes", "yes"]),
        get("/v1/spend?by=agent&team=sales", ["yes", "team", "yes"]),
        get("/v1/events", ["yes", "yes", "yes"]),
        get("/v1/events?team=growth", ["yes", "yes", "yes"]),
        get("/v1/events?team=sales", ["yes", "team", "yes"]),
        get("/v1/unpriced", ["yes", "yes", "yes"]),
        get("/v1/unpriced?team=growth", ["yes", "yes", "yes"]),
        get("/v1/unpriced?team=sales", ["yes", "team", "yes"]),
        get("/v1/alerts", ["yes", "yes", "yes"]),
        get("/v1/budgets", ["yes", "yes", "yes"]),
        get("/v1/conflicts", ["yes", "role", "yes"]),
        get("/v1/quarantine", ["yes", "role", "yes"]),
        get("/v1/quarantine/none", ["aside", "role", "aside"]),
        get("/v1/corrections", ["yes", "role", "yes"]),
        get("/v1/explain?agent=nobody&event=x", ["event", "event", "event"]),
        get("/v1/differences", ["yes", "yes", "yes"]),
        get("/v1/differences?team=growth", ["yes", "yes", "yes"]),
        get("/v1/differences?team=sales", ["yes", "team", "yes"]),
        get("/v1/repricings", ["yes", "role", "yes"]),
        get("/v1/revocations", ["role", "role", "yes"]),
        get("/v1/prices", ["yes", "yes", "yes"]),
        get("/v1/prices/none", ["gone", "gone", "gone"]),
        get("/v1/nothing", ["gone", "gone", "gone"]),
        change("PUT", "/v1/admin/budgets/b", budget(), "yes"),
        change("DELETE", "/v1/admin/budgets/b", Value::Null, "yes"),
        change("DELETE", "/v1/admin/budgets/b", Value::Null, "none"),
        change("PUT", "/v1/admin/revocations/nobody", Value::Null, "yes"),
        change("POST", "/v1/admin/reprice", json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "closed": true}), "yes"),
        change("POST", "/v1/admin/reprice", json!({"apply": true, "run": "none-begun"}), "run"),
        change("POST", "/v1/admin/quarantine/none/retry", Value::Null, "aside"),
        change("DELETE", "/v1/admin/quarantine/none", Value::Null, "aside"),
        change("PUT", "/v1/admin/nothing", Value::Null, "gone"),
    ]
}

fn send(up: &Up, token: &str, row: &Row) -> Answer {
    let headers: Vec<String> = [row.header.to_owned()].into_iter().filter(|h| !h.is_empty()).collect();
    let body = if row.body.is_null() { String::new() } else { row.body.to_string() };
    up.with(token, row.method, row.path, &headers, &body)
}

#[test]
fn every_role_at_every_endpoint_may_what_the_table_says() {
    let site = Site::new();
    let up = Up::start(&site);
    let key = site.key("mint");
    let mut accepted = 0;
    for (n, (name, role, agents, team)) in CALLERS.into_iter().enumerate() {
        let token = token(&key, role, agents, team);
        for row in table() {
            let answer = send(&up, &token, &row);
            let (status, code) = meaning(row.cells[n]);
            let cell = format!("{name}: {} {} {} {}", row.method, row.path, row.header, row.body);
            assert_eq!((answer.status, answer.code()), (status, code), "{cell}\n{}", answer.body);
            if status == 403 {
                assert!(
                    answer.head.contains("www-authenticate: Bearer error=\"insufficient_scope\""),
                    "{cell}"
                );
            }
            // What is refused is named by index and field.
            if matches!(row.cells[n], "agent") || (row.path == "/v1/usage" && row.cells[n] == "team") {
                assert!(answer.body["errors"][0]["field"].is_string(), "{cell}\n{}", answer.body);
            }
            if status == 200 && row.path == "/v1/usage" {
                let sent = row.body["events"].as_array().map_or(1, Vec::len);
                let call = row.body["type"].is_null();
                accepted += if call { sent } else { 0 };
            }
        }
    }
    let admin = token(&key, Role::Admin, &[], None);
    let spend = |query: &str| up.with(&admin, "GET", &format!("/v1/spend?by=agent{query}"), &[], "").body;
    until("what was accepted is counted", || spend("")["total"]["events"] == accepted);
    // Only the token of a team charges it, and it charges no other.
    assert_eq!(spend("&team=sales")["total"]["events"], 0);
    assert_eq!(spend("&team=growth")["total"]["events"], 8);
    assert_eq!(up.with(&admin, "GET", "/v1/budgets", &[], "").body["budgets"], json!([]));
}

#[test]
fn a_refused_event_is_named_by_index_and_field() {
    let site = Site::new();
    let up = Up::start(&site);
    let token = token(&site.key("mint"), Role::Ingest, &["writer"], Some("growth"));
    let own = json!({"usage": {"input": 1}});
    let foreign = json!({"agent_id": "other", "usage": {"input": 1}});
    let charged = json!({"team_id": "sales", "usage": {"input": 1}});
    for (header, events, index, field) in [
        ("x-task-id: t", json!([own, foreign]), json!(1), "agent_id"),
        ("x-task-id: t", json!([own, own, charged]), json!(2), "team_id"),
        ("x-team-id: sales", json!([own]), Value::Null, "x-team-id"),
    ] {
        let body = json!({"events": events}).to_string();
        let answer = up.with(&token, "POST", "/v1/usage", &[header.to_owned()], &body);
        assert_eq!(answer.status, 403, "{}", answer.body);
        let fault = &answer.body["errors"][0];
        assert_eq!((&fault["index"], &fault["field"]), (&index, &json!(field)), "{}", answer.body);
        assert_eq!(answer.body["errors"].as_array().unwrap().len(), 1);
    }
}

/// Every endpoint, to be asked with credentials that do not hold.
const ENDPOINTS: [(&str, &str); 27] = [
    ("POST", "/v1/usage"),
    ("GET", "/v1/usage"),
    ("GET", "/v1/spend?by=agent"),
    ("GET", "/v1/events"),
    ("GET", "/v1/unpriced"),
    ("GET", "/v1/alerts"),
    ("GET", "/v1/budgets"),
    ("GET", "/v1/conflicts"),
    ("GET", "/v1/quarantine"),
    ("GET", "/v1/quarantine/x"),
    ("POST", "/v1/admin/quarantine/x/retry"),
    ("DELETE", "/v1/admin/quarantine/x"),
    ("GET", "/v1/corrections"),
    ("GET", "/v1/revocations"),
    ("GET", "/v1/explain?agent=a&event=x"),
    ("GET", "/v1/differences"),
    ("GET", "/v1/repricings"),
    ("POST", "/v1/admin/reprice"),
    ("GET", "/v1/prices"),
    ("GET", "/v1/prices/x"),
    ("POST", "/v1/admin/prices"),
    ("PUT", "/v1/admin/budgets/b"),
    ("DELETE", "/v1/admin/budgets/b"),
    ("PUT", "/v1/admin/revocations/x"),
    ("GET", "/v1/nothing"),
    ("GET", "/nothing"),
    ("GET", "/"),
];

fn b64(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn hmac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    block[..secret.len()].copy_from_slice(secret);
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha256::digest([&pad(0x36)[..], message].concat());
    Sha256::digest([&pad(0x5c)[..], &inner].concat()).to_vec()
}

#[test]
fn credentials_that_do_not_hold_open_nothing() {
    let site = Site::new();
    let up = Up::start(&site);
    let key = site.key("mint");
    let good = claims(Role::Admin, &[], None);
    let now = SystemClock.now().as_second();
    let bent = |iat: i64, exp: i64| {
        let claims = auth::Claims { iat, exp, ..claims(Role::Admin, &[], None) };
        sign(&claims, &key).unwrap()
    };
    let valid = sign(&good, &key).unwrap();
    let [header, payload, signature] = valid.split('.').collect::<Vec<_>>().try_into().unwrap();

    let revoked = claims(Role::Admin, &[], None);
    let path = format!("/v1/admin/revocations/{}", revoked.jti);
    assert_eq!(up.with(&valid, "PUT", &path, &[], "").status, 200);

    let elsewhere = auth::Claims { aud: "elsewhere".to_owned(), ..claims(Role::Admin, &[], None) };
    let other = SecretKey::generate().unwrap();
    let foreign = sign(&good, &other).unwrap();
    let foreign_signature = foreign.rsplit('.').next().unwrap();
    let kid = key.public().id();
    let hs256 = {
        let pem = key.public().to_pem();
        let der = STANDARD.decode(pem.lines().nth(1).unwrap()).unwrap();
        let header = b64(&json!({"alg": "HS256", "kid": kid.as_str(), "typ": "JWT"}));
        let signed = format!("{header}.{payload}");
        let mac = URL_SAFE_NO_PAD.encode(hmac(&der[12..], signed.as_bytes()));
        format!("{signed}.{mac}")
    };
    let none = b64(&json!({"alg": "none", "kid": kid.as_str(), "typ": "JWT"}));
    let mut claimed = serde_json::to_value(&good).unwrap();
    claimed["exp"] = json!(good.exp + 1);
    let flipped: String = {
        let first = if signature.starts_with('A') { "B" } else { "A" };
        format!("{first}{}", &signature[1..])
    };

    let bearer = |token: &str| vec![format!("authorization: Bearer {token}")];
    let day = 86_400;
    for (name, headers, code) in [
        ("missing", vec![], "unauthorized"),
        ("two headers", [bearer(&valid), bearer(&valid)].concat(), "unauthorized"),
        ("another scheme", vec!["authorization: Basic dXNlcjpwYXNz".to_owned()], "unauthorized"),
        ("no scheme", vec![format!("authorization: {valid}")], "unauthorized"),
        ("not a token", bearer("secret"), "invalid_token"),
        ("too long", bearer(&"A".repeat(4097)), "invalid_token"),
        ("expired", bearer(&bent(now - 10 * day, now - 1)), "token_expired"),
        ("revoked", bearer(&sign(&revoked, &key).unwrap()), "token_revoked"),
        ("wrong audience", bearer(&sign(&elsewhere, &key).unwrap()), "invalid_token"),
        ("wrong key", bearer(&foreign), "invalid_token"),
        (
            "wrong key under our name",
            bearer(&format!("{header}.{payload}.{foreign_signature}")),
            "invalid_token",
        ),
        ("HS256 with the public key", bearer(&hs256), "invalid_token"),
        ("none", bearer(&format!("{none}.{payload}.")), "invalid_token"),
        ("none, with a signature", bearer(&format!("{none}.{payload}.{signature}")), "invalid_token"),
        ("altered payload", bearer(&format!("{header}.{}.{signature}", b64(&claimed))), "invalid_token"),
        ("altered signature", bearer(&format!("{header}.{payload}.{flipped}")), "invalid_token"),
        ("stripped signature", bearer(&format!("{header}.{payload}.")), "invalid_token"),
        ("no signature at all", bearer(&format!("{header}.{payload}")), "invalid_token"),
        ("made in the future", bearer(&bent(now + 3600, now + day)), "invalid_token"),
        ("more than 90 days", bearer(&bent(now, now + 90 * day + 1)), "invalid_token"),
        ("ends before it begins", bearer(&bent(now, now - day)), "invalid_token"),
    ] {
        for (method, path) in ENDPOINTS {
            let answer = up.ask(method, path, &headers, r#"{"usage":{"input":1}}"#);
            let cell = format!("{name}: {method} {path}\n{}", answer.body);
            assert_eq!((answer.status, answer.code()), (401, code), "{cell}");
            assert!(answer.head.contains("www-authenticate: Bearer"), "{cell}\n{}", answer.head);
            let error = answer.head.contains("error=\"invalid_token\"");
            assert_eq!(error, code != "unauthorized", "{cell}\n{}", answer.head);
            let detail = answer.body["detail"].as_str().unwrap();
            assert!(!detail.contains(payload) && !detail.contains("secret"), "{cell}");
        }
        // Whether the server is up is told without a token; a wrong one is refused there too.
        let health = up.ask("GET", "/healthz", &headers, "");
        if name == "missing" {
            assert_eq!((health.status, health.body), (200, json!({"status": "ok"})));
        } else {
            assert_eq!(health.status, 401, "{name}");
        }
    }
    assert_eq!(up.with(&valid, "GET", "/v1/budgets", &[], "").body["budgets"], json!([]));
    let spend = up.with(&valid, "GET", "/v1/spend?by=agent", &[], "");
    assert_eq!((spend.status, &spend.body["total"]["events"]), (200, &json!(0)), "{}", spend.body);
}

#[test]
fn a_reader_of_one_team_sees_that_team_only() {
    let site = Site::new();
    let up = Up::start(&site);
    let key = site.key("mint");
    let admin = token(&key, Role::Admin, &[], None);
    for (name, scope) in
        [("ours", "team:growth"), ("theirs", "team:sales"), ("all", "org"), ("who", "agent:g")]
    {
        let body = json!({"scope": scope, "limit_tokens": 1, "period": "month", "thresholds": [100]});
        let path = format!("/v1/admin/budgets/{name}");
        assert_eq!(up.with(&admin, "PUT", &path, &[], &body.to_string()).status, 200);
    }
    for (agent, team, tokens) in [("g", Some("growth"), 7), ("s", Some("sales"), 11), ("n", None, 13)] {
        let token = token(&key, Role::Ingest, &[agent], team);
        let sent =
            up.with(&token, "POST", "/v1/usage", &[], &json!({"usage": {"input": tokens}}).to_string());
        assert_eq!(sent.status, 200, "{}", sent.body);
    }
    let all = token(&key, Role::Read, &[], None);
    let ours = token(&key, Role::Read, &[], Some("growth"));
    let get = |token: &str, path: &str| up.with(token, "GET", path, &[], "").body;
    let alerts = |token: &str, query: &str| get(token, &format!("/v1/alerts{query}"))["alerts"].clone();
    // Of four budgets, and that the calls name no model, which has a price.
    until("all alerts are there", || alerts(&all, "").as_array().is_some_and(|a| a.len() == 5));

    assert_eq!(get(&all, "/v1/spend?by=team")["total"]["tokens"], 31);
    for query in ["", "&team=growth", "&agent=g", "&agent=s&agent=g"] {
        let report = get(&ours, &format!("/v1/spend?by=agent{query}"));
        assert_eq!(report["total"]["tokens"], 7, "{query}: {report}");
    }
    assert_eq!(get(&ours, "/v1/spend?by=agent&agent=s")["rows"], json!([]));
    assert_eq!(get(&ours, "/v1/spend?by=session")["total"]["tokens"], 7, "from the records too");
    let events = get(&ours, "/v1/events");
    assert_eq!(events["events"].as_array().unwrap().len(), 1, "{events}");
    assert_eq!(events["events"][0]["agent_id"], "g");
    let unpriced =
        |token: &str, query: &str| get(token, &format!("/v1/unpriced{query}"))["total"]["tokens"].clone();
    assert_eq!(
        (unpriced(&all, ""), unpriced(&ours, ""), unpriced(&ours, "?agent=s")),
        (json!(31), json!(7), json!(0))
    );
    assert_eq!(alerts(&ours, "?budget=unpriced"), json!([]));
    assert_eq!(get(&ours, "/v1/budgets")["budgets"].as_array().unwrap().len(), 1);
    assert_eq!(get(&ours, "/v1/budgets")["budgets"][0]["name"], "ours");
    for query in ["", "?limit=1", "?budget=ours"] {
        let list = alerts(&ours, query);
        assert_eq!(list.as_array().unwrap().len(), 1, "{query}: {list}");
        assert_eq!(list[0]["budget"], "ours");
    }
    assert_eq!(alerts(&ours, "?budget=theirs"), json!([]));
    // The pipeline as a whole counts everybody's events.
    assert_eq!(get(&ours, "/healthz"), json!({"status": "ok"}));
    assert_eq!(get(&all, "/healthz")["pipeline"]["counts"]["tokens"], 31);
    let ingest = token(&key, Role::Ingest, &["g"], None);
    assert_eq!(get(&ingest, "/healthz"), json!({"status": "ok"}));
}

#[test]
fn credentials_are_asked_for_before_a_body_is_read() {
    let site = Site::new();
    let up = Up::start(&site);
    // The body never comes: a server that read it first would wait for half a minute.
    let head = format!("POST /v1/usage HTTP/1.1\r\nhost: {}\r\ncontent-length: 1000000\r\n\r\n", up.address);
    let begun = std::time::Instant::now();
    let answer = up.say(&head);
    assert_eq!((answer.status, answer.code()), (401, "unauthorized"));
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert!(begun.elapsed().as_secs() < 10);
}

#[test]
fn the_host_is_this_machine_or_a_name_that_was_configured() {
    let site = Site::new();
    let up = Up::start(&site);
    let token = token(&site.key("mint"), Role::Read, &[], None);
    let ask = |host: &str, origin: &str| {
        up.say(&format!(
            "GET /v1/budgets HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\nconnection: close\r\n\
             authorization: Bearer {token}\r\n\r\n"
        ))
        .status
    };
    assert_eq!(ask("localhost", "http://localhost"), 200);
    assert_eq!(ask("ledger.example", "https://ledger.example"), 200);
    assert_eq!(ask("ledger.example:8080", "http://ledger.example:8080"), 200);
    assert_eq!(ask("evil.example", "http://evil.example"), 403);
    assert_eq!(ask("ledger.example", "https://evil.example"), 403);
}
