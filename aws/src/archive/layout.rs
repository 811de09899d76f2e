//! Which objects can hold what a span of time asks for.

use std::collections::VecDeque;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// An object is named after its oldest record; the newest one is younger by what Firehose buffers, at most a
/// quarter of an hour.
const BEFORE: SignedDuration = SignedDuration::from_mins(61);
/// Firehose names by arrival in the stream, which is later than the receipt: by what ingest tries again.
const BEHIND: SignedDuration = SignedDuration::from_mins(5);

/// The days to list, page by page.
#[derive(Debug)]
pub(super) struct Listing {
    prefixes: VecDeque<String>,
    token: Option<String>,
    hours: Hours,
}

/// One page to list.
pub(super) struct Page {
    pub(super) prefix: String,
    pub(super) token: Option<String>,
}

impl Listing {
    pub(super) fn new(prefix: &str, from: Timestamp, to: Timestamp) -> Self {
        let hours = Hours::of(from, to);
        let mut prefixes = VecDeque::new();
        // One layout after the other, so that names come in ascending order.
        for layout in ["%Y/%m/%d/", "year=%Y/month=%m/day=%d/"] {
            let mut day = Some(hours.first_day());
            while let Some(date) = day.filter(|date| *date <= hours.last_day()) {
                prefixes.push_back(format!("{prefix}{}", date.strftime(layout)));
                day = date.checked_add(1.day()).ok();
            }
        }
        Self { prefixes, token: None, hours }
    }

    pub(super) fn next_page(&self) -> Option<Page> {
        let prefix = self.prefixes.front()?.clone();
        Some(Page { prefix, token: self.token.clone() })
    }

    pub(super) fn listed(&mut self, token: Option<String>) {
        if token.is_none() {
            self.prefixes.pop_front();
        }
        self.token = token;
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.hours.holds(name)
    }
}

/// A span of hours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hours {
    from: Timestamp,
    to: Timestamp,
}

impl Hours {
    pub(super) fn of(from: Timestamp, to: Timestamp) -> Self {
        let from = from.checked_sub(BEFORE).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH);
        Self { from, to: to.checked_add(BEHIND).unwrap_or(to) }
    }

    fn first_day(&self) -> Date {
        self.from.to_zoned_datetime(TimeZone::UTC).date()
    }

    fn last_day(&self) -> Date {
        self.to.to_zoned_datetime(TimeZone::UTC).date()
    }

    /// Whether an object of this name can hold records of the span: also where its name tells no hour.
    pub(super) fn holds(&self, name: &str) -> bool {
        match hour(name) {
            None => true,
            Some(hour) => {
                hour.checked_add(SignedDuration::from_hours(1)).is_ok_and(|end| end > self.from)
                    && hour < self.to
            }
        }
    }
}

/// The hour that a name tells: four parts in a row, `YYYY/MM/DD/HH`, each perhaps behind a `name=`.
fn hour(name: &str) -> Option<Timestamp> {
    let parts: Vec<&str> = name.split('/').map(|part| part.rsplit('=').next().unwrap_or(part)).collect();
    let number = |text: &str, digits: usize| -> Option<i16> {
        (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().ok())
            .flatten()
    };
    // From the end: a prefix may hold numbers of its own, and the last part is the object's own name.
    let found = parts.windows(5).rev().find_map(|five| {
        let (year, month) = (number(five[0], 4)?, number(five[1], 2)?);
        let (day, hour) = (number(five[2], 2)?, number(five[3], 2)?);
        let (month, day, hour) =
            (i8::try_from(month).ok()?, i8::try_from(day).ok()?, i8::try_from(hour).ok()?);
        jiff::civil::DateTime::new(year, month, day, hour, 0, 0, 0).ok()
    })?;
    found.to_zoned_datetime(TimeZone::UTC).ok().map(|at| at.timestamp())
}
