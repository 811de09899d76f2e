//! Whether what was to be counted is in the ledger: looked for, not inferred from a hash.
//!
//! A sealed part of which some events were too old is stored without them, under the hash of the whole. When these come
//! again, their hash is that of what stands; but they are not in it, and never can be.

use std::collections::BTreeSet;

use shared::id::EventIndex;
use shared::ledger::{LedgerError, Quarantined, RecordStore};
use shared::record::{Content, Record};
use shared::wire::{Entry, Part};

/// What the ledger holds of an entry.
pub(super) enum Seen {
    /// All of it, or what it lacks was put aside by name.
    Whole,
    /// Something else in its place.
    OtherContent,
    /// Not all of it, for this reason.
    Lacking(String),
}

/// Looks for an entry; `refused` was put aside of it since.
pub(super) async fn look<L: RecordStore>(
    ledger: &L,
    entry: &Entry,
    refused: &[Quarantined],
) -> Result<Seen, LedgerError> {
    let (agent, key) = (entry.agent(), entry.key());
    let aside = refused.iter().filter_map(|item| serde_json::from_str::<Entry>(&item.payload).ok());
    let aside: Vec<Entry> = aside.filter(|other| other.agent() == agent && other.key() == key).collect();
    let found = ledger.get(&[(agent.clone(), key.clone())]).await?.into_iter().next().flatten();
    let found = found.filter(|record| record.data.content != Content::Awaited);
    let Some(record) = found else {
        // Of a correction only the correction is put aside.
        let is_aside = !aside.is_empty() || (corrects(entry) && !refused.is_empty());
        let reason = || format!("{agent} {key} is not in the ledger, though it was taken; try it again");
        return Ok(if is_aside { Seen::Whole } else { Seen::Lacking(reason()) });
    };
    if record.data.hash.as_ref() != Some(entry.hash()) {
        return Ok(Seen::OtherContent);
    }
    let Entry::Part(part) = entry else { return Ok(Seen::Whole) };
    let mut lacking: BTreeSet<EventIndex> = &calls(part) - &stored(&record);
    for other in &aside {
        if let Entry::Part(other) = other {
            lacking = &lacking - &calls(other);
        }
    }
    if lacking.is_empty() {
        return Ok(Seen::Whole);
    }
    let names: Vec<String> = lacking.iter().take(5).map(|index| key.event_id(*index).to_string()).collect();
    Ok(Seen::Lacking(format!(
        "{} of its events, such as {}, are not in the record of the rest, which stands under the same hash: their \
         period was closed when it was written, and what is closed stays closed",
        lacking.len(),
        names.join(", ")
    )))
}

fn corrects(entry: &Entry) -> bool {
    matches!(entry, Entry::Single(single) if single.body.is_correction())
}

/// What of a part adds to totals. Its corrections are kept at their targets.
fn calls(part: &Part) -> BTreeSet<EventIndex> {
    let outcomes = part.outcomes.iter().map(|(index, _)| *index);
    part.events.iter().map(|(index, _)| *index).chain(outcomes).collect()
}

fn stored(record: &Record) -> BTreeSet<EventIndex> {
    let outcomes = record.data.outcomes.iter().map(|(index, _)| *index);
    let events = match &record.data.content {
        Content::Usage(events) => events.as_slice(),
        _ => &[],
    };
    events.iter().map(|stored| stored.i).chain(outcomes).collect()
}
