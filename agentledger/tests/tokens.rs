//! The life of keys and tokens, as an operator leads it: made, used, rotated, revoked, and never stored.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, unreachable_pub, reason = "each test crate uses its part")]
mod support;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};
use shared::clock::{Clock, SystemClock};
use shared::id::TokenId;
use shared::revocation::{Revocation, RevocationStore};

use support::{Site, Up, files, run, until};

const USAGE: &str = r#"{"usage":{"input":5}}"#;

fn status(up: &Up, token: &str) -> u16 {
    up.with(token, "POST", "/v1/usage", &[], USAGE).status
}

/// The claims of a token, which are its second part.
fn jti(token: &str) -> String {
    use base64::Engine;
    let payload = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&bytes).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn tokens_are_minted_used_revoked_and_rotated_without_a_restart_and_leave_no_trace() {
    let site = Site::new();
    let up = Up::start(&site);
    let admin = site.mint("mint", &["--role", "admin", "--days", "1"]);
    let reader = site.mint("mint", &["--role", "read", "--team", "growth"]);
    let lost = site.mint("mint", &["--role", "ingest", "--agent", "writer", "--team", "growth"]);
    let kept =
        site.mint("mint", &["--role", "ingest", "--agent", "writer-*", "--agent", "writer", "--days", "90"]);
    let stolen = site.mint("mint", &["--role", "ingest", "--agent", "thief"]);
    let mut tokens = vec![admin.clone(), reader.clone(), lost.clone(), kept.clone(), stolen.clone()];

    // Posted, and counted for the token's team.
    assert_eq!(status(&up, &lost), 200);
    let report = |token: &str| {
        let output = up.run(&["report", "--by", "team", "--format", "json"], token);
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    until("it is counted", || report(&reader)["total"]["tokens"] == 5);
    assert_eq!(report(&reader)["rows"][0]["key"]["team"], "growth");

    // Revoked: refused by the very next request, and without a restart.
    let revoked = up.run(&["token", "revoke", &jti(&lost), "--reason", "laptop lost"], &admin);
    assert!(revoked.status.success(), "{}", said(&revoked));
    let refused = up.with(&lost, "POST", "/v1/usage", &[], USAGE);
    assert_eq!((refused.status, refused.code()), (401, "token_revoked"));
    let again = up.run(&["token", "revoke", &jti(&lost), "--reason", "again"], &admin);
    assert_eq!(again.stdout, revoked.stdout, "once more changes nothing");
    assert_eq!(up.run(&["token", "revoke", &jti(&lost)], &reader).status.code(), Some(1));
    let x = headers(&["x-agent-id: writer"]);
    assert_eq!(up.with(&kept, "POST", "/v1/usage", &x, USAGE).status, 200, "another is not touched");

    // The list: what was issued with this key, and what became of it.
    let key = site.path("mint");
    let list = ["token", "list", "--key", key.to_str().unwrap(), "--format", "json"];
    let listed: Value = serde_json::from_slice(&up.run(&list, &admin).stdout).unwrap();
    let states: Vec<_> = listed["tokens"].as_array().unwrap().iter().map(|t| t["state"].clone()).collect();
    assert_eq!(states, ["valid", "valid", "revoked", "valid", "valid"], "{listed}");
    assert_eq!(listed["tokens"][2]["reason"], "laptop lost");
    assert_eq!(listed["tokens"][2]["issued"]["agents"], json!(["writer"]));
    assert!(up.run(&["token", "list", "--format", "csv"], &admin).status.success());

    // A token in the wrong place is refused, and is not written down there either.
    for path in
        [format!("/v1/admin/revocations/{admin}"), format!("/v1/admin/budgets/{admin}"), format!("/{admin}")]
    {
        assert!(up.with(&admin, "PUT", &path, &[], "").status >= 400);
    }
    let named = up.with(&kept, "POST", "/v1/usage", &[format!("x-agent-id: {kept}")], USAGE);
    assert_eq!(named.status, 400);
    let mut altered = kept.clone();
    altered.replace_range(..1, "f");
    assert_eq!(status(&up, &altered), 401);

    // By another process, straight into the ledger: within a minute.
    {
        let ledger = local::ledger::SqliteLedger::open(&site.data().join("ledger.db")).unwrap();
        let at = SystemClock.now();
        let until = at + jiff::SignedDuration::from_hours(24 * 91);
        let revocation = Revocation { jti: TokenId::parse(&jti(&stolen)).unwrap(), until, at, reason: None };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(ledger.revoke(&revocation)).unwrap();
    }
    // A second key beside the first: both hold. Then the first goes.
    site.keygen("next");
    let new = site.mint("next", &["--role", "ingest", "--agent", "writer"]);
    tokens.push(new.clone());
    assert_eq!(status(&up, &new), 401, "the key is not known yet");
    until("the new key is known", || status(&up, &new) == 200);
    assert_eq!(up.with(&kept, "POST", "/v1/usage", &x, USAGE).status, 200, "the old key still holds");
    until("the other process's revocation acts", || status(&up, &stolen) == 401);
    std::fs::rename(site.path("keys/mint.pub"), site.path("mint.pub")).unwrap();
    until("the old key is gone", || up.with(&kept, "POST", "/v1/usage", &x, USAGE).status == 401);
    assert_eq!(status(&up, &new), 200);
    // What cannot be read takes nothing away.
    std::fs::write(site.path("keys/broken.pub"), "not a key").unwrap();
    let log = || std::fs::read_to_string(site.path("log")).unwrap();
    until("the broken file is reported", || log().contains("those read last still hold"));
    assert_eq!(status(&up, &new), 200);
    std::fs::remove_file(site.path("keys/broken.pub")).unwrap();

    let mut stdout = up.terminate();

    // The revocation outlives the process.
    std::fs::rename(site.path("mint.pub"), site.path("keys/mint.pub")).unwrap();
    let up = Up::start(&site);
    assert_eq!(up.with(&lost, "POST", "/v1/usage", &[], USAGE).code(), "token_revoked");
    assert_eq!(up.with(&kept, "POST", "/v1/usage", &x, USAGE).status, 200);
    stdout += &up.terminate();

    // Whole, or a part of it: the payload and the signature of a token are in no file and no line.
    let log = log();
    assert!(log.contains(" TRACE ") || log.contains(" DEBUG "), "the log is not as loud as it can be");
    let issued = std::fs::read(site.path("mint.issued.jsonl")).unwrap();
    let mut places =
        vec![("log".to_owned(), log.clone().into_bytes()), ("stdout".to_owned(), stdout.into_bytes())];
    places.push(("issued".to_owned(), issued));
    for file in files(&site.data()) {
        places.push((file.display().to_string(), std::fs::read(file).unwrap()));
    }
    assert!(places.len() > 5, "{} places", places.len());
    for token in &tokens {
        let parts: Vec<&str> = token.split('.').collect();
        // The header is the same for every token of a key, and a short run of a part is enough to be found.
        for needle in [parts[0], parts[1], parts[2], &parts[1][..24], &parts[2][..24], &parts[2][60..]] {
            for (place, bytes) in &places {
                let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
                assert!(!found, "{place} holds a part of a token");
            }
        }
    }

    // Every administrative change left a line, the refused ones too.
    let audit: Vec<&str> = log.lines().filter(|line| line.contains("agentledger::audit")).collect();
    let line = |words: &[&str]| {
        audit.iter().any(|line| words.iter().all(|word| line.contains(word)) && line.contains("request_id="))
    };
    let object = format!("revocation {}", jti(&lost));
    let (by_admin, by_reader) = (format!("who=\"{}\"", jti(&admin)), format!("who=\"{}\"", jti(&reader)));
    assert!(line(&[&by_admin, "role=\"admin\"", "PUT", &object, "outcome=\"done\""]), "{audit:#?}");
    assert!(line(&[&by_reader, "role=\"read\"", "PUT", &object, "outcome=\"forbidden\""]), "{audit:#?}");
    assert!(line(&[&by_admin, "outcome=\"invalid_revocation\""]), "{audit:#?}");
}

fn headers(lines: &[&str]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

#[test]
fn refused_administration_is_audited_also_without_credentials() {
    let site = Site::new();
    let up = Up::start(&site);
    assert_eq!(up.ask("DELETE", "/v1/admin/budgets/b", &[], "").status, 401);
    assert_eq!(up.with("x", "PUT", "/v1/admin/revocations/y", &[], "").status, 401);
    let foreign = ["origin: http://evil.example".to_owned()];
    assert_eq!(up.ask("PUT", "/v1/admin/budgets/c", &foreign, "").status, 403);
    let large = " ".repeat((1 << 20) + 1);
    let admin = site.mint("mint", &["--role", "admin"]);
    assert_eq!(up.with(&admin, "PUT", "/v1/admin/budgets/d", &[], &large).status, 413);
    drop(up.terminate());
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    let by_admin = log.lines().find(|line| line.contains("agentledger::audit") && line.contains("budget d"));
    let by_admin = by_admin.expect("a refusal before the handler is audited too");
    assert!(by_admin.contains("role=\"admin\"") && by_admin.contains("body_too_large"), "{by_admin}");
    for (object, outcome) in
        [("budget b", "unauthorized"), ("revocation y", "invalid_token"), ("budget c", "foreign_request")]
    {
        let line = log.lines().find(|line| line.contains("agentledger::audit") && line.contains(object));
        let line = line.unwrap_or_else(|| panic!("no line for {object}"));
        assert!(line.contains("who=\"unknown\"") && line.contains(outcome), "{line}");
    }
}

#[test]
fn keys_of_openssl_are_keys_and_ours_are_openssls() {
    let site = Site::new();
    let openssl = |args: &[&str]| Command::new("openssl").args(args).current_dir(site.dir.path()).output();
    if openssl(&["version"]).is_err() {
        // The fixed vectors of RFC 8037 are tested in auth; here is only whether the real thing agrees.
        return;
    }
    let ok = |args: &[&str]| {
        let output = openssl(args).unwrap();
        assert!(output.status.success(), "{args:?} {}", said(&output));
        output
    };
    ok(&["genpkey", "-algorithm", "ed25519", "-out", "theirs"]);
    std::fs::set_permissions(site.path("theirs"), std::fs::Permissions::from_mode(0o600)).unwrap();
    ok(&["pkey", "-in", "theirs", "-pubout", "-out", "keys/theirs.pem"]);
    let token = site.mint("theirs", &["--role", "ingest", "--agent", "writer"]);
    let up = Up::start(&site);
    assert_eq!(status(&up, &token), 200);
    let public = ok(&["pkey", "-in", "mint", "-pubout"]).stdout;
    assert_eq!(public, std::fs::read(site.path("keys/mint.pub")).unwrap());
}

#[test]
fn keys_and_tokens_are_refused_with_a_way_out() {
    let site = Site::new();
    let key = site.path("mint");
    let key = key.to_str().unwrap();
    let mint = |args: &[&str]| run(&[&["token", "mint", "--key", key], args].concat(), None);
    for (output, code, words) in [
        (run(&["token", "keygen", "--out", key], None), 1, "a key is never overwritten"),
        (mint(&["--role", "ingest"]), 2, "names the agents"),
        (mint(&["--role", "read", "--agent", "a"]), 2, "only an ingest token names agents"),
        (mint(&["--role", "admin", "--team", "t"]), 2, "an admin token has no team"),
        (mint(&["--role", "read", "--days", "91"]), 2, "--days"),
        (mint(&["--role", "read", "--days", "0"]), 2, "--days"),
        (mint(&["--role", "root"]), 2, "--role"),
        (run(&["token", "mint", "--key", "/nonexistent", "--role", "read"], None), 1, "cannot read"),
    ] {
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
        assert!(output.stdout.is_empty());
    }
    assert!(!site.path("mint.issued.jsonl").exists(), "nothing was minted");
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = mint(&["--role", "read"]);
    assert!(said(&open).contains("can be read by others"), "{}", said(&open));
}

#[test]
fn a_command_sends_a_token_from_a_file_or_the_environment() {
    let site = Site::new();
    let token = site.mint("mint", &["--role", "read"]);
    let file = site.path("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let up = Up::start(&site);
    let report = ["report", "--by", "agent"];
    assert!(up.run(&report, &token).status.success());
    let url = up.url();
    let by_file = [&report[..], &["--token-file", file.to_str().unwrap(), "--url", &url]].concat();
    assert!(run(&by_file, None).status.success());
    let without = run(&[&report[..], &["--url", &up.url()]].concat(), None);
    assert_eq!(without.status.code(), Some(1));
    assert!(said(&without).contains("AGENTLEDGER_TOKEN"), "{}", said(&without));
    let wrong = up.run(&report, "not-a-token");
    assert!(!said(&wrong).contains("not-a-token"), "{}", said(&wrong));
}

#[test]
fn without_keys_authentication_does_not_start() {
    let site = Site::new();
    let up = |config: &str| {
        std::fs::write(site.path("bad.toml"), config).unwrap();
        let (data, config) = (site.data(), site.path("bad.toml"));
        run(
            &[
                "up",
                "--listen",
                "127.0.0.1:0",
                "--data",
                data.to_str().unwrap(),
                "--config",
                config.to_str().unwrap(),
            ],
            None,
        )
    };
    std::fs::create_dir(site.path("empty")).unwrap();
    for (config, words) in [
        (
            format!("[auth]\npublic_keys = \"{}\"", site.path("empty").display()),
            "holds no file that ends in .pub",
        ),
        (format!("[auth]\npublic_keys = \"{}\"", site.path("missing").display()), "cannot read"),
        (
            format!("[auth]\npublic_keys = \"{}\"", site.path("mint").display()),
            "a server has public keys only",
        ),
        ("[auth]\naudience = \"x\"".to_owned(), "does nothing without `auth.public_keys`"),
    ] {
        let output = up(&config);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
        assert!(output.stdout.is_empty());
    }
}
