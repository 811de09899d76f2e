//! Numbered submissions: which numbers of a sender have arrived, and so which are missing.
//!
//! A sender numbers its submissions from 1 (or 0), each number for one submission, the same for its retries.
//! Whatever is missing between 1 and the highest number that arrived was lost on the way, or is still on it.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{SenderId, TeamId};

/// The highest number: what JSON's readers keep exact.
pub const MAX_SEQUENCE: u64 = 1 << 53;

/// The most gaps kept for a sender. Past it the oldest is given up: counted, and listed no more.
pub const MAX_GAPS: usize = 1_000;

/// Who numbers: a sender, under the team that its token names, so that no other team's sender can fill its
/// gaps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SenderKey {
    /// The team of the token; none without authentication, or where the token names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
    /// As the sender names itself.
    pub sender: SenderId,
}

impl fmt::Display for SenderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(team) = &self.team {
            write!(f, "{team}/")?;
        }
        write!(f, "{}", self.sender)
    }
}

/// One submission's number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceMark {
    /// Whose.
    #[serde(flatten)]
    pub sender: SenderKey,
    /// Its number, at most [`MAX_SEQUENCE`].
    pub sequence: u64,
}

/// A run of numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

impl Run {
    fn len(self) -> u64 {
        self.to - self.from + 1
    }
}

/// Which numbers of one sender have arrived.
///
/// Adding a number again changes nothing, and the order of adding makes no difference as long as there are at
/// most [`MAX_GAPS`] gaps: a redelivered batch does no harm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// Ascending, with a gap between each and the next.
    runs: Vec<Run>,
    /// Missing numbers of gaps that are not kept any more.
    #[serde(default)]
    given_up: u64,
    /// When a new number last arrived.
    #[serde(default)]
    latest: Option<Timestamp>,
}

impl Arrived {
    /// Notes that a submission arrived; false if it had before.
    pub fn add(&mut self, sequence: u64, at: Timestamp) -> bool {
        let next = self.runs.partition_point(|run| run.from <= sequence);
        if next.checked_sub(1).and_then(|n| self.runs.get(n)).is_some_and(|run| sequence <= run.to) {
            return false;
        }
        let joins = |run: &Run| run.to + 1 == sequence;
        let before = next.checked_sub(1).filter(|n| self.runs.get(*n).is_some_and(joins));
        let after = self.runs.get(next).copied().filter(|run| run.from == sequence + 1);
        match (before, after) {
            (Some(n), Some(after)) => {
                self.runs[n].to = after.to;
                self.runs.remove(next);
            }
            (Some(n), None) => self.runs[n].to = sequence,
            (None, Some(_)) => self.runs[next].from = sequence,
            (None, None) => self.runs.insert(next, Run { from: sequence, to: sequence }),
        }
        self.latest = self.latest.max(Some(at));
        while self.runs.len() > MAX_GAPS {
            let second = self.runs.remove(1);
            self.given_up += second.from - self.runs[0].to - 1;
            self.runs[0].to = second.to;
        }
        true
    }

    /// What is missing, ascending: gaps between 1 and the highest number that arrived.
    pub fn gaps(&self) -> Vec<Run> {
        let first = self.runs.first().filter(|run| run.from > 1).map(|run| Run { from: 1, to: run.from - 1 });
        let between = self.runs.windows(2).map(|pair| Run { from: pair[0].to + 1, to: pair[1].from - 1 });
        first.into_iter().chain(between).collect()
    }

    /// How many numbers are missing, those of gaps that are not kept any more included.
    pub fn missing(&self) -> u64 {
        self.gaps().into_iter().map(Run::len).sum::<u64>() + self.given_up
    }

    /// Missing numbers that are not listed any more, as there were too many gaps after them.
    pub fn given_up(&self) -> u64 {
        self.given_up
    }

    /// How many numbers arrived.
    pub fn count(&self) -> u64 {
        self.runs.iter().map(|run| run.len()).sum::<u64>() - self.given_up
    }

    /// The lowest that arrived.
    pub fn first(&self) -> Option<u64> {
        self.runs.first().map(|run| run.from)
    }

    /// The highest that arrived.
    pub fn last(&self) -> Option<u64> {
        self.runs.last().map(|run| run.to)
    }

    /// When a new number last arrived.
    pub fn latest(&self) -> Option<Timestamp> {
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn arrived(sequences: impl IntoIterator<Item = u64>) -> Arrived {
        let mut arrived = Arrived::default();
        for sequence in sequences {
            arrived.add(sequence, Timestamp::UNIX_EPOCH);
        }
        arrived
    }

    fn gaps(arrived: &Arrived) -> Vec<(u64, u64)> {
        arrived.gaps().into_iter().map(|run| (run.from, run.to)).collect()
    }

    #[test]
    fn what_did_not_arrive_is_a_gap_the_first_ones_too() {
        assert_eq!(gaps(&arrived([])), []);
        assert_eq!(gaps(&arrived([1, 2, 4, 7])), [(3, 3), (5, 6)]);
        assert_eq!(gaps(&arrived([3])), [(1, 2)]);
        assert_eq!(gaps(&arrived([0, 1, 2])), []);
        assert_eq!(gaps(&arrived([MAX_SEQUENCE])), [(1, MAX_SEQUENCE - 1)]);
    }

    #[test]
    fn a_gap_closes_when_what_was_missing_arrives_late() {
        let mut late = arrived([1, 3]);
        assert!(late.add(2, Timestamp::UNIX_EPOCH) && !late.add(2, Timestamp::UNIX_EPOCH));
        assert_eq!(late, arrived([1, 2, 3]));
    }

    #[test]
    fn past_the_bound_the_oldest_gaps_are_counted_and_listed_no_more() {
        let bound = u64::try_from(MAX_GAPS).unwrap();
        let odd = arrived((0..bound + 10).map(|n| 2 * n + 1));
        assert_eq!(odd.gaps().len() + 1, MAX_GAPS);
        assert_eq!((odd.given_up(), odd.missing(), odd.count()), (10, bound + 9, bound + 10));
    }

    proptest! {
        #[test]
        fn it_is_the_set_of_what_arrived_in_any_order(numbers in proptest::collection::vec(0_u64..60, 0..80)) {
            let set: BTreeSet<u64> = numbers.iter().copied().collect();
            let sorted = arrived(set.iter().copied());
            let kept = arrived(numbers.iter().copied());
            prop_assert_eq!(&kept, &sorted);
            prop_assert_eq!(kept.count(), u64::try_from(set.len()).unwrap());
            let missing: BTreeSet<u64> = kept.gaps().into_iter().flat_map(|run| run.from..=run.to).collect();
            let last = set.last().copied().unwrap_or(0);
            let wanted: BTreeSet<u64> = (1..=last).filter(|n| !set.contains(n)).collect();
            prop_assert_eq!(missing, wanted);
        }
    }
}
