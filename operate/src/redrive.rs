//! What was put aside, given to the aggregator once more.
//!
//! What is counted then, or was before, leaves the quarantine; what can never be counted stays, marked with the reason.
//! It leaves only after it was seen in the ledger: a duplicate by its hash alone says nothing of an event that was left
//! out of its record as too old.

pub mod admin;
mod entries;
mod letters;
mod seen;

use std::sync::Arc;
use std::time::Duration;

use aggregator::Aggregator;
use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use shared::clock::Clock;
use shared::ledger::{LedgerError, OPERATOR_LANE, QuarantineState, Quarantined, RecordStore, SequenceStore};
use shared::metrics::Metrics;
use shared::price::Books;
use shared::quarantine::{Retried, RetryAnswer};
use shared::wire::StreamRecord;

use crate::refusals::Refusals;
use crate::replay::tally::Tally;
use seen::Seen;

pub use letters::{DeadLetter, DeadLetters, Positions, retry_letter};

/// How often something is given to the aggregator before the ledger is said not to answer.
const ATTEMPTS: u32 = 4;
/// The first pause before that, doubled each time.
const PAUSE: Duration = Duration::from_millis(50);

/// Tries what was put aside.
pub struct Redriver<L, M, C> {
    ledger: Arc<L>,
    metrics: Arc<M>,
    clock: C,
    books: Books,
}

/// Why something could not be read as what to count.
pub(crate) struct Unreadable(String);

impl<L: RecordStore + SequenceStore, M: Metrics, C: Clock + Clone> Redriver<L, M, C> {
    /// Over these ports.
    pub fn new(ledger: Arc<L>, metrics: Arc<M>, clock: C, books: Books) -> Self {
        Self { ledger, metrics, clock, books }
    }

    /// Tries one again, perhaps with what an operator made of it. None if there is none of that id. An error says
    /// nothing of whether it was counted; trying again is safe.
    pub async fn retry(&self, id: &str, payload: Option<&[u8]>) -> Result<Option<RetryAnswer>, LedgerError> {
        let Some(item) = self.ledger.quarantined_item(id).await? else { return Ok(None) };
        let read = match payload {
            Some(mended) => self.mended(&item, mended).await?,
            None => self.stored(&item).await?,
        };
        let answer = match read {
            Ok(records) => self.count(&item, &records).await?,
            Err(Unreadable(reason)) => stuck(&item, reason),
        };
        match &answer.reason {
            Some(reason) => {
                let state = QuarantineState::Stuck { reason: reason.clone(), at: self.clock.now() };
                self.ledger.mark_quarantined(id, &state).await?;
            }
            None => {
                self.ledger.remove_quarantined(id).await?;
            }
        }
        Ok(Some(answer))
    }

    async fn count(&self, item: &Quarantined, records: &[StreamRecord]) -> Result<RetryAnswer, LedgerError> {
        let own = item.id.clone();
        // What it is refused for again under its own id is noted on it; what cannot be read is it itself.
        let keeps = Box::new(move |refused: &Quarantined| refused.id != own && refused.code != "unreadable");
        let refusals = Arc::new(Refusals::new(Arc::clone(&self.ledger), keeps));
        let tally = Arc::new(Tally::new(Some(Arc::clone(&self.metrics))));
        let (clock, books) = (self.clock.clone(), self.books.clone());
        let aggregator = Aggregator::new(Arc::clone(&refusals), Arc::clone(&tally), clock, books);
        let mut event = KinesisEvent::default();
        for (n, record) in records.iter().enumerate() {
            event.records.push(stream_record(item, n, record)?);
        }
        let mut pause = PAUSE;
        for attempt in 1.. {
            let response = aggregator.handle(event.clone()).await;
            if response.batch_item_failures.is_empty() {
                break;
            }
            if attempt == ATTEMPTS {
                return Err(LedgerError::Retry("not all of it was committed; try it again".to_owned()));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        let mut refused: Vec<Quarantined> = refusals.take().into_iter().map(|refused| refused.item).collect();
        refused.dedup_by(|a, b| a.id == b.id);
        if let Some(again) = refused.iter().find(|it| it.id == item.id || it.code == "unreadable") {
            return Ok(stuck(item, again.reason.clone()));
        }
        let entries = records.iter().flat_map(|record| &record.entries);
        let mut conflict = false;
        for entry in entries {
            match seen::look(&*self.ledger, entry, &refused).await? {
                Seen::Whole => {}
                Seen::OtherContent => conflict = true,
                Seen::Lacking(reason) => return Ok(stuck(item, reason)),
            }
        }
        let counted = tally.sums().agents.values().any(|totals| !totals.is_zero());
        let outcome = match (refused.is_empty(), counted, conflict) {
            (false, false, _) => Retried::PutAside,
            (_, true, _) => Retried::Counted,
            (true, false, true) => Retried::Conflict,
            (true, false, false) => Retried::Known,
        };
        let put_aside = refused.into_iter().map(|refused| refused.id).collect();
        Ok(RetryAnswer { id: item.id.clone(), outcome, reason: None, put_aside })
    }

    /// Takes one out for good; answers what it was.
    pub async fn purge(&self, id: &str) -> Result<Option<Quarantined>, LedgerError> {
        let item = self.ledger.quarantined_item(id).await?;
        Ok(if self.ledger.remove_quarantined(id).await? { item } else { None })
    }
}

fn stuck(item: &Quarantined, reason: String) -> RetryAnswer {
    let (outcome, put_aside) = (Retried::Stuck, Vec::new());
    RetryAnswer { id: item.id.clone(), outcome, reason: Some(reason), put_aside }
}

/// As the stream would deliver it, from where it was.
fn stream_record(
    item: &Quarantined,
    n: usize,
    record: &StreamRecord,
) -> Result<KinesisEventRecord, LedgerError> {
    let mut delivered = KinesisEventRecord::default();
    delivered.event_id = Some(item.position.clone());
    delivered.kinesis.sequence_number = n.to_string();
    delivered.kinesis.partition_key = OPERATOR_LANE.to_string();
    delivered.kinesis.data.0 =
        record.encode().map_err(|e| LedgerError::Broken(format!("it cannot be written as JSON: {e}")))?;
    Ok(delivered)
}
