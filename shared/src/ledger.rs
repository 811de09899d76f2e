//! The ledger port: records, rollups, budgets and alerts, behind small traits.
//!
//! Every write is conditional or idempotent, so that repeating one whose answer was lost does no harm. An
//! implementation passes the suites in `conformance`.

use std::future::Future;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alert::{Alert, AlertKind, AlertState, Delivery, StateKey};
use crate::budget::{Budget, BudgetSpec};
use crate::hash::ContentHash;
use crate::id::{AgentId, BudgetName, RecordKey};
use crate::record::{Listed, Record};
use crate::repricing::RepricingStore;
use crate::rollup::{Additions, Parts, Scope, ScopeKind};
use crate::sequence::{Arrived, SenderKey};
use crate::totals::Overflow;
use crate::window::{Range, WindowKind};

pub use crate::quarantine::{QuarantineState, Quarantined};

/// The most items of one commit unless a ledger takes more: DynamoDB's limit for a transaction.
pub const MAX_COMMIT_ITEMS: usize = 100;

/// The lane of what operators do: replays, redriven records and repairs of rollups. Lanes of a stream are far below
/// it, so that no consumer ever waits for an operator, nor the other way round.
pub const OPERATOR_LANE: u32 = u32::MAX - 1;

/// A ledger that did not answer. Whether a write happened is unknown; repeating it is safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Passing: try again.
    #[error("the ledger did not answer, try again: {0}")]
    Retry(String),
    /// Lasting: what is stored cannot be read, or the request can never succeed.
    #[error("the ledger cannot do this: {0}")]
    Broken(String),
}

/// One record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordWrite {
    /// The version that must be there: none means that nothing must be.
    pub expected: Option<u64>,
    /// What to store; its version is `expected + 1`, or 1.
    pub record: Record,
}

/// One transaction: all of it happens, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Conditional writes, each of another key.
    pub records: Vec<RecordWrite>,
    /// Additions, to the caller's lane.
    pub additions: Additions,
    /// Which partial rollups to add to.
    pub lane: u32,
}

impl Commit {
    /// Items in the transaction.
    pub fn items(&self) -> usize {
        self.records.len() + self.additions.len()
    }
}

/// A condition that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Index in [`Commit::records`].
    pub index: usize,
    /// What is there instead.
    pub existing: Option<Record>,
}

/// A commit that did not happen, or may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Nothing happened: these conditions did not hold.
    #[error("{} of the commit's conditions did not hold", .0.len())]
    Refused(Vec<Refusal>),
    /// Nothing happened: a total would not fit.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// No answer: it may have happened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A record that came again with other content. The first stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conflict {
    /// Whose.
    pub agent: AgentId,
    /// The record's key in its stored form.
    pub key: String,
    /// Hash of what stands.
    pub standing: ContentHash,
    /// Hash of what was refused.
    pub refused: ContentHash,
    /// What was refused, as JSON.
    pub content: String,
    /// When it was first seen.
    #[schemars(with = "crate::schema::Instant")]
    pub at: Timestamp,
}

/// Which records to list: newest first, by the latest event in each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordQuery {
    /// Of one agent only.
    pub agent: Option<AgentId>,
    /// Records with an event in this range.
    pub range: Option<Range>,
    /// Only records after this one in the listing.
    pub after: Option<RecordCursor>,
    /// At most so many.
    pub limit: usize,
}

/// A place in a listing of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordCursor {
    /// The latest event time of the last record listed.
    pub latest: Timestamp,
    /// Its agent.
    pub agent: AgentId,
    /// Its key.
    pub key: RecordKey,
}

/// Rollups to read: one kind of scope, one kind of window, a run of windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupQuery {
    /// The dimension.
    pub kind: ScopeKind,
    /// One row of it, or the first of a pair.
    pub a: Option<String>,
    /// The second of a pair.
    pub b: Option<String>,
    /// In windows of which kind.
    pub window: WindowKind,
    /// From the window that starts here.
    pub from: i64,
    /// To the window that ends here.
    pub to: i64,
}

