//! What a replay counted, or would count: the sum of what the aggregator publishes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use shared::id::AgentId;
use shared::metrics::{BatchMetrics, Metrics};
use shared::totals::Totals;

/// Sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) agents: BTreeMap<AgentId, Totals>,
    pub(crate) duplicates: u64,
    pub(crate) conflicts: u64,
}

/// Sums what is published, and hands it on to whoever is told of what is counted.
pub(crate) struct Tally<M> {
    inner: Option<M>,
    sums: Mutex<Sums>,
}

impl<M> Tally<M> {
    pub(crate) fn new(inner: Option<M>) -> Self {
        Self { inner, sums: Mutex::default() }
    }

    pub(crate) fn sums(&self) -> Sums {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<M: Metrics> Metrics for Tally<M> {
    async fn publish(&self, batch: BatchMetrics) {
        {
            let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
            sums.duplicates += batch.duplicates;
            sums.conflicts += batch.conflicts;
            for delta in &batch.agents {
                // A sum that would pass what it can hold is left out here; the ledger has it.
                let _ = sums.agents.entry(delta.agent.clone()).or_default().add(&delta.totals);
            }
        }
        // A replay of what was counted has nothing to tell: duplicates here are no sender's retries.
        if let Some(inner) = &self.inner
            && !batch.agents.is_empty()
        {
            inner.publish(BatchMetrics { duplicates: 0, ..batch }).await;
        }
    }
}
