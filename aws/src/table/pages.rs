//! Pages: what is noted of records, before they are written, so that listings find them without an index.
//!
//! A page tells of records of one agent. It is written by itself, and before the transaction that writes the records:
//! so no record is without its page, and a page may tell of records that never came to be, or that came to be
//! rewritten with other times, or of which another page tells, too. Whoever lists looks at the records.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use shared::hash::ContentHash;
use shared::id::{AgentId, RecordKey, SealKey};
use shared::ledger::{Commit, LedgerError};
use shared::record::Record;

use super::Table;
use super::keys::{self, Key};
use super::records::Written;
use super::rows::{Row, Rows, decode};
use super::size::{WRITE, item_bytes};
use super::value::{Item, keyed, str_of, with};

const SECOND: u128 = 1_000_000_000;
const DAY: u128 = 86_400 * SECOND;
/// How much of its content's hash is in a page's key, in digits.
const HASH: usize = 16;

/// How far a page may go back from its newest record's latest event: to the latest event of another of its records,
/// and to the earliest event of any.
pub(super) struct Reach {
    pub(super) latest: u128,
    /// None where there is no bound.
    pub(super) earliest: Option<u128>,
}

impl Reach {
    const fn of(nanos: u128) -> Self {
        Self { latest: nanos, earliest: Some(nanos) }
    }
}

/// Pages are kept apart by their reach, so that a reader in the middle of a listing reads little that is newer than
/// what it is at: the pages of a busy agent, which are full at once, go back by less than 2 seconds, and those of
/// others by as much as a batch is gathered for, 5 minutes at most. The others are for records of many events.
pub(super) const REACHES: [Reach; 4] =
    [Reach::of(2 * SECOND), Reach::of(300 * SECOND), Reach::of(DAY), Reach { latest: DAY, earliest: None }];
/// The reaches that pages are filled up to: of these the first that the record itself does not pass.
const FILLED: [usize; 3] = [1, 2, 3];

/// Nanoseconds; before 1970 there are none.
pub(super) fn nanos(at: Timestamp) -> u128 {
    u128::try_from(at.as_nanosecond()).unwrap_or(0)
}

/// The row of a record; none if it has no events.
pub(super) fn row(record: &Record) -> Option<Row> {
    let (earliest, latest) = record.data.span()?;
    Some(Row { latest: nanos(latest), earliest: nanos(earliest), key: record.key.clone() })
}

impl Table {
    /// Writes the pages of a commit.
    pub(super) async fn put_pages(
        &self,
        commit: &Commit,
        written: &BTreeMap<usize, Written>,
    ) -> Result<(), LedgerError> {
        self.put_all(pages_of(commit, written).into_values().collect()).await
    }
}

/// The pages of a commit. A record that is rewritten with the times that it has is on the page that was written
/// before it got these times.
pub(super) fn pages_of(commit: &Commit, written: &BTreeMap<usize, Written>) -> BTreeMap<Key, Item> {
    let mut agents: BTreeMap<&AgentId, Vec<Row>> = BTreeMap::new();
    for (n, write) in commit.records.iter().enumerate() {
        let before = written.get(&n).and_then(|written| row(written.record.as_ref()?));
        let Some(row) = row(&write.record).filter(|row| Some(row) != before.as_ref()) else { continue };
        agents.entry(&write.record.agent).or_default().push(row);
    }
    agents.into_iter().flat_map(|(agent, rows)| cut(agent, rows)).collect()
}

/// Rows of an agent, on as few pages of a write unit as hold them.
pub(super) fn cut(agent: &AgentId, mut rows: Vec<Row>) -> BTreeMap<Key, Item> {
    rows.sort_unstable_by(|a, b| b.cmp(a));
    let mut pages = BTreeMap::new();
    for filled in FILLED {
        let is_of = |row: &Row| FILLED.into_iter().find(|n| reaches(*n, row, row)) == Some(filled);
        let mut page: Option<Page> = None;
        for row in rows.iter().filter(|row| is_of(row)) {
            if !page.as_mut().is_some_and(|page| page.add(row, filled)) {
                pages.extend(page.replace(Page::of(agent, row)).map(Page::item));
            }
        }
        pages.extend(page.map(Page::item));
    }
    pages
}

/// Whether a page with this newest row can have that row.
fn reaches(n: usize, newest: &Row, row: &Row) -> bool {
    let back = |at: u128| newest.latest.saturating_sub(at);
    REACHES.get(n).is_some_and(|reach| {
        back(row.latest) <= reach.latest
            && reach.earliest.is_none_or(|earliest| back(row.earliest) <= earliest)
    })
}

