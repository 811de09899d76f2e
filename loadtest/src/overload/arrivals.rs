//! When requests are sent: at times fixed in advance, or as soon as the last one is answered.
//!
//! With times fixed in advance a slow answer delays no arrival, and latency counts from the arrival: a server
//! that stalls is not spared the requests that would have come meanwhile.

use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// The shortest sleep. At high rates a timer for each arrival would take a good part of a core from the server;
/// so some go out together, up to this late, and their latency counts from when they were due.
const STEP: Duration = Duration::from_micros(300);

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
                if !wait.is_zero() {
                    std::thread::sleep(wait.max(STEP));
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
