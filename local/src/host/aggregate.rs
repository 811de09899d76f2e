//! From a shard of the embedded stream to the aggregator, as Kinesis events.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use aggregator::Aggregator;
use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use shared::clock::Clock;
use tokio::sync::watch;

use super::counters::Counters;
use super::shard::{Position, Progress, consume};
use super::{PipelineConfig, StartError};
use crate::ledger::SqliteLedger;
use crate::mapping::{Item, Mapping, Source, SourceError};
use crate::stream::{LogRecord, ShardReader, StreamLog};

/// Starts the consumer of one shard.
pub(super) fn start<C: Clock + 'static>(
    aggregator: &Arc<Aggregator<Arc<SqliteLedger>, Arc<Counters>, C>>,
    ledger: &Arc<SqliteLedger>,
    stream: &StreamLog,
    counters: &Arc<Counters>,
    shard: u32,
    config: &PipelineConfig,
    stop: watch::Receiver<bool>,
) -> Result<(Progress, JoinHandle<()>), StartError> {
    let name = shard_name(shard);
    let progress = Progress::new(name.clone());
    let source = consumer_of(stream, shard);
    let reader = stream.reader(shard, ledger.checkpoint(&source)?)?;
    let ledger = Arc::clone(ledger);
    let checkpoints = Position { ledger, source, progress: progress.clone(), trim: false };
    let mapping = Mapping {
        source: Shard(reader),
        checkpoints,
        config: config.aggregator.clone(),
        name: name.clone(),
        stop,
        trouble: progress.teller(),
    };
    let (aggregator, counters) = (Arc::clone(aggregator), Arc::clone(counters));
    let now_ms = Arc::clone(&config.stream.now_ms);
    let invoke = move |records: &[LogRecord]| {
        let event = kinesis_event(&name, records);
        let arrived: Vec<(u64, i64)> = records.iter().map(|log| (log.seq, log.arrival_ms)).collect();
        let (aggregator, counters) = (Arc::clone(&aggregator), Arc::clone(&counters));
        let now_ms = Arc::clone(&now_ms);
        async move {
            let response = aggregator.handle(event).await;
            let failed = response.batch_item_failures.into_iter().filter_map(|f| f.item_identifier);
            // What is no number is none that was delivered, which fails the whole batch.
            let failed: Vec<u64> = failed.map(|number| number.parse().unwrap_or(0)).collect();
            let now = now_ms();
            for (_, at) in arrived.iter().filter(|(seq, _)| !failed.contains(seq)) {
                let lag = u64::try_from(now.saturating_sub(*at)).unwrap_or(0);
                counters.commit_lag().observe(Duration::from_millis(lag));
            }
            failed
        }
    };
    Ok((progress, consume(mapping, invoke)?))
}

/// A shard as an event source.
struct Shard(ShardReader);

impl Item for LogRecord {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn arrival_ms(&self) -> i64 {
        self.arrival_ms
    }
}

impl Source for Shard {
    type Item = LogRecord;

    fn read(&mut self, after: u64, records: usize, bytes: usize) -> Result<Vec<LogRecord>, SourceError> {
        self.0.seek(after);
        self.0.try_next(records, bytes).map_err(|e| SourceError(e.to_string()))
    }

    async fn ready(&mut self, after: u64) -> bool {
        self.0.seek(after);
        self.0.ready().await
    }
}

fn kinesis_event(shard: &str, records: &[LogRecord]) -> KinesisEvent {
    let mut event = KinesisEvent::default();
    event.records = records.iter().map(|log| kinesis_record(shard, log)).collect();
    event
}

/// A record as Kinesis' event source mapping delivers it.
pub(crate) fn kinesis_record(shard: &str, log: &LogRecord) -> KinesisEventRecord {
    let mut record = KinesisEventRecord::default();
    let number = log.sequence_number();
    record.event_id = Some(format!("{shard}:{number}"));
    record.event_name = Some("aws:kinesis:record".to_owned());
    record.event_source = Some("aws:kinesis".to_owned());
    record.event_version = Some("1.0".to_owned());
    let arrived = Duration::from_millis(log.arrival_ms.unsigned_abs());
    record.kinesis.approximate_arrival_timestamp.0 += arrived;
    record.kinesis.kinesis_schema_version = Some("1.0".to_owned());
    record.kinesis.partition_key.clone_from(&log.partition_key);
    record.kinesis.sequence_number = number;
    record.kinesis.data.0 = log.data.to_vec();
    record
}

/// Under which name the ledger keeps how far a shard is consumed.
pub(crate) fn consumer_of(stream: &StreamLog, shard: u32) -> String {
    format!("stream {} {}", stream.id(), shard_name(shard))
}

/// As Kinesis names its shards.
pub(crate) fn shard_name(shard: u32) -> String {
    format!("shardId-{shard:012}")
}
