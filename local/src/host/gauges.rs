//! How the pipeline is, for metrics: more than `/healthz` says, and read from the disk.

use std::sync::Arc;

use super::Status;
use super::counters::{Counted, Counters};
use super::shard::Lag;
use crate::ledger::{PendingAlerts, SqliteLedger};
use crate::stream::StreamLog;

/// How far the pipeline is behind, and what it did.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// As `/healthz` shows it.
    pub status: Status,
    /// When the oldest record that is not consumed arrived, by shard, in Unix milliseconds; none where all is
    /// consumed, or where it cannot be read.
    pub oldest: Vec<Option<i64>>,
    /// The same of the change feed.
    pub oldest_change: Option<i64>,
    /// Alerts that are not known to have arrived; none where the ledger does not answer.
    pub pending: Option<PendingAlerts>,
    /// What this process did.
    pub counted: Counted,
}

/// Reads gauges. It reads the disk where it is called.
pub(super) fn reader(
    status: impl Fn() -> Status + Send + Sync + 'static,
    stream: StreamLog,
    ledger: Arc<SqliteLedger>,
    counters: Arc<Counters>,
) -> impl Fn() -> Gauges + Send + Sync + 'static {
    move || {
        let status = status();
        let behind = |lag: &Lag| lag.latest > lag.consumed;
        let oldest = (0..).zip(&status.stream).map(|(shard, lag)| {
            let first = || stream.reader(shard, lag.consumed).ok()?.try_next(1, 1).ok()?.into_iter().next();
            behind(lag).then(first).flatten().map(|record| record.arrival_ms)
        });
        let oldest = oldest.collect();
        let first = || ledger.changes(status.changes.consumed, 1, 1).ok()?.into_iter().next();
        let oldest_change = behind(&status.changes).then(first).flatten().map(|change| change.at_ms);
        let pending = ledger.pending_alerts().ok();
        Gauges { oldest, oldest_change, pending, counted: counters.counted(), status }
    }
}
