//! How a stream log is opened: sizes, durability and the clock.
//!
//! Every bound is in bytes, because records differ in size by orders of magnitude.

use std::fmt;
use std::sync::Arc;

/// A clock: milliseconds since the Unix epoch. Injected, so that tests can set the time.
pub type NowMs = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How to open a [`super::StreamLog`].
#[derive(Clone)]
pub struct StreamOptions {
    /// How many shards a new stream gets, at least 1. A stream that exists keeps its number.
    pub shards: u32,
    /// A segment file of at least this many bytes is closed and the next one begun.
    pub segment_bytes: u64,
    /// Whether a put is acknowledged only after the disk has it. Without, a power failure (not a crash of
    /// the process) can lose acknowledged records.
    pub fsync: bool,
    /// The most bytes of records that one group commit takes; a larger single put is a group of its own.
    pub max_group_bytes: usize,
    /// The most bytes of records that wait per shard; past it a put is asked to come again.
    pub max_queued_bytes: usize,
    /// Stamps arrivals.
    pub now_ms: NowMs,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            shards: 2,
            segment_bytes: 64 << 20,
            fsync: true,
            max_group_bytes: 8 << 20,
            max_queued_bytes: 32 << 20,
            now_ms: system_now_ms(),
        }
    }
}

impl fmt::Debug for StreamOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamOptions")
            .field("shards", &self.shards)
            .field("segment_bytes", &self.segment_bytes)
            .field("fsync", &self.fsync)
            .field("max_group_bytes", &self.max_group_bytes)
            .field("max_queued_bytes", &self.max_queued_bytes)
            .finish_non_exhaustive()
    }
}

/// The clock of the machine.
pub fn system_now_ms() -> NowMs {
    Arc::new(|| {
        #[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock enters")]
        let now = std::time::SystemTime::now();
        // A clock before 1970 is stamped 0: arrivals are clamped to be monotonic anyway.
        now.duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    })
}
