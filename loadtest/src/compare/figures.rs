//! What was measured: for each measure and each subject one value a round, as whole numbers, so that a run can be kept,
//! read again and compared with another.

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use crate::text::grouped;

/// The subject that the others are held against.
pub(super) const OURS: &str = "AgentLedger";

/// One run of the whole comparison.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    /// The day, in UTC.
    pub(super) date: String,
    pub(super) command: String,
    pub(super) rounds: u32,
    pub(super) machine: Machine,
    pub(super) parts: Vec<Part>,
}

/// What is measured beside each other.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Part {
    /// As in the markers of the page.
    pub(super) name: String,
    /// What has to be known to read its figures; a paragraph each.
    pub(super) notes: Vec<String>,
    pub(super) measures: Vec<Measure>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measure {
    pub(super) name: String,
    pub(super) unit: Unit,
    /// Whether a second run has to find the same order and ratios.
    pub(super) compared: bool,
    pub(super) subjects: Vec<Subject>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Subject {
    pub(super) name: String,
    /// One a round; fewer where a round has none.
    pub(super) values: Vec<u64>,
}

/// What a whole number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Nanoseconds,
    PerSecond,
    Count,
    Bytes,
    /// Thousandths of something that is counted.
    Thousandths,
}

impl Part {
    pub(super) fn new(name: &str, notes: Vec<String>) -> Self {
        Self { name: name.to_owned(), notes, measures: Vec::new() }
    }

    /// Notes what one round found.
    pub(super) fn add(&mut self, measure: &str, unit: Unit, compared: bool, subject: &str, value: u64) {
        let at = self.measures.iter().position(|known| known.name == measure).unwrap_or_else(|| {
            let subjects = Vec::new();
            self.measures.push(Measure { name: measure.to_owned(), unit, compared, subjects });
            self.measures.len() - 1
        });
        let Some(measure) = self.measures.get_mut(at) else { return };
        match measure.subjects.iter_mut().find(|known| known.name == subject) {
            Some(known) => known.values.push(value),
            None => measure.subjects.push(Subject { name: subject.to_owned(), values: vec![value] }),
        }
    }

    /// Puts measures and subjects into one order, whichever was measured first in the rounds.
    pub(super) fn order(&mut self, subjects: &[&str], measures: &[&str]) {
        let place = |names: &[&str], name: &str| names.iter().position(|known| *known == name);
        self.measures.sort_by_key(|measure| place(measures, &measure.name).unwrap_or(usize::MAX));
        for measure in &mut self.measures {
            measure.subjects.sort_by_key(|known| place(subjects, &known.name).unwrap_or(usize::MAX));
        }
    }
}

impl Measure {
    /// The median of a subject.
    pub(super) fn median(&self, subject: &str) -> Option<u64> {
        self.subjects.iter().find(|known| known.name == subject).and_then(|known| median(&known.values))
    }
}

/// The middle one, or what lies between the two in the middle.
pub(super) fn median(values: &[u64]) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
    Some(lower.midpoint(upper))
}

/// The value that `percent` of all do not exceed.
pub(super) fn percentile(values: &[u64], percent: usize) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() * percent).div_ceil(100).checked_sub(1)?).copied()
}

impl Unit {
    /// A value as it is read: three digits are enough of what was measured, all of what was counted.
    pub(super) fn show(self, value: u64) -> String {
        match self {
            Self::Nanoseconds if value < 1_000_000 => format!("{} µs", digits(value, 1_000)),
            Self::Nanoseconds if value < 1_000_000_000 => format!("{} ms", digits(value, 1_000_000)),
            Self::Nanoseconds => format!("{} s", digits(value, 1_000_000_000)),
            Self::PerSecond => format!("{}/s", grouped(value)),
            Self::Count => grouped(value),
            Self::Bytes if value < 100_000 => format!("{} B", grouped(value)),
            Self::Bytes => format!("{} MB", digits(value, 1_000_000)),
            Self::Thousandths => digits(value, 1_000),
        }
    }
}

/// `value / of`, in three digits, or all of those before the point.
fn digits(value: u64, of: u64) -> String {
    let (whole, rest) = (value / of, value % of);
    match whole {
        100.. => grouped(whole + u64::from(rest * 2 >= of)),
        10.. => tenths(value, of),
        _ => {
            let hundredths = (value * 100 + of / 2) / of;
            format!("{}.{:02}", hundredths / 100, hundredths % 100)
        }
    }
}

fn tenths(value: u64, of: u64) -> String {
    let tenths = (value * 10 + of / 2) / of;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// How many times `of` a value is, in thousandths; none where there is nothing to hold it against.
pub(super) fn ratio(value: u64, of: u64) -> Option<u64> {
    (u128::from(value) * 1000).checked_div(u128::from(of)).and_then(|ratio| u64::try_from(ratio).ok())
}

/// A ratio as it is read.
pub(super) fn times(ratio: u64) -> String {
    format!("{}×", digits(ratio, 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles_are_of_the_sorted_values() {
        assert_eq!(median(&[9, 1, 5]), Some(5));
        assert_eq!(median(&[9, 1, 5, 7]), Some(6));
        assert_eq!(median(&[]), None);
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(percentile(&hundred, 99), Some(99));
        assert_eq!(percentile(&[3, 4], 99), Some(4));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn values_are_shown_in_three_digits() {
        assert_eq!(Unit::Nanoseconds.show(7_810), "7.81 µs");
        assert_eq!(Unit::Nanoseconds.show(99_960), "100.0 µs");
        assert_eq!(Unit::Nanoseconds.show(363_400), "363 µs");
        assert_eq!(Unit::Nanoseconds.show(12_340_000), "12.3 ms");
        assert_eq!(Unit::PerSecond.show(97_344), "97,344/s");
        assert_eq!(Unit::Bytes.show(1_423), "1,423 B");
        assert_eq!(Unit::Thousandths.show(2_500), "2.50");
        assert_eq!(times(46_499), "46.5×");
        assert_eq!(times(499), "0.50×");
        assert_eq!(ratio(1, 0), None);
    }

    #[test]
    fn an_order_does_not_depend_on_what_was_measured_first() {
        let mut part = Part::new("x", Vec::new());
        part.add("b", Unit::Count, true, "two", 1);
        part.add("a", Unit::Count, true, "two", 1);
        part.add("a", Unit::Count, true, "one", 1);
        part.order(&["one", "two"], &["a", "b"]);
        assert_eq!(part.measures.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(part.measures[0].subjects[0].name, "one");
    }
}
