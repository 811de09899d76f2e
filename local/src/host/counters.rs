//! The metrics port in memory: what this process committed.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use shared::metrics::{BatchMetrics, Metrics};
use shared::totals::Totals;

/// Sums since the start of the process.
#[derive(Debug, Default)]
pub struct Counters(Mutex<(Totals, Counts)>);

/// What was committed since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Model calls, those that were taken back again subtracted.
    pub events: i64,
    /// Their tokens.
    pub tokens: i128,
    /// Of the calls, those whose cost is unknown.
    pub unpriced: i64,
    /// Records that were there already.
    pub duplicates: u64,
    /// Records that were there with other content.
    pub conflicts: u64,
    /// What was put aside with a reason.
    pub quarantined: u64,
}

impl Counters {
    /// The sums so far.
    pub fn counts(&self) -> Counts {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (totals, counts) = &*state;
        Counts {
            events: totals.events,
            tokens: totals.tokens(),
            unpriced: totals.unpriced_events,
            ..counts.clone()
        }
    }
}

impl Metrics for Counters {
    async fn publish(&self, batch: BatchMetrics) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for delta in &batch.agents {
            // A sum that would not fit is left out: the ledger has the exact one.
            let _ = state.0.add(&delta.totals);
        }
        state.1.duplicates += batch.duplicates;
        state.1.conflicts += batch.conflicts;
        state.1.quarantined += batch.quarantined;
    }
}
