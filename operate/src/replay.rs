//! A replay: records of a stream, or of its archive, given to the aggregator once more.
//!
//! What was counted is a duplicate and changes nothing, so a replay is safe at any time, beside live traffic, twice,
//! or broken off. It commits in the operators' lane, so that no consumer waits for it. By default nothing is written:
//! then the aggregator works on a [`Dry`] ledger.

mod bounds;
mod report;
pub(crate) mod tally;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aggregator::Aggregator;
use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use shared::clock::Clock;
use shared::id::AgentId;
use shared::ledger::{LedgerError, OPERATOR_LANE, Quarantined, RecordStore, SequenceStore};
use shared::metrics::Metrics;
use shared::price::Books;
use shared::wire::StreamRecord;

use crate::refusals::{Keeps, Refusals};
use crate::{Dry, Replayed, SourceError, Start, arrived};
use report::Found;
use tally::Tally;

pub use bounds::Bound;
pub use report::{AgentRow, AsideRow, Position, Report};

/// How often a record that was not committed is given to the aggregator again.
const ATTEMPTS: u32 = 8;
/// The first pause before that, doubled each time.
const PAUSE: Duration = Duration::from_millis(50);
/// Records in a batch.
const BATCH: usize = 500;

/// What to replay, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where to begin; with the oldest record that is kept if it is not said.
    pub from: Option<Bound>,
    /// Where to end; where the stream ends if it is not said.
    pub to: Option<Bound>,
    /// Only this shard.
    pub shard: Option<String>,
    /// Only what is of this agent.
    pub agent: Option<AgentId>,
    /// Whether to write.
    pub apply: bool,
    /// The most records in a second.
    pub rate: Option<u32>,
    /// How often a record is given to the aggregator that does not get it committed; 8 times if it is not said.
    pub attempts: Option<u32>,
}

/// A replay that could not go on. What was applied stays, and applying it again changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Where the records come from.
    #[error("the records cannot be read: {0}")]
    Source(#[from] SourceError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The aggregator did not get a record committed.
    #[error("the ledger did not take record {0} in {1} attempts; the log says why")]
    NotTaken(String, u32),
    /// What was asked for cannot be.
    #[error("{0}")]
    Asked(String),
    /// Nobody could note how far it is.
    #[error("the place cannot be noted: {0}")]
    Place(String),
}

/// Is told after each batch how far it is, how many records were read, and about how many are left in the shard.
pub type Told<'a> = &'a mut (dyn FnMut(&Position, u64, Option<u64>) -> Result<(), ReplayError> + Send);

/// The ports that a replay works on.
#[derive(Clone)]
pub struct Ports<L, M, C> {
    /// The ledger.
    pub ledger: Arc<L>,
    /// Told of what is counted.
    pub metrics: M,
    /// The time.
    pub clock: C,
    /// Prices what is counted.
    pub books: Books,
}

/// Replays from `position` on: the default one is the beginning.
pub async fn replay<L, M, C, S>(
    ports: Ports<L, M, C>,
    source: &mut S,
    options: &Options,
    position: Position,
    told: Told<'_>,
) -> Result<Report, ReplayError>
where
    L: RecordStore + SequenceStore,
    M: Metrics,
    C: Clock,
    S: Replayed,
{
    let Ports { ledger, metrics, clock, books } = ports;
    // Too old is too old each time: a replay of months would fill the quarantine with what nobody can count.
    let keeps = || -> Keeps { Box::new(|item: &Quarantined| item.code != "closed_period") };
    if options.apply {
        let refusals = Arc::new(Refusals::new(ledger, keeps()));
        let tally = Arc::new(Tally::new(Some(metrics)));
        let aggregator = Aggregator::new(Arc::clone(&refusals), Arc::clone(&tally), clock, books);
        let run = Run { aggregator, refusals, tally, options, is_full: &|| false };
        return run.all(source, position, told).await;
    }
    let dry = Arc::new(Dry::new(ledger));
    let refusals = Arc::new(Refusals::new(Arc::clone(&dry), keeps()));
    let tally = Arc::new(Tally::<M>::new(None));
    let aggregator = Aggregator::new(Arc::clone(&refusals), Arc::clone(&tally), clock, books);
    let run = Run { aggregator, refusals, tally, options, is_full: &|| dry.is_full() };
    run.all(source, position, told).await
}

struct Run<'a, L, M, C> {
    aggregator: Aggregator<Arc<Refusals<L>>, Arc<Tally<M>>, C>,
    refusals: Arc<Refusals<L>>,
    tally: Arc<Tally<M>>,
    options: &'a Options,
    is_full: &'a (dyn Fn() -> bool + Send + Sync),
}

/// What to do with a record.
enum Place {
    /// Not reached yet.
    Before,
    Inside,
    /// This one and all that follow are past the end.
    Past,
}

