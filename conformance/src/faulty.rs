//! A ledger whose caller can die between any two steps, and whose callers interleave.
//!
//! Every call yields before and after, so that an executor can run someone else in between. A process dies at
//! one of its calls, before or after it took effect, and all its later calls fail; or it lives on with some of
//! its calls unanswered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use fastrand::Rng;
use jiff::Timestamp;
use shared::alert::{Alert, AlertState, StateKey};
use shared::budget::{Budget, BudgetSpec};
use shared::id::{AgentId, BudgetName, OwnId, RecordKey};
use shared::ledger::{
    AlertQuery, AlertStore, BudgetStore, Commit, CommitError, Conflict, Ledger, LedgerError, QuarantineState,
    Quarantined, RecordQuery, RecordStore, RollupQuery, RollupStore, Sender, SequenceStore, TakeRow,
};
use shared::record::{Listed, Record};
use shared::repricing::{RepricingStore, Run};
use shared::rollup::RollupKey;
use shared::sequence::SenderKey;
use shared::window::{Range, WindowKind};

/// What goes wrong in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It dies.
    Dies {
        /// At which of its calls, from 0.
        call: u64,
        /// Whether that call still takes effect.
        after: bool,
    },
    /// It cannot read totals, which no patience mends.
    BlindToTotals,
    /// It lives on, but some of its calls are not answered, whether they took effect or not.
    Flaky {
        /// Chooses which.
        seed: u64,
    },
}

/// The key of a ledger's item: partition key and sort key.
pub type ItemKey = (String, String);

/// What the ledger's stream would carry: the items that were changed.
#[derive(Debug, Default)]
pub struct Feed(Mutex<Vec<ItemKey>>);

impl Feed {
    /// Everything so far, in order.
    pub fn all(&self) -> Vec<ItemKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that an item was changed.
    pub fn note(&self, items: impl IntoIterator<Item = ItemKey>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(items);
    }
}

/// One process's view of a ledger.
pub struct Faulty<L> {
    inner: Arc<L>,
    feed: Arc<Feed>,
    calls: AtomicU64,
    fault: Fault,
    dead: AtomicBool,
    max_items: usize,
}

impl<L: Ledger> Faulty<L> {
    /// A process with this fault, that commits at most `max_items` at once.
    pub fn new(inner: Arc<L>, feed: Arc<Feed>, fault: Fault, max_items: usize) -> Self {
        let max_items = max_items.min(inner.max_commit_items());
        Self { inner, feed, calls: AtomicU64::new(0), fault, dead: AtomicBool::new(false), max_items }
    }

    /// Whether it died.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Passes a step that is no ledger call but can also be where the process dies.
    pub async fn step(&self) -> Result<(), LedgerError> {
        self.call(async { Ok::<_, LedgerError>(()) }).await
    }

    async fn call<T, E: From<LedgerError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let died = || E::from(LedgerError::Retry("the process died".to_owned()));
        yield_now().await;
        if self.is_dead() {
            return Err(died());
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let (before, after) = match self.fault {
            Fault::None | Fault::BlindToTotals => (false, false),
            Fault::Dies { call: at, after } => (call == at && !after, call == at && after),
            Fault::Flaky { seed } => match Rng::with_seed(seed.wrapping_add(call)).u32(..16) {
                0 => (true, false),
                1 => (false, true),
                _ => (false, false),
            },
        };
        let failed = || {
            if matches!(self.fault, Fault::Dies { .. }) {
                self.dead.store(true, Ordering::Relaxed);
                return died();
            }
            E::from(LedgerError::Retry("throttled".to_owned()))
        };
        if before {
            return Err(failed());
        }
        let done = work.await;
        if after {
            return Err(failed());
        }
        yield_now().await;
        done
    }
}

