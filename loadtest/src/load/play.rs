//! Connections that send what arrives until it has a receipt.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::Mutex as Turn;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use super::arrivals::{Arrival, Schedule, start};
use super::seen::{Receipt, Seen, micros};
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
    /// The month's first second: calls before it are of another period of a budget.
    pub(crate) month: i64,
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

    pub(crate) fn note(
        &self,
        arrival: Arrival,
        submission: Submission,
        sent: Instant,
        begin: Instant,
        status: u16,
    ) {
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
        let since = now.saturating_duration_since(begin);
        if seen.numbers.add(submission.n) {
            if let Some(slice) = seen.slice_at(since) {
                slice.events += u64::try_from(change.0).unwrap_or(0);
            }
            seen.receipts.push(Receipt { at: micros(since), events: change.0, tokens: change.1 });
        } else {
            seen.repeated += 1;
        }
    }

    /// What a receipt changes: events, and tokens of this month's calls.
    fn change(&self, submission: Submission) -> (i32, i64) {
        match submission.kind {
            Kind::Invalid => (0, 0),
            Kind::Void { of, event } => {
                let of = self.all.submission(of);
                let tokens = self
                    .all
                    .events(of)
                    .nth(usize::try_from(event).unwrap_or(0))
                    .map_or(0, |event| self.this_month(&event));
                (-1, -tokens)
            }
            Kind::Usage { .. } => match self.all.body(submission) {
                Some(body) => body.counted.values().fold((0, 0), |(events, tokens), sums| {
                    (events + i32::try_from(sums.events).unwrap_or(0), tokens + sums.tokens)
                }),
                None => self
                    .all
                    .events(submission)
                    .fold((0, 0), |(events, tokens), event| (events + 1, tokens + self.this_month(&event))),
            },
        }
    }

    fn this_month(&self, event: &super::submission::Event) -> i64 {
        if event.time.as_second() >= self.month { event.total() } else { 0 }
    }

    /// The tokens of this month's calls among all that will arrive, but for what is taken back.
    pub(crate) fn tokens(&self) -> i64 {
        let mut numbers = super::expected::Numbers::default();
        let arrivals = Schedule::new(&self.all.scenario, self.span, self.all.seed).count();
        let mut sum = 0;
        for n in (0..).take(arrivals) {
            let submission = self.all.submission(n);
            if numbers.add(submission.n) {
                sum += self.change(submission).1;
            }
        }
        sum
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
