//! Tells a thread that sleeps to end.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A wish to end, told once.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    told: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Wakes who waits.
    pub(crate) fn tell(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits so long; true if it is time to end.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(told, time, |told| !*told);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits for as long as it takes.
    pub(crate) fn wait_for_it(&self) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let _told = self.changed.wait_while(told, |told| !*told).unwrap_or_else(PoisonError::into_inner);
    }
}
