//! A server as a process, and the command beside it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_agentledger");

/// A running `agentledger up`.
pub(crate) struct Up {
    pub(crate) child: Child,
    pub(crate) url: String,
}

impl Up {
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url =
            line.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_default().to_owned();
        assert!(!url.is_empty(), "not ready: {line:?}");
        Self { child, url }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// One request, as curl would send it.
    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: impl AsRef<[u8]>,
    ) -> (u16, Value) {
        let (body, address) = (body.as_ref(), self.address());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        let (status, _, answer) = self.say(&[head.as_bytes(), body].concat());
        (status, serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {answer}")))
    }

    /// Bytes as they are; answers the status, the head and the body of the first answer.
    pub(crate) fn say(&self, bytes: &[u8]) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        // A server that answers early may close before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    }

    pub(crate) fn post(&self, headers: &str, body: &Value) -> Value {
        let (status, receipt) = self.ask("POST", "/v1/usage", headers, body.to_string());
        assert_eq!(status, 200, "{receipt}");
        receipt
    }

    /// A command against this server.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        run(&[args, &["--url", &self.url]].concat())
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--format", "json"]].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Asks until the answer is as wanted: what was accepted is counted a little later.
    pub(crate) fn wait(&self, args: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = self.json(args);
            if wanted(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{args:?}: {answer}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM, and the exit code that follows.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
