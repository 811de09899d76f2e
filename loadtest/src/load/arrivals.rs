//! When submissions arrive: fixed before the first is sent, so that a slow answer delays none of the others, and latency
//! counts from the arrival.

use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::scenario::{Bursts, Scenario};

/// The shortest sleep. At high rates a timer for each arrival would take a good part of a core from the server; so some go
/// out together, up to this late, and their latency counts from when they were due.
const STEP: Duration = Duration::from_micros(300);

/// The moments, from the beginning of the run, in order.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    rng: Rng,
    /// Twice the mean gap, in nanoseconds.
    gap: u64,
    /// The time that has passed in bursts alone.
    active: Duration,
    bursts: Option<Bursts>,
    span: Duration,
}

impl Schedule {
    /// Random gaps, of the mean that the scenario's rate asks for.
    pub(crate) fn new(scenario: &Scenario, span: Duration, seed: u64) -> Self {
        let mut gap = 2_000_000_000 * u64::from(scenario.events) / u64::from(scenario.rate);
        if let Some(bursts) = scenario.bursts {
            gap = gap * u64::from(bursts.burst_ms) / u64::from(bursts.period_ms);
        }
        Self { rng: Rng::with_seed(seed), gap, active: Duration::ZERO, bursts: scenario.bursts, span }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.active += Duration::from_nanos(self.rng.u64(..=self.gap));
        let at = match self.bursts {
            None => self.active,
            Some(bursts) => {
                let burst = u128::from(bursts.burst_ms) * 1_000_000;
                let (whole, rest) = (self.active.as_nanos() / burst, self.active.as_nanos() % burst);
                let nanos = whole * u128::from(bursts.period_ms) * 1_000_000 + rest;
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        };
        (at < self.span).then_some(at)
    }
}

/// One arrival.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// The number of the submission.
    pub(crate) n: u64,
    /// When it is due.
    pub(crate) due: Instant,
}

/// Hands out arrivals as they are due.
pub(crate) fn start(schedule: Schedule, begin: Instant) -> std::io::Result<UnboundedReceiver<Arrival>> {
    let (out, queue) = unbounded_channel();
    // A thread, since the runtime's own timers are no finer than a millisecond.
    std::thread::Builder::new().name("arrivals".to_owned()).spawn(move || {
        for (n, at) in (0..).zip(schedule) {
            let due = begin + at;
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                std::thread::sleep(wait.max(STEP));
            }
            if out.send(Arrival { n, due }).is_err() {
                return;
            }
        }
    })?;
    Ok(queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(more: &str) -> Scenario {
        toml::from_str(&format!("about = \"\"\nagents = 1\nrate = 10000\nevents = 10\n{more}")).unwrap()
    }

    #[test]
    fn the_rate_is_the_scenarios_and_the_moments_follow_from_the_seed() {
        let span = Duration::from_secs(20);
        for more in ["", "[bursts]\nperiod_ms = 5000\nburst_ms = 500\n"] {
            let schedule = Schedule::new(&scenario(more), span, 3);
            let moments: Vec<_> = schedule.clone().collect();
            assert!((19_000..21_000).contains(&moments.len()), "{} submissions", moments.len());
            assert!(moments.is_sorted());
            assert_eq!(moments, schedule.collect::<Vec<_>>());
        }
    }

    #[test]
    fn between_bursts_nothing_arrives() {
        let schedule = Schedule::new(
            &scenario("[bursts]\nperiod_ms = 5000\nburst_ms = 500\n"),
            Duration::from_secs(20),
            3,
        );
        let within: Vec<_> = schedule.map(|at| at.as_millis() % 5000).collect();
        assert!(within.iter().all(|ms| *ms < 500));
        assert!(within.iter().any(|ms| *ms > 400));
    }
}
