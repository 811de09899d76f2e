//! A server that asks for tokens, as a process of its own, with all that it says kept.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use auth::{AgentPattern, Claims, Role, SecretKey, read_secret_key, sign};
use serde_json::Value;
use shared::clock::{Clock, SystemClock};
use shared::id::TeamId;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_agentledger");

/// A directory with keys, a configuration and data.
pub struct Site {
    pub dir: tempfile::TempDir,
}

impl Site {
    /// With one pair, whose public half is where the server looks.
    pub fn new() -> Self {
        let site = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(site.path("keys")).unwrap();
        site.keygen("mint");
        let config = format!(
            "[auth]\npublic_keys = \"{}\"\nhosts = [\"ledger.example\"]\n",
            site.path("keys").display()
        );
        std::fs::write(site.path("agentledger.toml"), config).unwrap();
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Makes a pair, and puts its public half where the server looks.
    pub fn keygen(&self, name: &str) {
        let out = self.path(name);
        let made = run(&["token", "keygen", "--out", out.to_str().unwrap()], None);
        assert!(made.status.success(), "{made:?}");
        std::fs::rename(self.path(&format!("{name}.pub")), self.path(&format!("keys/{name}.pub"))).unwrap();
    }

    /// A token, as an operator mints it.
    pub fn mint(&self, key: &str, args: &[&str]) -> String {
        let key = self.path(key);
        let minted = run(&[&["token", "mint", "--key", key.to_str().unwrap()], args].concat(), None);
        assert!(minted.status.success(), "{minted:?}");
        let token = String::from_utf8(minted.stdout).unwrap();
        assert_eq!(token.lines().count(), 1, "a token is alone on stdout");
        token.trim().to_owned()
    }

    pub fn key(&self, name: &str) -> SecretKey {
        read_secret_key(&self.path(name)).unwrap()
    }
}

/// Claims, to be bent and signed.
pub fn claims(role: Role, agents: &[&str], team: Option<&str>) -> Claims {
    let agents = agents.iter().map(|agent| AgentPattern::parse(agent).unwrap()).collect();
    let team = team.map(|team| TeamId::parse(team).unwrap());
    Claims::new(role, agents, team, auth::AUDIENCE, SystemClock.now(), 30).unwrap()
}

pub fn token(key: &SecretKey, role: Role, agents: &[&str], team: Option<&str>) -> String {
    sign(&claims(role, agents, team), key).unwrap()
}

/// A running `agentledger up`, whose log is in `log` of the site.
pub struct Up {
    child: Child,
    pub address: String,
    stdout: Option<std::thread::JoinHandle<String>>,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Up {
    pub fn start(site: &Site) -> Self {
        let log = File::options().append(true).create(true).open(site.path("log")).unwrap();
        let mut child = Command::new(PROGRAM)
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(site.data())
            .arg("--config")
            .arg(site.path("agentledger.toml"))
            .env("AGENTLEDGER_LOG", "trace")
            .env_remove("AGENTLEDGER_TOKEN")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        stdout.read_line(&mut said).unwrap();
        let url = said.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap_or_default();
        assert!(!url.is_empty(), "not ready: {said:?}");
        let address = url.to_owned();
        let stdout = std::thread::spawn(move || {
            stdout.read_to_string(&mut said).unwrap();
            said
        });
        Self { child, address, stdout: Some(stdout) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// One request with these header lines.
    pub fn ask(&self, method: &str, path: &str, headers: &[String], body: &str) -> Answer {
        let host = &self.address;
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close");
        let lines = [&[head], headers].concat().join("\r\n");
        self.say(&format!("{lines}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    /// Bytes, and what comes back until the server closes.
    pub fn say(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A server that closes early may reset the connection after its answer.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }

    pub fn with(&self, token: &str, method: &str, path: &str, more: &[String], body: &str) -> Answer {
        let headers = [&[format!("authorization: Bearer {token}")], more].concat();
        self.ask(method, path, &headers, body)
    }

    /// A command against this server.
    pub fn run(&self, args: &[&str], token: &str) -> Output {
        run(&[args, &["--url", &self.url()]].concat(), Some(token))
    }

    /// SIGTERM, and what it said on stdout.
    pub fn terminate(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        self.stdout.take().unwrap().join().unwrap()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn run(args: &[&str], token: Option<&str>) -> Output {
    let mut command = Command::new(PROGRAM);
    command.args(args).env_remove("AGENTLEDGER_TOKEN");
    if let Some(token) = token {
        command.env("AGENTLEDGER_TOKEN", token);
    }
    command.output().unwrap()
}

/// Waits until something is so.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Every file under a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
