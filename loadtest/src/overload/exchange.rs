//! One event, sent once: what the overload's phases are made of.

use std::fmt::Write;

use crate::tally::{MODEL, Tally};
use crate::wire::{Answer, Connection, Endpoint};

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

    /// The body of its request.
    fn render(self, body: &mut String) {
        let Self(n) = self;
        let (input, output) = self.counts();
        body.clear();
        // Writing to a string cannot fail.
        let _ = write!(
            body,
            r#"{{"id":"o-{n}","agent_id":"agent-{:04}","task_id":"T-{}","team_id":"team-{}","provider":"openai","model":"{MODEL}","usage":{{"input":{input},"output":{output}}},"outcome":"success"}}"#,
            n % AGENTS,
            n % 200,
            n % 5
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

impl Reply {
    fn of(answer: &Answer) -> Self {
        if answer.status == 200 {
            return Self::Accepted;
        }
        for code in REFUSALS {
            if answer.status == 503 && answer.body.contains(&format!("\"code\":\"{code}\"")) {
                return Self::Refused { code, hinted: answer.head.contains("\r\nretry-after: ") };
            }
        }
        Self::Unknown(if answer.status >= 500 {
            answer.status.to_string()
        } else {
            format!("a valid event was answered {}: {}", answer.status, answer.body)
        })
    }
}

/// The codes of answers that promise that nothing was accepted.
const REFUSALS: [&str; 2] = ["overloaded", "too_many_connections"];

/// A connection that is opened again when it is gone.
pub(super) struct Exchange {
    connection: Connection,
    body: String,
    request: Vec<u8>,
}

impl Exchange {
    pub(super) fn new(address: Endpoint) -> Self {
        Self { connection: Connection::new(address), body: String::new(), request: Vec::new() }
    }

    /// How often it was opened.
    pub(super) fn opened(&self) -> u64 {
        self.connection.opened
    }

    /// Opens the connection ahead of the first request.
    pub(super) async fn connect(&mut self) -> anyhow::Result<()> {
        self.connection.connect().await
    }

    /// Sends an event once and reads what comes back.
    pub(super) async fn send(&mut self, event: Event) -> Reply {
        event.render(&mut self.body);
        let endpoint = self.connection.endpoint().clone();
        endpoint.post(
            &mut self.request,
            "/v1/usage",
            "content-type: application/json\r\n",
            self.body.as_bytes(),
        );
        match self.connection.send(&self.request).await {
            Ok(answer) => Reply::of(&answer),
            Err(error) => Reply::Unknown(format!("{error:#}")),
        }
    }
}
