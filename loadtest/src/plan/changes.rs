//! What settling changes, and how often the alerters are called for it.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use super::cycle::Cycle;

/// Buckets of the rollups of a kind and window with most of them (`aws/src/table/keys.rs`).
pub(super) const BUCKETS: f64 = 16.0;

/// What settling changes in a second.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changes {
    pub(super) settles: f64,
    pub(super) watched: f64,
    pub(super) widest: f64,
    /// Writers, and the seconds that each settles, and from one to the next.
    writers: f64,
    settle_s: f64,
    every_s: f64,
}

impl Changes {
    pub(super) fn add(&mut self, cycle: &Cycle, writers: f64) {
        self.settles += writers * cycle.settles();
        self.watched += writers * cycle.settles() * cycle.watched;
        self.widest += writers * cycle.settles() * cycle.widest;
        self.writers += writers;
        self.settle_s = self.settle_s.max(cycle.settle_ms / 1_000.0);
        self.every_s = 1.0 / (self.settles / self.writers);
    }

    /// Invocations of the alerters of so many shards.
    pub(super) fn calls(&self, shards: f64, step_s: f64, batch: f64) -> f64 {
        let of_one = self.watched / self.settles;
        let rounds = (self.settle_s / step_s).ceil().max(1.0).min((of_one / shards).max(1.0));
        // Where several lanes are settled at the same time, one invocation takes the changes of all.
        let duty = (rounds * step_s / self.every_s).min(1.0);
        let at_a_time = 1.0 - (1.0 - duty).powf(self.writers);
        let by_time = (shards * at_a_time / step_s).min(self.settles * of_one);
        by_time + self.watched / batch
    }

    /// The part of the changes that are of the scope with most.
    pub(super) fn widest_part(&self) -> f64 {
        (self.widest / self.watched).min(1.0)
    }
}
