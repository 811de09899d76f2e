//! The alerter function on AWS: changes of the table, and a schedule, in; alerts to SNS out.
//!
//! It assumes of its event source mapping on the table's stream: `ReportBatchItemFailures`; `BisectBatchOnFunctionError`;
//! `MaximumRetryAttempts` and `MaximumRecordAgeInSeconds` -1; `TRIM_HORIZON`, as `LATEST` misses what is written before
//! the mapping works; a filter on `eventName` INSERT or MODIFY and `Keys.pk.S` with the prefix `R#H#` or `B#`, so that
//! it is called for rollups and budgets only. And, in the profile `kinesis`, a schedule that sends the sweep, each
//! minute where `AGENTLEDGER_SETTLE_SECONDS` is set; in `direct`, where nothing is scheduled, the sweep is sent when budgets change.

use std::time::Duration;

use alerter::Alerter;
use aws::client::{Patience, load_in_function};
use aws::env;
use aws::function::{start_log, within};
use aws::table::{Table, to_change};
use aws::topic::{TopicArns, Topics};
use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::budget::{BudgetForm, BudgetSpec};
use shared::clock::{Clock, SystemClock};
use shared::ledger::BudgetStore;

/// What the schedule sends as `agentledger`.
const SWEEP: &str = "sweep";
/// How long the first connection may take to open.
const OPEN: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log()?;
    let host =
        Host::open().await.inspect_err(|error| tracing::error!(%error, "the function cannot start"))?;
    let host = &host;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Call>| async move {
        host.answer(event.payload, &event.context)
            .await
            .inspect_err(|error| tracing::error!(%error, "the sweep is to be sent again"))
    }))
    .await
}

/// A batch of changes, or the sweep.
#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    agentledger: Option<String>,
    #[serde(default)]
    budgets: Vec<Map<String, Value>>,
    #[serde(default, rename = "Records")]
    records: Option<Vec<EventRecord>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Changes(DynamoDbEventResponse),
    Sweep {
        /// How many budgets were set.
        budgets: usize,
    },
}

struct Host {
    alerter: Alerter<Table, Topics, SystemClock>,
    table: Table,
}

impl Host {
    /// Reads the environment, and opens the connection to the table.
    async fn open() -> Result<Self, Error> {
        let config = load_in_function(Patience::CONSUMER).await;
        let table = Table::new(aws_sdk_dynamodb::Client::new(&config), env::table())
            .settling_every(env::settle_every()?);
        let arns = TopicArns {
            info: env::required(env::TOPIC_INFO)?,
            warning: env::required(env::TOPIC_WARNING)?,
            critical: env::required(env::TOPIC_CRITICAL)?,
            chat: env::optional(env::TOPIC_CHAT),
        };
        let topics = Topics::new(aws_sdk_sns::Client::new(&config), arns);
        let alerter = Alerter::new(table.clone(), topics, SystemClock);
        // Where there is no stream there is no schedule either.
        let alerter = if env::optional(env::STREAM).is_some() { alerter } else { alerter.without_schedule() };
        // For the connection: the first batch reads them again.
        if let Ok(Err(error)) = tokio::time::timeout(OPEN, table.budgets()).await {
            tracing::warn!(%error, "the budgets cannot be read yet");
        }
        Ok(Self { alerter, table })
    }

    async fn answer(&self, call: Call, context: &Context) -> Result<Answer, Error> {
        match (call.agentledger.as_deref(), call.records) {
            (None, Some(records)) => Ok(Answer::Changes(self.watch(records, context).await)),
            (Some(SWEEP), None) => {
                match within(context, &SystemClock, Box::pin(self.sweep(&call.budgets))).await {
                    Some(swept) => swept.map(|()| Answer::Sweep { budgets: call.budgets.len() }),
                    None => Err("the sweep was not done in time".into()),
                }
            }
            _ => Err("the event is neither a batch of changes nor {\"agentledger\":\"sweep\"}".into()),
        }
    }

    async fn watch(&self, records: Vec<EventRecord>, context: &Context) -> DynamoDbEventResponse {
        let numbers: Vec<_> = records.iter().map(|record| record.change.sequence_number.clone()).collect();
        let mut event = Event::default();
        event.records = records;
        let handled = Box::pin(self.alerter.handle(to_change(event)));
        let handled = within(context, &SystemClock, handled).await;
        handled.unwrap_or_else(|| {
            tracing::warn!(changes = numbers.len(), "the batch was not done in time; it will come again");
            let mut all = DynamoDbEventResponse::default();
            all.batch_item_failures.extend(numbers.into_iter().map(|number| {
                let mut failure = DynamoDbBatchItemFailure::default();
                failure.item_identifier = number;
                failure
            }));
            all
        })
    }

    /// Sets the budgets, and looks at all of them. What fails keeps nothing else from its turn.
    async fn sweep(&self, budgets: &[Map<String, Value>]) -> Result<(), Error> {
        let mut outcome = Ok(());
        for budget in budgets {
            let set =
                async { Ok::<_, Error>(self.table.set_budget(&spec(budget)?, SystemClock.now()).await?) };
            if let Err(error) = set.await {
                tracing::error!(%error, "a budget was not set");
                outcome = Err(error);
            }
        }
        // What a consumer left to a batch that did not come, or did not live to bring into the rollups.
        if let Err(error) = self.table.settle_overdue().await {
            tracing::error!(%error, "the journals were not settled");
            outcome = Err(error.into());
        }
        self.alerter.sweep().await?;
        outcome
    }
}

/// A budget as `PUT /v1/admin/budgets/NAME` takes it, with its name beside.
fn spec(budget: &Map<String, Value>) -> Result<BudgetSpec, Error> {
    let mut budget = budget.clone();
    let name = budget.remove("name");
    let name = name.as_ref().and_then(Value::as_str).ok_or("a budget has no name")?;
    let form: BudgetForm =
        serde_json::from_value(Value::Object(budget)).map_err(|e| format!("budget {name}: {e}"))?;
    Ok(form.spec(name).map_err(|e| format!("budget {name}: {e}"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_of_the_schedule_is_one_of_the_api_with_its_name() {
        let read = |json: &str| spec(&serde_json::from_str(json).unwrap()).map_err(|e| e.to_string());
        // As Terraform writes what is not set.
        let growth = read(
            r#"{"name":"growth","scope":"team:growth","limit_usd":"100","limit_tokens":null,"period":"month",
                "timezone":"UTC","thresholds":[50,100],"unpriced":null}"#,
        )
        .unwrap();
        assert_eq!(growth.name.as_str(), "growth");
        assert!(read(r#"{"scope":"org","limit_usd":"1","period":"day"}"#).unwrap_err().contains("no name"));
        let unknown = read(r#"{"name":"x","scope":"org","limit_usd":"1","period":"day","limit":1}"#);
        assert!(unknown.unwrap_err().contains("budget x: unknown field"));
    }

    #[test]
    fn an_event_is_a_batch_or_the_sweep() {
        let sweep: Call =
            serde_json::from_str(r#"{"agentledger":"sweep","budgets":[{"name":"x"}]}"#).unwrap();
        assert_eq!((sweep.agentledger.as_deref(), sweep.budgets.len()), (Some(SWEEP), 1));
        let batch: Call = serde_json::from_str(r#"{"Records":[]}"#).unwrap();
        assert!(batch.agentledger.is_none() && batch.records.is_some());
    }
}
