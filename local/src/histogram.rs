//! Durations by size, in whole microseconds: exact until they are shown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts durations up to each of its bounds, and beyond the last one.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// A histogram as it was at one moment, about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The sum of all durations, in microseconds.
    pub sum: u64,
    /// Upper bounds in microseconds, each with the number of durations up to it and beyond the bound before.
    /// The last one has no bound.
    pub buckets: Vec<(Option<u64>, u64)>,
}

impl Histogram {
    /// Of these upper bounds, in microseconds, in ascending order.
    pub fn new(bounds: &'static [u64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts a duration.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let at = self.bounds.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get(at) {
            count.fetch_add(1, Ordering::Relaxed);
            self.sum.fetch_add(micros, Ordering::Relaxed);
        }
    }

    /// What was counted.
    pub fn measured(&self) -> Measured {
        let bounds = self.bounds.iter().map(|bound| Some(*bound)).chain([None]);
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        Measured { sum: self.sum.load(Ordering::Relaxed), buckets: bounds.zip(counts).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_part_of_its_bucket() {
        let histogram = Histogram::new(&[10, 20]);
        for micros in [0, 10, 11, 20, 21, 1_000_000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let buckets = vec![(Some(10), 2), (Some(20), 2), (None, 2)];
        assert_eq!(histogram.measured(), Measured { sum: 1_000_062, buckets });
    }
}
