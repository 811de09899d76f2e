//! Connections that send what arrives until it has a receipt.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::Mutex as Turn;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use super::arrivals::{Arrival, Schedule, start};
use super::seen::{Change, Seen, micros};
use super::slow;
use super::submission::{Kind, Request, Submission, Submissions};
use crate::wire::{Answer, Connection, Endpoint};

/// How long a submission is tried, before the run is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long one try may take.
const TRY: Duration = Duration::from_secs(30);
/// The longest pause between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Where it goes, and as whom.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    /// A further line of the head, if the server asks for a token.
    pub(crate) authorization: String,
}

/// What the connections share.
pub(crate) struct Run {
    pub(crate) all: Arc<Submissions>,
    pub(crate) target: Target,
    /// The month's seconds: other calls are of another period of a budget.
    pub(crate) month: Range<i64>,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) span: Duration,
}

impl Run {
    /// Plays it. It begins when all connections are open: opening them is no part of what is measured. `began` is told when.
    pub(crate) async fn play(self: Arc<Self>, began: impl FnOnce(Instant)) -> anyhow::Result<Instant> {
        let mut connections = Vec::new();
        for _ in 0..self.all.scenario.connections {
            let mut connection = Connection::new(self.target.endpoint.clone());
            connection.connect().await?;
            connections.push(connection);
        }
        // They are open once the server has accepted them, too.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let schedule = Schedule::new(&self.all.scenario, self.span, self.all.seed);
        let begin = Instant::now();
        began(begin);
        let queue = Arc::new(Turn::new(start(schedule, begin)?));
        let mut workers = JoinSet::new();
        for connection in connections {
            workers.spawn(Arc::clone(&self).work(connection, Arc::clone(&queue), begin));
        }
        for n in 0..self.all.scenario.slow_clients {
            workers.spawn(slow::client(Arc::clone(&self), n, begin));
        }
        while let Some(ended) = workers.join_next().await {
            ended.context("a connection's task panicked")??;
        }
        Ok(begin)
    }

    async fn work(
        self: Arc<Self>,
        mut connection: Connection,
        queue: Arc<Turn<UnboundedReceiver<Arrival>>>,
        begin: Instant,
    ) -> anyhow::Result<()> {
        let (mut request, mut bytes) = (Request::default(), Vec::new());
        loop {
            let next = queue.lock().await.recv().await;
            let Some(arrival) = next else { break };
            let submission = self.all.submission(arrival.n);
            self.all.render(submission, &mut request);
            request.headers.push_str(&self.target.authorization);
            self.target.endpoint.post(&mut bytes, "/v1/usage", &request.headers, &request.body);
            self.send(&mut connection, &bytes, arrival, submission, begin).await?;
        }
        self.seen().opened += connection.opened;
        Ok(())
    }

    async fn send(
        &self,
        connection: &mut Connection,
        bytes: &[u8],
        arrival: Arrival,
        submission: Submission,
        begin: Instant,
    ) -> anyhow::Result<()> {
        let first = Instant::now();
        let mut pause = Duration::from_millis(10);
        loop {
            let sent = Instant::now();
            let answer = tokio::time::timeout(TRY, connection.send(bytes)).await;
            let word = match answer {
                Ok(Ok(answer)) if ended(&answer, submission)? => {
                    self.note(arrival, submission, sent, begin, answer.status);
                    return Ok(());
                }
                Ok(Ok(answer)) => answer.status.to_string(),
                Ok(Err(error)) => error.to_string(),
                Err(_) => {
                    *connection = Connection::new(connection.endpoint().clone());
                    "no answer".to_owned()
                }
            };
            {
                let mut seen = self.seen();
                seen.answered(&word);
                seen.retries += 1;
            }
            if first.elapsed() > PATIENCE {
                bail!(
                    "submission {} had no receipt for {} s; the last answer: {word}",
                    submission.n,
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(PAUSE);
        }
    }

    fn note(&self, arrival: Arrival, submission: Submission, sent: Instant, begin: Instant, status: u16) {
        let change = self.change(submission);
        let mut seen = self.seen();
        // The clock is read under the lock, so that receipts are in order.
        let now = Instant::now();
        let latency = micros(now.saturating_duration_since(arrival.due));
        seen.answered(if status == 200 { "200" } else { "400, as it should" });
        if let Some(slice) = seen.slice_at(arrival.due.saturating_duration_since(begin)) {
            slice.arrived += 1;
            slice.latency.saturating_record(latency);
        }
        if status != 200 {
            seen.refused += 1;
            return;
        }
        seen.accepted.saturating_record(latency);
        seen.served.saturating_record(micros(now.saturating_duration_since(sent)));
        seen.receipt(submission.n, now.saturating_duration_since(begin), change);
    }

    /// A receipt of a slow client, whose own pauses are no latency of the server's.
    pub(crate) fn note_slow(&self, submission: Submission, begin: Instant) {
        let change = self.change(submission);
        let mut seen = self.seen();
        seen.slow[0] += 1;
        seen.receipt(submission.n, begin.elapsed(), change);
    }

    fn change(&self, submission: Submission) -> Change {
        match submission.kind {
            Kind::Invalid => Change::default(),
            Kind::Void { of, event } => {
                let target = self.all.submission(of);
                let event_of = self.all.events(target).nth(usize::try_from(event).unwrap_or(0));
                let tokens = event_of.map_or(0, |event| self.this_month(&event));
                Change { events: -1, tokens: -tokens, voids: Some((of, event)) }
            }
            Kind::Usage { .. } => match self.all.body(submission) {
                Some(body) => body.counted.values().fold(Change::default(), |sum, sums| Change {
                    events: sum.events + i32::try_from(sums.events).unwrap_or(0),
                    tokens: sum.tokens + sums.tokens,
                    voids: None,
                }),
                None => self.all.events(submission).fold(Change::default(), |sum, event| Change {
                    events: sum.events + 1,
                    tokens: sum.tokens + self.this_month(&event),
                    voids: None,
                }),
            },
        }
    }

    fn this_month(&self, event: &super::submission::Event) -> i64 {
        if self.month.contains(&event.time.as_second()) { event.total() } else { 0 }
    }

    /// The tokens of this month's calls among all that will arrive, what is taken back among them.
    pub(crate) fn tokens(&self) -> i64 {
        let mut numbers = super::expected::Numbers::default();
        let arrivals = Schedule::new(&self.all.scenario, self.span, self.all.seed).count();
        let submissions = (0..).take(arrivals).map(|n| self.all.submission(n));
        submissions
            .filter(|submission| numbers.add(submission.n))
            .map(|submission| self.change(submission).tokens)
            .sum()
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        // A task that panicked ends the run with its error.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether that was the last word on it; an error if the server is wrong.
pub(crate) fn ended(answer: &Answer, submission: Submission) -> anyhow::Result<bool> {
    let invalid = submission.kind == Kind::Invalid;
    match answer.status {
        200 if invalid => {
            bail!("submission {}, which is invalid, was accepted: {}", submission.n, answer.body)
        }
        400 if invalid => Ok(true),
        200 => Ok(true),
        429 | 500.. => Ok(false),
        status => {
            bail!("submission {}, which is valid, was answered {status}: {}", submission.n, answer.body)
        }
    }
}
