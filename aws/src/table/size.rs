//! What items weigh, and the units that AWS charges for writing and reading them: for `docs/cost.md`, and for tests.
//!
//! Item sizes: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>.
//! Units: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html>.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasher;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use shared::id::AgentId;
use shared::ledger::{Commit, LedgerError};
use shared::record::Record;
use shared::rollup::{Parts, RollupKey};

use super::keys::{self, HEAD};
use super::value::{Item, keyed, number, with};
use super::{commit, directory, journal, listing, pages, records, settle, totals};

/// Bytes of a write unit.
pub(super) const WRITE: usize = 1 << 10;
/// Bytes of a read unit.
const READ: usize = 4 << 10;
/// The keys of the table, which an index of the kind `KEYS_ONLY` has beside its own.
const KEYS: [&str; 2] = ["pk", "sk"];

/// The bytes of an item, by AWS's rule.
pub fn item_bytes<S: BuildHasher>(item: &HashMap<String, AttributeValue, S>) -> usize {
    item.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => number_bytes(digits),
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::L(list) => 3 + list.iter().map(|v| 1 + value_bytes(v)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(k, v)| 1 + k.len() + value_bytes(v)).sum::<usize>(),
        AttributeValue::Ss(set) => set.iter().map(String::len).sum(),
        AttributeValue::Ns(set) => set.iter().map(|digits| number_bytes(digits)).sum(),
        AttributeValue::Bs(set) => set.iter().map(|blob| blob.as_ref().len()).sum(),
        _ => 1,
    }
}

/// One byte for two significant digits, one more, and one for a minus: what AWS calls about right.
fn number_bytes(digits: &str) -> usize {
    let is_negative = digits.starts_with('-');
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len().div_ceil(2) + 1 + usize::from(is_negative)
}

/// The most rollups and records of one commit.
pub const MAX_COMMIT_ITEMS: usize = commit::MAX_ITEMS;
/// The most records of one commit.
pub const MAX_COMMIT_RECORDS: usize = commit::MAX_RECORDS;
/// The most bytes of these.
pub const MAX_COMMIT_BYTES: usize = commit::MAX_BYTES;

/// The most items that one call puts without a transaction.
pub const MAX_PUTS: usize = directory::WRITES;

/// How many entries are settled together: those read at once, until they are so many entries or additions.
pub const SETTLED_TOGETHER: (usize, usize, usize) = (settle::READ, settle::GROUP, settle::ROOM);
/// After how many rollups it is noted how far settling came.
pub const SETTLE_STRIDE: usize = settle::STRIDE;
/// How many entries may be open before they are settled whatever the time.
pub const MAX_OPEN_ENTRIES: usize = settle::OPEN;

/// The units of writing an item of that size; in a transaction, it is twice as many.
pub fn write_units(bytes: usize) -> usize {
    bytes.div_ceil(WRITE).max(1)
}

/// The units of reading so much consistently: an item, or what a page of a query comes to. From an index it is half.
pub fn read_units(bytes: usize) -> usize {
    bytes.div_ceil(READ).max(1)
}

/// What a commit's transaction writes, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// The head of the lane's journal; none if nothing is added.
    pub head: Option<usize>,
    /// The pieces of the journal's entry.
    pub entry: Vec<usize>,
    /// The records.
    pub records: Vec<usize>,
    /// The entries in indexes of those that have any, which are not there before.
    pub indexed: Vec<usize>,
}

impl Transaction {
    /// Of a commit that makes entry `n` of its lane's journal, out of nothing but new records.
    pub fn of(commit: &Commit, n: u64) -> Result<Self, LedgerError> {
        let mut made = Self::default();
        if !commit.additions.is_empty() {
            let head = keyed((keys::journal(commit.lane), HEAD.to_owned()));
            let head = with(with(head, "n", number(n)), "changed", number(totals::MOST / 3));
            made.head = Some(item_bytes(&head));
            let entry = journal::encode(&commit.additions, &[])?;
            let pieces = commit::entry_items(commit.lane, n, &entry, Timestamp::UNIX_EPOCH);
            made.entry = pieces.iter().map(item_bytes).collect();
        }
        for write in &commit.records {
            let item = records::item(&write.record, Some((commit.lane, n)))?;
            made.records.push(item_bytes(&item));
            made.indexed.extend(indexed(&item));
        }
        Ok(made)
    }

