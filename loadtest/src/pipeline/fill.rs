//! Submissions as fast as they are taken, each of which follows from its number alone, and the proof that the
//! totals hold them.

use std::fmt::Write;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::client::Client;
use crate::tally::{MODEL, Tally};

/// How long the totals may stand still before what is missing is missing.
const STALL: Duration = Duration::from_secs(60);
/// Rows of one page, the most there are.
const PAGE: usize = 10_000;

/// What the submissions are like.
pub(crate) struct Load {
    /// The beginning of every idempotency key: another for each ledger.
    pub(crate) run: String,
    /// Events of a submission.
    pub(crate) batch: u64,
    /// How many agents there are.
    pub(crate) agents: u64,
    /// How many of them one submission is of.
    pub(crate) agents_each: u64,
    /// Over how many connections.
    pub(crate) connections: u64,
    /// When the calls were made; when they arrive if none.
    pub(crate) times: Option<Times>,
}

/// Times that go forward evenly with the number of the event.
pub(crate) struct Times {
    /// Of the first event, in Unix seconds.
    pub(crate) from: i64,
    /// Of the last one.
    pub(crate) to: i64,
    /// How many events there will be.
    pub(crate) of: u64,
}

/// What was sent, and how long it took.
pub(crate) struct Filled {
    /// What the totals have to have gained.
    pub(crate) sent: Tally,
    /// Until the last receipt.
    pub(crate) acknowledged: Duration,
    /// Until the totals held every event.
    pub(crate) committed: Duration,
}

impl Load {
    /// Sends the events of these numbers and waits until the totals hold `before` more. A range that goes on
    /// where another ended has to begin with a whole submission. `done` counts receipts as they come, in events.
    pub(crate) fn fill(
        &self,
        url: &str,
        events: Range<u64>,
        before: &Tally,
        done: &AtomicU64,
    ) -> anyhow::Result<Filled> {
        let next = AtomicU64::new(events.start / self.batch);
        let started = Instant::now();
        let tallies = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.connections)
                .map(|_| scope.spawn(|| self.worker(url, &next, events.end, done)))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
                .collect::<anyhow::Result<Vec<Tally>>>()
        })?;
        let acknowledged = started.elapsed();
        let mut sent = Tally::default();
        tallies.iter().for_each(|tally| sent.merge(tally));
        wait_for(url, before.events() + sent.events())?;
        Ok(Filled { sent, acknowledged, committed: started.elapsed() })
    }

    fn worker(&self, url: &str, next: &AtomicU64, end: u64, done: &AtomicU64) -> anyhow::Result<Tally> {
        let client = Client::new();
        let mut tally = Tally::default();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n * self.batch >= end {
                return Ok(tally);
            }
            let count = self.batch.min(end - n * self.batch);
            let body = self.submission(n, count, &mut tally)?;
            let key = format!("{}-{n}", self.run);
            while !client.post(url, Some(&key), &body)? {
                std::thread::sleep(Duration::from_millis(50));
            }
            done.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn submission(&self, n: u64, count: u64, tally: &mut Tally) -> anyhow::Result<String> {
        let time = match &self.times {
            Some(times) => format!(r#""time":"{}","#, times.of_event(n * self.batch)?),
            None => String::new(),
        };
        let mut body = String::with_capacity(200 * usize::try_from(count)?);
        body.push_str("{\"events\":[");
        for i in 0..count {
            let (input, output) =
                (500 + u32::try_from((n * 31 + i * 7) % 1000)?, 20 + u32::try_from(i % 200)?);
            let comma = if i > 0 { "," } else { "" };
            let agent = format!("agent-{:04}", (n * self.agents_each + i % self.agents_each) % self.agents);
            write!(
                body,
                r#"{comma}{{"agent_id":"{agent}",{time}"task_id":"T-{}","team_id":"team-{}","provider":"openai","model":"{MODEL}","usage":{{"input":{input},"output":{output}}},"outcome":"success","latency_ms":{}}}"#,
                n % 200,
                n % 5,
                300 + i
            )?;
            tally.add(&agent, input, output, 1);
        }
        body.push_str("]}");
        Ok(body)
    }
}

impl Times {
    fn of_event(&self, n: u64) -> anyhow::Result<Timestamp> {
        let after = i128::from(self.to - self.from) * i128::from(n) / i128::from(self.of.max(1));
        Ok(Timestamp::from_second(self.from + i64::try_from(after)?)?)
    }
}

/// Waits until the totals are of so many events.
fn wait_for(url: &str, events: i64) -> anyhow::Result<()> {
    let reader = Client::new();
    // One row, whose reading takes little from what is waited for.
    let url = format!("{url}/v1/spend?by=provider&limit=1");
    let (mut last, mut moved) = (-1, Instant::now());
    loop {
        let held = reader.get(&url)?["total"]["events"].as_i64().unwrap_or(-1);
        if held >= events {
            return Ok(());
        }
        if held != last {
            (last, moved) = (held, Instant::now());
        }
        anyhow::ensure!(
            moved.elapsed() < STALL,
            "of {events} events with a receipt the totals hold {held}, and no more for {STALL:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Fails unless what is reported is what was sent, to the token and the last decimal, for every agent.
pub(crate) fn ensure_exact(url: &str, sent: &Tally) -> anyhow::Result<()> {
    let reader = Client::new();
    let mut reported = Tally::default();
    let mut url_of_page = format!("{url}/v1/spend?by=agent&limit={PAGE}");
    loop {
        let page = reader.get(&url_of_page)?;
        reported.0.extend(Tally::of_report(&page).0);
        let Some(next) = page["next"].as_str() else { break };
        url_of_page = format!("{url}/v1/spend?by=agent&limit={PAGE}&next={next}");
    }
    match sent.difference(&reported) {
        Some(difference) => anyhow::bail!("what is reported is not what was sent: {difference}"),
        None => Ok(()),
    }
}
