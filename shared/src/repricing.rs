//! Repricing: other prices for calls that are stored, appended beside those they had.
//!
//! A record keeps the prices that it was first given. A repricing appends an [`Adjustment`], and the last one
//! that names a call says what it costs. So history is never overwritten, and which run changed what, when and
//! by which book can be read from the record itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::UsageEvent;
use crate::id::{AgentId, EventIndex, ModelId, OwnId, RecordKey};
use crate::ledger::LedgerError;

mod adjust;
mod figures;
mod form;

pub(crate) use adjust::place;
pub use adjust::{Priced, Refused};
pub use figures::{Figures, FiguresBy};
pub use form::{FiguresRow, LeftRecord, RepricingAnswer, RepricingForm, RepricingList, RepricingRun};

/// The lane of all repricings. Lanes of a stream are far below it, so a repricing adds to partial rollups of
/// its own and never waits for a consumer.
pub const REPRICING_LANE: u32 = u32::MAX;
/// The most adjustments that a record keeps.
pub const MAX_ADJUSTMENTS: usize = 32;
/// The largest record that a repricing leaves behind, in bytes of its JSON: an item of a ledger has 400 KB.
pub const MAX_REPRICED_BYTES: usize = 390_000;
/// The most agents, and the most models, that one repricing names.
pub const MAX_NAMED: usize = 100;

/// What one repricing changed in one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Which repricing.
    pub run: OwnId,
    /// When.
    pub at: Timestamp,
    /// Version of the book.
    pub book: String,
    /// By event index: which of the record's prices the call may have since, in the order of asking. None of
    /// them means that its cost is unknown since.
    pub prices: BTreeMap<EventIndex, Vec<usize>>,
}

/// Which calls to reprice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Selection {
    /// Made at this instant or later.
    #[schemars(with = "crate::schema::Instant")]
    pub from: Timestamp,
    /// Made before this instant.
    #[schemars(with = "crate::schema::Instant")]
    pub to: Timestamp,
    /// Of these agents; of all if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentId>,
    /// By these models; by any if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelId>,
    /// Only those whose cost is unknown.
    #[serde(default)]
    pub unpriced: bool,
    /// Also in periods that are closed.
    #[serde(default)]
    pub closed: bool,
}

impl Selection {
    /// Whether a call is looked at, its price aside.
    fn takes(&self, event: &UsageEvent) -> bool {
        (self.from..self.to).contains(&event.time)
            && (self.models.is_empty()
                || event.model.as_ref().is_some_and(|model| self.models.contains(model)))
    }
}

/// How far a repricing is: the last record looked at, of which of the agents named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which of [`Selection::agents`]; 0 if none is named.
    pub agent: usize,
    /// The record; none before the first of an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<PlaceAfter>,
}

/// A record in the order of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceAfter {
    /// Its latest event.
    pub latest: Timestamp,
    /// Its agent.
    pub agent: AgentId,
    /// Its key, in its stored form.
    pub key: String,
}

impl PlaceAfter {
    /// The key; none if it is none.
    pub fn record_key(&self) -> Option<RecordKey> {
        RecordKey::parse(&self.key)
    }
}

/// An applied repricing: what it is about, and how far it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub run: OwnId,
    /// Counts the writes of this state.
    pub revision: u64,
    /// Which calls.
    pub selection: Selection,
    /// Version of the book.
    pub book: String,
    /// When it was begun.
    pub started_at: Timestamp,
    /// When it last came further.
    pub updated_at: Timestamp,
    /// What continues it; none once it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Place>,
    /// What it did so far.
    pub figures: Figures,
    /// Records that it left as they were, as they would not take it.
    #[serde(default)]
    pub refused: u64,
}

/// Repricings that were applied.
pub trait RepricingStore: Send + Sync {
    /// One run, read consistently.
    fn repricing(&self, run: &OwnId) -> impl Future<Output = Result<Option<Run>, LedgerError>> + Send;

    /// Keeps a run's state if its stored revision is one less, or, at revision 1, none; false, and nothing
    /// happens, if it is not.
    fn put_repricing(&self, run: &Run) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Lists runs, the last one begun first.
    fn repricings(&self, limit: usize) -> impl Future<Output = Result<Vec<Run>, LedgerError>> + Send;
}

impl<S: RepricingStore> RepricingStore for std::sync::Arc<S> {
    fn repricing(&self, run: &OwnId) -> impl Future<Output = Result<Option<Run>, LedgerError>> + Send {
        (**self).repricing(run)
    }

    fn put_repricing(&self, run: &Run) -> impl Future<Output = Result<bool, LedgerError>> + Send {
        (**self).put_repricing(run)
    }

    fn repricings(&self, limit: usize) -> impl Future<Output = Result<Vec<Run>, LedgerError>> + Send {
        (**self).repricings(limit)
    }
}
