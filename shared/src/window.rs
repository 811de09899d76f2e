//! Windows of time: the UTC windows that rollups are kept in, and the periods, in an IANA zone, that
//! budgets and reports ask about.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ToSpan, ZonedDateTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The finest window, in seconds. Every zone's offset is a multiple of it.
pub const QUARTER: i64 = 15 * 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A UTC window that rollups are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// An hour, held as four quarter hours.
    Hour,
    /// A UTC day.
    Day,
    /// A UTC calendar month.
    Month,
}

impl WindowKind {
    /// Every kind, finest first.
    pub const ALL: [WindowKind; 3] = [WindowKind::Hour, WindowKind::Day, WindowKind::Month];

    /// How many subtotals a rollup of this kind holds.
    pub fn parts(self) -> usize {
        if self == Self::Hour { 4 } else { 1 }
    }

    /// The start, in Unix seconds, of the window that holds `at`.
    pub fn start(self, at: i64) -> i64 {
        match self {
            Self::Hour => at - at.rem_euclid(HOUR),
            Self::Day => at - at.rem_euclid(DAY),
            Self::Month => month_start(at, 0),
        }
    }

    /// The end, exclusive, of the window that starts at `start`.
    pub fn end(self, start: i64) -> i64 {
        match self {
            Self::Hour => start + HOUR,
            Self::Day => start + DAY,
            Self::Month => month_start(start, 1),
        }
    }
}

fn month_start(at: i64, months_on: i32) -> i64 {
    let Ok(at_utc) = Timestamp::from_second(at) else { return at };
    let first = at_utc.to_zoned_datetime(TimeZone::UTC).date().first_of_month();
    let moved = first.checked_add(Span::new().months(months_on)).unwrap_or(first);
    moved.to_zoned_datetime(TimeZone::UTC).map_or(at, |z| z.timestamp().as_second())
}

/// Which subtotal of its hour an instant falls in.
pub fn quarter_of_hour(at: i64) -> usize {
    usize::try_from(at.rem_euclid(HOUR) / QUARTER).unwrap_or(0)
}

/// A half-open span of instants in Unix seconds, on quarter hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Range {
    /// First second.
    pub from: i64,
    /// First second after.
    pub to: i64,
}

impl Range {
    /// All of time: the extent to give where nothing is known of what holds data.
    pub const EVER: Range = Range { from: i64::MIN, to: i64::MAX };

    /// The smallest range on quarter hours that holds both ends.
    pub fn covering(from: Timestamp, to: Timestamp) -> Self {
        let from = from.as_second().div_euclid(QUARTER) * QUARTER;
        let up = i64::from(to.subsec_nanosecond() > 0);
        let to = (to.as_second() + up + QUARTER - 1).div_euclid(QUARTER) * QUARTER;
        Self { from, to }
    }

    /// Whether an instant is inside.
    pub fn holds(&self, at: Timestamp) -> bool {
        // Truncation is towards zero, and instants before 1970 are refused at ingest.
        (self.from..self.to).contains(&at.as_second())
    }
}

/// Consecutive rollup windows to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Their kind.
    pub kind: WindowKind,
    /// Start of the first.
    pub from: i64,
    /// End of the last.
    pub to: i64,
    /// For a partial hour: which quarters count.
    pub quarters: [bool; 4],
}

/// Covers `range` with as few rollup windows as there can be: months, then days, then hours, then quarters.
///
/// `extent` is the span that can hold data at all: a window counts as inside when the part of it that can
/// hold data is, so that an open-ended report reads months instead of days.
pub fn cover(range: Range, extent: Range) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let from = range.from.max(extent.from);
    let to = range.to.min(extent.to);
    let mut at = from;
    while at < to {
        let fits = |kind: WindowKind| {
            let start = kind.start(at);
            let end = kind.end(start);
            (start == at || start.max(extent.from) >= from) && end.min(extent.to) <= to
        };
        let kind = if fits(WindowKind::Month) {
            WindowKind::Month
        } else if fits(WindowKind::Day) {
            WindowKind::Day
        } else {
            WindowKind::Hour
        };
        let start = kind.start(at);
        let end = kind.end(start);
        let mut quarters = [true; 4];
        if kind == WindowKind::Hour {
            for (quarter, counts) in (0..).zip(quarters.iter_mut()) {
                let begins = start + quarter * QUARTER;
                *counts = begins >= from && begins < to;
            }
        }
        match segments.last_mut() {
            Some(last) if last.kind == kind && last.to == start && last.quarters == quarters => last.to = end,
            _ => segments.push(Segment { kind, from: start, to: end, quarters }),
        }
        at = end;
    }
    segments
}

