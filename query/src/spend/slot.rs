//! The rows of a report while they are summed: a name, or the start of a day or an hour.

use std::collections::BTreeMap;

use edge::limits::MAX_REPORT_ROWS;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::totals::Totals;
use shared::window::{Period, Range, Zone};

use super::By;
use crate::error::QueryError;
use crate::instant::show_instant;

/// What one row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Slot {
    /// A name; empty where it was not stated.
    Name(String),
    /// The first second of a day or an hour.
    Start(i64),
}

impl Slot {
    /// How the answer names it.
    pub(super) fn shown(&self, by: By, zone: &Zone) -> Option<String> {
        match self {
            Self::Name(name) => (!name.is_empty()).then(|| name.clone()),
            Self::Start(at) if by == By::Day => {
                let day = Timestamp::from_second(*at).ok()?.to_zoned_datetime(zone.rules().clone()).date();
                Some(day.to_string())
            }
            // With its offset: an hour that clocks repeat is two rows.
            Self::Start(at) => Some(show_instant(*at, zone)),
        }
    }
}

/// Sums by row.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Where the sums of a row are.
    rows: BTreeMap<Slot, usize>,
    totals: Vec<Totals>,
    /// The row that was last added to by its name: calls of one conversation or task mostly come together.
    last: Option<(String, usize)>,
}

impl Sums {
    /// Adds to a row.
    pub(super) fn add(&mut self, slot: Slot, totals: &Totals) -> Result<(), QueryError> {
        if totals.is_zero() {
            return Ok(());
        }
        let at = self.row(slot)?;
        Ok(self.totals[at].add(totals)?)
    }

    /// Adds to the row of that name.
    pub(super) fn add_named(&mut self, name: &str, totals: &Totals) -> Result<(), QueryError> {
        if totals.is_zero() {
            return Ok(());
        }
        let at = match &self.last {
            Some((last, at)) if last == name => *at,
            _ => {
                let at = self.row(Slot::Name(name.to_owned()))?;
                self.last = Some((name.to_owned(), at));
                at
            }
        };
        Ok(self.totals[at].add(totals)?)
    }

    fn row(&mut self, slot: Slot) -> Result<usize, QueryError> {
        let at = *self.rows.entry(slot).or_insert(self.totals.len());
        if at == self.totals.len() {
            if at == MAX_REPORT_ROWS {
                return Err(QueryError::TooManyRows(MAX_REPORT_ROWS));
            }
            self.totals.push(Totals::default());
        }
        Ok(at)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows that are about something: what was voided leaves sums of nothing behind.
    pub(super) fn into_iter(self) -> impl Iterator<Item = (Slot, Totals)> {
        let mut all = self.totals;
        let taken = self.rows.into_iter().map(move |(slot, at)| (slot, std::mem::take(&mut all[at])));
        taken.filter(|(_, totals)| !totals.is_zero())
    }
}

/// Finds the local day or hour of an instant, remembering the last one.
pub(super) struct Calendar {
    period: Period,
    zone: Zone,
    last: Range,
}

impl Calendar {
    /// None if the dimension is not a time.
    pub(super) fn of(by: By, zone: &Zone) -> Option<Self> {
        let period = match by {
            By::Day => Period::Day,
            By::Hour => Period::Hour,
            _ => return None,
        };
        Some(Self { period, zone: zone.clone(), last: Range { from: 0, to: 0 } })
    }

    /// The row of an instant.
    pub(super) fn slot(&mut self, second: i64) -> Slot {
        if !(self.last.from..self.last.to).contains(&second) {
            self.last = match Timestamp::from_second(second) {
                Ok(at) => self.period.containing(at, &self.zone),
                Err(_) => Range { from: second, to: second + 1 },
            };
        }
        Slot::Start(self.last.from)
    }
}
