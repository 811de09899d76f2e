//! The metrics port in memory: what this process did.

mod flow;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use shared::alert::AlertKind;
use shared::delivery::{DeliveryAttempt, Outcome};
use shared::metrics::{BatchMetrics, Metrics};
use shared::totals::Totals;

use crate::histogram::{Histogram, Measured};

pub use flow::{Flow, Flows, MAX_AGENT_SERIES, OTHER_AGENTS};

/// Bounds of the time from a receipt to the commit, in microseconds: from a millisecond to ten minutes.
const COMMIT_BOUNDS: [u64; 14] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
    30_000_000,
    120_000_000,
    600_000_000,
];

/// Sums since the start of the process.
#[derive(Debug)]
pub struct Counters {
    state: Mutex<State>,
    commit_lag: Histogram,
}

#[derive(Debug, Default)]
struct State {
    net: Totals,
    counts: Counts,
    flows: Flows,
    alerts: BTreeMap<AlertKind, u64>,
    deliveries: BTreeMap<String, u64>,
}

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

/// All that was counted, for metrics.
#[derive(Clone, Debug)]
pub struct Counted {
    /// As `/healthz` shows it.
    pub counts: Counts,
    /// Added and taken back, by agent.
    pub flows: Flows,
    /// Alerts decided.
    pub alerts: BTreeMap<AlertKind, u64>,
    /// Attempts to deliver, by the class of their outcome.
    pub deliveries: BTreeMap<String, u64>,
    /// From the arrival of a stream record to its commit.
    pub commit_lag: Measured,
}

impl Default for Counters {
    fn default() -> Self {
        Self { state: Mutex::default(), commit_lag: Histogram::new(&COMMIT_BOUNDS) }
    }
}

impl Counters {
    /// The sums so far.
    pub fn counts(&self) -> Counts {
        self.with(|state| counts(state))
    }

    /// All that was counted so far.
    pub fn counted(&self) -> Counted {
        let commit_lag = self.commit_lag.measured();
        self.with(|state| Counted {
            counts: counts(state),
            flows: state.flows.clone(),
            alerts: state.alerts.clone(),
            deliveries: state.deliveries.clone(),
            commit_lag,
        })
    }

    /// Counts an alert that was decided.
    pub fn decided(&self, kind: AlertKind) {
        self.with(|state| *state.alerts.entry(kind).or_default() += 1);
    }

    /// Counts an attempt to deliver.
    pub fn attempted(&self, attempt: &DeliveryAttempt) {
        let class = match attempt.outcome {
            // Few series, whatever a receiver answers.
            Outcome::Status(status) => format!("{}xx", (status / 100).clamp(1, 5)),
            Outcome::Error(failure) => failure.name().to_owned(),
        };
        self.with(|state| *state.deliveries.entry(class).or_default() += 1);
    }

    /// From the arrival of stream records to their commit.
    pub(super) fn commit_lag(&self) -> &Histogram {
        &self.commit_lag
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn counts(state: &State) -> Counts {
    Counts {
        events: state.net.events,
        tokens: state.net.tokens(),
        unpriced: state.net.unpriced_events,
        ..state.counts.clone()
    }
}

impl Metrics for Counters {
    async fn publish(&self, batch: BatchMetrics) {
        self.with(|state| {
            for delta in &batch.agents {
                // A sum that would not fit is left out: the ledger has the exact one.
                let _ = state.net.add(&delta.totals);
                state.flows.take(delta);
            }
            state.counts.duplicates += batch.duplicates;
            state.counts.conflicts += batch.conflicts;
            state.counts.quarantined += batch.quarantined;
        });
    }
}