    /// The units of the head and the entry.
    pub fn journal_units(&self) -> usize {
        self.head.iter().chain(&self.entry).map(|bytes| 2 * write_units(*bytes)).sum()
    }

    /// The units of the records, indexes aside.
    pub fn record_units(&self) -> usize {
        self.records.iter().map(|bytes| 2 * write_units(*bytes)).sum()
    }

    /// The units of the indexes: they are written after the transaction, as by themselves.
    pub fn index_units(&self) -> usize {
        self.indexed.iter().map(|bytes| write_units(*bytes)).sum()
    }
}

/// An item's entries in the two indexes.
fn indexed(item: &Item) -> impl Iterator<Item = usize> {
    [["tpk", "tsk"], ["upk", "usk"]].into_iter().filter_map(|own| {
        let bytes = |name: &str| item.get(name).map(|value| name.len() + value_bytes(value));
        own.into_iter().chain(KEYS).map(bytes).sum()
    })
}

/// The bytes of a record's item.
pub fn record(record: &Record) -> Result<usize, LedgerError> {
    Ok(item_bytes(&records::item(record, Some((0, 1)))?))
}

/// The bytes of the pages that are put for a commit of nothing but new records, before its transaction.
pub fn pages(commit: &Commit) -> Vec<usize> {
    pages::pages_of(commit, &BTreeMap::new()).values().map(item_bytes).collect()
}

/// The bytes of a page of so many records of an agent, a second apart, with UUIDs of version 7 for keys.
pub fn page(agent: &AgentId, records: u32) -> usize {
    pages::sample(agent, records).map_or(0, |item| item_bytes(&item))
}

/// How many kinds of pages a listing of an agent's records reads, each by itself.
pub const PAGE_KINDS: usize = pages::REACHES.len();

/// How many of them are read at first, to list so many records; then twice as many each time.
pub fn first_pages(limit: usize) -> usize {
    listing::few(limit, 1)
}

/// The bytes of a lane's rollup that holds these sums.
pub fn rollup(key: &RollupKey, lane: u32, n: u64, sums: &Parts) -> usize {
    let sums = totals::attributes(sums).into_iter().map(|(name, value)| (name, number(value)));
    let item: Item = keyed(keys::rollup(key, lane)).into_iter().chain(sums).collect();
    item_bytes(&with(item, "n", number(n)))
}

/// The keys of what a commit notes in the directory if it is not noted yet, each an item of a unit.
pub fn notes(commit: &Commit) -> BTreeSet<(String, String)> {
    directory::notes_of(commit)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::primitives::Blob;

    use super::*;

    #[test]
    fn an_item_weighs_what_the_rule_says() {
        let n = |digits: &str| value_bytes(&AttributeValue::N(digits.to_owned()));
        assert_eq!((n("0"), n("7"), n("12"), n("123"), n("-123")), (1, 2, 2, 3, 4));
        // Zeros at either end are no significant digits.
        assert_eq!((n("1000"), n("0.00012"), n("10.01")), (2, 2, 3));
        let item = HashMap::from([
            ("pk".to_owned(), AttributeValue::S("é".to_owned())),
            ("b".to_owned(), AttributeValue::B(Blob::new([0; 10]))),
            ("l".to_owned(), AttributeValue::L(vec![AttributeValue::Bool(true)])),
        ]);
        assert_eq!(item_bytes(&item), 2 + 2 + 1 + 10 + 1 + 3 + 1 + 1);
    }

    #[test]
    fn units_are_begun_kilobytes() {
        assert_eq!([0, 1, 1_024, 1_025].map(write_units), [1, 1, 1, 2]);
        assert_eq!([0, 4_096, 4_097].map(read_units), [1, 1, 2]);
    }
}
