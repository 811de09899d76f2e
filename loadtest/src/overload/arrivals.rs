//! When requests are sent: at times fixed in advance, or as soon as the last one is answered.
//!
//! With times fixed in advance a slow answer delays no arrival, and latency counts from the arrival: a server
//! that stalls is not spared the requests that would have come meanwhile.

use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A source of arrivals, for any number of connections.
pub(super) enum Arrivals {
    /// The next one that is due goes to whoever is free.
    Open(Mutex<UnboundedReceiver<Instant>>),
    /// Whoever is free sends, until then.
    Closed(Instant),
}

impl Arrivals {
    /// `rate` arrivals a second, apart by random gaps of that mean, for so long.
    pub(super) fn open(rate: u64, span: Duration, seed: u64) -> std::io::Result<Self> {
        let (due, queue) = unbounded_channel();
        let mean = 1_000_000_000 / rate.max(1);
        let mut rng = Rng::with_seed(seed);
        // A thread, since the runtime's own timers are no finer than a millisecond.
        std::thread::Builder::new().name("arrivals".to_owned()).spawn(move || {
            let begin = Instant::now();
            let mut at = Duration::ZERO;
            while at < span {
                at += Duration::from_nanos(rng.u64(..=2 * mean));
                let arrival = begin + at;
                let wait = arrival.saturating_duration_since(Instant::now());
                // What is due within the timer's slack goes out with what is due now.
                if wait > Duration::from_micros(60) {
                    std::thread::sleep(wait);
                }
                if due.send(arrival).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self::Open(Mutex::new(queue)))
    }

    /// The next arrival; none when it is over.
    pub(super) async fn next(&self) -> Option<Instant> {
        match self {
            Self::Open(queue) => queue.lock().await.recv().await,
            Self::Closed(until) => {
                let now = Instant::now();
                (now < *until).then_some(now)
            }
        }
    }
}
