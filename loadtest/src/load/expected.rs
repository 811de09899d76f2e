//! The generator's own ledger: which submissions have a receipt, and what the totals have to be then.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rust_decimal::Decimal;
use serde_json::Value;

use super::submission::{Kind, MODELS, SLOW, Submissions};

/// A set of submissions' numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    /// A bit for each of those that arrive.
    bits: Vec<u64>,
    /// Those of slow clients, which are few and far away.
    slow: BTreeSet<u64>,
}

impl Numbers {
    /// Adds one; true if it is new.
    pub(crate) fn add(&mut self, n: u64) -> bool {
        if n >= SLOW {
            return self.slow.insert(n);
        }
        let (at, bit) = (usize::try_from(n / 64).unwrap_or(usize::MAX), 1 << (n % 64));
        if self.bits.len() <= at {
            self.bits.resize(at + 1, 0);
        }
        let Some(word) = self.bits.get_mut(at) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// All, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        let bits = (0..).zip(&self.bits).flat_map(|(at, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        });
        bits.chain(self.slow.iter().copied())
    }
}

/// What is counted of a kind of calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) events: i64,
    pub(crate) tokens: i64,
    /// Dollars.
    pub(crate) cost: Decimal,
    pub(crate) unpriced_events: i64,
    pub(crate) unpriced_tokens: i64,
}

impl Sums {
    /// As a row of a report says; none if it says it otherwise.
    pub(crate) fn of_row(row: &Value) -> Option<Self> {
        let cost = match &row["cost_usd"] {
            Value::Null => Decimal::ZERO,
            cost => cost.as_str()?.parse().ok()?,
        };
        Some(Self {
            events: row["events"].as_i64()?,
            tokens: row["tokens"].as_i64()?,
            cost: cost.normalize(),
            unpriced_events: row["unpriced_events"].as_i64()?,
            unpriced_tokens: row["unpriced_tokens"].as_i64()?,
        })
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.tokens += other.tokens;
        self.cost = (self.cost + other.cost).normalize();
        self.unpriced_events += other.unpriced_events;
        self.unpriced_tokens += other.unpriced_tokens;
    }

    fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// Of whom, by what, and when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The hour, since 1970; none if the server says when a call was.
    pub(crate) hour: Option<i64>,
    /// The model's name; none if the response does not say.
    pub(crate) model: Option<String>,
    pub(crate) agent: u32,
}

/// What the totals have to be.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) sums: BTreeMap<Key, Sums>,
    /// Events taken back: submission, and index.
    pub(crate) voided: HashSet<(u64, u32)>,
}

/// Works them out from the receipts.
pub(crate) fn expected(all: &Submissions, receipts: &Numbers) -> Expected {
    let mut voided = HashSet::new();
    for n in receipts.iter() {
        if let Kind::Void { of, event } = all.submission(n).kind {
            voided.insert((of, event));
        }
    }
    // By numbers first: names are made once for each key, not for each event.
    let mut native: BTreeMap<(i64, usize, u32), (Sums, i128)> = BTreeMap::new();
    let mut sums: BTreeMap<Key, Sums> = BTreeMap::new();
    for n in receipts.iter() {
        let submission = all.submission(n);
        let Kind::Usage { .. } = submission.kind else { continue };
        if let Some(body) = all.body(submission) {
            for (model, counted) in &body.counted {
                let key = Key { hour: None, model: model.clone(), agent: submission.agent };
                sums.entry(key).or_default().add(counted);
            }
            continue;
        }
        for (i, event) in (0..).zip(all.events(submission)) {
            if voided.contains(&(n, i)) {
                continue;
            }
            let key = (event.time.as_second().div_euclid(3_600), event.model, submission.agent);
            let (entry, cost) = native.entry(key).or_default();
            entry.events += 1;
            entry.tokens += event.total();
            match event.cost() {
                Some(of_event) => *cost += of_event,
                None => {
                    entry.unpriced_events += 1;
                    entry.unpriced_tokens += event.total();
                }
            }
        }
    }
    for ((hour, model, agent), (mut entry, cost)) in native {
        entry.cost = Decimal::from_i128_with_scale(cost, 12).normalize();
        let model = MODELS.get(model).map(|model| model.name.to_owned());
        sums.insert(Key { hour: Some(hour), model, agent }, entry);
    }
    sums.retain(|_, sums| !sums.is_zero());
    Expected { sums, voided }
}

#[cfg(test)]
mod tests {
    use super::super::submission::tests::submissions;
    use super::*;

    #[test]
    fn numbers_are_counted_once() {
        let mut numbers = Numbers::default();
        assert!(numbers.add(130));
        assert!(numbers.add(0));
        assert!(!numbers.add(130));
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [0, 130]);
    }

    #[test]
    fn what_is_taken_back_counts_for_nothing_whichever_came_first() {
        let all = submissions(
            "events = 4\nvoid_percent = 10\nduplicate_percent = 10\ninvalid_percent = 1\nlate_percent = 5\n",
        );
        let mut receipts = Numbers::default();
        let (mut events, mut voids) = (0, HashSet::new());
        for n in 0..2_000 {
            let submission = all.submission(n);
            if submission.kind != Kind::Invalid && receipts.add(submission.n) {
                match submission.kind {
                    Kind::Void { of, event } => {
                        voids.insert((of, event));
                    }
                    _ => events += 4,
                }
            }
        }
        let expected = expected(&all, &receipts);
        let mut total = Sums::default();
        expected.sums.values().for_each(|sums| total.add(sums));
        assert!(!voids.is_empty());
        assert_eq!(total.events, events - i64::try_from(voids.len()).unwrap());
        assert!(total.unpriced_events > 0 && total.cost > Decimal::ZERO);
    }

    #[test]
    fn a_row_is_read_to_the_last_decimal() {
        let row = serde_json::json!({"events": 2, "tokens": 30, "cost_usd": "0.000000000000001", "unpriced_events": 1, "unpriced_tokens": 10});
        let sums = Sums::of_row(&row).unwrap();
        assert_eq!(sums.cost, Decimal::new(1, 15));
        assert_eq!(Sums::of_row(&serde_json::json!({"events": 2})), None);
    }
}
