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

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use jiff::Timestamp;
use shared::budget::Budget;
use shared::clock::Clock;
use shared::id::BudgetName;
use shared::ledger::{AlertStore, BudgetStore, LedgerError, RollupStore};
use shared::notifier::Notifier;
use shared::window::Range;

use evaluate::pending;
use news::{News, Watched};

pub use totals::period_totals;

/// The handler of the alerter's Lambda, and of its local stand-in.
///
/// It assumes of its event source mapping: `FunctionResponseTypes: ReportBatchItemFailures`; and of its
/// schedule: a sweep every minute or so.
pub struct Alerter<L, N, C> {
    ledger: L,
    notifier: N,
    clock: C,
}

impl<L: RollupStore + BudgetStore + AlertStore, N: Notifier, C: Clock> Alerter<L, N, C> {
    /// A handler over these ports.
    pub fn new(ledger: L, notifier: N, clock: C) -> Self {
        Self { ledger, notifier, clock }
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
                }
            }
        }
        failed.iter().filter_map(|n| event.records.get(*n)).for_each(&mut fail);
        response
    }

    /// Evaluates every budget, for the current period and the one before, and sends again what is not known
    /// to have arrived. What fails for one budget is told in the end, and keeps no other from its turn.
    pub async fn sweep(&self) -> Result<(), LedgerError> {
        let now = self.clock.now();
        let mut outcome = Ok(());
        for budget in self.ledger.budgets().await? {
            let spec = &budget.spec;
            let current = spec.period.containing(now, &spec.timezone);
            let before = Timestamp::from_second(current.from - 1);
            let before = before.ok().map(|at| spec.period.containing(at, &spec.timezone));
            for period in before.into_iter().chain([current]) {
                if let Err(error) = self.evaluate(&budget, period).await {
                    tracing::error!(%error, budget = %spec.name, "a budget was not evaluated by the sweep");
                    outcome = outcome.and(Err(error));
                }
            }
        }
        let delivered = self.deliver(&pending()).await;
        outcome.and(delivered)
    }
}
