//! Identity: which id each event gets, and which unit of de-duplication it belongs to.

use std::collections::BTreeMap;

use shared::event::{Body, TaskOutcome, UsageEvent, part_hash};
use shared::id::{AgentId, EventId, EventIndex, OwnId, PART_EVENTS};
use shared::wire::{Entry, Part, Single};
use uuid::Uuid;

use crate::parse::Submission;

/// A submission with identity.
pub(crate) struct Sealed {
    /// In submission order.
    pub(crate) ids: Vec<EventId>,
    /// Entries, each with the indexes of the events in it.
    pub(crate) entries: Vec<(Entry, Vec<usize>)>,
}

#[derive(Default)]
struct Packed {
    events: Vec<(EventIndex, UsageEvent)>,
    outcomes: Vec<(EventIndex, TaskOutcome)>,
    indexes: Vec<usize>,
}

/// Gives every event its id and packs what is sealed.
pub(crate) fn seal(submission: Submission) -> Result<Sealed, serde_json::Error> {
    let mut ids = Vec::with_capacity(submission.drafts.len());
    let mut entries = Vec::new();
    let mut parts: BTreeMap<(AgentId, u32), Packed> = BTreeMap::new();
    for (n, draft) in (0..).zip(submission.drafts) {
        let at = ids.len();
        let id = match (draft.id, &submission.key) {
            (Some(id), _) => EventId::Own(id),
            (None, Some(key)) => EventId::Sealed(key.clone(), n),
            (None, None) => EventId::Own(fresh_id()),
        };
        ids.push(id.clone());
        let part = (draft.agent.clone(), n / PART_EVENTS);
        match (&id, draft.body) {
            (EventId::Sealed(..), Body::Usage(event)) => {
                let packed = parts.entry(part).or_default();
                packed.indexes.push(at);
                packed.events.push((n, event));
            }
            (EventId::Sealed(..), Body::TaskOutcome(task)) => {
                let packed = parts.entry(part).or_default();
                packed.indexes.push(at);
                packed.outcomes.push((n, task));
            }
            (_, body) => {
                let hash = body.content_hash()?;
                let single = Single { agent: draft.agent, id, hash, body };
                entries.push((Entry::Single(Box::new(single)), vec![at]));
            }
        }
    }
    if let Some(key) = submission.key {
        for ((agent, part), packed) in parts {
            let Packed { events, outcomes, indexes } = packed;
            let hash = part_hash(&events, &outcomes)?;
            let key = key.clone();
            entries.push((Entry::Part(Part { agent, key, part, hash, events, outcomes }), indexes));
        }
    }
    Ok(Sealed { ids, entries })
}

/// An id for an event that came without one and without a key.
fn fresh_id() -> OwnId {
    let mut buffer = Uuid::encode_buffer();
    let text: &str = Uuid::now_v7().as_hyphenated().encode_lower(&mut buffer);
    match OwnId::parse(text) {
        Ok(id) => id,
        // A UUID is 36 visible ASCII characters without a '#'.
        Err(_) => unreachable!("a UUID is an id"),
    }
}