/// One rollup, its lanes summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupRow {
    /// Of what.
    pub scope: Scope,
    /// The window's start in Unix seconds.
    pub start: i64,
    /// Its subtotals.
    pub parts: Parts,
}

/// Records and what was put aside (A1, A2, A7), and the one write that changes totals.
pub trait RecordStore: Send + Sync {
    /// The most items of one commit. It may differ from process to process over one ledger.
    fn max_commit_items(&self) -> usize {
        MAX_COMMIT_ITEMS
    }

    /// The most records among them.
    fn max_commit_records(&self) -> usize {
        usize::MAX
    }

    /// The most bytes of these, by [`RecordData::weight`](crate::record::RecordData::weight).
    fn max_commit_bytes(&self) -> usize {
        usize::MAX
    }

    /// Commits a transaction within these limits.
    fn commit(&self, commit: Commit) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Brings what was committed to these lanes into the stored rollups, in a ledger that keeps a journal before
    /// them. Totals read the same before and after; whoever watches the stored rollups for changes is told here.
    fn settle(&self, lanes: &[u32]) -> impl Future<Output = Result<(), LedgerError>> + Send {
        let _ = lanes;
        std::future::ready(Ok(()))
    }

    /// The same where more of these lanes is about to come. A ledger that was told for how long may leave it to that,
    /// or to whoever settles what is overdue.
    fn settle_if_due(&self, lanes: &[u32]) -> impl Future<Output = Result<(), LedgerError>> + Send {
        self.settle(lanes)
    }

    /// Reads records by key, consistently, in the order asked for.
    fn get(
        &self,
        keys: &[(AgentId, RecordKey)],
    ) -> impl Future<Output = Result<Vec<Option<Record>>, LedgerError>> + Send;

    /// Lists records, newest first.
    fn records(&self, query: &RecordQuery) -> impl Future<Output = Result<Vec<Record>, LedgerError>> + Send;

    /// The same for reports, which need little of each record. A ledger that keeps them as JSON leaves it unread.
    fn listed(&self, query: &RecordQuery) -> impl Future<Output = Result<Vec<Listed>, LedgerError>> + Send {
        async { Ok(self.records(query).await?.into_iter().filter_map(Listed::of).collect()) }
    }

    /// Keeps a conflict, once for each (agent, key, refused content); false if it is kept already.
    fn put_conflict(&self, conflict: Conflict) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Lists conflicts, newest first.
    fn conflicts(&self, limit: usize) -> impl Future<Output = Result<Vec<Conflict>, LedgerError>> + Send;

    /// Puts something aside, once for each id; false if it is there already.
    fn quarantine(&self, item: Quarantined) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Lists what was put aside, newest first.
    fn quarantined(&self, limit: usize)
    -> impl Future<Output = Result<Vec<Quarantined>, LedgerError>> + Send;

