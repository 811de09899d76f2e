//! Keys of the table's items. What stands in a key is escaped, so that `#` always parts.

use std::fmt::Display;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use shared::hash::ContentHash;
use shared::id::AgentId;
use shared::rollup::{RollupKey, Scope, ScopeKind};
use shared::window::WindowKind;

/// `%`, `#` and everything invisible.
const ESCAPES: &AsciiSet = &CONTROLS.add(b'%').add(b'#');

/// Partition key and sort key.
pub(super) type Key = (String, String);

pub(super) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPES).to_string()
}

pub(super) fn unescape(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// A record: each has a partition key of its own, so that one busy agent is no hot partition.
pub(super) fn record(agent: &AgentId, key: impl Display) -> Key {
    (format!("E#{}#{key}", escape(agent.as_str())), "E".to_owned())
}

/// Where the pages of an agent's records are: a page tells of many, so one partition takes all.
pub(super) fn pages(agent: &AgentId) -> String {
    format!("T#{}", escape(agent.as_str()))
}

/// What the key of a page begins with, by the number of its reach and the nanoseconds of its newest record.
pub(super) fn page(reach: usize, newest: u128) -> String {
    format!("{reach}#{newest:020}")
}

/// An instant that sorts as text; before 1970 there are none.
pub(super) fn nanos(at: Timestamp) -> String {
    format!("{:020}", at.as_nanosecond().max(0))
}

/// Chooses one of `of` by a name.
pub(super) fn spread(name: &str, of: u32) -> u32 {
    let hash = ContentHash::of_bytes(name.as_bytes());
    let number = hash.as_str().get(..8).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    number.unwrap_or(0) % of.max(1)
}

/// How many partitions the rollups of one kind and window are spread over, by their first name.
pub(super) fn buckets(kind: ScopeKind) -> u32 {
    match kind {
        ScopeKind::Org | ScopeKind::Provider => 1,
        ScopeKind::Team | ScopeKind::Model => 4,
        ScopeKind::Agent
        | ScopeKind::Task
        | ScopeKind::TeamAgent
        | ScopeKind::AgentTask
        | ScopeKind::AgentModel => 16,
    }
}

/// The bucket of a first name.
pub(super) fn bucket(kind: ScopeKind, a: &str) -> u32 {
    match buckets(kind) {
        1 => 0,
        many => spread(a, many),
    }
}

/// Where the rollups of one kind, window and bucket are.
pub(super) fn rollups(kind: ScopeKind, window: WindowKind, start: i64, bucket: u32) -> String {
    // Pairs apart: the stream's filter lets budgets be looked at for single dimensions only.
    let group = if kind.is_pair() { 'P' } else { 'R' };
    format!("{group}#{}#{}#{start:012}#{bucket:02}", letter(window), kind.name())
}

/// What the sort keys of rollups with these names begin with.
pub(super) fn rollup_prefix(a: &str, b: Option<&str>) -> String {
    match b {
        None => format!("{}#", escape(a)),
        Some(b) => format!("{}#{}#", escape(a), escape(b)),
    }
}

/// One lane's partial rollup.
pub(super) fn rollup(key: &RollupKey, lane: u32) -> Key {
    let Scope { kind, a, b } = &key.scope;
    let pk = rollups(*kind, key.window, key.start, bucket(*kind, a));
    (pk, format!("{}{lane:010}", rollup_prefix(a, Some(b))))
}

/// Reads a rollup's key back, with its lane; none if it is no rollup's.
pub(super) fn read_rollup(pk: &str, sk: &str) -> Option<(RollupKey, u32)> {
    let mut parts = pk.split('#');
    parts.next().filter(|group| matches!(*group, "R" | "P"))?;
    let window = WindowKind::ALL.into_iter().find(|window| letter(*window) == parts_letter(pk))?;
    parts.next()?;
    let kind = ScopeKind::from_name(parts.next()?)?;
    let start = parts.next()?.parse().ok()?;
    let mut names = sk.split('#');
    let (a, b) = (unescape(names.next()?)?, unescape(names.next()?)?);
    let lane = names.next()?.parse().ok()?;
    Some((RollupKey { scope: Scope { kind, a, b }, window, start }, lane))
}

fn parts_letter(pk: &str) -> char {
    pk.split('#').nth(1).and_then(|part| part.chars().next()).unwrap_or(' ')
}

fn letter(window: WindowKind) -> char {
    match window {
        WindowKind::Hour => 'H',
        WindowKind::Day => 'D',
        WindowKind::Month => 'M',
    }
}

/// A lane's journal.
pub(super) fn journal(lane: u32) -> String {
    format!("J#{lane:010}")
}

/// The sort key of the number that a lane's journal has come to.
pub(super) const HEAD: &str = "HEAD";

/// The sort key of an entry; a large one has several items.
pub(super) fn entry(n: u64, part: usize) -> String {
    format!("N#{n:016}#{part}")
}

/// Where it is kept which lanes there are, and how far each was settled.
pub(super) const LANES: &str = "LANES";
/// Where it is kept in which UTC months there is anything.
pub(super) const MONTHS: &str = "MONTHS";

/// Where it is kept in which hours of a month there are totals.
pub(super) fn windows(month: i64) -> String {
    format!("W#{month:012}")
}

/// Where it is kept in which hours of a month there are records.
pub(super) fn hours(month: i64) -> String {
    format!("D#{month:012}")
}

/// How many partitions the agents of an hour are spread over.
pub(super) const HOUR_SPREAD: u32 = 8;

/// Where it is kept which agents have records in an hour.
pub(super) fn hour(hour: i64, part: u32) -> String {
    format!("H#{hour:012}#{part}")
}

/// How budgets begin: the stream's filter names it.
pub(super) const BUDGETS: &str = "B#budgets";
/// Where alerts that are not known to have arrived are noted.
pub(super) const PENDING: &str = "PENDING";
/// Where budgets to be looked at are noted.
pub(super) const DUE: &str = "DUE";
/// Revoked tokens.
pub(super) const REVOKED: &str = "REV";
/// The price books that there are.
pub(super) const BOOKS: &str = "PB";
/// Single values.
pub(super) const META: &str = "META";

/// An alert.
pub(super) fn alert(id: &str) -> Key {
    (format!("L#{id}"), "L".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_rollups_key_comes_back(
            kind in 0..9_usize, window in 0..3_usize, a in "[ -~é]{0,9}", b in "[ -~é#%]{0,9}", lane: u32, hour in 0..2_000_000_i64,
        ) {
            let key = RollupKey {
                scope: Scope { kind: ScopeKind::ALL[kind], a, b },
                window: WindowKind::ALL[window],
                start: hour * 3600,
            };
            let (pk, sk) = rollup(&key, lane);
            prop_assert_eq!(read_rollup(&pk, &sk), Some((key, lane)));
        }
    }

    #[test]
    fn what_is_no_rollup_is_none() {
        for (pk, sk) in [("E#a#E#b", "E"), ("R#H#agent", "x"), ("R#X#agent#0#00", "a#b#0"), ("", "")] {
            assert_eq!(read_rollup(pk, sk), None);
        }
    }
}
