//! A shadow: rollups made anew of the stored records, compared with those that are stored, and perhaps repaired.
//!
//! The shadow is kept in memory, a slice of time at a time: the hours and the day of one UTC day, then each month. What
//! is still too much is done in several passes, each over a share of the scopes. A repair adds the difference: see
//! `repair.rs`.

mod compare;
mod repair;
mod slices;

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::ledger::{LedgerError, OPERATOR_LANE, RecordStore, RollupStore};
use shared::money::UsdSum;
use shared::rollup::{Parts, RollupKey};
use shared::totals::{Overflow, Totals};
use shared::window::{Range, WindowKind};

use compare::Share;
use slices::{Slice, slices};

/// The most rollups that are held at a time.
const MOST: usize = 200_000;
/// Records read at a time: a packed one can have 400 KB.
const PAGE: usize = 50;
/// The most differences that are listed one by one.
const LISTED: usize = 1_000;
/// The longest range.
const MOST_DAYS: i64 = 400;

/// A shadow that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ShadowError {
    /// What was asked for.
    #[error("{0}")]
    Asked(String),
    /// A sum that would not be exact.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Somebody else writes.
    #[error(
        "the rollups changed {0} times while they were repaired: something else commits to this ledger; stop it, and run this again"
    )]
    Busy(u32),
    /// The consumers could not be paused, or not resumed.
    #[error("{0}")]
    Consumers(String),
}

/// Whoever else commits to the ledger, to be paused while it is repaired.
pub trait Consumers: Send + Sync {
    /// Returns once nobody commits any more: aggregators, and who evaluates budgets, sweeps included. Ingest goes on.
    fn pause(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Lets them go on where they stopped.
    fn resume(&self) -> impl Future<Output = Result<(), String>> + Send;
}

/// Nobody else can open the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl Consumers for Alone {
    async fn pause(&self) -> Result<(), String> {
        Ok(())
    }

    async fn resume(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What a rollup holds, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Events.
    pub events: i64,
    /// Tokens.
    pub tokens: i128,
    /// Known cost.
    pub cost_usd: UsdSum,
}

impl Held {
    fn of(parts: &Parts) -> Self {
        let sum = parts.0.iter().fold(Totals::default(), |mut sum, part| {
            // Shown only; the difference itself is exact.
            let _ = sum.add(part);
            sum
        });
        Self { events: sum.events, tokens: sum.tokens(), cost_usd: sum.cost }
    }
}

/// A rollup that is not what its records add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Of which dimension.
    pub kind: String,
    /// Its name, or the first of a pair.
    pub a: String,
    /// The second of a pair.
    pub b: String,
    /// `hour`, `day` or `month`.
    pub window: WindowKind,
    /// Where the window starts.
    pub start: Timestamp,
    /// What is stored.
    pub stored: Held,
    /// What the records add up to.
    pub recomputed: Held,
}

/// A window that lies only partly in the range, and so was not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncovered {
    /// `day` or `month`.
    pub window: WindowKind,
    /// Where it starts.
    pub from: Timestamp,
    /// Where it ends.
    pub to: Timestamp,
}

/// What a shadow found, and what was done about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whether differences were repaired.
    pub promoted: bool,
    /// Records that were read; once for each day and month that they have a part in.
    pub records: u64,
    /// Rollups that were compared.
    pub rollups: u64,
    /// How many of them differ.
    pub different: u64,
    /// The first of these.
    pub differences: Vec<Difference>,
    /// How many were repaired.
    pub repaired: u64,
    /// Days and months at the edges.
    pub uncovered: Vec<Uncovered>,
}

impl Report {
    fn note(&mut self, key: &RollupKey, stored: &Parts, recomputed: &Parts) {
        self.different += 1;
        if self.differences.len() < LISTED {
            self.differences.push(Difference {
                kind: key.scope.kind.name().to_owned(),
                a: key.scope.a.clone(),
                b: key.scope.b.clone(),
                window: key.window,
                start: Timestamp::from_second(key.start).unwrap_or_default(),
                stored: Held::of(stored),
                recomputed: Held::of(recomputed),
            });
        }
    }
}

