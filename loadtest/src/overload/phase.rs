//! A phase: connections that send what arrives, and what came of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::arrivals::Arrivals;
use super::exchange::{Event, Exchange, Reply};
use crate::say;
use crate::tally::Tally;
use crate::wire::Endpoint;

/// What a phase saw.
pub(super) struct Seen {
    /// From the arrival to the receipt, in microseconds.
    pub(super) accepted: Histogram<u64>,
    /// From the first byte sent to the receipt: the rest of the latency is the wait for a free connection.
    pub(super) served: Histogram<u64>,
    /// From the arrival to the refusal.
    pub(super) refused: Histogram<u64>,
    /// From the arrival to the first byte sent.
    pub(super) unsent: Histogram<u64>,
    /// Answers by what they were.
    pub(super) replies: BTreeMap<String, u64>,
    /// Refusals that did not say when to come back.
    pub(super) unhinted: u64,
    /// Connections opened.
    pub(super) opened: u64,
    /// What has to be in the totals.
    pub(super) tally: Tally,
    /// What may be.
    pub(super) unknown: Vec<Event>,
    /// How long it took.
    pub(super) took: Duration,
}

impl Seen {
    fn new() -> anyhow::Result<Self> {
        // Up to a minute, to three digits.
        let histogram = || Histogram::new_with_bounds(1, 60_000_000, 3);
        Ok(Self {
            accepted: histogram()?,
            served: histogram()?,
            refused: histogram()?,
            unsent: histogram()?,
            replies: BTreeMap::new(),
            unhinted: 0,
            opened: 0,
            tally: Tally::default(),
            unknown: Vec::new(),
            took: Duration::ZERO,
        })
    }

    fn note(&mut self, event: Event, arrival: Instant, sent: Instant, reply: Reply) {
        let latency = micros(arrival.elapsed());
        self.unsent.saturating_record(micros(sent.saturating_duration_since(arrival)));
        let word = match reply {
            Reply::Accepted => {
                self.accepted.saturating_record(latency);
                self.served.saturating_record(micros(sent.elapsed()));
                event.count_in(&mut self.tally);
                "200".to_owned()
            }
            Reply::Refused { code, hinted } => {
                self.refused.saturating_record(latency);
                self.unhinted += u64::from(!hinted);
                format!("503 {code}")
            }
            Reply::Unknown(what) => {
                self.unknown.push(event);
                what
            }
        };
        *self.replies.entry(word).or_default() += 1;
    }

    /// Receipts a second.
    pub(super) fn rate(&self) -> u64 {
        self.accepted.len() * 1000 / u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// Says what it was.
    pub(super) fn print(&self, name: &str) {
        let sent: u64 = self.replies.values().sum();
        let replies: Vec<_> = self.replies.iter().map(|(word, count)| format!("{word}: {count}")).collect();
        say(&format!(
            "{name}: {sent} sent in {:.1?} over {} connections; {}",
            self.took,
            self.opened,
            replies.join(", ")
        ));
        for (what, histogram) in [
            ("accepted", &self.accepted),
            ("once sent", &self.served),
            ("refused", &self.refused),
            ("until sent", &self.unsent),
        ] {
            if !histogram.is_empty() {
                say(&format!("    {what:<10} {}", quantiles(histogram)));
            }
        }
    }
}

/// Plays a phase; events are numbered on from `next`. It begins when all connections are open: opening them is
/// no part of what is measured.
pub(super) async fn play(
    address: &Endpoint,
    connections: usize,
    next: &Arc<AtomicU64>,
    arrivals: impl FnOnce() -> std::io::Result<Arrivals>,
) -> anyhow::Result<Seen> {
    let mut exchanges = Vec::new();
    for _ in 0..connections {
        let mut exchange = Exchange::new(address.clone());
        exchange.connect().await?;
        exchanges.push(exchange);
    }
    // They are open once the server has accepted them, too.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut workers = JoinSet::new();
    // One for all, and made before anything arrives: 256 times four histograms are 200 MB to touch, which
    // delayed the first thousands of arrivals.
    let seen = Arc::new(Mutex::new(Seen::new()?));
    let begun = Instant::now();
    let arrivals = Arc::new(arrivals()?);
    for mut exchange in exchanges {
        let (next, arrivals, seen) = (Arc::clone(next), Arc::clone(&arrivals), Arc::clone(&seen));
        workers.spawn(async move {
            while let Some(arrival) = arrivals.next().await {
                let event = Event(next.fetch_add(1, Ordering::Relaxed));
                let sent = Instant::now();
                let reply = exchange.send(event).await;
                lock(&seen).note(event, arrival, sent, reply);
            }
            lock(&seen).opened += exchange.opened();
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended?;
    }
    let mut all = Seen::new()?;
    std::mem::swap(&mut all, &mut *lock(&seen));
    all.took = begun.elapsed();
    Ok(all)
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    // A worker that panicked ends the phase with its error.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends what has no answer yet until it has one.
pub(super) async fn settle(address: &Endpoint, unknown: &[Event], tally: &mut Tally) -> anyhow::Result<()> {
    let mut exchange = Exchange::new(address.clone());
    let deadline = Instant::now() + Duration::from_secs(60);
    for event in unknown {
        while exchange.send(*event).await != Reply::Accepted {
            anyhow::ensure!(Instant::now() < deadline, "{event:?} had no receipt for a minute");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        event.count_in(tally);
    }
    Ok(())
}

fn quantiles(histogram: &Histogram<u64>) -> String {
    let of = |quantile| ms(histogram.value_at_quantile(quantile));
    format!("p50 {}, p99 {}, p99.9 {}, max {} ms", of(0.5), of(0.99), of(0.999), ms(histogram.max()))
}

/// Microseconds as milliseconds.
fn ms(micros: u64) -> String {
    format!("{}.{:02}", micros / 1000, micros % 1000 / 10)
}

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(1)
}
