//! Ledger changes in, budget decisions and alerts out.
//!
//! A change only says where to look. What is decided comes from consistent reads of the totals, and moves the
//! stored state under the condition that nobody else moved it: so each crossing is one alert, whoever looks,
//! however often, in whatever order.

pub mod admin;
mod contributors;
mod evaluate;
mod news;
mod totals;
mod unpriced;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use jiff::Timestamp;
use shared::alert::{Alert, StateKey, UNPRICED_VERSION};
use shared::budget::Budget;
use shared::clock::Clock;
use shared::id::BudgetName;
use shared::ledger::{AlertStore, BudgetStore, LedgerError, RollupStore};
use shared::notifier::Notifier;
use shared::window::Range;

use news::{News, Watched};

pub use totals::period_totals;

/// How many periods that budgets are due in a sweep takes on.
const DUE: usize = 1_000;

/// The handler of the alerter's Lambda, and of its local stand-in.
///
/// It assumes of its event source mapping: `FunctionResponseTypes: ReportBatchItemFailures`, and retries until the
/// changes expire; and of its schedule: a sweep every minute or so, or else that it is
/// [`without_schedule`](Self::without_schedule).
pub struct Alerter<L, N, C> {
    ledger: L,
    notifier: N,
    clock: C,
    decided: Decided,
    /// Whether a sweep sends again what was not taken.
    has_schedule: bool,
    /// The period whose alert was not taken in the last round of sending again.
    refused: Mutex<Option<AlertPeriod>>,
}

/// Whose alerts are told in their order.
type AlertPeriod = (BudgetName, Timestamp);

/// Is shown each alert once it is decided and stored, for metrics.
pub type Decided = Arc<dyn Fn(&Alert) + Send + Sync>;

impl<L: RollupStore + BudgetStore + AlertStore, N: Notifier, C: Clock> Alerter<L, N, C> {
    /// A handler over these ports.
    pub fn new(ledger: L, notifier: N, clock: C) -> Self {
        Self {
            ledger,
            notifier,
            clock,
            decided: Arc::new(|_| ()),
            has_schedule: true,
            refused: Mutex::default(),
        }
    }

    /// The same handler, showing what it decides.
    #[must_use]
    pub fn showing(self, decided: Decided) -> Self {
        Self { decided, ..self }
    }

    /// The same handler where no schedule sweeps: the changes that an alert comes from fail until it is delivered,
    /// so that they come again, and the alert with them.
    #[must_use]
    pub fn without_schedule(self) -> Self {
        Self { has_schedule: false, ..self }
    }