/// What to look at, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// From this whole UTC hour on.
    pub from: Timestamp,
    /// To the end of the hour before this one.
    pub to: Timestamp,
    /// Whether to repair.
    pub promote: bool,
    /// Also where periods are closed.
    pub closed: bool,
}

/// Makes shadows.
pub struct Shadow<L> {
    ledger: Arc<L>,
    most: usize,
    page: usize,
}

/// Is told after each slice: how many are done, and how many there are.
pub type Told<'a> = &'a mut (dyn FnMut(usize, usize) + Send);

impl<L: RecordStore + RollupStore> Shadow<L> {
    /// Of this ledger.
    pub fn new(ledger: Arc<L>) -> Self {
        Self { ledger, most: MOST, page: PAGE }
    }

    /// Holding at most so many rollups at a time, and reading so many records.
    #[must_use]
    pub fn within(self, most: usize, page: usize) -> Self {
        Self { most, page, ..self }
    }

    /// Compares, and repairs if that is asked for: then with `consumers` paused.
    pub async fn run<P: Consumers>(
        &self,
        options: &Options,
        consumers: &P,
        told: Told<'_>,
    ) -> Result<Report, ShadowError> {
        let range = self.range(options).await?;
        if !options.promote {
            return self.all(range, false, told).await;
        }
        consumers.pause().await.map_err(ShadowError::Consumers)?;
        let done = self.all(range, true, told).await;
        // Whatever happened: events wait.
        let resumed = consumers.resume().await.map_err(ShadowError::Consumers);
        let report = done?;
        resumed?;
        Ok(report)
    }

    async fn range(&self, options: &Options) -> Result<Range, ShadowError> {
        let (from, to) = (options.from.as_second(), options.to.as_second());
        let asked = |why: String| Err(ShadowError::Asked(why));
        for (name, at, second) in [("from", options.from, from), ("to", options.to, to)] {
            if WindowKind::Hour.start(second) != second || at.subsec_nanosecond() != 0 {
                return asked(format!("--{name} {at} is no whole hour in UTC, in which rollups are kept"));
            }
        }
        if from >= to {
            return asked(format!("--from {} is not before --to {}", options.from, options.to));
        }
        if to - from > MOST_DAYS * 86_400 {
            return asked(format!("at most {MOST_DAYS} days are compared at a time"));
        }
        match self.ledger.closed_before().await? {
            Some(closed) if options.promote && options.from < closed && !options.closed => asked(format!(
                "--from {} lies before {closed}, up to which periods are closed: records of it may have expired, and \
                 what they added would be taken away; add --closed if you know that they are all there",
                options.from
            )),
            _ => Ok(Range { from, to }),
        }
    }

    async fn all(&self, range: Range, promote: bool, told: Told<'_>) -> Result<Report, ShadowError> {
        let (slices, uncovered) = slices(range);
        let mut report = Report { promoted: promote, uncovered, ..Report::default() };
        for (n, slice) in slices.iter().enumerate() {
            self.slice(slice, promote, &mut report).await?;
            told(n + 1, slices.len());
        }
        if report.repaired > 0 {
            self.ledger.settle(&[OPERATOR_LANE]).await?;
        }
        Ok(report)
    }

    /// One slice, in as many passes as it needs.
    async fn slice(&self, slice: &Slice, promote: bool, report: &mut Report) -> Result<(), ShadowError> {
        let mut share = Share { of: 1, number: 0 };
        while share.number < share.of {
            let before = report.clone();
            let fits = if promote {
                self.repair(slice, share, report).await?
            } else {
                self.compare(slice, share, report).await?.is_some()
            };
            if fits {
                share.number += 1;
            } else {
                // A share of twice as many holds the scopes of one that is done, or those of one that is not.
                *report = Report { repaired: report.repaired, ..before };
                share = Share { of: share.of * 2, number: share.number * 2 };
            }
        }
        Ok(())
    }
}