    /// Reads what was put aside under this id, consistently; none if nothing is.
    fn quarantined_item(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Option<Quarantined>, LedgerError>> + Send;

    /// Notes what became of trying it again, and changes nothing else of it. False if it is not there.
    fn mark_quarantined(
        &self,
        id: &str,
        state: &QuarantineState,
    ) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Takes it out of the quarantine; false if it is not there.
    fn remove_quarantined(&self, id: &str) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Lists records with corrections that take no effect ([`RecordData::unmet`](crate::record::RecordData)):
    /// mostly because what they correct has not arrived.
    fn awaited(&self, limit: usize) -> impl Future<Output = Result<Vec<Record>, LedgerError>> + Send;

    /// Events from before this instant are refused by name.
    fn closed_before(&self) -> impl Future<Output = Result<Option<Timestamp>, LedgerError>> + Send;

    /// Moves the watermark forward; never back.
    fn close_before(&self, at: Timestamp) -> impl Future<Output = Result<(), LedgerError>> + Send;
}

/// Takes the rows of several queries: the index of the query, and a row that answers it.
pub type TakeRow<'a> = &'a mut (dyn FnMut(usize, RollupRow) -> Result<(), LedgerError> + Send);

/// Totals (A4).
pub trait RollupStore: Send + Sync {
    /// Reads rollups, all as of one instant, so that what they add up to was true once; in a ledger where lanes
    /// are apart, each lane as of one instant, and no correction without what it corrects. Lanes are summed; the
    /// rows of one query come in ascending order of window and scope, and none is kept.
    fn rollups(
        &self,
        queries: &[RollupQuery],
        take: TakeRow<'_>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The rows of one query.
    fn rollup_rows(
        &self,
        query: &RollupQuery,
    ) -> impl Future<Output = Result<Vec<RollupRow>, LedgerError>> + Send {
        async {
            let mut rows = Vec::new();
            let mut take = |_, row| {
                rows.push(row);
                Ok(())
            };
            self.rollups(std::slice::from_ref(query), &mut take).await?;
            Ok(rows)
        }
    }

    /// The span of UTC months that can hold data; none if there is none.
    fn extent(&self) -> impl Future<Output = Result<Option<Range>, LedgerError>> + Send;
}

/// One sender's numbered submissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Who.
    pub key: SenderKey,
    /// What arrived of it.
    pub arrived: Arrived,
}

/// Numbered submissions, and so what is missing of them.
pub trait SequenceStore: Send + Sync {
    /// Notes that submissions arrived. Noting one again changes nothing.
    fn note_arrived(
        &self,
        sender: &SenderKey,
        sequences: &[u64],
        at: Timestamp,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Lists senders by team and name, from the one after `after`.
    fn senders(
        &self,
        after: Option<&SenderKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Sender>, LedgerError>> + Send;
}

/// Budgets (A5).
pub trait BudgetStore: Send + Sync {
    /// All budgets, by name.
    fn budgets(&self) -> impl Future<Output = Result<Vec<Budget>, LedgerError>> + Send;

    /// Sets a budget. The same content again changes nothing; other content is a new version.
    fn set_budget(
        &self,
        spec: &BudgetSpec,
        at: Timestamp,
    ) -> impl Future<Output = Result<Budget, LedgerError>> + Send;

    /// Removes a budget; false if there was none. Its versions are not used again.
    fn remove_budget(&self, name: &BudgetName) -> impl Future<Output = Result<bool, LedgerError>> + Send;
}

/// Which alerts to list: newest first, unless asked otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertQuery {
    /// Of one budget only.
    pub budget: Option<BudgetName>,
    /// Of one period only, by its start in Unix seconds.
    pub period_start: Option<i64>,
    /// Of one kind only.
    pub kind: Option<AlertKind>,
    /// In one state only.
    pub state: Option<Delivery>,
    /// Oldest first, for delivering what is pending.
    pub oldest_first: bool,
    /// Only those after this place: (at, id) of the last one listed.
    pub after: Option<(Timestamp, String)>,
    /// At most so many.
    pub limit: usize,
}

/// Alert state and history (A6).
pub trait AlertStore: Send + Sync {
    /// Reads where a budget's thresholds stand, consistently; the default if nothing is stored.
    fn alert_state(&self, key: &StateKey) -> impl Future<Output = Result<AlertState, LedgerError>> + Send;

    /// Moves the state from `expected` (a revision) to `next` and stores `alerts`, in one transaction.
    /// False, and nothing happens, if the revision is another or one of the alerts is there already.
    fn advance_alerts(
        &self,
        key: &StateKey,
        expected: u64,
        next: &AlertState,
        alerts: &[Alert],
    ) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    /// Notes that an alert has arrived.
    fn mark_delivered(&self, id: &str) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Notes that a budget has to be looked at in a period: it could not be when its totals changed.
    fn note_due(&self, key: &StateKey) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// What was noted so.
    fn due(&self, limit: usize) -> impl Future<Output = Result<Vec<StateKey>, LedgerError>> + Send;

