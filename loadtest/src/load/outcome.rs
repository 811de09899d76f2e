//! The figures of a run, as they are printed and written.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::scenario::Scenario;

/// Quantiles in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    pub(crate) count: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

impl From<&Histogram<u64>> for Quantiles {
    fn from(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
        }
    }
}

/// A second of the run, or a few.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// Its beginning, in seconds since the run's.
    pub(crate) second: u64,
    pub(crate) submissions_arrived: u64,
    pub(crate) events_accepted: u64,
    pub(crate) latency_us: Quantiles,
}

/// All of it. Times are in microseconds where a name ends in `_us`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    pub(crate) plan: Scenario,
    pub(crate) seed: u64,
    pub(crate) at: String,
    pub(crate) seconds: u64,
    /// Events a second that arrived, were accepted, and were in the rollups by the time that all were.
    pub(crate) events_sent: u64,
    pub(crate) events_accepted: u64,
    pub(crate) accepted_per_second: u64,
    pub(crate) committed_per_second: u64,
    pub(crate) submissions_per_second: u64,
    pub(crate) repeated: u64,
    pub(crate) refused: u64,
    pub(crate) retries: u64,
    pub(crate) connections_opened: u64,
    pub(crate) slow_accepted: u64,
    pub(crate) slow_ended: u64,
    pub(crate) answers: BTreeMap<String, u64>,
    /// From the arrival to the receipt.
    pub(crate) ingest_us: Quantiles,
    /// From the first byte of the last try.
    pub(crate) served_us: Quantiles,
    pub(crate) rollup_us: Option<Quantiles>,
    pub(crate) alert_us: Option<Quantiles>,
    pub(crate) thresholds_crossed: u64,
    pub(crate) fsync_us: Option<Quantiles>,
    /// Until the totals stood, after the last receipt.
    pub(crate) drained_us: u64,
    pub(crate) restart_us: Option<u64>,
    pub(crate) compared_keys: u64,
    pub(crate) compared_events: i64,
    pub(crate) compared_tokens: i64,
    pub(crate) memory_mb: Option<[u64; 2]>,
    /// Of the server, and of this program.
    pub(crate) processor_ms: Option<[u64; 2]>,
    pub(crate) disk_bytes: Option<u64>,
    pub(crate) over_time: Vec<Moment>,
}
