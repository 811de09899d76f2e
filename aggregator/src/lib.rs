//! Stream batches in, exactly-once ledger commits out.
//!
//! A record and its additions to the rollups commit in one transaction, under the condition that the record
//! was not there. So whatever is delivered again, in whatever grouping, by however many consumers, adds once.

pub mod admin;
mod batch;
mod commit;
mod correct;
mod lane;
mod prepare;
pub mod prices;
mod reprice;
mod sequence;

use std::collections::BTreeSet;

use aws_lambda_events::kinesis::KinesisEvent;
use aws_lambda_events::streams::KinesisEventResponse;
use shared::clock::Clock;
use shared::ledger::{LedgerError, QuarantineState, Quarantined, RecordStore, SequenceStore};
use shared::metrics::Metrics;
use shared::price::Books;

use crate::batch::Batch;

pub use reprice::{Left, Pace, RepriceError, Repricer, Step};

/// What a function is sent of a full batch at least: nine tenths of Lambda's 6 MB, as the next record was too large.
const FULL_BYTES: usize = (6 << 20) / 10 * 9;
/// What it is sent of a record beside its data.
const RECORD_BYTES: usize = 500;

/// The handler of the aggregator's Lambda, and of its local stand-in.
///
/// It assumes of its event source mapping: `FunctionResponseTypes: ReportBatchItemFailures`, retries until the
/// records expire (poison is put aside here, never there), and any batch size, window or parallelisation.
pub struct Aggregator<L, M, C> {
    ledger: L,
    metrics: M,
    clock: C,
    books: Books,
    /// Records of a full batch.
    full: usize,
}

impl<L: RecordStore + SequenceStore, M: Metrics, C: Clock> Aggregator<L, M, C> {
    /// A handler over these ports.
    pub fn new(ledger: L, metrics: M, clock: C, books: impl Into<Books>) -> Self {
        Self { ledger, metrics, clock, books: books.into(), full: usize::MAX }
    }

    /// The same handler where a batch of so many records, or of what Lambda takes of bytes, is full: then more is
    /// waiting, and the ledger may leave what it settles to the next.
    #[must_use]
    pub fn with_full_batches_of(self, records: usize) -> Self {
        Self { full: records.max(1), ..self }
    }

    fn is_full(&self, event: &KinesisEvent) -> bool {
        let bytes = || -> usize {
            event.records.iter().map(|r| r.kinesis.data.len().div_ceil(3) * 4 + RECORD_BYTES).sum()
        };
        self.full < usize::MAX && (event.records.len() >= self.full || bytes() >= FULL_BYTES)
    }

    /// Commits a batch. The answer names each record of which something is not in the ledger yet; delivering
    /// any of them again is harmless.
    pub async fn handle(&self, event: KinesisEvent) -> KinesisEventResponse {
        let mut batch = Batch::default();
        let failed = match self.ledger.closed_before().await {
            Ok(closed_before) => {
                let lanes = self.read(&event, &mut batch).await;
                let numbers: Vec<u32> = lanes.keys().copied().collect();
                let read: Vec<usize> = lanes.values().flatten().map(|unit| unit.origin).collect();
                for (lane, units) in lanes {
                    self.commit_lane(lane, units, closed_before, &mut batch).await;
                }
                // What is committed counts, but nobody is told of it yet: the records come again until it is, or until
                // the ledger says that it waits for others.
                let settled = if self.is_full(&event) {
                    self.ledger.settle_if_due(&numbers).await
                } else {
                    self.ledger.settle(&numbers).await
                };
                if let Err(error) = settled {
                    read.into_iter().for_each(|origin| batch.fail(origin, &error));
                }
                self.note_arrived(&mut batch).await;
                std::mem::take(&mut batch.failed)
            }
            Err(error) => {
                tracing::warn!(%error, "no record of the batch was committed");
                (0..event.records.len()).collect::<BTreeSet<_>>()
            }
        };
        self.metrics.publish(batch.metrics(self.clock.now())).await;
        let mut response = KinesisEventResponse::default();
        response.set_failures(
            failed.iter().filter_map(|n| event.records.get(*n)).map(|r| &*r.kinesis.sequence_number),
        );
        response
    }

    /// Puts something aside with the reason, before its stream record is acknowledged.
    async fn put_aside(&self, aside: Aside<'_>, batch: &mut Batch) -> Result<(), LedgerError> {
        let (payload, base64) = match std::str::from_utf8(aside.payload) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => {
                (base64::Engine::encode(&base64::engine::general_purpose::STANDARD, aside.payload), true)
            }
        };
        let (position, code, reason) = (aside.position, aside.code, aside.reason.clone());
        let is_new = self
            .ledger
            .quarantine(Quarantined {
                id: aside.id,
                position: aside.position.to_owned(),
                code: aside.code.to_owned(),
                reason: aside.reason,
                payload,
                base64,
                at: self.clock.now(),
                state: QuarantineState::Open,
            })
            .await?;
        if is_new {
            tracing::error!(position, code, reason, "put aside");
        }
        batch.quarantined += u64::from(is_new);
        Ok(())
    }
}

/// Something that cannot be counted.
struct Aside<'a> {
    id: String,
    position: &'a str,
    code: &'static str,
    reason: String,
    payload: &'a [u8],
}
