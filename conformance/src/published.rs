//! The metrics port of a history: sums what was published.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use shared::id::AgentId;
use shared::metrics::{BatchMetrics, Metrics};
use shared::money::UsdSum;
use shared::totals::Totals;

/// Sums what was published, by agent.
#[derive(Debug, Default)]
pub struct Published(Mutex<BTreeMap<AgentId, Totals>>);

impl Published {
    /// What was published so far, without those of whom nothing is left.
    pub fn all(&self) -> BTreeMap<AgentId, Totals> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.retain(|_, totals| !totals.is_zero());
        all
    }
}

/// What calls add, without task outcomes: no model has done those.
fn of_calls<'t>(deltas: impl Iterator<Item = &'t Totals>) -> Totals {
    let mut sum = Totals::default();
    for totals in deltas {
        // No history comes near the end of what a sum holds.
        let _ = sum.add(totals);
    }
    Totals { tasks: [0; 3], task_value: UsdSum::ZERO, ..sum }
}

impl Metrics for Published {
    async fn publish(&self, batch: BatchMetrics) {
        let agents = of_calls(batch.agents.iter().map(|delta| &delta.totals));
        for deltas in [&batch.models, &batch.teams] {
            let others = of_calls(deltas.iter().map(|delta| &delta.totals));
            assert_eq!(others, agents, "models and teams add up to what agents do");
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for delta in batch.agents {
            // No history comes near the end of what a sum holds.
            let _ = all.entry(delta.agent).or_default().add(&delta.totals);
        }
    }
}
