//! Identity: which id each event gets, and which unit of de-duplication it belongs to.

use std::collections::BTreeMap;

use shared::event::{Body, TaskOutcome, UsageEvent, part_hash};
use shared::id::{AgentId, EventId, EventIndex, PART_EVENTS};
use shared::mint::Mint;
use shared::sequence::SequenceMark;
use shared::wire::{Entry, Part, Single};

use crate::parse::Submission;

/// A submission with identity.
pub(crate) struct Sealed {
    /// In submission order.
    pub(crate) ids: Vec<EventId>,
    /// Entries, each with the indexes of the events in it.
    pub(crate) entries: Vec<(Entry, Vec<usize>)>,
    pub(crate) mark: Option<SequenceMark>,
}

#[derive(Default)]
struct Packed {
    events: Vec<(EventIndex, UsageEvent)>,
    outcomes: Vec<(EventIndex, TaskOutcome)>,
    corrections: Vec<(EventIndex, Body)>,
    indexes: Vec<usize>,
}

/// Gives every event its id and packs what is sealed.
pub(crate) fn seal(submission: Submission, mint: &impl Mint) -> Result<Sealed, serde_json::Error> {
    let mut ids = Vec::with_capacity(submission.drafts.len());
    let mut entries = Vec::new();
    let mut parts: BTreeMap<(AgentId, u32), Packed> = BTreeMap::new();
    for (n, draft) in (0..).zip(submission.drafts) {
        let at = ids.len();
        let id = match (draft.id, &submission.key) {
            (Some(id), _) => id,
            (None, None) => mint.mint(),
            (None, Some(key)) => {
                ids.push(EventId::Sealed(key.clone(), n));
                let packed = parts.entry((draft.agent, n / PART_EVENTS)).or_default();
                packed.indexes.push(at);
                match draft.body {
                    Body::Usage(event) => packed.events.push((n, event)),
                    Body::TaskOutcome(task) => packed.outcomes.push((n, task)),
                    body @ (Body::Void(_) | Body::Amend(_)) => packed.corrections.push((n, body)),
                }
                continue;
            }
        };
        ids.push(EventId::Own(id.clone()));
        let hash = draft.body.content_hash()?;
        let single = Single { agent: draft.agent, id, hash, body: draft.body };
        entries.push((Entry::Single(Box::new(single)), vec![at]));
    }
    if let Some(key) = submission.key {
        for ((agent, part), packed) in parts {
            let Packed { events, outcomes, corrections, indexes } = packed;
            let hash = part_hash(&events, &outcomes, &corrections)?;
            let key = key.clone();
            let part = Part { agent, key, part, hash, events, outcomes, corrections };
            entries.push((Entry::Part(part), indexes));
        }
    }
    Ok(Sealed { ids, entries, mark: submission.mark })
}
