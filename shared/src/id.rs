//! Typed ids: a string is parsed into one of these once, at the edge, and is right from then on.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The longest id, in bytes.
pub const MAX_ID_LEN: usize = 128;
/// The longest model name: a Bedrock inference-profile ARN with a long name has to fit.
pub const MAX_MODEL_LEN: usize = 256;

/// Why a string is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing in it.
    #[error("is empty; give 1 to {max} visible ASCII characters")]
    Empty {
        /// The longest accepted.
        max: usize,
    },
    /// Longer than allowed.
    #[error("is {len} characters long; at most {max} are accepted")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The longest accepted.
        max: usize,
    },
    /// A character outside `!`..=`~`.
    #[error(
        "has a character that is not visible ASCII at byte {at}; spaces and control characters are not accepted"
    )]
    Invisible {
        /// Where, in bytes.
        at: usize,
    },
    /// A `#` where it would make a sealed id (`KEY#3`) ambiguous.
    #[error("has a '#' at byte {at}, which is kept for the ids of sealed submissions (KEY#0, KEY#1, …)")]
    Hash {
        /// Where, in bytes.
        at: usize,
    },
}

fn check(text: &str, max: usize, allow_hash: bool) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { max });
    }
    if text.len() > max {
        return Err(IdError::TooLong { len: text.len(), max });
    }
    if let Some(at) = text.bytes().position(|b| !(0x21..=0x7e).contains(&b)) {
        return Err(IdError::Invisible { at });
    }
    if !allow_hash && let Some(at) = text.find('#') {
        return Err(IdError::Hash { at });
    }
    Ok(())
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $max:expr, $allow_hash:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses a name that came from outside.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check(text, $max, $allow_hash)?;
                Ok(Self(text.into()))
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                check(&text, $max, $allow_hash)?;
                Ok(Self(text.into_boxed_str()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into_string()
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let allowed = if $allow_hash { "!-~" } else { "!-\"$-~" };
                json_schema!({
                    "type": "string",
                    "minLength": 1,
                    "maxLength": $max,
                    "pattern": format!("^[{allowed}]+$"),
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

id_type!(
    /// Who made the call.
    AgentId, MAX_ID_LEN, true
);
id_type!(
    /// The piece of work a call belongs to.
    TaskId, MAX_ID_LEN, true
);
id_type!(
    /// A conversation or run.
    SessionId, MAX_ID_LEN, true
);
id_type!(
    /// The team that pays.
    TeamId, MAX_ID_LEN, true
);
id_type!(
    /// A model provider, such as `openai`.
    ProviderId, MAX_ID_LEN, true
);
id_type!(
    /// A model as its provider names it.
    ModelId, MAX_MODEL_LEN, true
);
id_type!(
    /// An id that a sender gave an event of its own. Holds no `#`.
    OwnId, MAX_ID_LEN, false
);
id_type!(
    /// The `idempotency-key` of a sealed submission. Holds no `#`.
    SealKey, MAX_ID_LEN, false
);
id_type!(
    /// Who numbers its submissions.
    SenderId, MAX_ID_LEN, true
);
id_type!(
    /// A budget's name.
    BudgetName, 64, false
);
id_type!(
    /// A token's own id (`jti`): what a revocation names. Too short to hold a token by mistake.
    TokenId, 64, false
);

/// The index of an event in its submission.
pub type EventIndex = u32;

/// How many events of one submission share a packed record: part `n` holds the indexes `n*100 .. n*100+100`.
///
/// The boundary depends on the index alone, so that a correction finds its target's record without having
/// seen it. With [`crate::event::MAX_EVENT_BYTES`] a part stays under a ledger item's 400 KB.
pub const PART_EVENTS: u32 = 100;

/// The identity of an event under its agent: its own id, or its place in a sealed submission.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub enum EventId {
    /// An id that the sender, or the server, gave this one event.
    Own(OwnId),
    /// `KEY#index` of a sealed submission.
    Sealed(SealKey, EventIndex),
}

impl EventId {
    /// Parses `ID` or `KEY#index`.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        match text.split_once('#') {
            None => OwnId::parse(text).map(Self::Own),
            Some((key, index)) => {
                let at = key.len();
                let canonical = !index.is_empty()
                    && index.bytes().all(|b| b.is_ascii_digit())
                    && (index == "0" || !index.starts_with('0'));
                let index: EventIndex = index.parse().map_err(|_| IdError::Hash { at })?;
                if !canonical {
                    return Err(IdError::Hash { at });
                }
                Ok(Self::Sealed(SealKey::parse(key)?, index))
            }
        }
    }

    /// The record that the event is stored in.
    pub fn record(&self) -> RecordKey {
        match self {
            Self::Own(id) => RecordKey::Single(id.clone()),
            Self::Sealed(key, index) => RecordKey::Part(key.clone(), index / PART_EVENTS),
        }
    }

    /// Where in its record the event stands: 0 in a record of its own.
    pub fn index(&self) -> EventIndex {
        match self {
            Self::Own(_) => 0,
            Self::Sealed(_, index) => *index,
        }
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(id) => f.write_str(id.as_str()),
            Self::Sealed(key, index) => write!(f, "{key}#{index}"),
        }
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl TryFrom<String> for EventId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> String {
        id.to_string()
    }
}

/// The unit of de-duplication and of storage, under one agent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKey {
    /// A record of one event with an id of its own.
    Single(OwnId),
    /// One packed part of a sealed submission.
    Part(SealKey, u32),
}

