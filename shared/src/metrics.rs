//! The metrics port: what was newly committed, once, as deltas.

use std::future::Future;

use crate::id::AgentId;
use crate::totals::Totals;

/// What one agent's newly committed events add. Negative where a correction took something away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentDelta {
    /// Whose.
    pub agent: AgentId,
    /// How much.
    pub totals: Totals,
}

/// What newly committed events of one model, or of one team, add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameDelta {
    /// Whose. Empty for "not stated", as in a [`Scope`](crate::rollup::Scope).
    pub name: String,
    /// How much.
    pub totals: Totals,
}

/// What one batch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchMetrics {
    /// Newly committed, by agent.
    pub agents: Vec<AgentDelta>,
    /// The same, by model.
    pub models: Vec<NameDelta>,
    /// The same, by team.
    pub teams: Vec<NameDelta>,
    /// Milliseconds from the receipt of a stream record to the commit of what was new in it, for each that held
    /// anything new.
    pub lag_ms: Vec<u64>,
    /// Records that were there already.
    pub duplicates: u64,
    /// Records that were there with other content.
    pub conflicts: u64,
    /// Payloads and events put aside with a reason.
    pub quarantined: u64,
}

/// Publishes metrics. Best effort: deltas can be lost in a crash, the ledger is the truth.
pub trait Metrics: Send + Sync {
    /// Publishes what a batch did.
    fn publish(&self, batch: BatchMetrics) -> impl Future<Output = ()> + Send;
}

impl<M: Metrics> Metrics for std::sync::Arc<M> {
    fn publish(&self, batch: BatchMetrics) -> impl Future<Output = ()> + Send {
        (**self).publish(batch)
    }
}