    /// Takes such a note back.
    fn clear_due(&self, key: &StateKey) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Lists alerts.
    fn alerts(&self, query: &AlertQuery) -> impl Future<Output = Result<Vec<Alert>, LedgerError>> + Send;
}

/// The whole port.
pub trait Ledger:
    RecordStore + RollupStore + SequenceStore + BudgetStore + AlertStore + RepricingStore
{
}

impl<L: RecordStore + RollupStore + SequenceStore + BudgetStore + AlertStore + RepricingStore> Ledger for L {}

/// A shared ledger is a ledger.
macro_rules! forward {
    ($port:ident { $(limit $plain:ident -> $type:ty;)* $(fn $name:ident(&self $(, $arg:ident: $ty:ty)* $(,)?) -> $out:ty;)* }) => {
        impl<L: $port> $port for std::sync::Arc<L> {
            $(fn $plain(&self) -> $type {
                (**self).$plain()
            })*

            $(fn $name(&self $(, $arg: $ty)*) -> impl Future<Output = $out> + Send {
                (**self).$name($($arg),*)
            })*
        }
    };
}

forward!(RecordStore {
    limit max_commit_items -> usize;
    limit max_commit_records -> usize;
    limit max_commit_bytes -> usize;
    fn commit(&self, commit: Commit) -> Result<(), CommitError>;
    fn settle(&self, lanes: &[u32]) -> Result<(), LedgerError>;
    fn settle_if_due(&self, lanes: &[u32]) -> Result<(), LedgerError>;
    fn get(&self, keys: &[(AgentId, RecordKey)]) -> Result<Vec<Option<Record>>, LedgerError>;
    fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, LedgerError>;
    fn listed(&self, query: &RecordQuery) -> Result<Vec<Listed>, LedgerError>;
    fn put_conflict(&self, conflict: Conflict) -> Result<bool, LedgerError>;
    fn conflicts(&self, limit: usize) -> Result<Vec<Conflict>, LedgerError>;
    fn quarantine(&self, item: Quarantined) -> Result<bool, LedgerError>;
    fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, LedgerError>;
    fn quarantined_item(&self, id: &str) -> Result<Option<Quarantined>, LedgerError>;
    fn mark_quarantined(&self, id: &str, state: &QuarantineState) -> Result<bool, LedgerError>;
    fn remove_quarantined(&self, id: &str) -> Result<bool, LedgerError>;
    fn awaited(&self, limit: usize) -> Result<Vec<Record>, LedgerError>;
    fn closed_before(&self) -> Result<Option<Timestamp>, LedgerError>;
    fn close_before(&self, at: Timestamp) -> Result<(), LedgerError>;
});

forward!(RollupStore {
    fn rollups(&self, queries: &[RollupQuery], take: TakeRow<'_>) -> Result<(), LedgerError>;
    fn extent(&self) -> Result<Option<Range>, LedgerError>;
});

forward!(SequenceStore {
    fn note_arrived(&self, sender: &SenderKey, sequences: &[u64], at: Timestamp) -> Result<(), LedgerError>;
    fn senders(&self, after: Option<&SenderKey>, limit: usize) -> Result<Vec<Sender>, LedgerError>;
});

forward!(BudgetStore {
    fn budgets(&self) -> Result<Vec<Budget>, LedgerError>;
    fn set_budget(&self, spec: &BudgetSpec, at: Timestamp) -> Result<Budget, LedgerError>;
    fn remove_budget(&self, name: &BudgetName) -> Result<bool, LedgerError>;
});

forward!(AlertStore {
    fn alert_state(&self, key: &StateKey) -> Result<AlertState, LedgerError>;
    fn advance_alerts(
        &self, key: &StateKey, expected: u64, next: &AlertState, alerts: &[Alert]
    ) -> Result<bool, LedgerError>;
    fn mark_delivered(&self, id: &str) -> Result<(), LedgerError>;
    fn note_due(&self, key: &StateKey) -> Result<(), LedgerError>;
    fn due(&self, limit: usize) -> Result<Vec<StateKey>, LedgerError>;
    fn clear_due(&self, key: &StateKey) -> Result<(), LedgerError>;
    fn alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>, LedgerError>;
});
