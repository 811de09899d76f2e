//! A repricing as it is asked for over HTTP, and the answer to it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Figures, Run, Selection};
use crate::id::{AgentId, ModelId, OwnId};

/// One step of a repricing, asked for. Without `apply` it only looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepricingForm {
    /// Calls made at this instant or later. Needed, unless `run` names a run that was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::schema::Instant>")]
    pub from: Option<Timestamp>,
    /// And before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::schema::Instant>")]
    pub to: Option<Timestamp>,
    /// Of these agents; of all if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub agents: Vec<AgentId>,
    /// By these models; by any if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub models: Vec<ModelId>,
    /// Only calls whose cost is unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unpriced: bool,
    /// Also in closed periods.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// Version of the price book; the one in use if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub book: Option<String>,
    /// Write, and do not only look.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub apply: bool,
    /// The name of the run, for `apply`: it is begun, or continued where it stopped. One is made if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<OwnId>,
    /// Continues a look: the `next` of its last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What one step of a repricing looked at, or did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepricingAnswer {
    /// Version of the book.
    pub book: String,
    /// The run; null for a look.
    pub run: Option<RepricingRun>,
    /// What this step did, by agent and model; the rows of all steps add up.
    pub rows: Vec<FiguresRow>,
    /// Records that were left as they were.
    pub left: Vec<LeftRecord>,
    /// Whether there is nothing left to do.
    pub done: bool,
    /// Continues a look; null for a run, which knows where it is, and after the last step.
    pub next: Option<String>,
}

/// What a repricing does to the calls of one agent by one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FiguresRow {
    /// Whose.
    pub agent: AgentId,
    /// The model; null where none is stated.
    pub model: Option<ModelId>,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// A record that would not take a repricing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftRecord {
    /// Whose.
    pub agent: AgentId,
    /// The record's key in its stored form.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// A run, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepricingRun {
    /// Its name.
    pub id: OwnId,
    /// Which calls.
    pub selection: Selection,
    /// Version of the book.
    pub book: String,
    /// When it was begun.
    #[schemars(with = "crate::schema::Instant")]
    pub started_at: Timestamp,
    /// When it last came further.
    #[schemars(with = "crate::schema::Instant")]
    pub updated_at: Timestamp,
    /// Whether it is done.
    pub done: bool,
    /// What it did so far.
    pub total: Figures,
    /// Records that it left as they were.
    pub left: u64,
}

/// Runs, the last one begun first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RepricingList {
    /// The runs.
    pub repricings: Vec<RepricingRun>,
    /// None: the list is cut at `limit`.
    pub next: Option<String>,
}

impl From<Run> for RepricingRun {
    fn from(run: Run) -> Self {
        Self {
            id: run.run,
            selection: run.selection,
            book: run.book,
            started_at: run.started_at,
            updated_at: run.updated_at,
            done: run.next.is_none(),
            total: run.figures,
            left: run.refused,
        }
    }
}
