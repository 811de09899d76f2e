//! A rest for a receiver that is in trouble: alerts fail at once instead of each waiting for its time-outs, so
//! that budgets are still evaluated in time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether the receiver is left alone, and until when.
#[derive(Debug, Default)]
pub(crate) struct Rest(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    until: Option<Instant>,
    failures: u32,
}

impl Rest {
    /// How long it still lasts; none if the receiver may be tried.
    pub(crate) fn left(&self) -> Option<Duration> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = state.until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Begins one of at least `least`, twice as long after each failure in a row, up to `most`.
    pub(crate) fn begin(&self, least: Duration, most: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let doubled = least.saturating_mul(1 << state.failures.min(16));
        state.failures = state.failures.saturating_add(1);
        state.until = Some(Instant::now() + doubled.min(most));
    }

    /// The receiver answers again.
    pub(crate) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_doubles_up_to_its_bound_and_ends_with_a_success() {
        let rest = Rest::default();
        assert_eq!(rest.left(), None);
        let (least, most) = (Duration::from_secs(100), Duration::from_secs(250));
        for longest in [100, 200, 250, 250] {
            rest.begin(least, most);
            let left = rest.left().unwrap();
            assert!(
                left > Duration::from_secs(longest - 50) && left <= Duration::from_secs(longest),
                "{left:?}"
            );
        }
        rest.end();
        assert_eq!(rest.left(), None);
    }
}
