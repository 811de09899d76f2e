//! What a run saw: latencies, answers, and when each event had its receipt.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::expected::Numbers;

/// A second of the run, or a few.
pub(crate) struct Slice {
    /// Submissions that arrived in it.
    pub(crate) arrived: u64,
    /// Events with a receipt in it.
    pub(crate) events: u64,
    /// From the arrival to the receipt, in microseconds, of those that arrived in it.
    pub(crate) latency: Histogram<u64>,
}

/// A receipt: when, and by how much it changes what the totals have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Microseconds since the run began.
    pub(crate) at: u64,
    pub(crate) events: i32,
    /// Tokens of calls of this month.
    pub(crate) tokens: i64,
}

/// By how much a receipt changes what the totals have to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Change {
    pub(crate) events: i32,
    /// Of calls of this month.
    pub(crate) tokens: i64,
    /// The event that is taken back, if that is what it is.
    pub(crate) voids: Option<(u64, u32)>,
}

/// All of it.
pub(crate) struct Seen {
    /// From the arrival to the receipt, in microseconds, whatever was tried in between.
    pub(crate) accepted: Histogram<u64>,
    /// From the first byte of the last try to its receipt.
    pub(crate) served: Histogram<u64>,
    /// Answers by what they were.
    pub(crate) answers: BTreeMap<String, u64>,
    /// Tries after the first.
    pub(crate) retries: u64,
    /// Submissions that were sent again on purpose, and got their receipt.
    pub(crate) repeated: u64,
    /// Submissions with a fault, which were refused.
    pub(crate) refused: u64,
    /// Connections opened.
    pub(crate) opened: u64,
    /// Of the slow clients: with a receipt, and ended by the server.
    pub(crate) slow: [u64; 2],
    pub(crate) slices: Vec<Slice>,
    /// How long a slice is.
    pub(crate) slice: Duration,
    pub(crate) receipts: Vec<Receipt>,
    /// Events taken back: submission, and index.
    voided: HashSet<(u64, u32)>,
    /// Submissions with a receipt.
    pub(crate) numbers: Numbers,
}

/// How many slices there are, at most.
const SLICES: u64 = 240;

/// Up to five minutes, to three digits.
pub(crate) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 300_000_000, 3)?)
}

impl Seen {
    /// Nothing yet, of a run that takes so long.
    pub(crate) fn new(span: Duration) -> anyhow::Result<Self> {
        let slice = Duration::from_secs(span.as_secs().div_ceil(SLICES).max(1));
        let count = span.as_secs().div_ceil(slice.as_secs()).max(1);
        // Made before anything arrives: touching their memory would delay arrivals.
        let slices = (0..count)
            .map(|_| {
                Ok(Slice { arrived: 0, events: 0, latency: Histogram::new_with_bounds(1, 300_000_000, 2)? })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            accepted: histogram()?,
            served: histogram()?,
            answers: BTreeMap::new(),
            retries: 0,
            repeated: 0,
            refused: 0,
            opened: 0,
            slow: [0; 2],
            slices,
            slice,
            receipts: Vec::new(),
            voided: HashSet::new(),
            numbers: Numbers::default(),
        })
    }

    /// The slice of a moment since the beginning; what is later belongs to the last one.
    pub(crate) fn slice_at(&mut self, since: Duration) -> Option<&mut Slice> {
        let at = usize::try_from(since.as_secs() / self.slice.as_secs().max(1)).unwrap_or(usize::MAX);
        let last = self.slices.len().saturating_sub(1);
        self.slices.get_mut(at.min(last))
    }

    /// A receipt, so long after the beginning, and what it changes.
    pub(crate) fn receipt(&mut self, n: u64, since: Duration, change: Change) {
        if !self.numbers.add(n) {
            self.repeated += 1;
            return;
        }
        let Change { mut events, mut tokens, voids } = change;
        // What is taken back once cannot be taken back again.
        if voids.is_some_and(|event| !self.voided.insert(event)) {
            (events, tokens) = (0, 0);
        }
        if let Some(slice) = self.slice_at(since) {
            slice.events += u64::try_from(events).unwrap_or(0);
        }
        self.receipts.push(Receipt { at: micros(since), events, tokens });
    }

    pub(crate) fn answered(&mut self, word: &str) {
        match self.answers.get_mut(word) {
            Some(count) => *count += 1,
            None => {
                self.answers.insert(word.to_owned(), 1);
            }
        }
    }
}

pub(crate) fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(1)
}