    /// Evaluates the budgets that a batch of changes may concern. The answer names the changes that have to
    /// come again; delivering any of them again is harmless.
    pub async fn handle(&self, event: Event) -> DynamoDbEventResponse {
        let mut response = DynamoDbEventResponse::default();
        let mut fail = |record: &EventRecord| {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = record.change.sequence_number.clone();
            response.batch_item_failures.push(failure);
        };
        let budgets = match self.ledger.budgets().await {
            Ok(budgets) => budgets,
            Err(error) => {
                tracing::warn!(%error, "no change of the batch was evaluated");
                event.records.iter().for_each(fail);
                return response;
            }
        };
        let mut all_news: BTreeMap<News, Vec<usize>> = BTreeMap::new();
        for (n, record) in event.records.iter().enumerate() {
            if let Some(news) = News::of(record) {
                all_news.entry(news).or_default().push(n);
            }
        }
        let watched = Watched::new(&budgets);
        let now = self.clock.now();
        let mut due: BTreeMap<(&BudgetName, Range), (&Budget, BTreeSet<usize>)> = BTreeMap::new();
        for (news, from) in &all_news {
            for (budget, period) in watched.concerned(news, now) {
                let (_, records) =
                    due.entry((&budget.spec.name, period)).or_insert((budget, BTreeSet::new()));
                records.extend(from);
            }
        }
        let mut failed = BTreeSet::new();
        for ((name, period), (budget, records)) in due {
            match self.evaluate(budget, period).await {
                Ok(()) => {}
                Err(error @ LedgerError::Retry(_)) => {
                    tracing::warn!(%error, budget = %name, "a budget was not evaluated; its changes will come again");
                    failed.extend(records);
                }
                // The change would hold up every other budget for ever. The sweep comes back to this one.
                Err(error @ LedgerError::Broken(_)) => {
                    tracing::error!(%error, budget = %name, "a budget cannot be evaluated; the sweep tries again");
                    if let Err(error) = self.ledger.note_due(&state_key(budget, period)).await {
                        tracing::error!(%error, budget = %name, "nor can that be noted; its changes will come again");
                        failed.extend(records);
                    }
                }
            }
        }
        for (month, records) in news::months(&all_news) {
            match self.watch_unpriced(month).await {
                Ok(()) => {}
                Err(error @ LedgerError::Retry(_)) => {
                    tracing::warn!(%error, "usage without a price was not looked for; its changes will come again");
                    failed.extend(records);
                }
                Err(error @ LedgerError::Broken(_)) => {
                    tracing::error!(%error, "usage without a price cannot be looked for; the sweep tries again");
                    if let Err(error) = self.note_month_due(month).await {
                        tracing::error!(%error, "nor can that be noted; its changes will come again");
                        failed.extend(records);
                    }
                }
            }
        }
        failed.iter().filter_map(|n| event.records.get(*n)).for_each(&mut fail);
        response
    }

    /// Sends again what is not known to have arrived, and evaluates every budget, for the current period, the
    /// one before, and those that it is due in. What fails is told in the end, and keeps nothing else from its
    /// turn.
    pub async fn sweep(&self) -> Result<(), LedgerError> {
        let mut outcome = self.deliver_again().await;
        let now = self.clock.now();
        let budgets = self.ledger.budgets().await?;
        let mut periods: Vec<(&Budget, Range)> = Vec::new();
        for budget in &budgets {
            let spec = &budget.spec;
            let current = spec.period.containing(now, &spec.timezone);
            if let Ok(before) = Timestamp::from_second(current.from - 1) {
                periods.push((budget, spec.period.containing(before, &spec.timezone)));
            }
            periods.push((budget, current));
        }
        let due = self.ledger.due(DUE).await?;
        let mut months = unpriced::months_to_sweep(now);
        months.extend(due.iter().filter(|key| key.version == UNPRICED_VERSION).map(|key| key.period_start));
        for key in due.iter().filter(|key| key.version != UNPRICED_VERSION) {
            let is = |budget: &&Budget| budget.spec.name == key.budget && budget.version == key.version;
            match (budgets.iter().find(is), Timestamp::from_second(key.period_start)) {
                (Some(budget), Ok(start)) => {
                    periods.push((budget, budget.spec.period.containing(start, &budget.spec.timezone)));
                }
                // A version that is no more has no alerts to give.
                _ => outcome = outcome.and(self.ledger.clear_due(key).await),
            }
        }
        for (budget, period) in periods {
            let key = state_key(budget, period);
            let done = match self.evaluate(budget, period).await {
                Ok(()) if due.contains(&key) => self.ledger.clear_due(&key).await,
                done => done,
            };
            if let Err(error) = done {
                tracing::error!(%error, budget = %key.budget, "a budget was not evaluated by the sweep");
                outcome = outcome.and(Err(error));
            }
        }
        for month in months {
            if let Err(error) = self.sweep_month(month, &due).await {
                tracing::error!(%error, "usage without a price was not looked for by the sweep");
                outcome = outcome.and(Err(error));
            }
        }
        outcome
    }
}

fn state_key(budget: &Budget, period: Range) -> StateKey {
    StateKey { budget: budget.spec.name.clone(), version: budget.version, period_start: period.from }
}
