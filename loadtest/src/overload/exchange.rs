//! One connection, spoken byte by byte: what the generator spends on HTTP is taken from the server it measures.

use std::fmt::Write;
use std::net::SocketAddr;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::tally::{MODEL, Tally};

/// The load is of this many agents.
pub(super) const AGENTS: u64 = 50;

/// One event, which follows from its number alone: it can be sent again as it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event(pub(super) u64);

impl Event {
    fn counts(self) -> (u32, u32) {
        let below = |n: u64, most: u64| u32::try_from(n % most).unwrap_or_default();
        (500 + below(self.0.wrapping_mul(31), 1000), 20 + below(self.0, 200))
    }

    pub(super) fn count_in(self, tally: &mut Tally) {
        let (input, output) = self.counts();
        tally.add(&format!("agent-{:04}", self.0 % AGENTS), input, output, 1);
    }

    /// The whole request.
    fn render(self, out: &mut String) {
        let Self(n) = self;
        let (input, output) = self.counts();
        let mut body = String::with_capacity(300);
        // Writing to a string cannot fail.
        let _ = write!(
            body,
            r#"{{"id":"o-{n}","agent_id":"agent-{:04}","task_id":"T-{}","team_id":"team-{}","provider":"openai","model":"{MODEL}","usage":{{"input":{input},"output":{output}}},"outcome":"success"}}"#,
            n % AGENTS,
            n % 200,
            n % 5
        );
        out.clear();
        let _ = write!(
            out,
            "POST /v1/usage HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A receipt.
    Accepted,
    /// Turned away, with the code that says that nothing was accepted.
    Refused {
        /// The problem's code.
        code: &'static str,
        /// Whether it says when to come back.
        hinted: bool,
    },
    /// Perhaps accepted, perhaps not: it has to be sent again.
    Unknown(String),
}

/// The codes of answers that promise that nothing was accepted.
const REFUSALS: [&str; 2] = ["overloaded", "too_many_connections"];

/// A connection that is opened again when it is gone.
pub(super) struct Exchange {
    address: SocketAddr,
    stream: Option<TcpStream>,
    request: String,
    buffer: Vec<u8>,
    /// How often it was opened.
    pub(super) opened: u64,
}

impl Exchange {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, request: String::new(), buffer: Vec::new(), opened: 0 }
    }

    /// Opens the connection ahead of the first request.
    pub(super) async fn connect(&mut self) -> anyhow::Result<()> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address).await.context("cannot connect")?;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
            self.opened += 1;
        }
        Ok(())
    }

    /// Sends an event once and reads what comes back.
    pub(super) async fn send(&mut self, event: Event) -> Reply {
        event.render(&mut self.request);
        match self.exchange().await {
            Ok(reply) => reply,
            Err(error) => {
                self.stream = None;
                Reply::Unknown(format!("{error:#}"))
            }
        }
    }

    async fn exchange(&mut self) -> anyhow::Result<Reply> {
        self.connect().await?;
        let Some(stream) = &mut self.stream else { anyhow::bail!("there is no connection") };
        stream.write_all(self.request.as_bytes()).await.context("cannot write")?;
        self.buffer.clear();
        let (head, length) = loop {
            if let Some(head) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let text = std::str::from_utf8(self.buffer.get(..head).unwrap_or_default())?;
                break (text.to_ascii_lowercase(), head + 4 + content_length(text)?);
            }
            ensure!(stream.read_buf(&mut self.buffer).await.context("cannot read")? > 0, "closed");
        };
        while self.buffer.len() < length {
            ensure!(stream.read_buf(&mut self.buffer).await.context("cannot read")? > 0, "cut off");
        }
        if head.contains("\r\nconnection: close") {
            self.stream = None;
        }
        let status = head.get(9..12).unwrap_or_default();
        if status == "200" {
            return Ok(Reply::Accepted);
        }
        let body = String::from_utf8_lossy(self.buffer.get(head.len() + 4..length).unwrap_or_default());
        for code in REFUSALS {
            if status == "503" && body.contains(&format!("\"code\":\"{code}\"")) {
                return Ok(Reply::Refused { code, hinted: head.contains("\r\nretry-after: ") });
            }
        }
        ensure!(status.starts_with('5'), "a valid event was answered {status}: {body}");
        Ok(Reply::Unknown(status.to_owned()))
    }
}

fn content_length(head: &str) -> anyhow::Result<usize> {
    let of = |line: &str| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
    };
    head.lines().find_map(of).context("an answer without content-length")
}
