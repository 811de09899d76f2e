//! Sums by bucket, without room for those that are not used: most calls have four of them, and a commit holds
//! thousands of totals.

use std::ops::{Index, IndexMut};

use crate::usage::{BUCKETS, Bucket};

/// So many buckets are held beside the others of a [`super::Totals`]; more are held apart.
const FEW: usize = 6;

/// A sum for each bucket, by its number.
#[derive(Clone, Debug)]
pub struct Counts(Held);

#[derive(Clone, Debug)]
enum Held {
    /// Those that were named, in the order in which they were; the others are zero.
    Few {
        len: u8,
        buckets: [u8; FEW],
        sums: [i128; FEW],
    },
    All(Box<[i128; BUCKETS]>),
}

impl Default for Counts {
    fn default() -> Self {
        Self(Held::Few { len: 0, buckets: [0; FEW], sums: [0; FEW] })
    }
}

impl Counts {
    /// The sums that are held, some of which may be zero.
    pub fn iter(&self) -> impl Iterator<Item = &i128> {
        match &self.0 {
            Held::Few { len, sums, .. } => sums.get(..usize::from(*len)).unwrap_or_default(),
            Held::All(sums) => sums.as_slice(),
        }
        .iter()
    }

    /// The same with each sum changed; `change` leaves zero as it is.
    #[must_use]
    pub fn map(mut self, change: impl Fn(i128) -> i128) -> Self {
        let sums = match &mut self.0 {
            Held::Few { sums, .. } => sums.as_mut_slice(),
            Held::All(sums) => sums.as_mut_slice(),
        };
        sums.iter_mut().for_each(|sum| *sum = change(*sum));
        self
    }

    /// Whether each sum with the other's is one that can be held.
    pub(super) fn fits(&self, other: &Counts) -> bool {
        other.held().all(|(bucket, more)| self[bucket].checked_add(more).is_some())
    }

    /// Adds what fits.
    pub(super) fn add(&mut self, other: &Counts) {
        for (bucket, more) in other.held().filter(|(_, more)| *more != 0) {
            let sum = &mut self[bucket];
            *sum = sum.saturating_add(more);
        }
    }

    /// By bucket, those that are held.
    fn held(&self) -> impl Iterator<Item = (usize, i128)> {
        let named = match &self.0 {
            Held::Few { len, buckets, .. } => Some(buckets.get(..usize::from(*len)).unwrap_or_default()),
            Held::All(_) => None,
        };
        self.iter().enumerate().map(move |(at, sum)| (named.map_or(at, |named| usize::from(named[at])), *sum))
    }
}

impl PartialEq for Counts {
    fn eq(&self, other: &Self) -> bool {
        let within = |a: &Self, b: &Self| a.held().all(|(bucket, sum)| b[bucket] == sum);
        within(self, other) && within(other, self)
    }
}

impl Eq for Counts {}

impl FromIterator<(Bucket, i128)> for Counts {
    fn from_iter<I: IntoIterator<Item = (Bucket, i128)>>(sums: I) -> Self {
        let mut counts = Self::default();
        sums.into_iter().for_each(|(bucket, sum)| counts[bucket as usize] = sum);
        counts
    }
}

impl Index<usize> for Counts {
    type Output = i128;

    fn index(&self, bucket: usize) -> &i128 {
        match &self.0 {
            Held::Few { len, buckets, sums } => {
                let mut named = buckets.iter().zip(sums).take(usize::from(*len));
                named.find(|(known, _)| usize::from(**known) == bucket).map_or(&0, |(_, sum)| sum)
            }
            Held::All(sums) => &sums[bucket],
        }
    }
}

impl IndexMut<usize> for Counts {
    fn index_mut(&mut self, bucket: usize) -> &mut i128 {
        if let Held::Few { len, buckets, .. } = &mut self.0 {
            let used = usize::from(*len);
            let is_named = buckets.iter().take(used).any(|known| usize::from(*known) == bucket);
            match (is_named, buckets.get_mut(used), u8::try_from(bucket)) {
                (true, ..) => {}
                (false, Some(free), Ok(named)) => {
                    *free = named;
                    *len += 1;
                }
                _ => {
                    let mut all = Box::new([0; BUCKETS]);
                    self.held().for_each(|(known, sum)| all[known] = sum);
                    self.0 = Held::All(all);
                }
            }
        }
        match &mut self.0 {
            Held::Few { len, buckets, sums } => {
                let at =
                    buckets.iter().take(usize::from(*len)).position(|known| usize::from(*known) == bucket);
                &mut sums[at.unwrap_or_default()]
            }
            Held::All(sums) => &mut sums[bucket],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_buckets_are_held_like_few() {
        let (mut one, mut other) = (Counts::default(), Counts::default());
        for bucket in Bucket::ALL {
            one[bucket as usize] = bucket as i128 - 3;
        }
        for bucket in Bucket::ALL.into_iter().rev() {
            assert_ne!(one, other);
            other[bucket as usize] += bucket as i128 - 3;
        }
        assert_eq!(one, other);
        other.add(&one.clone().map(|sum| -sum));
        assert_eq!(other, Counts::default());
        let few: Counts = [(Bucket::Output, 4), (Bucket::Input, 2)].into_iter().collect();
        other.add(&few);
        assert_eq!((other[Bucket::Input as usize], other[Bucket::Output as usize]), (2, 4));
        assert_eq!((&few, few[Bucket::Pages as usize]), (&other, 0));
        let large: Counts = [(Bucket::Output, i128::MAX)].into_iter().collect();
        assert!(!large.fits(&few) && large.fits(&Counts::default()));
    }
}