/// What a budget is per.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A local hour.
    Hour,
    /// A local calendar day.
    Day,
    /// A local week, from Monday (ISO 8601).
    Week,
    /// A local calendar month.
    Month,
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        })
    }
}

/// An IANA time zone, by name; the rules are the ones compiled in, the same on every host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Zone {
    name: Box<str>,
    rules: TimeZone,
}

/// A name that is no IANA time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IANA time zone such as \"Europe/Berlin\", \"Asia/Kathmandu\" or \"UTC\"")]
pub struct ZoneError(pub String);

impl Zone {
    /// Looks a zone up by its IANA name.
    pub fn parse(name: &str) -> Result<Self, ZoneError> {
        let rules =
            jiff::tz::TimeZoneDatabase::bundled().get(name).map_err(|_| ZoneError(name.to_owned()))?;
        let name = rules.iana_name().unwrap_or(name).into();
        Ok(Self { name, rules })
    }

    /// Coordinated universal time.
    pub fn utc() -> Self {
        Self { name: "UTC".into(), rules: TimeZone::UTC }
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rules.
    pub fn rules(&self) -> &TimeZone {
        &self.rules
    }
}

impl TryFrom<String> for Zone {
    type Error = ZoneError;

    fn try_from(name: String) -> Result<Self, ZoneError> {
        Self::parse(&name)
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.name.into()
    }
}

impl Period {
    /// The period that holds `at`: periods partition time, also across changes of daylight saving.
    pub fn containing(self, at: Timestamp, zone: &Zone) -> Range {
        self.try_containing(at, zone).unwrap_or_else(|_| {
            // Only at the far ends of representable time, which ingest refuses.
            let from = WindowKind::Day.start(at.as_second());
            Range { from, to: from + DAY }
        })
    }

    fn try_containing(self, at: Timestamp, zone: &Zone) -> Result<Range, jiff::Error> {
        let local = at.to_zoned_datetime(zone.rules.clone());
        let (from, to) = match self {
            Self::Hour => return Ok(local_hour(&local, zone)),
            Self::Day => (local.date(), local.date().tomorrow()?),
            Self::Week => {
                let since = local.date().weekday().since(Weekday::Monday);
                let monday = local.date().checked_sub(i32::from(since).days())?;
                (monday, monday.checked_add(7.days())?)
            }
            Self::Month => {
                let first = local.date().first_of_month();
                (first, first.checked_add(1.month())?)
            }
        };
        // `to_zoned_datetime` of a date is its first instant, which is not midnight where a change skips midnight.
        let from = from.to_zoned_datetime(zone.rules.clone())?.timestamp().as_second();
        let to = to.to_zoned_datetime(zone.rules.clone())?.timestamp().as_second();
        Ok(Range { from, to })
    }
}

/// A local hour ends at a change of offset: where that is no whole hour, the hours beside it are shorter.
fn local_hour(local: &ZonedDateTime, zone: &Zone) -> Range {
    let at = local.timestamp();
    let into = i64::from(local.minute()) * 60 + i64::from(local.second());
    let mut from = at.as_second() - into;
    let mut to = from + HOUR;
    let just_after = at.checked_add(SignedDuration::from_nanos(1)).unwrap_or(at);
    if let Some(change) = zone.rules.preceding(just_after).next() {
        from = from.max(change.timestamp().as_second());
    }
    if let Some(change) = zone.rules.following(at).next() {
        to = to.min(change.timestamp().as_second());
    }
    Range { from, to }
}

#[cfg(test)]
mod tests;
