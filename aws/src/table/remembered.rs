//! Entries of journals that were read once. They never change, and whoever reads totals comes back for those that are
//! not settled yet.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of entries that are kept in mind.
const MOST: usize = 16 << 20;

/// Entries as they are stored, by lane and number.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    entries: BTreeMap<(u32, u64), Arc<[u8]>>,
    bytes: usize,
}

impl Remembered {
    /// Those of a lane from `first` on, up to `last` or the first that is not known.
    pub(super) fn known(&self, lane: u32, first: u64, last: u64) -> BTreeMap<u64, Arc<[u8]>> {
        let known = self.entries.range((lane, first)..=(lane, last)).map(|((_, n), bytes)| (*n, bytes));
        let unbroken = (first..).zip(known).take_while(|(wanted, (n, _))| wanted == n);
        unbroken.map(|(n, (_, bytes))| (n, Arc::clone(bytes))).collect()
    }

    /// Keeps what was read of a lane, and forgets what lies before `first`: nobody asks for it any more.
    pub(super) fn keep(&mut self, lane: u32, first: u64, read: &BTreeMap<u64, Arc<[u8]>>) {
        let settled: Vec<_> = self.entries.range((lane, 0)..(lane, first)).map(|(key, _)| *key).collect();
        for key in settled {
            self.bytes -= self.entries.remove(&key).map_or(0, |bytes| bytes.len());
        }
        for (n, bytes) in read {
            if self.bytes + bytes.len() > MOST {
                // It is read again when it is asked for.
                return;
            }
            self.bytes += bytes.len();
            let before = self.entries.insert((lane, *n), Arc::clone(bytes));
            self.bytes -= before.map_or(0, |bytes| bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(numbers: impl IntoIterator<Item = u64>, bytes: usize) -> BTreeMap<u64, Arc<[u8]>> {
        numbers.into_iter().map(|n| (n, vec![u8::try_from(n % 256).unwrap(); bytes].into())).collect()
    }

    #[test]
    fn what_is_known_has_no_gap_and_what_is_settled_is_forgotten() {
        let mut remembered = Remembered::default();
        remembered.keep(1, 5, &entries(5..9, 10));
        remembered.keep(1, 5, &entries(8..12, 10));
        remembered.keep(2, 1, &entries([1, 2, 9], 10));
        assert_eq!(remembered.known(1, 5, 20), entries(5..12, 10));
        assert_eq!(remembered.known(1, 6, 7), entries(6..8, 10));
        assert_eq!(remembered.known(1, 4, 20), entries([], 10));
        assert_eq!(remembered.known(2, 1, 9), entries([1, 2], 10));
        assert_eq!(remembered.bytes, 100);
        remembered.keep(1, 11, &entries(12..14, 10));
        assert_eq!(remembered.known(1, 5, 20), entries([], 10));
        assert_eq!(remembered.known(1, 11, 20), entries(11..14, 10));
        assert_eq!((remembered.bytes, remembered.entries.len()), (60, 6));
    }

    #[test]
    fn it_is_bounded() {
        let mut remembered = Remembered::default();
        remembered.keep(1, 1, &entries(1..40, 1 << 20));
        assert_eq!((remembered.bytes, remembered.known(1, 1, 40).len()), (MOST, 16));
        remembered.keep(1, 40, &entries(40..42, 1));
        assert_eq!(remembered.bytes, 2);
    }
}
