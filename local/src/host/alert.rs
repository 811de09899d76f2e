//! From the ledger's change feed to the alerter, as DynamoDB Streams events.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use alerter::Alerter;
use aws_lambda_events::dynamodb::{Event, EventRecord};
use serde_dynamo::AttributeValue;
use shared::clock::Clock;
use shared::notifier::Notifier;
use tokio::sync::watch;

use super::StartError;
use super::shard::{Position, Progress, consume, until_stopped};
use crate::ledger::{Change, MAX_ITEMS, SqliteLedger};
use crate::mapping::{Item, Mapping, Source, SourceConfig, SourceError};

/// Sequence numbers of a change's records are `seq * KEYS + n`: each its own, ascending, and traceable.
const KEYS: u64 = 10_000;
const _: () = assert!((MAX_ITEMS as u64) < KEYS);

/// Held while alerts are delivered. The sweep looks for what is undelivered, and would deliver once more what
/// the consumer is just delivering: harmless, but finance reads each alert.
pub(super) type Turn = Arc<tokio::sync::Mutex<()>>;

/// What a record of one key takes in memory, about.
const KEY_BYTES: usize = 1_024;

/// Starts the consumer of the change feed.
pub(super) fn start<N: Notifier + 'static, C: Clock + 'static>(
    alerter: &Arc<Alerter<Arc<SqliteLedger>, N, C>>,
    ledger: &Arc<SqliteLedger>,
    config: &SourceConfig,
    turn: &Turn,
    stop: watch::Receiver<bool>,
) -> Result<(Progress, JoinHandle<()>), StartError> {
    let name = "changes".to_owned();
    let progress = Progress::new(name.clone());
    let checkpoints =
        Position { ledger: Arc::clone(ledger), source: name.clone(), progress: progress.clone(), trim: true };
    let source = Feed { ledger: Arc::clone(ledger), changed: ledger.watch_changes() };
    let stopping = stop.clone();
    let mapping =
        Mapping { source, checkpoints, config: config.clone(), name, stop, trouble: progress.teller() };
    let (alerter, turn) = (Arc::clone(alerter), Arc::clone(turn));
    let invoke = move |changes: &[Change]| {
        let event = stream_event(changes);
        let (alerter, turn, stopping) = (Arc::clone(&alerter), Arc::clone(&turn), stopping.clone());
        async move {
            let work = async {
                let _turn = turn.lock().await;
                let response = alerter.handle(event).await;
                let failed = response.batch_item_failures.into_iter().filter_map(|f| f.item_identifier);
                failed.map(|number| number.parse::<u64>().unwrap_or(0) / KEYS).collect()
            };
            // A receiver of alerts may take its time; what is not done comes again at the next start. A number
            // that is none of the batch fails all of it.
            until_stopped(stopping, work).await.unwrap_or_else(|| vec![0])
        }
    };
    Ok((progress, consume(mapping, invoke)?))
}

/// The change feed as an event source.
struct Feed {
    ledger: Arc<SqliteLedger>,
    changed: watch::Receiver<u64>,
}

impl Item for Change {
    fn seq(&self) -> u64 {
        self.seq
    }

    fn arrival_ms(&self) -> i64 {
        self.at_ms
    }
}

impl Source for Feed {
    type Item = Change;

    fn read(&mut self, after: u64, records: usize, bytes: usize) -> Result<Vec<Change>, SourceError> {
        self.ledger.changes(after, records, bytes / KEY_BYTES).map_err(|e| SourceError(e.to_string()))
    }

    async fn ready(&mut self, after: u64) -> bool {
        self.changed.wait_for(|latest| *latest > after).await.is_ok()
    }
}

fn stream_event(changes: &[Change]) -> Event {
    let mut event = Event::default();
    for change in changes {
        for (n, (pk, sk)) in (0..).zip(&change.keys) {
            let mut record = EventRecord::default();
            let number = format!("{:020}", change.seq * KEYS + n);
            record.event_id.clone_from(&number);
            "MODIFY".clone_into(&mut record.event_name);
            record.event_source = Some("aws:dynamodb".to_owned());
            record.event_version = Some("1.1".to_owned());
            record.change.approximate_creation_date_time +=
                Duration::from_millis(change.at_ms.unsigned_abs());
            let text = |value: &String| AttributeValue::S(value.clone());
            let keys = HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))]);
            record.change.keys = keys.into();
            record.change.sequence_number = Some(number);
            event.records.push(record);
        }
    }
    event
}
