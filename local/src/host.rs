//! The host: what the Lambda service does on AWS, in one process.
//!
//! Each shard of the stream has a consumer that invokes the aggregator, and the ledger's change feed has one
//! that invokes the alerter. A schedule runs the alerter's sweep and keeps retention. A consumer has a thread
//! of its own, because the embedded ledger answers where it is awaited.

mod aggregate;
mod alert;
mod counters;
mod gauges;
mod shard;
mod upkeep;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use aggregator::Aggregator;
use alerter::Alerter;
use auth::Access;
use ingest::{Ingest, IngestConfig};
use shared::alert::Alert;
use shared::clock::Clock;
use shared::notifier::Notifier;
use shared::price::Books;
use tokio::sync::watch;

use crate::dir::DataDir;
use crate::ledger::{LedgerOpenError, SqliteLedger};
use crate::mapping::SourceConfig;
use crate::stream::{StreamLog, StreamOpenError, StreamOptions, StreamReadError};

pub(crate) use aggregate::{consumer_of, kinesis_record, shard_name};
pub use counters::{Counted, Counters, Counts, Flow, Flows, MAX_AGENT_SERIES, OTHER_AGENTS};
pub use gauges::Gauges;
pub use shard::{Lag, Progress};

/// How the pipeline runs.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// Prices events.
    pub books: Books,
    /// The embedded stream.
    pub stream: StreamOptions,
    /// How ingest puts.
    pub ingest: IngestConfig,
    /// The event source mapping from the stream to the aggregator.
    pub aggregator: SourceConfig,
    /// The event source mapping from the ledger's changes to the alerter.
    pub alerter: SourceConfig,
    /// How often budgets are swept and retention is kept.
    pub upkeep: Duration,
    /// How long stream records are kept after they arrived, for replay.
    pub stream_retention: Duration,
    /// Events older than this are refused by name.
    pub max_event_age: Duration,
    /// Who may send.
    pub access: Access,
}

impl PipelineConfig {
    /// The defaults, with this price book; everybody may send.
    pub fn new(books: impl Into<Books>) -> Self {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        Self {
            books: books.into(),
            stream: StreamOptions::default(),
            ingest: IngestConfig::default(),
            aggregator: SourceConfig::default(),
            // Changes of one budget in a few milliseconds are one evaluation.
            alerter: SourceConfig {
                batch_size: 500,
                window: Duration::from_millis(20),
                ..SourceConfig::default()
            },
            upkeep: Duration::from_secs(60),
            stream_retention: hours(24),
            max_event_age: hours(400 * 24),
            access: Access::open(),
        }
    }
}

