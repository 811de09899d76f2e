//! Where a replay begins and ends.

use std::cmp::Ordering;
use std::fmt;

use jiff::Timestamp;

use crate::compare_sequence;

/// One end of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// By the time of arrival: the first end is included, the second is not.
    Time(Timestamp),
    /// By the sequence number of a record, which is included.
    Sequence(String),
}

impl Bound {
    pub(super) fn is_sequence(&self) -> bool {
        matches!(self, Self::Sequence(_))
    }

    /// Whether a replay that begins here begins with this record, or before it.
    pub(super) fn is_reached_by(&self, number: &str, at: Timestamp) -> bool {
        match self {
            Self::Time(from) => at >= *from,
            Self::Sequence(from) => compare_sequence(number, from) != Ordering::Less,
        }
    }

    /// Whether a replay that ends here ends before this record.
    pub(super) fn is_passed_by(&self, number: &str, at: Timestamp) -> bool {
        match self {
            Self::Time(to) => at >= *to,
            Self::Sequence(to) => compare_sequence(number, to) == Ordering::Greater,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(at) => write!(f, "{at}"),
            Self::Sequence(number) => f.write_str(number),
        }
    }
}