/// Lets someone else run.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(move |context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<L: Ledger> RecordStore for Faulty<L> {
    fn max_commit_items(&self) -> usize {
        self.max_items
    }

    fn max_commit_records(&self) -> usize {
        self.inner.max_commit_records()
    }

    fn max_commit_bytes(&self) -> usize {
        self.inner.max_commit_bytes()
    }

    async fn settle(&self, lanes: &[u32]) -> Result<(), LedgerError> {
        self.call(self.inner.settle(lanes)).await
    }

    async fn settle_if_due(&self, lanes: &[u32]) -> Result<(), LedgerError> {
        self.call(self.inner.settle_if_due(lanes)).await
    }

    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.call(async {
            self.inner.commit(commit.clone()).await?;
            let hours = |key: &&RollupKey| key.window == WindowKind::Hour && !key.scope.kind.is_pair();
            let changed = commit.additions.iter().map(|(key, _)| key).filter(hours);
            self.feed.note(changed.map(RollupKey::item_key));
            Ok(())
        })
        .await
    }

    async fn get(&self, keys: &[(AgentId, RecordKey)]) -> Result<Vec<Option<Record>>, LedgerError> {
        self.call(self.inner.get(keys)).await
    }

    async fn records(&self, query: &RecordQuery) -> Result<Vec<Record>, LedgerError> {
        self.call(self.inner.records(query)).await
    }

    async fn listed(&self, query: &RecordQuery) -> Result<Vec<Listed>, LedgerError> {
        self.call(self.inner.listed(query)).await
    }

    async fn put_conflict(&self, conflict: Conflict) -> Result<bool, LedgerError> {
        self.call(self.inner.put_conflict(conflict)).await
    }

    async fn conflicts(&self, limit: usize) -> Result<Vec<Conflict>, LedgerError> {
        self.call(self.inner.conflicts(limit)).await
    }

    async fn quarantine(&self, item: Quarantined) -> Result<bool, LedgerError> {
        self.call(self.inner.quarantine(item)).await
    }

    async fn quarantined(&self, limit: usize) -> Result<Vec<Quarantined>, LedgerError> {
        self.call(self.inner.quarantined(limit)).await
    }

    async fn quarantined_item(&self, id: &str) -> Result<Option<Quarantined>, LedgerError> {
        self.call(self.inner.quarantined_item(id)).await
    }

    async fn mark_quarantined(&self, id: &str, state: &QuarantineState) -> Result<bool, LedgerError> {
        self.call(self.inner.mark_quarantined(id, state)).await
    }

    async fn remove_quarantined(&self, id: &str) -> Result<bool, LedgerError> {
        self.call(self.inner.remove_quarantined(id)).await
    }

    async fn awaited(&self, limit: usize) -> Result<Vec<Record>, LedgerError> {
        self.call(self.inner.awaited(limit)).await
    }

    async fn closed_before(&self) -> Result<Option<Timestamp>, LedgerError> {
        self.call(self.inner.closed_before()).await
    }

    async fn close_before(&self, at: Timestamp) -> Result<(), LedgerError> {
        self.call(self.inner.close_before(at)).await
    }
}

impl<L: Ledger> RollupStore for Faulty<L> {
    async fn rollups(&self, queries: &[RollupQuery], take: TakeRow<'_>) -> Result<(), LedgerError> {
        if self.fault == Fault::BlindToTotals {
            return Err(LedgerError::Broken("a stored value is not readable".to_owned()));
        }
        self.call(self.inner.rollups(queries, take)).await
    }

    async fn extent(&self) -> Result<Option<Range>, LedgerError> {
        self.call(self.inner.extent()).await
    }
}

impl<L: Ledger> SequenceStore for Faulty<L> {
    async fn note_arrived(
        &self,
        sender: &SenderKey,
        sequences: &[u64],
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        self.call(self.inner.note_arrived(sender, sequences, at)).await
    }

    async fn senders(&self, after: Option<&SenderKey>, limit: usize) -> Result<Vec<Sender>, LedgerError> {
        self.call(self.inner.senders(after, limit)).await
    }
}

impl<L: Ledger> BudgetStore for Faulty<L> {
    async fn budgets(&self) -> Result<Vec<Budget>, LedgerError> {
        self.call(self.inner.budgets()).await
    }

    async fn set_budget(&self, spec: &BudgetSpec, at: Timestamp) -> Result<Budget, LedgerError> {
        self.call(self.inner.set_budget(spec, at)).await
    }

    async fn remove_budget(&self, name: &BudgetName) -> Result<bool, LedgerError> {
        self.call(self.inner.remove_budget(name)).await
    }
}

impl<L: Ledger> AlertStore for Faulty<L> {
    async fn alert_state(&self, key: &StateKey) -> Result<AlertState, LedgerError> {
        self.call(self.inner.alert_state(key)).await
    }

    async fn advance_alerts(
        &self,
        key: &StateKey,
        expected: u64,
        next: &AlertState,
        alerts: &[Alert],
    ) -> Result<bool, LedgerError> {
        self.call(self.inner.advance_alerts(key, expected, next, alerts)).await
    }

    async fn mark_delivered(&self, id: &str) -> Result<(), LedgerError> {
        self.call(self.inner.mark_delivered(id)).await
    }

    async fn note_due(&self, key: &StateKey) -> Result<(), LedgerError> {
        self.call(self.inner.note_due(key)).await
    }

    async fn due(&self, limit: usize) -> Result<Vec<StateKey>, LedgerError> {
        self.call(self.inner.due(limit)).await
    }

    async fn clear_due(&self, key: &StateKey) -> Result<(), LedgerError> {
        self.call(self.inner.clear_due(key)).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>, LedgerError> {
        self.call(self.inner.alerts(query)).await
    }
}

impl<L: Ledger> RepricingStore for Faulty<L> {
    async fn repricing(&self, run: &OwnId) -> Result<Option<Run>, LedgerError> {
        self.call(self.inner.repricing(run)).await
    }

    async fn put_repricing(&self, run: &Run) -> Result<bool, LedgerError> {
        self.call(self.inner.put_repricing(run)).await
    }

    async fn repricings(&self, limit: usize) -> Result<Vec<Run>, LedgerError> {
        self.call(self.inner.repricings(limit)).await
    }
}
