//! Metrics on CloudWatch: what each batch added, stamped when it was committed, and what was spent in all.
//!
//! A delta is lost where a function dies between the commit and this call, and counted twice where an answer was
//! lost and the SDK asked again: the ledger is the truth, and `SpendToDate` publishes it as an absolute
//! value, which heals. A correction makes a delta negative, which CloudWatch takes and sums like any other.
//! CloudWatch computes in floating point and rounds; the ledger does neither.
//!
//! Which agents, models and teams have a series of their own is a stored list ([`SeriesStore`]), so that a series
//! goes on once it has begun; whoever has none adds to the series `other`, so that each dimension sums to the
//! metric without dimensions. `Rejected` is not published here: what ingest rejects never reaches the aggregator,
//! and a call to CloudWatch would make its sender wait. See [`rejected_line`].

mod age;
mod data;
mod emf;
mod series;
mod spend;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

use std::sync::Mutex;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::types::MetricDatum;
use jiff::Timestamp;
use shared::clock::Clock;
use shared::metrics::{BatchMetrics, Metrics};

use crate::failure;
use data::Batch;
use series::Known;

pub use age::iterator_age;
pub use emf::rejected_line;
pub use series::{Dimension, MemorySeries, SeriesList, SeriesStore};

/// The most metrics of one `PutMetricData`.
const MAX_CALL_METRICS: usize = 1_000;
/// The most bytes of one, estimated generously and before the SDK compresses them; CloudWatch takes 1 MB.
const MAX_CALL_BYTES: usize = 900_000;

/// How many series a dimension may have, `other` aside. Each series of a metric is paid for by the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Of agents.
    pub agents: usize,
    /// Of models.
    pub models: usize,
    /// Of teams.
    pub teams: usize,
}

impl Default for Caps {
    fn default() -> Self {
        Self { agents: 50, models: 20, teams: 20 }
    }
}

impl Caps {
    fn of(self, dimension: Dimension) -> usize {
        match dimension {
            Dimension::Agent => self.agents,
            Dimension::Model => self.models,
            Dimension::Team => self.teams,
        }
    }
}

/// Publishes metrics to CloudWatch.
#[derive(Debug)]
pub struct CloudWatch<S, C> {
    client: Client,
    namespace: String,
    caps: Caps,
    store: S,
    clock: C,
    known: Mutex<Known>,
    /// When spend was published last.
    spend_at: Mutex<Option<Timestamp>>,
}

impl<S: SeriesStore, C: Clock> CloudWatch<S, C> {
    /// Under this namespace, with at most so many series, whose list is in `store`.
    pub fn new(client: Client, namespace: impl Into<String>, caps: Caps, store: S, clock: C) -> Self {
        let (known, spend_at) = (Mutex::default(), Mutex::default());
        Self { client, namespace: namespace.into(), caps, store, clock, known, spend_at }
    }

    /// Puts metrics with as few calls as CloudWatch allows. One failure is said once; the rest is left.
    async fn put(&self, data: Vec<MetricDatum>) {
        for call in data::calls(data, MAX_CALL_METRICS, MAX_CALL_BYTES) {
            let count = call.len();
            let put = self.client.put_metric_data().namespace(&self.namespace).set_metric_data(Some(call));
            if let Err(error) = put.send().await {
                let target = format!("namespace {}", self.namespace);
                let error = failure::of("cloudwatch:PutMetricData", &target, &error);
                tracing::warn!(%error, metrics = count, "metrics were not published; the ledger has the totals");
                return;
            }
        }
    }
}

impl<S: SeriesStore, C: Clock> Metrics for CloudWatch<S, C> {
    async fn publish(&self, batch: BatchMetrics) {
        let batch = Batch::of(batch);
        if batch.is_empty() {
            return;
        }
        let now = self.clock.now();
        let series = self.series_for(&batch, now).await;
        self.put(batch.data(&series, now)).await;
    }
}
