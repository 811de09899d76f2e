//! Requests in, durable stream records out.
//!
//! A submission is validated as a whole, given its identity, packed and put; a receipt is returned only after
//! the stream acknowledged all of it.

mod authorise;
mod cloudevents;
mod content_type;
mod event;
mod fields;
mod handler;
mod json;
mod lane;
mod parse;
mod problem;
mod put;
mod seal;
mod sequence;
mod stages;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use auth::Access;
use jiff::Timestamp;
use shared::clock::Clock;
use shared::mint::{Mint, UuidMint};
use shared::stream::EventStream;

use crate::lane::Places;

#[doc(hidden)]
pub use stages::Parsed;

/// How ingest puts.
#[derive(Clone, Copy, Debug)]
pub struct IngestConfig {
    /// How many lanes there are: one writer each in the aggregator.
    pub lanes: u32,
    /// How often what failed is put again.
    pub attempts: u32,
    /// The pause before the first of these; doubled each time, with jitter.
    pub backoff: Duration,
    /// How long all of it may take.
    pub deadline: Duration,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self { lanes: 4, attempts: 6, backoff: Duration::from_millis(20), deadline: Duration::from_secs(10) }
    }
}

/// The watermark before which events are refused; its owner keeps it up to date.
#[derive(Debug)]
pub struct ClosedBefore(AtomicI64);

impl Default for ClosedBefore {
    fn default() -> Self {
        Self(AtomicI64::new(0))
    }
}

impl ClosedBefore {
    /// Sets it.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.as_second(), Ordering::Relaxed);
    }

    fn get(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// The handler of the ingest Lambda, and of its local stand-in.
pub struct Ingest<S, C, M = UuidMint> {
    stream: S,
    clock: C,
    mint: M,
    config: IngestConfig,
    access: Access,
    closed_before: ClosedBefore,
    places: Places,
    rejected: AtomicU64,
}

impl<S: EventStream, C: Clock> Ingest<S, C> {
    /// A handler over these ports, for those whom `access` lets in. It gives UUIDs to events that come without
    /// an id.
    pub fn new(stream: S, clock: C, config: IngestConfig, access: Access) -> Self {
        Self::with_mint(stream, clock, UuidMint, config, access)
    }
}

impl<S: EventStream, C: Clock, M: Mint> Ingest<S, C, M> {
    /// A handler over these ports.
    pub fn with_mint(stream: S, clock: C, mint: M, config: IngestConfig, access: Access) -> Self {
        let (closed_before, rejected) = (ClosedBefore::default(), AtomicU64::new(0));
        Self { stream, clock, mint, config, access, closed_before, places: Places::default(), rejected }
    }

    /// Requests that got no receipt so far.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Counts a request that its host refused.
    pub fn count_rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// The watermark, for its owner to set.
    pub fn closed_before(&self) -> &ClosedBefore {
        &self.closed_before
    }
}