impl<L: RecordStore + SequenceStore, M: Metrics, C: Clock> Run<'_, L, M, C> {
    async fn all<S: Replayed>(
        self,
        source: &mut S,
        mut position: Position,
        told: Told<'_>,
    ) -> Result<Report, ReplayError> {
        let shards = self.shards(source).await?;
        let mut found = Found::default();
        for shard in shards {
            if !self.shard(source, &shard, &mut position, &mut found, told).await? {
                break;
            }
        }
        found.refused(self.refusals.take());
        Ok(found.report(self.options.apply, self.tally.sums(), position))
    }

    async fn shards<S: Replayed>(&self, source: &mut S) -> Result<Vec<String>, ReplayError> {
        let mut shards = source.shards().await?;
        if let Some(wanted) = &self.options.shard {
            // By its number, too, as nobody likes to count zeros.
            let number = wanted.parse::<u64>().ok();
            let is = |name: &String| {
                let its = name.rsplit('-').next().and_then(|n| n.parse::<u64>().ok());
                name == wanted || (number.is_some() && its == number)
            };
            let known = shards.join(", ");
            shards.retain(is);
            if shards.is_empty() {
                return Err(ReplayError::Asked(format!("there is no shard {wanted:?}; there are {known}")));
            }
        }
        let by_number = [&self.options.from, &self.options.to].into_iter().flatten().any(Bound::is_sequence);
        if by_number && shards.len() > 1 {
            let reason = "sequence numbers are counted by shard; name one with --shard, or give times";
            return Err(ReplayError::Asked(format!("{reason}; there are {}", shards.join(", "))));
        }
        Ok(shards)
    }

    /// Replays one shard; false if the whole replay is to end.
    #[expect(clippy::type_complexity, reason = "`Told` would borrow it for as long as all shards take")]
    async fn shard<S: Replayed>(
        &self,
        source: &mut S,
        shard: &str,
        position: &mut Position,
        found: &mut Found,
        told: &mut (dyn FnMut(&Position, u64, Option<u64>) -> Result<(), ReplayError> + Send),
    ) -> Result<bool, ReplayError> {
        if position.done.contains(shard) {
            return Ok(true);
        }
        let start = match (position.after.get(shard), &self.options.from) {
            (Some(after), _) => Start::After(after.clone()),
            (None, Some(Bound::Time(at))) => Start::At(*at),
            (None, Some(Bound::Sequence(number))) => Start::Sequence(number.clone()),
            (None, None) => Start::Oldest,
        };
        source.seek(shard, &start).await?;
        let limit = self.options.rate.map_or(BATCH, |rate| BATCH.min(usize::try_from(rate).unwrap_or(BATCH)));
        loop {
            let began = Instant::now();
            let page = source.next(limit.max(1)).await?;
            let mut is_last = page.is_last;
            let mut batch = Vec::new();
            let mut last = None;
            for record in page.records {
                match self.place(&record) {
                    Place::Inside => {
                        found.records += 1;
                        last = Some(record.kinesis.sequence_number.clone());
                        batch.extend(self.chosen(record, found));
                    }
                    Place::Past if source.is_ordered() => {
                        is_last = true;
                        break;
                    }
                    Place::Before | Place::Past => {}
                }
            }
            let given = batch.len();
            if !self.count(batch).await? {
                found.stop("a dry run keeps no more of what it would write; narrow it, or apply it");
                return Ok(false);
            }
            found.refused(self.refusals.take());
            if let Some(last) = last {
                position.after.insert(shard.to_owned(), last);
            }
            if is_last {
                position.done.insert(shard.to_owned());
            }
            told(position, found.records, source.left())?;
            self.pause(given, began).await;
            if is_last {
                return Ok(true);
            }
        }
    }

    fn place(&self, record: &KinesisEventRecord) -> Place {
        let number = &record.kinesis.sequence_number;
        let at = arrived(record);
        if self.options.to.as_ref().is_some_and(|to| to.is_passed_by(number, at)) {
            return Place::Past;
        }
        match &self.options.from {
            Some(from) if !from.is_reached_by(number, at) => Place::Before,
            _ => Place::Inside,
        }
    }

    /// What of a record is to be replayed: all of it, or what is of one agent.
    fn chosen(&self, mut record: KinesisEventRecord, found: &mut Found) -> Option<KinesisEventRecord> {
        if let Some(agent) = &self.options.agent {
            let Ok(mut read) = StreamRecord::decode(&record.kinesis.data) else {
                // Nobody can say whose it is.
                found.unreadable += 1;
                return None;
            };
            read.entries.retain(|entry| entry.agent() == agent);
            // The number says that all of the submission is done.
            read.mark = None;
            if read.entries.is_empty() {
                return None;
            }
            let Ok(data) = read.encode() else {
                found.unreadable += 1;
                return None;
            };
            record.kinesis.data.0 = data;
        }
        record.kinesis.partition_key = OPERATOR_LANE.to_string();
        Some(record)
    }

    /// Counts records; false if a dry run can keep no more.
    async fn count(&self, records: Vec<KinesisEventRecord>) -> Result<bool, ReplayError> {
        let mut event = KinesisEvent::default();
        event.records = records;
        let mut pause = PAUSE;
        let attempts = self.options.attempts.unwrap_or(ATTEMPTS);
        for attempt in 1..=attempts {
            if event.records.is_empty() {
                return Ok(true);
            }
            let response = self.aggregator.handle(event.clone()).await;
            let failed: Vec<String> =
                response.batch_item_failures.into_iter().filter_map(|f| f.item_identifier).collect();
            event.records.retain(|record| failed.contains(&record.kinesis.sequence_number));
            if event.records.is_empty() {
                return Ok(true);
            }
            if (self.is_full)() {
                return Ok(false);
            }
            if attempt < attempts {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        let first = event.records.first().map(|record| record.kinesis.sequence_number.clone());
        Err(ReplayError::NotTaken(first.unwrap_or_default(), attempts))
    }

    async fn pause(&self, given: usize, began: Instant) {
        let Some(rate) = self.options.rate else { return };
        let share = Duration::from_secs(u64::try_from(given).unwrap_or(u64::MAX)) / rate.max(1);
        tokio::time::sleep(share.saturating_sub(began.elapsed())).await;
    }
}