impl RecordKey {
    /// The id of the event at `index` of this record.
    pub fn event_id(&self, index: EventIndex) -> EventId {
        match self {
            Self::Single(id) => EventId::Own(id.clone()),
            Self::Part(key, _) => EventId::Sealed(key.clone(), index),
        }
    }

    /// Reads the stored form back.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(id) = text.strip_prefix("E#") {
            return OwnId::parse(id).ok().map(Self::Single);
        }
        let (key, part) = text.strip_prefix("S#")?.split_once('#')?;
        Some(Self::Part(SealKey::parse(key).ok()?, part.parse().ok()?))
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(id) => write!(f, "E#{id}"),
            Self::Part(key, part) => write!(f, "S#{key}#{part}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_could_not_be_shown_or_told_apart() {
        assert!(AgentId::parse(&"a".repeat(128)).is_ok());
        assert_eq!(AgentId::parse(&"a".repeat(129)), Err(IdError::TooLong { len: 129, max: 128 }));
        assert_eq!(AgentId::parse(""), Err(IdError::Empty { max: 128 }));
        assert_eq!(AgentId::parse("a b"), Err(IdError::Invisible { at: 1 }));
        assert_eq!(AgentId::parse("a\u{7f}"), Err(IdError::Invisible { at: 1 }));
        assert_eq!(AgentId::parse("é"), Err(IdError::Invisible { at: 0 }));
        assert_eq!(OwnId::parse("a#1"), Err(IdError::Hash { at: 1 }));
        assert!(TaskId::parse("acme/repo#12").is_ok());
    }

    #[test]
    fn a_sealed_id_has_one_spelling() {
        assert_eq!(EventId::parse("k#7").unwrap(), EventId::Sealed(SealKey::parse("k").unwrap(), 7));
        for bad in ["k#07", "k#", "k#+7", "k#7#1", "#1", "k#99999999999"] {
            assert!(EventId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn record_keys_survive_their_stored_form() {
        for id in ["own", "k#0", "k#100", "k#499"] {
            let id = EventId::parse(id).unwrap();
            let key = id.record();
            assert_eq!(RecordKey::parse(&key.to_string()), Some(key.clone()));
            assert_eq!(key.event_id(id.index()), id);
        }
        assert_eq!(EventId::parse("k#100").unwrap().record().to_string(), "S#k#1");
    }
}