/// A page that is being filled.
struct Page<'a> {
    agent: &'a AgentId,
    newest: Row,
    /// The narrowest reach that all of its rows are in.
    reach: usize,
    rows: Rows,
    room: usize,
}

impl<'a> Page<'a> {
    /// With its first row, which always fits: keys are short.
    fn of(agent: &'a AgentId, newest: &Row) -> Self {
        let empty = item(page_key(agent, 0, newest.latest, &"0".repeat(HASH)), &[]);
        let room = WRITE.saturating_sub(item_bytes(&empty));
        let mut rows = Rows::new(newest.latest);
        rows.add(newest, usize::MAX);
        let mut page = Self { agent, newest: newest.clone(), reach: 0, rows, room };
        page.widen(newest);
        page
    }

    fn add(&mut self, row: &Row, filled: usize) -> bool {
        let is_added = reaches(filled, &self.newest, row) && self.rows.add(row, self.room);
        if is_added {
            self.widen(row);
        }
        is_added
    }

    fn widen(&mut self, row: &Row) {
        while self.reach + 1 < REACHES.len() && !reaches(self.reach, &self.newest, row) {
            self.reach += 1;
        }
    }

    fn item(self) -> (Key, Item) {
        // The same page again is the same item.
        let hash = ContentHash::of_bytes(self.rows.bytes());
        let hash: String = hash.as_str().chars().take(HASH).collect();
        let key = page_key(self.agent, self.reach, self.newest.latest, &hash);
        (key.clone(), item(key, self.rows.bytes()))
    }
}

fn page_key(agent: &AgentId, reach: usize, newest: u128, hash: &str) -> Key {
    (keys::pages(agent), format!("{}#{hash}", keys::page(reach, newest)))
}

fn item(key: Key, rows: &[u8]) -> Item {
    with(keyed(key), "data", AttributeValue::B(Blob::new(rows)))
}

/// A page of so many records, a second apart, as the meter's keys are, however large it gets.
pub(super) fn sample(agent: &AgentId, records: u32) -> Option<Item> {
    const BEGIN_MS: u64 = 1_795_000_000_000;
    let row = |n: u32| {
        let ms = BEGIN_MS - 1_000 * u64::from(n);
        let hash = ContentHash::of_bytes(&n.to_be_bytes());
        let random = hash.as_str();
        let (begin, end) = (ms >> 16, ms & 0xffff);
        let (a, b, c) = (random.get(..3)?, random.get(3..6)?, random.get(6..18)?);
        let key = SealKey::parse(&format!("{begin:08x}-{end:04x}-7{a}-8{b}-{c}")).ok()?;
        let at = u128::from(ms) * 1_000_000;
        Some(Row { latest: at, earliest: at, key: RecordKey::Part(key, 0) })
    };
    let mut page = Page::of(agent, &row(0)?);
    page.room = usize::MAX;
    for n in 1..records {
        page.add(&row(n)?, FILLED[0]);
    }
    Some(page.item().1)
}

