//! The rows of a page, in few bytes: each tells the key of a record, and when its latest and its earliest event were.
//!
//! Times are told as the distance from the row before, in the coarsest unit that is exact, ids that are UUIDs as 16
//! bytes, and of an id only what differs from the one before.

use shared::id::{OwnId, RecordKey, SealKey};
use shared::ledger::LedgerError;

/// The form written.
const VERSION: u8 = 1;

/// Units of time in nanoseconds, the coarsest first. Two bits of a distance say which it is told in.
const UNITS: [u128; 4] = [1_000_000_000, 1_000_000, 1_000, 1];

const IS_PART: u8 = 1;
const IS_UUID: u8 = 2;
/// The earliest event is not the latest.
const HAS_SPAN: u8 = 4;
/// How far the number of bytes that an id has in common with the one before is moved in a row's first byte.
const COMMON: u8 = 3;
const MOST_COMMON: usize = 31;

/// Where the hyphens of a UUID are.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// A record, as a page tells of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    /// Nanoseconds of its latest event.
    pub(super) latest: u128,
    pub(super) earliest: u128,
    pub(super) key: RecordKey,
}

/// Rows that are being written, newest first.
pub(super) struct Rows {
    bytes: Vec<u8>,
    latest: u128,
    id: Vec<u8>,
}

