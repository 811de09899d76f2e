//! Sums: what a rollup holds and a report shows.

mod counts;

use serde::{Deserialize, Serialize};

use crate::event::TaskResult;
use crate::money::{Usd, UsdSum};
use crate::usage::{Bucket, Usage};
pub use counts::Counts;

/// Exact sums over events. Signed, as a correction booked in one lane may undo what another lane added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events counted.
    pub events: i64,
    /// Those whose cost is unknown.
    pub unpriced_events: i64,
    /// Tokens of those.
    pub unpriced_tokens: i128,
    /// Sum per bucket.
    pub usage: Counts,
    /// Cost of the priced events.
    pub cost: UsdSum,
    /// Tasks reported as success, failure and abandoned.
    pub tasks: [i64; 3],
    /// Value of those, in the senders' unit.
    pub task_value: UsdSum,
}

/// A sum that passed what it can hold exactly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a total would pass what it can hold exactly: {0}")]
pub struct Overflow(pub &'static str);

impl Totals {
    /// The sums over one call, whose cost is `None` where it is unknown.
    pub fn of_call(usage: &Usage, cost: Option<Usd>) -> Self {
        let tokens = i128::from(usage.tokens());
        Self {
            events: 1,
            unpriced_events: i64::from(cost.is_none()),
            unpriced_tokens: if cost.is_none() { tokens } else { 0 },
            usage: usage.iter().map(|(bucket, count)| (bucket, i128::from(count))).collect(),
            cost: cost.map_or(UsdSum::ZERO, UsdSum::from),
            ..Self::default()
        }
    }

    /// The sums over one task outcome.
    pub fn of_task(result: TaskResult, value: Option<Usd>) -> Self {
        let mut totals = Self { task_value: value.map_or(UsdSum::ZERO, UsdSum::from), ..Self::default() };
        totals.tasks[result as usize] = 1;
        totals
    }

    /// Adds, or says what would not fit. On an error `self` is unchanged.
    pub fn add(&mut self, other: &Totals) -> Result<(), Overflow> {
        const COUNT: Overflow = Overflow("count of events or tokens");
        const MONEY: Overflow = Overflow("sum of 10^23 US dollars");
        if !self.usage.fits(&other.usage) {
            return Err(COUNT);
        }
        let events = self.events.checked_add(other.events).ok_or(COUNT)?;
        let unpriced_events = self.unpriced_events.checked_add(other.unpriced_events).ok_or(COUNT)?;
        let unpriced_tokens = self.unpriced_tokens.checked_add(other.unpriced_tokens).ok_or(COUNT)?;
        let mut tasks = self.tasks;
        for (slot, more) in tasks.iter_mut().zip(other.tasks) {
            *slot = slot.checked_add(more).ok_or(COUNT)?;
        }
        let cost = self.cost.checked_add(other.cost).ok_or(MONEY)?;
        let task_value = self.task_value.checked_add(other.task_value).ok_or(MONEY)?;
        self.usage.add(&other.usage);
        (self.events, self.unpriced_events, self.unpriced_tokens) =
            (events, unpriced_events, unpriced_tokens);
        (self.tasks, self.cost, self.task_value) = (tasks, cost, task_value);
        Ok(())
    }

    /// The same sums without their signs.
    #[must_use]
    pub fn magnitude(&self) -> Self {
        Self {
            events: self.events.saturating_abs(),
            unpriced_events: self.unpriced_events.saturating_abs(),
            unpriced_tokens: self.unpriced_tokens.saturating_abs(),
            usage: self.usage.clone().map(i128::saturating_abs),
            cost: self.cost.magnitude(),
            tasks: self.tasks.map(i64::saturating_abs),
            task_value: self.task_value.magnitude(),
        }
    }

    /// The same sums with the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self {
            events: -self.events,
            unpriced_events: -self.unpriced_events,
            unpriced_tokens: -self.unpriced_tokens,
            usage: self.usage.clone().map(|n| -n),
            cost: self.cost.negated(),
            tasks: self.tasks.map(|n| -n),
            task_value: self.task_value.negated(),
        }
    }

    /// Whether adding it would change nothing.
    pub fn is_zero(&self) -> bool {
        let counts = [self.events, self.unpriced_events].into_iter().chain(self.tasks);
        counts.into_iter().all(|n| n == 0)
            && self.unpriced_tokens == 0
            && self.usage.iter().all(|n| *n == 0)
            && self.cost == UsdSum::ZERO
            && self.task_value == UsdSum::ZERO
    }

    /// Tokens in all.
    pub fn tokens(&self) -> i128 {
        Bucket::ALL.into_iter().filter(|b| b.is_token()).map(|b| self.usage[b as usize]).sum()
    }

    /// The known cost, or `None` where nothing in it is priced.
    pub fn known_cost(&self) -> Option<UsdSum> {
        (self.events > self.unpriced_events).then_some(self.cost)
    }

    /// The sums that are not zero, by bucket.
    pub fn usage(&self) -> impl Iterator<Item = (Bucket, i128)> + '_ {
        Bucket::ALL.into_iter().map(|b| (b, self.usage[b as usize])).filter(|(_, n)| *n != 0)
    }
}

