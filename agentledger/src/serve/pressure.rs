//! Whether more comes than can be done, for longer than a burst: then to wait is to wait for nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long is looked back.
const SPAN: Duration = Duration::from_millis(100);
/// Fewer than these in a span are no overload, whatever became of them.
const MANY: u32 = 64;
/// One refused in so many is an overload. Below it a queue makes up for what comes unevenly.
const SHARE: u32 = 4;

/// Judges each span by the one before.
#[derive(Debug)]
pub(super) struct Pressure(Mutex<State>);

#[derive(Debug)]
struct State {
    began: Instant,
    asked: u32,
    refused: u32,
    high: bool,
}

impl State {
    /// Closes the span if it is over.
    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.began);
        if age < SPAN {
            return;
        }
        // What is older than a span says nothing.
        self.high = age < 2 * SPAN && self.asked >= MANY && self.refused >= self.asked / SHARE;
        (self.began, self.asked, self.refused) = (now, 0, 0);
    }
}

impl Pressure {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { began: Instant::now(), asked: 0, refused: 0, high: false }))
    }

    /// One asks at `now`; whether the pressure is high.
    pub(super) fn ask(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.turn(now);
        state.asked += 1;
        state.high
    }

    /// One of them is refused.
    pub(super) fn refuse(&self) {
        self.lock().refused += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers: nothing can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many ask within a span from `at`, the first `refused` of which are refused; whether it was high.
    fn span(pressure: &Pressure, at: Instant, asked: u32, refused: u32) -> bool {
        let mut high = false;
        for n in 0..asked {
            high = pressure.ask(at + n * SPAN / asked / 2);
            if n < refused {
                pressure.refuse();
            }
        }
        high
    }

    #[test]
    fn it_is_high_after_a_span_in_which_many_were_refused() {
        let pressure = Pressure::new();
        let at = |n: u32| Instant::now() + n * SPAN + n * Duration::from_millis(1);
        assert!(!span(&pressure, at(1), 100, 80), "a burst");
        assert!(span(&pressure, at(2), 100, 80));
        assert!(span(&pressure, at(3), 100, 24), "judged by the span before");
        assert!(!span(&pressure, at(4), 100, 100), "most found a place");
        assert!(!span(&pressure, at(9), 30, 30), "what was long ago says nothing");
        assert!(!span(&pressure, at(10), 100, 0), "a few are no overload");
    }
}