impl Rows {
    /// None yet, of a page whose newest is at this time.
    pub(super) fn new(newest: u128) -> Self {
        Self { bytes: vec![VERSION], latest: newest, id: Vec::new() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds a row that is not newer than those before, unless there were more than `room` bytes with it; whether it
    /// was added.
    pub(super) fn add(&mut self, row: &Row, room: usize) -> bool {
        let (id, part) = match &row.key {
            RecordKey::Single(id) => (id.as_str(), None),
            RecordKey::Part(key, part) => (key.as_str(), Some(*part)),
        };
        let uuid = packed(id);
        let own = uuid.as_ref().map_or(id.as_bytes(), |uuid| uuid.as_slice());
        let common = own.iter().zip(&self.id).take(MOST_COMMON).take_while(|(a, b)| a == b).count();
        let span = row.latest.saturating_sub(row.earliest);
        let mut flags = u8::try_from(common).unwrap_or(0) << COMMON;
        for (flag, is_so) in [(IS_PART, part.is_some()), (IS_UUID, uuid.is_some()), (HAS_SPAN, span > 0)] {
            flags |= if is_so { flag } else { 0 };
        }
        let begin = self.bytes.len();
        self.bytes.push(flags);
        put_time(&mut self.bytes, self.latest.saturating_sub(row.latest));
        if span > 0 {
            put_time(&mut self.bytes, span);
        }
        if let Some(part) = part {
            put_number(&mut self.bytes, part.into());
        }
        let rest = own.get(common..).unwrap_or_default();
        if uuid.is_none() {
            put_number(&mut self.bytes, rest.len() as u128);
        }
        self.bytes.extend_from_slice(rest);
        if self.bytes.len() > room {
            self.bytes.truncate(begin);
            return false;
        }
        self.latest = row.latest;
        self.id = own.to_vec();
        true
    }
}

/// Reads the rows of a page whose newest is at this time.
pub(super) fn decode(newest: u128, bytes: &[u8]) -> Result<Vec<Row>, LedgerError> {
    let broken = || LedgerError::Broken("a page of records is not readable".to_owned());
    let mut left = Left(bytes);
    match left.byte() {
        Some(VERSION) => {}
        Some(v) => {
            return Err(LedgerError::Broken(format!(
                "a page of records has version {v}, this program knows {VERSION}; upgrade it"
            )));
        }
        None => return Err(broken()),
    }
    let mut rows = Vec::new();
    let (mut latest, mut id) = (newest, Vec::new());
    while !left.0.is_empty() {
        rows.push(left.row(&mut latest, &mut id).ok_or_else(broken)?);
    }
    Ok(rows)
}

/// What is not read yet.
struct Left<'a>(&'a [u8]);

impl Left<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, left) = self.0.split_at_checked(count)?;
        self.0 = left;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u128> {
        let mut number = 0_u128;
        for place in (0..u128::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u128::from(byte & 0x7f) << place;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn time(&mut self) -> Option<u128> {
        let number = self.number()?;
        let unit = UNITS.get(usize::try_from(number & 3).ok()?)?;
        (number >> 2).checked_mul(*unit)
    }

    fn row(&mut self, latest: &mut u128, id: &mut Vec<u8>) -> Option<Row> {
        let flags = self.byte()?;
        *latest = latest.checked_sub(self.time()?)?;
        let span = if flags & HAS_SPAN == 0 { 0 } else { self.time()? };
        let part = if flags & IS_PART == 0 { None } else { Some(u32::try_from(self.number()?).ok()?) };
        let common = usize::from(flags >> COMMON);
        let is_uuid = flags & IS_UUID != 0;
        let rest =
            if is_uuid { 16_usize.checked_sub(common)? } else { usize::try_from(self.number()?).ok()? };
        if common > id.len() {
            return None;
        }
        id.truncate(common);
        id.extend_from_slice(self.take(rest)?);
        let text = if is_uuid { spelled(id) } else { String::from_utf8(id.clone()).ok()? };
        let key = match part {
            None => RecordKey::Single(OwnId::parse(&text).ok()?),
            Some(part) => RecordKey::Part(SealKey::parse(&text).ok()?, part),
        };
        Some(Row { latest: *latest, earliest: latest.checked_sub(span)?, key })
    }
}

fn put_number(bytes: &mut Vec<u8>, mut number: u128) {
    loop {
        // Masked, it fits.
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn put_time(bytes: &mut Vec<u8>, nanos: u128) {
    let exact = (0_u8..).zip(UNITS).find(|(_, unit)| nanos.is_multiple_of(*unit));
    let (number, unit) = exact.unwrap_or((3, 1));
    put_number(bytes, ((nanos / unit) << 2) | u128::from(number));
}

/// The bytes of a UUID in its one usual spelling.
fn packed(id: &str) -> Option<[u8; 16]> {
    let text = id.as_bytes();
    if text.len() != 36 {
        return None;
    }
    let mut digits = text.iter().enumerate().filter_map(|(at, byte)| match (HYPHENS.contains(&at), byte) {
        (true, b'-') => None,
        (false, b'0'..=b'9') => Some(Some(byte - b'0')),
        (false, b'a'..=b'f') => Some(Some(byte - b'a' + 10)),
        _ => Some(None),
    });
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = (digits.next()?? << 4) | digits.next()??;
    }
    digits.next().is_none().then_some(uuid)
}

fn spelled(uuid: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for byte in uuid {
        if HYPHENS.contains(&text.len()) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn keys() -> impl Strategy<Value = RecordKey> {
        let uuid = any::<(u8, u128)>().prop_map(|(few, all)| {
            let mut uuid = all.to_be_bytes();
            uuid[..8].fill(few);
            spelled(&uuid)
        });
        let id =
            prop_oneof![uuid, "[!-\"$-~]{1,128}", "call-[0-9]{1,9}", "[0-9A-Fa-f-]{36}", "é{0}[a-f-]{36}"];
        (id, prop::option::of(any::<u32>())).prop_map(|(id, part)| match part {
            None => RecordKey::Single(OwnId::parse(&id).unwrap()),
            Some(part) => RecordKey::Part(SealKey::parse(&id).unwrap(), part),
        })
    }

    fn times() -> impl Strategy<Value = u128> {
        prop_oneof![
            0..u128::from(u64::MAX),
            0..1_000_000_u128,
            (0..1u128 << 40).prop_map(|ms| ms * 1_000_000)
        ]
    }

    proptest! {
        #[test]
        fn rows_come_back(
            rows in prop::collection::vec((times(), prop::option::of(times()), keys()), 1..60),
            room in 0..4_000_usize,
        ) {
            let row = |(latest, span, key): (u128, Option<u128>, _)| Row {
                latest, earliest: latest.saturating_sub(span.unwrap_or(0)), key,
            };
            let mut rows: Vec<Row> = rows.into_iter().map(row).collect();
            rows.sort_by(|a, b| b.cmp(a));
            let newest = rows[0].latest;
            let mut written = Rows::new(newest);
            let fit = rows.iter().take_while(|row| written.add(row, room)).count();
            prop_assert!(written.bytes().len() <= room.max(1));
            let read = decode(newest, written.bytes()).unwrap();
            prop_assert_eq!(read.as_slice(), &rows[..fit]);
        }

        #[test]
        fn whatever_is_read_is_rows_or_an_error(newest: u64, bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let read = decode(newest.into(), &[&[VERSION], bytes.as_slice()].concat());
            if let Err(error) = read {
                prop_assert!(matches!(error, LedgerError::Broken(_)));
            }
        }
    }

    #[test]
    fn what_a_newer_program_wrote_says_so() {
        let newer = decode(0, &[VERSION + 1]);
        assert!(matches!(newer, Err(LedgerError::Broken(said)) if said.contains("upgrade")));
        assert!(decode(0, &[]).is_err());
    }

    #[test]
    fn a_row_takes_few_bytes() {
        let mut rows = Rows::new(1_795_000_000_000_000_000);
        for n in 0..40_u32 {
            let id = OwnId::parse(&format!("0199aa00-{n:04x}-7abc-8def-0123456789ab")).unwrap();
            let latest = 1_795_000_000_000_000_000 - u128::from(n) * 1_000_000_000;
            assert!(rows.add(&Row { latest, earliest: latest, key: RecordKey::Single(id) }, 1 << 10));
        }
        assert!(rows.bytes().len() < 40 * 15, "{}", rows.bytes().len());
    }
}
