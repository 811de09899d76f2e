//! The versioned form of a stream record: what ingest writes and the aggregator reads, perhaps years apart.
//!
//! Frozen files in `shared/tests/frozen` fail when this drifts. A change that old readers could misread gets a
//! new version; readers keep every version that a stream or an archive can still hold.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Body, TaskOutcome, UsageEvent};
use crate::hash::ContentHash;
use crate::id::{AgentId, OwnId, RecordKey, SealKey};
use crate::sequence::SequenceMark;

/// The version written.
pub const VERSION: u32 = 1;

/// One stream record: some or all of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRecord {
    /// The form's version.
    pub v: u32,
    /// When ingest accepted it.
    pub received: Timestamp,
    /// The submission's number, in its last record: whoever sees it knows that the others are durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<SequenceMark>,
    /// The units of de-duplication in it.
    pub entries: Vec<Entry>,
}

/// One unit of de-duplication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// One agent's part of a sealed submission.
    Part(Part),
    /// An event alone.
    Single(Box<Single>),
}

/// Everything of one agent in one part of a sealed submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Whose.
    pub agent: AgentId,
    /// The submission's `idempotency-key`.
    pub key: SealKey,
    /// Which part: the events' index divided by [`crate::id::PART_EVENTS`].
    pub part: u32,
    /// Hash of all that follows as the sender gave it: [`crate::event::part_hash`].
    pub hash: ContentHash,
    /// Model calls with their index in the submission, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<(u32, UsageEvent)>,
    /// Task outcomes with their index in the submission, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<(u32, TaskOutcome)>,
    /// Voids and amends with their index in the submission, ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<(u32, Body)>,
}

/// An event with an id of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Single {
    /// Whose.
    pub agent: AgentId,
    /// Under which id.
    pub id: OwnId,
    /// Hash of `body` as the sender gave it.
    pub hash: ContentHash,
    /// What.
    pub body: Body,
}

impl Entry {
    /// Whose it is.
    pub fn agent(&self) -> &AgentId {
        match self {
            Self::Part(part) => &part.agent,
            Self::Single(single) => &single.agent,
        }
    }

    /// What it is stored under.
    pub fn key(&self) -> RecordKey {
        match self {
            Self::Part(part) => RecordKey::Part(part.key.clone(), part.part),
            Self::Single(single) => RecordKey::Single(single.id.clone()),
        }
    }

    /// What tells it from others of its agent, as [`Self::key`] does, without making one.
    pub fn name(&self) -> (&str, Option<u32>) {
        match self {
            Self::Part(part) => (part.key.as_str(), Some(part.part)),
            Self::Single(single) => (single.id.as_str(), None),
        }
    }

    /// Its content hash.
    pub fn hash(&self) -> &ContentHash {
        match self {
            Self::Part(part) => &part.hash,
            Self::Single(single) => &single.hash,
        }
    }
}

/// Why bytes are not a stream record.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A version that this reader does not know.
    #[error(
        "stream record has version {0}, this reader knows {VERSION}; upgrade the aggregator, then replay"
    )]
    Version(u32),
    /// Not this form at all.
    #[error("stream record is not readable: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl StreamRecord {
    /// A record of the version written.
    pub fn new(received: Timestamp, entries: Vec<Entry>) -> Self {
        Self { v: VERSION, received, mark: None, entries }
    }

    /// The bytes that go into the stream.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Reads a record of any known version.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        #[derive(Deserialize)]
        struct Head {
            v: u32,
        }
        match serde_json::from_slice::<Self>(bytes) {
            Ok(record) if record.v == VERSION => Ok(record),
            Ok(record) => Err(WireError::Version(record.v)),
            // A newer form may not parse as this one; its version is the better thing to say.
            Err(error) => match serde_json::from_slice::<Head>(bytes) {
                Ok(head) if head.v != VERSION => Err(WireError::Version(head.v)),
                _ => Err(WireError::Malformed(error)),
            },
        }
    }
}
