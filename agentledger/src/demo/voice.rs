//! What the demo says while it runs: each line with the simulated time, and each alert in words.

use std::sync::Arc;

use jiff::Timestamp;
use shared::alert::Alert;
use shared::clock::Clock;
use shared::notifier::{Notifier, NotifyError};

use super::clock::{Day, DayClock};
use crate::output::say;

/// Says lines on stdout.
#[derive(Clone)]
pub(super) struct Voice(Arc<(Day, DayClock)>);

impl Voice {
    pub(super) fn new(day: Day, clock: DayClock) -> Self {
        Self(Arc::new((day, clock)))
    }

    /// Says what happens now.
    pub(super) fn tell(&self, text: &str) -> anyhow::Result<()> {
        self.tell_at(self.0.1.now(), text)
    }

    fn tell_at(&self, at: Timestamp, text: &str) -> anyhow::Result<()> {
        say(&format!("{}  {text}\n", self.0.0.time(at)))
    }
}

impl Notifier for Voice {
    async fn notify(&self, alert: &Alert) -> Result<(), NotifyError> {
        self.tell_at(alert.at, &format!("ALERT  {}", alert.text())).map_err(|e| NotifyError(e.to_string()))
    }
}