/// A pipeline that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerOpenError),
    /// What is in the ledger.
    #[error(transparent)]
    Stored(#[from] shared::ledger::LedgerError),
    /// The stream.
    #[error(transparent)]
    Stream(#[from] StreamOpenError),
    /// A price book in the ledger.
    #[error("the price book in the ledger cannot be put in force: {0}")]
    Book(String),
    /// A position in the stream.
    #[error(transparent)]
    Position(#[from] StreamReadError),
    /// The operating system gave no thread.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// A running pipeline. Dropping it stops it.
pub struct Pipeline<C> {
    ledger: Arc<SqliteLedger>,
    stream: StreamLog,
    ingest: Arc<Ingest<StreamLog, C>>,
    books: Books,
    counters: Arc<Counters>,
    shards: Vec<Progress>,
    changes: Progress,
    /// In the order of the flow, so that each is drained before the next is told to stop.
    stages: Vec<Stage>,
    // Let go of last: everything above writes into it.
    _dir: DataDir,
}

struct Stage {
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Stage {
    fn stop(&mut self) {
        // An error means that all its threads have ended.
        let _ = self.stop.send(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(
                    "a consumer panicked; what it had not finished comes again at the next start"
                );
            }
        }
    }
}

/// What was imported last is in force again, before anything is counted.
fn begin_with_kept_book(ledger: &SqliteLedger, books: &Books, at: jiff::Timestamp) -> Result<(), StartError> {
    // In a thread of its own, as the caller may be within a runtime already.
    let begun = std::thread::scope(|scope| {
        let begin = || {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let begun = runtime.block_on(aggregator::prices::begin(ledger, books, at));
            begun.map_err(|e| StartError::Book(e.to_string()))
        };
        scope.spawn(begin).join()
    });
    begun.unwrap_or_else(|_| Err(StartError::Book("reading it panicked".to_owned())))
}

/// How far the pipeline is.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Status {
    /// The stream's shards, and how far the aggregator is in each.
    pub stream: Vec<Lag>,
    /// The ledger's changes, and how far the alerter is.
    pub changes: Lag,
    /// Submissions without a receipt since the start of this process.
    pub rejected: u64,
    /// What was committed since then.
    pub counts: Counts,
}

impl Status {
    /// What is wrong, in words; none if nothing is.
    pub fn trouble(&self) -> Option<&str> {
        self.stream.iter().chain([&self.changes]).find_map(|lag| lag.trouble.as_deref())
    }
}

impl<C: Clock + Clone + 'static> Pipeline<C> {
    /// Opens what is in `dir`, or makes it, and starts where it stopped.
    pub fn start<N: Notifier + 'static>(
        dir: DataDir,
        config: &PipelineConfig,
        notifier: N,
        clock: C,
    ) -> Result<Self, StartError> {
        Self::start_with(dir, config, |_, _| notifier, clock)
    }

    /// The same, with a notifier made of what it writes to: the ledger, and the counters.
    pub fn start_with<N: Notifier + 'static>(
        dir: DataDir,
        config: &PipelineConfig,
        notifier: impl FnOnce(&Arc<SqliteLedger>, &Arc<Counters>) -> N,
        clock: C,
    ) -> Result<Self, StartError> {
        let ledger = Arc::new(SqliteLedger::open(&dir.ledger())?);
        let stream = StreamLog::open(&dir.stream(), &config.stream)?;
        let ingest =
            Arc::new(Ingest::new(stream.clone(), clock.clone(), config.ingest, config.access.clone()));
        begin_with_kept_book(&ledger, &config.books, clock.now())?;
        let counters = Arc::new(Counters::default());
        let aggregator = Arc::new(Aggregator::new(
            Arc::clone(&ledger),
            Arc::clone(&counters),
            clock.clone(),
            config.books.clone(),
        ));
        let notifier = notifier(&ledger, &counters);
        let counted = Arc::clone(&counters);
        let decided = move |alert: &Alert| counted.decided(alert.kind);
        let alerter = Alerter::new(Arc::clone(&ledger), notifier, clock.clone()).showing(Arc::new(decided));
        let alerter = Arc::new(alerter);

        let (stop, stopped) = watch::channel(false);
        let mut aggregation = Stage { stop, threads: Vec::new() };
        let mut shards = Vec::new();
        for shard in 0..stream.shards() {
            let (progress, thread) =
                aggregate::start(&aggregator, &ledger, &stream, &counters, shard, config, stopped.clone())?;
            shards.push(progress);
            aggregation.threads.push(thread);
        }
        let (stop, stopped) = watch::channel(false);
        let turn = alert::Turn::default();
        let (changes, thread) = alert::start(&alerter, &ledger, &config.alerter, &turn, stopped.clone())?;
        let mut alerting = Stage { stop, threads: vec![thread] };
        let upkeep = upkeep::Upkeep {
            alerter,
            turn,
            ledger: Arc::clone(&ledger),
            stream: stream.clone(),
            ingest: Arc::clone(&ingest),
            shards: shards.clone(),
            clock,
            every: config.upkeep,
            stream_retention: config.stream_retention,
            max_event_age: config.max_event_age,
        };
        // Before anything is accepted.
        upkeep.move_watermark()?;
        alerting.threads.push(upkeep.start(stopped)?);
        let stages = vec![aggregation, alerting];
        let books = config.books.clone();
        Ok(Self { ledger, stream, ingest, books, counters, shards, changes, stages, _dir: dir })
    }

    /// Answers `POST /v1/usage`.
    pub fn ingest(&self) -> &Arc<Ingest<StreamLog, C>> {
        &self.ingest
    }
}

impl<C: Clock + 'static> Pipeline<C> {
    /// The ledger, to read and to administer.
    pub fn ledger(&self) -> &Arc<SqliteLedger> {
        &self.ledger
    }

    /// What was committed since the start, to be told of what else commits to this ledger.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The price books that price what is counted.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// A view of how far it is that outlives borrows of the pipeline.
    pub fn status(&self) -> impl Fn() -> Status + Send + Sync + 'static {
        let stream = self.stream.clone();
        let changed = self.ledger.watch_changes();
        let (shards, changes) = (self.shards.clone(), self.changes.clone());
        let (counters, ingest) = (Arc::clone(&self.counters), Arc::clone(&self.ingest));
        move || Status {
            stream: (0..)
                .zip(&shards)
                .map(|(shard, progress)| {
                    let lag = progress.lag(stream.latest_seq(shard).unwrap_or(0));
                    Lag { trouble: stream.trouble(shard).or(lag.trouble.clone()), ..lag }
                })
                .collect(),
            changes: changes.lag(*changed.borrow()),
            rejected: ingest.rejected(),
            counts: counters.counts(),
        }
    }
}

impl<C: Clock + 'static> Pipeline<C> {
    /// A view for metrics, which reads the disk where it is called.
    pub fn gauges(&self) -> impl Fn() -> Gauges + Send + Sync + 'static {
        let (ledger, counters) = (Arc::clone(&self.ledger), Arc::clone(&self.counters));
        gauges::reader(self.status(), self.stream.clone(), ledger, counters)
    }
}

impl<C> Pipeline<C> {
    /// Takes no more events, commits what was accepted, evaluates what that changed, and ends. What is not
    /// done in time is done after the next start.
    pub fn stop(&mut self) {
        self.stream.close();
        self.stages.iter_mut().for_each(Stage::stop);
        self.stages.clear();
        if let Err(error) = self.ledger.sync() {
            tracing::warn!(%error, "the ledger was not synced; the stream brings what is missing at the next start");
        }
    }
}

impl<C> Drop for Pipeline<C> {
    fn drop(&mut self) {
        if !self.stages.is_empty() {
            self.stop();
        }
    }
}

/// How long a consumer may take to finish what is there when it is stopped.
const DRAIN: Duration = Duration::from_secs(10);
