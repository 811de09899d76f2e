//! What records, entries and items weigh, and the units that they are.
//!
//! The sizes are those of `docs/cost.md`, which makes the items by the code that writes them: lines through what its
//! columns come to (its events are chat calls with task, session, team and one tag). The tests hold them to that page.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use super::numbers::begun;

/// What Lambda hands to a function at most: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
pub(super) const PAYLOAD: f64 = 6.0 * 1024.0 * 1024.0;
/// What it says of each record beside its data, in JSON.
const RECORD_JSON: f64 = 500.0;
/// Event indexes of one packed record.
const PART: u32 = 100;
/// An inbox item with less data is not deflated.
const PACK_ABOVE: f64 = 880.0;
const KB: f64 = 1024.0;
/// Bytes of a rollup, full.
const ROLLUP: f64 = 203.0;
/// Records of one agent that a page of a unit tells of.
pub(super) const PAGE: f64 = 63.0;
/// Bytes of a page of one record.
const PAGE_OF_ONE: f64 = 84.0;
/// Kinds of pages, each read by itself; and how many of one are read at first for 100 records, then twice as many.
const PAGE_KINDS: f64 = 4.0;
const FIRST_PAGES: f64 = 6.0;
/// Budgets that fit a read unit.
const BUDGETS_OF_UNIT: f64 = 10.0;

/// Bytes of a submission's record in the stream.
pub(super) fn stream_record(batch: u32) -> f64 {
    200.0 + 330.0 * f64::from(batch)
}

/// Bytes of its item in the inbox.
pub(super) fn inbox_item(batch: u32) -> f64 {
    let data = stream_record(batch);
    let packed = if data > PACK_ABOVE { data.min(364.0 + 28.0 * f64::from(batch)) } else { data };
    packed + 81.0
}

/// Bytes of a batch's payload that a record of so many takes: base64, and what stands around it.
pub(super) fn payload(bytes: f64) -> f64 {
    (bytes / 3.0).ceil() * 4.0 + RECORD_JSON
}

/// Records of the table that a submission becomes.
pub(super) fn parts(batch: u32) -> u32 {
    batch.div_ceil(PART)
}

/// Write units of a submission's records: each is in a transaction, and so twice its kilobytes.
pub(super) fn record_writes(batch: u32) -> f64 {
    let full = f64::from(batch / PART);
    let rest = batch % PART;
    let units = |events: u32| 2.0 * begun(record_item(events), KB);
    full * units(PART) + if rest > 0 { units(rest) } else { 0.0 }
}

fn record_item(events: u32) -> f64 {
    // Beyond 700 bytes it is deflated.
    if events == 1 { 751.0 } else { 558.0 + 18.87 * f64::from(events) }
}

/// Read units of one record.
pub(super) fn record_reads(events: u32) -> f64 {
    begun(record_item(events), 4.0 * KB)
}

/// Bytes of a journal's entry that adds to so many rollups, with so many different sums among what it adds.
pub(super) fn entry(rollups: f64, sums: f64) -> f64 {
    250.0 + 4.5 * rollups + 20.0 * sums
}

/// Write units of a commit's head and entry, in a transaction: entries are of all sizes, and so half a kilobyte is
/// begun on average.
pub(super) fn journal_writes(entry: f64) -> f64 {
    2.0 + 2.0 * (entry / KB + 0.5).max(1.0)
}

/// Write units of a rollup.
pub(super) fn rollup_writes() -> f64 {
    begun(ROLLUP, KB)
}

/// Read units of so many bytes, read one after the other.
pub(super) fn reads(bytes: f64) -> f64 {
    begun(bytes, 4.0 * KB)
}

/// Read units of the state as of which totals are read: the list of lanes, of which a unit holds some eighty, and
/// the head of each.
pub(super) fn snapshot_reads(lanes: u32) -> f64 {
    reads(f64::from(lanes) * 50.0) + f64::from(lanes)
}

/// Read units of one scope in one window.
pub(super) fn scope_reads(lanes: u32) -> f64 {
    reads(f64::from(lanes) * ROLLUP)
}

/// Read units of the list of budgets.
pub(super) fn budget_reads(budgets: u32) -> f64 {
    (f64::from(budgets) / BUDGETS_OF_UNIT).ceil().max(1.0)
}

/// Read units of an agent's newest records, of one event each: with full pages, and with pages of one.
pub(super) fn listing_reads(records: f64) -> [f64; 2] {
    [(KB, PAGE), (PAGE_OF_ONE, 1.0)].map(|(bytes, of)| {
        let (mut few, mut units, mut told) = (FIRST_PAGES, PAGE_KINDS - 1.0, 0.0);
        while told < records {
            units += reads(few * bytes);
            told += few * of;
            few *= 2.0;
        }
        units + records * record_reads(1)
    })
}
