//! The aggregator function on AWS: batches of Kinesis, or of the table's inbox, into the table; metrics out.
//!
//! It assumes of its event source mapping, on the Kinesis stream or on the table's stream (`direct`):
//! `ReportBatchItemFailures`; `BisectBatchOnFunctionError`, for a batch that ends the process; a batch size of at most
//! 10,000 and any window; `MaximumRetryAttempts` and `MaximumRecordAgeInSeconds` -1, as poison is put aside here and
//! what cannot be written now has to come again; `TRIM_HORIZON`; an on-failure destination, whose messages are an
//! alarm and never data. The parallelization factor is free: an event's lane is its partition key. On the table's
//! stream, a filter on `eventName` INSERT and `Keys.pk.S` with the prefix `I#`. Where `AGENTLEDGER_SETTLE_SECONDS` is set,
//! `AGENTLEDGER_BATCH_RECORDS` is the mapping's batch size, and the alerter is sent the sweep each minute.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aggregator::Aggregator;
use aws::client::{Patience, load_in_function};
use aws::env;
use aws::function::{Again, Lateness, start_log, within};
use aws::inbox::{to_dynamodb, to_kinesis};
use aws::metrics::{Caps, CloudWatch};
use aws::table::Table;
use aws_lambda_events::dynamodb::Event;
use aws_lambda_events::kinesis::KinesisEvent;
use aws_lambda_events::streams::KinesisEventResponse;
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use shared::clock::{Clock, SystemClock};
use shared::ledger::RecordStore;
use shared::price::{BookFile, BookStore, Books, PriceBook};

/// How often the table is asked for a price book that was imported.
const BOOKS: Duration = Duration::from_secs(60);
/// How often the watermark of late events is moved.
const WATERMARK: Duration = Duration::from_secs(600);
/// How soon after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How long a batch waits for each of these, and for the metrics of what was spent.
const ASIDE: Duration = Duration::from_secs(5);

type Metrics = Arc<CloudWatch<Table, SystemClock>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    start_log()?;
    let host =
        Host::open().await.inspect_err(|error| tracing::error!(%error, "the function cannot start"))?;
    let host = &host;
    if env::optional(env::STREAM).is_some() {
        let batch = service_fn(move |event: LambdaEvent<KinesisEvent>| async move {
            Ok::<_, Infallible>(host.aggregate(event.payload, &event.context).await)
        });
        lambda_runtime::run(batch).await
    } else {
        let batch = service_fn(move |event: LambdaEvent<Event>| async move {
            let answer = host.aggregate(to_kinesis(event.payload), &event.context).await;
            Ok::<_, Infallible>(to_dynamodb(&answer))
        });
        lambda_runtime::run(batch).await
    }
}

struct Host {
    aggregator: Aggregator<Table, Metrics, SystemClock>,
    table: Table,
    metrics: Metrics,
    books: Books,
    /// The version of the book that is compiled in.
    compiled_in: String,
    /// The versions that were in the table when a book was put in force.
    versions: Mutex<Option<Vec<String>>>,
    lateness: Lateness,
    books_again: Again,
    watermark_again: Again,
}

impl Host {
    /// Reads the environment, opens the connection to the table, and puts the newest price book in force.
    async fn open() -> Result<Self, Error> {
        let config = load_in_function(Patience::CONSUMER).await;
        let table = Table::new(aws_sdk_dynamodb::Client::new(&config), env::table())
            .settling_every(env::settle_every()?);
        let namespace = env::optional(env::NAMESPACE).unwrap_or_else(|| env::DEFAULT_NAME.to_owned());
        let caps = Caps::default();
        let caps = Caps { agents: env::parsed(env::METRIC_AGENTS, caps.agents)?, ..caps };
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&config);
        let metrics = Arc::new(CloudWatch::new(cloudwatch, namespace, caps, table.clone(), SystemClock));
        let book = PriceBook::embedded()?;
        let compiled_in = book.version().to_owned();
        let books = Books::from(book);
        let aggregator = Aggregator::new(table.clone(), Arc::clone(&metrics), SystemClock, books.clone());
        let host = Self {
            aggregator: aggregator.with_full_batches_of(env::parsed(env::BATCH_RECORDS, usize::MAX)?),
            table,
            metrics,
            books,
            compiled_in,
            versions: Mutex::default(),
            lateness: Lateness::from_env()?,
            books_again: Again::new(BOOKS, AFTER_FAILURE),
            watermark_again: Again::new(WATERMARK, AFTER_FAILURE),
        };
        // An older book would price what is counted first.
        host.put_newest_book_in_force().await?;
        host.books_again.looked(SystemClock.now(), true);
        Ok(host)
    }

    /// Reads the list of books, and the newest only if that has changed: they are large.
    async fn put_newest_book_in_force(&self) -> Result<(), Error> {
        let versions: Vec<_> = self.table.books().await?.into_iter().map(|line| line.version).collect();
        let known = || self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if known().as_ref() == Some(&versions) {
            return Ok(());
        }
        let now = SystemClock.now();
        if !versions.contains(&self.compiled_in) {
            aggregator::prices::begin(&self.table, &self.books, now).await?;
        } else if let Some(newest) = self.table.newest_book().await? {
            let file = BookFile::read(&newest.json)?;
            aggregator::prices::put_in_force(&self.table, &self.books, &file, now).await?;
        }
        tracing::info!(book = self.books.current().version(), "a price book is in force");
        *known() = Some(versions);
        Ok(())
    }

    async fn look_if_due(&self) {
        let now = SystemClock.now();
        if self.books_again.is_due(now) {
            let looked = tokio::time::timeout(ASIDE, self.put_newest_book_in_force()).await;
            self.books_again.looked(now, matches!(looked, Ok(Ok(()))));
            if let Ok(Err(error)) = looked {
                tracing::error!(%error, "the price books cannot be read; the one in force stays");
            }
        }
        if self.watermark_again.is_due(now) {
            let moved =
                tokio::time::timeout(ASIDE, self.table.close_before(self.lateness.watermark(now))).await;
            self.watermark_again.looked(now, matches!(moved, Ok(Ok(()))));
            if let Ok(Err(error)) = moved {
                tracing::error!(%error, "the watermark of late events was not moved");
            }
        }
    }

    async fn aggregate(&self, event: KinesisEvent, context: &Context) -> KinesisEventResponse {
        self.look_if_due().await;
        let numbers: Vec<_> =
            event.records.iter().map(|record| record.kinesis.sequence_number.clone()).collect();
        let count = numbers.len();
        // On the heap: committing holds much over its waits.
        let handled = Box::pin(self.aggregator.handle(event));
        let Some(answer) = within(context, &SystemClock, handled).await else {
            // What was committed is found to be there when it comes again.
            tracing::warn!(records = count, "the batch was not done in time; it will come again");
            let mut all = KinesisEventResponse::default();
            all.set_failures(numbers.iter().map(String::as_str));
            return all;
        };
        tracing::debug!(records = count, failed = answer.batch_item_failures.len(), "a batch is done");
        let spend = Box::pin(self.metrics.publish_spend(&self.table, SystemClock.now()));
        match within(context, &SystemClock, tokio::time::timeout(ASIDE, spend)).await {
            Some(Ok(Ok(_))) => {}
            Some(Ok(Err(error))) => tracing::warn!(%error, "what was spent so far was not published"),
            _ => tracing::warn!("what was spent so far was not published in time"),
        }
        answer
    }
}
