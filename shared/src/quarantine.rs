//! What could not be counted, kept with the reason until somebody does something about it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that could not be counted, kept with the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quarantined {
    /// Identity: the same thing is kept once.
    pub id: String,
    /// Where in the stream it came from.
    pub position: String,
    /// A stable code: `unreadable`, `closed_period`, `overflow`.
    pub code: String,
    /// What was wrong and what to do.
    pub reason: String,
    /// The payload: text, or base64 where it is not UTF-8.
    pub payload: String,
    /// Whether `payload` is base64.
    pub base64: bool,
    /// When it was put aside.
    #[schemars(with = "crate::schema::Instant")]
    pub at: Timestamp,
    /// Whether it was tried again in vain.
    #[serde(default, skip_serializing_if = "QuarantineState::is_open")]
    pub state: QuarantineState,
}

/// Whether something that was put aside was tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuarantineState {
    /// Not yet.
    #[default]
    Open,
    /// In vain: trying the same again will not succeed either.
    Stuck {
        /// Why.
        reason: String,
        /// When it was last tried.
        #[schemars(with = "crate::schema::Instant")]
        at: Timestamp,
    },
}

impl QuarantineState {
    /// Whether it was not tried yet.
    pub fn is_open(&self) -> bool {
        *self == Self::Open
    }
}

/// What became of something that was tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Retried {
    /// It is counted since now, and out of the quarantine.
    Counted,
    /// All of it was counted before; it is out of the quarantine.
    Known,
    /// Other content stands in its place. What was refused is listed as a conflict; it is out of the quarantine.
    Conflict,
    /// It was put aside again for another reason, under ids of its own; it is out of the quarantine.
    PutAside,
    /// In vain. It stays, marked.
    Stuck,
}

/// `POST /v1/admin/quarantine/{id}/retry`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryAnswer {
    /// What was tried.
    pub id: String,
    /// What became of it.
    pub outcome: Retried,
    /// Why, where it is stuck.
    pub reason: Option<String>,
    /// Ids of what was put aside of it instead.
    pub put_aside: Vec<String>,
}

/// The body of a retry; all of it may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryForm {
    /// What to count in its place: a stream record, or what `POST /v1/usage` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
}
