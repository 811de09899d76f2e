//! What was metered: one model call, a correction of one, or a task's outcome.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hash::ContentHash;
use crate::id::{EventId, ModelId, ProviderId, SessionId, TaskId, TeamId};
use crate::money::Usd;
use crate::usage::Usage;

/// The largest event in its stored JSON form, in bytes: 100 of them, with their corrections, stay under the
/// 400 KB of a ledger item.
pub const MAX_EVENT_BYTES: usize = 3_000;
/// The most tags of one event.
pub const MAX_TAGS: usize = 16;
/// The longest tag value, in bytes.
pub const MAX_TAG_VALUE: usize = 256;
/// How far ahead of the server an event's time may be.
pub const MAX_AHEAD: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// How a model call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It answered.
    Success,
    /// It failed.
    Error,
    /// It took too long.
    Timeout,
    /// The caller gave up.
    Cancelled,
    /// It stopped in the middle.
    Partial,
}

/// One model call's usage. Who made it and under which id stands beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageEvent {
    /// When the call was made.
    pub time: Timestamp,
    /// Whether the server assigned `time`, so that a content hash leaves it out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub time_assigned: bool,
    /// The work it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The conversation or run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Who delegated the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_agent_id: Option<crate::id::AgentId>,
    /// Who pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    /// Free labels, at most [`MAX_TAGS`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Who served the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<ProviderId>,
    /// The model, as its provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// Such as `chat` or `embeddings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The provider's service tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// Disjoint counts.
    pub usage: Usage,
    /// How the call ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// How long the call took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// What the provider said it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_cost_usd: Option<Usd>,
}

impl UsageEvent {
    /// An event with nothing known but its time and counts.
    pub fn new(time: Timestamp, usage: Usage) -> Self {
        Self {
            time,
            time_assigned: false,
            task_id: None,
            session_id: None,
            parent_agent_id: None,
            team_id: None,
            tags: BTreeMap::new(),
            provider: None,
            model: None,
            operation: None,
            service_tier: None,
            usage,
            outcome: None,
            latency_ms: None,
            reported_cost_usd: None,
        }
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskResult {
    /// Done.
    Success,
    /// Not done.
    Failure,
    /// Given up.
    Abandoned,
}

/// A task's outcome: the denominator of cost per successful task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOutcome {
    /// When the task ended.
    pub time: Timestamp,
    /// Whether the server assigned `time`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub time_assigned: bool,
    /// Which task.
    pub task_id: TaskId,
    /// Who paid for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<TeamId>,
    /// How it ended.
    pub outcome: TaskResult,
    /// What it was worth, in the sender's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Usd>,
}

/// Takes an event out of all totals. Final: it beats every amend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// When it was sent.
    pub time: Timestamp,
    /// Whether the server assigned `time`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub time_assigned: bool,
    /// Which event, of the same agent.
    pub corrects: EventId,
}

/// Replaces an event's counts. The highest revision wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amend {
    /// When it was sent.
    pub time: Timestamp,
    /// Whether the server assigned `time`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub time_assigned: bool,
    /// Which event, of the same agent.
    pub corrects: EventId,
    /// Orders amends of one event; a tie goes to the greater correction id.
    pub revision: u64,
    /// The counts as they should have been.
    pub usage: Usage,
}

/// The content of one event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// A model call.
    Usage(UsageEvent),
    /// A task's outcome.
    TaskOutcome(TaskOutcome),
    /// A withdrawal.
    Void(Void),
    /// A replacement of counts.
    Amend(Amend),
}

impl Body {
    /// The time the event is booked at. A correction is booked at its target's time instead.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Usage(e) => e.time,
            Self::TaskOutcome(e) => e.time,
            Self::Void(e) => e.time,
            Self::Amend(e) => e.time,
        }
    }

    /// Whether it changes another event.
    pub fn is_correction(&self) -> bool {
        matches!(self, Self::Void(_) | Self::Amend(_))
    }

    /// The hash of what the sender gave: a server-assigned time is left out.
    pub fn content_hash(&self) -> Result<ContentHash, serde_json::Error> {
        if !self.time_assigned() {
            return ContentHash::of(self);
        }
        ContentHash::of(&self.given())
    }

    /// What the sender gave: without a time that the server assigned.
    fn given(&self) -> Self {
        let mut given = self.clone();
        if self.time_assigned() {
            match &mut given {
                Self::Usage(e) => e.time = Timestamp::UNIX_EPOCH,
                Self::TaskOutcome(e) => e.time = Timestamp::UNIX_EPOCH,
                Self::Void(e) => e.time = Timestamp::UNIX_EPOCH,
                Self::Amend(e) => e.time = Timestamp::UNIX_EPOCH,
            }
        }
        given
    }

    fn time_assigned(&self) -> bool {
        match self {
            Self::Usage(e) => e.time_assigned,
            Self::TaskOutcome(e) => e.time_assigned,
            Self::Void(e) => e.time_assigned,
            Self::Amend(e) => e.time_assigned,
        }
    }
}

/// The hash of a packed part, leaving out the times that the server assigned.
pub fn part_hash(
    events: &[(u32, UsageEvent)],
    outcomes: &[(u32, TaskOutcome)],
    corrections: &[(u32, Body)],
) -> Result<ContentHash, serde_json::Error> {
    let corrections: Vec<_> = corrections.iter().map(|(i, body)| (i, body.given())).collect();
    let assigned =
        events.iter().any(|(_, e)| e.time_assigned) || outcomes.iter().any(|(_, t)| t.time_assigned);
    if !assigned {
        return ContentHash::of(&(events, outcomes, corrections));
    }
    let (mut events, mut outcomes) = (events.to_vec(), outcomes.to_vec());
    for (_, event) in events.iter_mut().filter(|(_, e)| e.time_assigned) {
        event.time = Timestamp::UNIX_EPOCH;
    }
    for (_, task) in outcomes.iter_mut().filter(|(_, t)| t.time_assigned) {
        task.time = Timestamp::UNIX_EPOCH;
    }
    ContentHash::of(&(events, outcomes, corrections))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
