//! The webhook of a real process: configured by a file, killed between decision and delivery.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with the tests of the webhook itself")]
#[path = "../../webhook/tests/delivery/receiver.rs"]
mod receiver;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use receiver::{Receiver, Say};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_agentledger");
const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A running `agentledger up` whose log, at the finest level, is in a file.
struct Up {
    child: Child,
    url: String,
}

impl Up {
    fn start(dir: &Path, config: &str) -> Self {
        std::fs::write(dir.join("agentledger.toml"), config).unwrap();
        let log = std::fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
        let mut child = Command::new(PROGRAM)
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir.join("data"))
            .arg("--config")
            .arg(dir.join("agentledger.toml"))
            .env("AGENTLEDGER_LOG", "trace")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
        Self { child, url }
    }

    fn post(&self, body: &Value) {
        let address = self.url.trim_start_matches("http://");
        let (mut stream, body) = (TcpStream::connect(address).unwrap(), body.to_string());
        let length = body.len();
        let head = format!(
            "POST /v1/usage HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = Command::new(PROGRAM).args(args).args(["--format", "json", "--url", &self.url]).output();
        serde_json::from_slice(&output.unwrap().stdout).unwrap()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait(what: &str, wanted: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !wanted() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_kill_between_decision_and_delivery_loses_no_alert_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("webhook.secret");
    std::fs::write(&secret, format!("whsec_{SECRET}\n")).unwrap();
    let receiver = Receiver::start(vec![Say::Silence(Duration::from_secs(30))]);
    let config = format!(
        "[prices]\nfallback_usd_per_token = '0.000001'\n[alerts]\nwebhook_url = '{}'\nwebhook_secret_file = '{}'\n[[budgets]]\nname = 'daily'\nscope = 'org'\n\
         limit_tokens = 10\nperiod = 'day'\nthresholds = [100]\n",
        receiver.url(),
        secret.display()
    );
    let up = Up::start(dir.path(), &config);
    up.post(&json!({"agent_id": "a", "usage": {"input": 11}}));
    // It is decided, and the receiver has not answered yet.
    wait("an attempt", || receiver.sent().len() == 1);
    assert_eq!(up.json(&["alerts"])["alerts"][0]["state"], "pending");
    up.kill();

    receiver.now_say(vec![Say::status(200)]);
    let up = Up::start(dir.path(), &config);
    wait("delivered", || up.json(&["alerts"])["alerts"][0]["state"] == "delivered");
    let sent = receiver.sent();
    assert_eq!(sent.len(), 2);
    let id = &sent[0].headers["webhook-id"];
    assert_eq!(*id, sent[1].headers["webhook-id"], "the same id");
    assert_eq!(up.json(&["alerts"])["alerts"].as_array().unwrap().len(), 1);

    let noted = up.json(&["deliveries", "--alert", id]);
    assert_eq!(noted["deliveries"].as_array().unwrap().len(), 1, "the killed attempt was not noted: {noted}");
    assert_eq!(noted["deliveries"][0]["outcome"], json!({"status": 200}));
    assert_eq!(noted["deliveries"][0]["target"], format!("http://{}", receiver.address));
    assert_eq!(up.json(&["deliveries", "--alert", "other"])["deliveries"], json!([]));
    let table = Command::new(PROGRAM).args(["deliveries", "--url", &up.url]).output().unwrap();
    assert!(String::from_utf8(table.stdout).unwrap().contains(id.as_str()));

    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("Budget daily: 100% reached"), "the words are in the log as well");
    let signature = &sent[1].headers["webhook-signature"][3..20];
    for hidden in [SECRET, "PATHSECRET", "QUERYSECRET", "BODYSECRET", signature] {
        assert!(!log.contains(hidden), "{hidden} is in the log");
    }
}

#[test]
fn a_webhook_that_cannot_be_used_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("agentledger.toml");
    let missing = dir.path().join("nothing").display().to_string();
    for (url, words) in [
        ("https://hooks.example/PATHSECRET", "cannot be read"),
        ("http://hooks.example/PATHSECRET", "is not https"),
        ("https://169.254.169.254/PATHSECRET", "a link-local address"),
    ] {
        std::fs::write(&config, format!("[alerts]\nwebhook_url='{url}'\nwebhook_secret_file='{missing}'\n"))
            .unwrap();
        let output = Command::new(PROGRAM)
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir.path().join("data"))
            .arg("--config")
            .arg(&config)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words) && !said.contains("PATHSECRET"), "{said}");
    }
}