/// The stored form: named, without what is zero, so that a person can read it in any SQLite tool.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Stored {
    #[serde(skip_serializing_if = "is_zero")]
    events: i64,
    #[serde(skip_serializing_if = "is_zero")]
    unpriced_events: i64,
    #[serde(skip_serializing_if = "is_zero128")]
    unpriced_tokens: i128,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<UsdSum>,
    #[serde(skip_serializing_if = "StoredUsage::is_empty")]
    usage: StoredUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<[i64; 3]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_value: Option<UsdSum>,
}

#[derive(Default)]
struct StoredUsage(Counts);

impl StoredUsage {
    fn is_empty(&self) -> bool {
        self.0.iter().all(|n| *n == 0)
    }
}

impl Serialize for StoredUsage {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            Bucket::ALL.into_iter().map(|b| (b.name(), self.0[b as usize])).filter(|(_, n)| *n != 0),
        )
    }
}

impl<'de> Deserialize<'de> for StoredUsage {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sums;
        impl<'de> serde::de::Visitor<'de> for Sums {
            type Value = StoredUsage;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of bucket names and sums")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<StoredUsage, A::Error> {
                let mut sums = StoredUsage::default();
                while let Some((bucket, sum)) = map.next_entry::<Bucket, i128>()? {
                    sums.0[bucket as usize] = sum;
                }
                Ok(sums)
            }
        }
        deserializer.deserialize_map(Sums)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

fn is_zero128(n: &i128) -> bool {
    *n == 0
}

impl Serialize for Totals {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored {
            events: self.events,
            unpriced_events: self.unpriced_events,
            unpriced_tokens: self.unpriced_tokens,
            cost_usd: (self.cost != UsdSum::ZERO).then_some(self.cost),
            usage: StoredUsage(self.usage.clone()),
            tasks: (self.tasks != [0; 3]).then_some(self.tasks),
            task_value: (self.task_value != UsdSum::ZERO).then_some(self.task_value),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Totals {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        Ok(Self {
            events: stored.events,
            unpriced_events: stored.unpriced_events,
            unpriced_tokens: stored.unpriced_tokens,
            usage: stored.usage.0,
            cost: stored.cost_usd.unwrap_or(UsdSum::ZERO),
            tasks: stored.tasks.unwrap_or_default(),
            task_value: stored.task_value.unwrap_or(UsdSum::ZERO),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_is_exact_beyond_64_bits() {
        let mut totals =
            Totals::of_call(&Usage::new([(Bucket::Input, crate::usage::MAX_COUNT)]).unwrap(), None);
        totals.usage[0] = i128::from(u64::MAX) * 1000;
        totals.cost = "-9999999999999999999.000000000000001".parse().unwrap();
        let json = serde_json::to_string(&totals).unwrap();
        assert_eq!(serde_json::from_str::<Totals>(&json).unwrap(), totals);
    }

    #[test]
    fn a_sum_that_would_not_fit_changes_nothing() {
        let mut totals = Totals { cost: UsdSum::MAX, ..Totals::default() };
        let before = totals.clone();
        let more = Totals { events: 1, cost: "1".parse().unwrap(), ..Totals::default() };
        assert!(totals.add(&more).is_err());
        assert_eq!(totals, before);
    }

    #[test]
    fn unknown_cost_is_not_zero() {
        let usage = Usage::new([(Bucket::Unsplit, 1500)]).unwrap();
        assert_eq!(Totals::of_call(&usage, None).known_cost(), None);
        assert_eq!(Totals::of_call(&usage, Some(Usd::ZERO)).known_cost(), Some(UsdSum::ZERO));
    }
}
