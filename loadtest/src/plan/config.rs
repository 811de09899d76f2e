//! A deployment: what Terraform's variables say of it.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use super::numbers::up;
use super::workload::Workload;

/// What carries events from ingest to the aggregator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    /// A Kinesis stream that scales by itself.
    KinesisOnDemand,
    /// A Kinesis stream of so many shards.
    KinesisProvisioned,
    /// An inbox in the table.
    Direct,
}

/// Lanes at most, as Terraform takes them.
pub(super) const MOST_LANES: u32 = 256;
/// Shards that a stream on demand begins with.
const FIRST_SHARDS: u32 = 4;
/// The part of what a shard takes that is planned with.
pub(super) const PLANNED: f64 = 0.7;

/// The settings that the capacity hangs on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Config {
    pub(crate) profile: Profile,
    /// Shards of the stream; of one on demand, those that AWS is expected to keep.
    pub(crate) shards: u32,
    pub(crate) lanes: u32,
    /// Batches of one shard at a time.
    pub(crate) parallelization: u32,
    pub(crate) window_s: u32,
    /// Records of a batch at most.
    pub(crate) batch_size: u32,
    pub(crate) alerter_window_s: u32,
    pub(crate) alerter_batch: u32,
    pub(crate) alerter_parallelization: u32,
    pub(crate) ingest_mb: u32,
    pub(crate) aggregator_mb: u32,
    pub(crate) alerter_mb: u32,
    /// Agents with metrics of their own.
    pub(crate) metric_agents: u32,
}

impl Config {
    /// As `docs/cost.md` has it: Terraform's defaults, lanes and shards that carry the rate at seven tenths, and the
    /// largest batch where the window is long.
    pub(crate) fn of(load: &Workload, profile: Profile, window_s: u32) -> Self {
        let shards = shards_for(load);
        let lanes = match profile {
            Profile::KinesisOnDemand => shards.max(FIRST_SHARDS),
            Profile::KinesisProvisioned => shards,
            Profile::Direct => 1,
        };
        let kept = match profile {
            // AWS keeps room for twice the peak: https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html
            Profile::KinesisOnDemand => up(f64::from(shards) * PLANNED * 2.0).max(FIRST_SHARDS),
            Profile::KinesisProvisioned => shards,
            Profile::Direct => 0,
        };
        Self {
            profile,
            shards: kept,
            lanes,
            parallelization: 1,
            window_s,
            batch_size: if window_s > 10 { 10_000 } else { 1_000 },
            alerter_window_s: 1,
            alerter_batch: 1_000,
            alerter_parallelization: 1,
            ingest_mb: 256,
            aggregator_mb: 512,
            alerter_mb: 256,
            metric_agents: 50,
        }
        .with_lanes(lanes)
    }

    /// With so many lanes, and as many batches of a shard at a time as they need.
    pub(crate) fn with_lanes(self, lanes: u32) -> Self {
        let lanes = lanes.max(if self.profile == Profile::KinesisProvisioned { self.shards } else { 1 });
        // The lanes of a shard are put to its batches by a hash: with twice as many, few meet.
        let parallelization = match lanes.div_ceil(self.shards.max(1)) {
            _ if self.profile == Profile::Direct => 1,
            1 => 1,
            each => (2 * each).min(10),
        };
        Self { lanes, parallelization, ..self }
    }

    pub(crate) fn is_direct(&self) -> bool {
        self.profile == Profile::Direct
    }

    /// For how long full batches leave it to the next to settle.
    pub(crate) fn settle_s(&self) -> f64 {
        if self.is_direct() { 0.0 } else { f64::from(self.window_s) }
    }

    /// Batches of the mapping at a time, at most.
    pub(crate) fn consumers(&self) -> u32 {
        self.shards.saturating_mul(self.parallelization)
    }
}

/// Shards that carry the traffic at seven tenths of their limits, with half a kilobyte for each event, which is more
/// than a chat call has.
pub(super) fn shards_for(load: &Workload) -> u32 {
    let kilobytes = 1.0 + f64::from(load.batch * 5 / 10);
    up(load.submissions() * kilobytes / (1_000.0 * PLANNED) - 1e-9).max(1)
}