/// The time of a page's newest row, and all of its rows.
pub(super) fn read(item: &Item) -> Result<(u128, Vec<Row>), LedgerError> {
    let sk = str_of(item, "sk")?;
    let newest = sk.split('#').nth(1).and_then(|digits| digits.parse().ok());
    let (Some(newest), Some(AttributeValue::B(rows))) = (newest, item.get("data")) else {
        return Err(LedgerError::Broken(format!("page {} {sk} is not readable", str_of(item, "pk")?)));
    };
    Ok((newest, decode(newest, rows.as_ref())?))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use shared::event::UsageEvent;
    use shared::id::OwnId;
    use shared::ledger::RecordWrite;
    use shared::price::PriceBook;
    use shared::record::RecordData;
    use shared::rollup::Additions;
    use shared::usage::{Bucket, Usage};

    use super::*;

    /// Rows whose times are near, and whose spans are of all reaches.
    pub(in super::super) fn some_rows() -> impl Strategy<Value = Vec<Row>> {
        let ago = prop_oneof![0..4_000_u64, 0..700_000_u64, 0..200_000_000_u64];
        let span =
            prop_oneof![4 => Just(0_u64), 1 => 0..5_000_u64, 1 => 0..900_000_u64, 1 => 0..200_000_000_u64];
        let id = prop_oneof!["[a-c]{1,2}", "[0-9a-f]{8}-0000-7000-8000-[0-9a-f]{12}", "[!-\"$-~]{100,128}"];
        let row = (ago, span, id, prop::option::of(0..9_u32)).prop_map(|(ago, span, id, part)| {
            let latest = 1_795_000_000_000 - u128::from(ago);
            let key = match part {
                None => RecordKey::Single(OwnId::parse(&id).unwrap()),
                Some(part) => RecordKey::Part(SealKey::parse(&id).unwrap(), part),
            };
            Row { latest: latest * 1_000_000, earliest: (latest - u128::from(span)) * 1_000_000, key }
        });
        prop::collection::vec(row, 0..150)
    }

    proptest! {
        #[test]
        fn pages_hold_every_row_once_within_a_unit_and_their_reach(
            mut rows in some_rows(), agent in prop_oneof!["[a-z]{1,9}", "[#%]{128}"],
        ) {
            let agent = AgentId::parse(&agent).unwrap();
            let mut back = Vec::new();
            for (key, page) in cut(&agent, rows.clone()) {
                prop_assert_eq!(&key.0, &keys::pages(&agent));
                let (newest, read) = read(&page).unwrap();
                let reach: usize = key.1.split('#').next().unwrap().parse().unwrap();
                prop_assert_eq!(newest, read[0].latest);
                prop_assert!(read.iter().all(|row| reaches(reach, &read[0], row)));
                prop_assert!(item_bytes(&page) <= WRITE);
                back.extend(read);
            }
            rows.sort();
            back.sort();
            prop_assert_eq!(back, rows);
        }
    }

    #[test]
    fn a_page_of_the_longest_key_is_a_unit() {
        let agent = AgentId::parse(&"#".repeat(128)).unwrap();
        let key = RecordKey::Part(SealKey::parse(&"%".repeat(128)).unwrap(), u32::MAX);
        let row = Row { latest: EVER - 1, earliest: 1, key };
        let pages = cut(&agent, vec![row]);
        assert!(pages.values().all(|page| item_bytes(page) < WRITE), "{pages:?}");
        assert_eq!(pages.len(), 1);
    }
    const EVER: u128 = 253_402_300_800_000_000_000;

    #[test]
    fn a_busy_agents_pages_are_full() {
        let agent = AgentId::parse("researcher-0001").unwrap();
        let row = |n: u32| {
            let id = OwnId::parse(&format!("0199aa{n:02x}-{n:04x}-7abc-8def-0123456789ab")).unwrap();
            let at = 1_795_000_000_000_000_000 + u128::from(n) * 500_000;
            Row { latest: at, earliest: at, key: RecordKey::Single(id) }
        };
        let pages = cut(&agent, (0..90).map(row).collect());
        assert_eq!(pages.len(), 2);
        assert!(pages.keys().all(|(_, sk)| sk.starts_with("0#")));
    }

    fn record(key: &str, seconds: &[i64]) -> Record {
        let usage = Usage::new([(Bucket::Input, 1)]).unwrap();
        let at = |second: &i64| UsageEvent::new(Timestamp::from_second(*second).unwrap(), usage);
        let events = (0..).zip(seconds.iter().map(at));
        let data = RecordData::usage(ContentHash::from("h"), events, &PriceBook::embedded().unwrap());
        let (agent, key) = (AgentId::parse("a").unwrap(), RecordKey::parse(key).unwrap());
        Record { agent, key, version: 1, data }
    }

    #[test]
    fn a_record_has_a_page_for_all_times_that_it_ever_had() {
        let commit = |record: Record| Commit {
            records: vec![RecordWrite { expected: Some(1), record }],
            additions: Additions::default(),
            lane: 0,
        };
        let before = record("S#k#0", &[100, 200]);
        let written = |record: Record| BTreeMap::from([(0, Written { record: Some(record), place: None })]);
        let pages = |now: &[i64]| pages_of(&commit(record("S#k#0", now)), &written(before.clone())).len();
        assert_eq!(pages(&[100, 200]), 0, "the page that it has");
        assert_eq!(pages(&[100, 150, 200]), 0, "with one event more in between");
        assert_eq!(pages(&[100, 201]), 1, "a later event");
        assert_eq!(pages(&[99, 200]), 1, "an earlier event");
        // What is awaited has no times; what comes in its place has.
        let awaited = Record { data: RecordData::awaited(), ..before };
        let page = pages_of(&commit(record("S#k#0", &[100])), &written(awaited.clone()));
        assert_eq!(page.len(), 1);
        assert!(pages_of(&commit(awaited), &BTreeMap::new()).is_empty());
    }
}
