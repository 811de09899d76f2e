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
use shared::alert::Delivery;
use shared::budget::Budget;
use shared::clock::Clock;
use shared::id::BudgetName;
use shared::ledger::{AlertQuery, AlertStore, BudgetStore, LedgerError, RollupStore};
use shared::notifier::Notifier;
use shared::window::Range;

use news::{News, Watched};

pub use totals::period_totals;

/// How many undelivered alerts a sweep takes on at once.
const SWEEP_ALERTS: usize = 1_000;

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
            if let Err(error) = self.evaluate(budget, period).await {
                tracing::warn!(%error, budget = %name, "a budget was not evaluated; its changes will come again");
                failed.extend(records);
            }
        }
        failed.iter().filter_map(|n| event.records.get(*n)).for_each(&mut fail);
        response
    }

    /// Evaluates every budget, for the current period and the one before, and sends again what is not known
    /// to have arrived.
    pub async fn sweep(&self) -> Result<(), LedgerError> {
        let now = self.clock.now();
        for budget in self.ledger.budgets().await? {
            let current = budget.spec.period.containing(now, &budget.spec.timezone);
            if let Ok(before) = Timestamp::from_second(current.from - 1) {
                self.evaluate(&budget, budget.spec.period.containing(before, &budget.spec.timezone)).await?;
            }
            self.evaluate(&budget, current).await?;
        }
        let pending =
            AlertQuery { state: Some(Delivery::Pending), limit: SWEEP_ALERTS, ..AlertQuery::default() };
        // Oldest first, so that a crossing is told before its end.
        for alert in self.ledger.alerts(&pending).await?.iter().rev() {
            self.deliver(alert).await?;
        }
        Ok(())
    }
}
