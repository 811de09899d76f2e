//! The embedded stream as a source of replays, and how far it was counted, for whoever holds the directory.

use operate::{Page, Replayed, SourceError, Start};
use shared::ledger::LedgerError;

use crate::host::{Lag, consumer_of, kinesis_record, shard_name};
use crate::ledger::SqliteLedger;
use crate::stream::{ShardReader, StreamLog};

/// The most bytes of one page.
const PAGE_BYTES: usize = 4 << 20;

/// Reads an embedded stream again.
pub struct Replay {
    stream: StreamLog,
    open: Option<Open>,
}

struct Open {
    name: String,
    reader: ShardReader,
    /// The record to read next, and the last there was when the shard was sought.
    next: u64,
    last: u64,
}

impl Replay {
    /// Of this stream.
    pub fn new(stream: StreamLog) -> Self {
        Self { stream, open: None }
    }
}

fn failed(error: &dyn std::fmt::Display) -> SourceError {
    SourceError(error.to_string())
}

impl Replayed for Replay {
    async fn shards(&mut self) -> Result<Vec<String>, SourceError> {
        Ok((0..self.stream.shards()).map(shard_name).collect())
    }

    async fn seek(&mut self, shard: &str, start: &Start) -> Result<(), SourceError> {
        let number = (0..self.stream.shards()).find(|number| shard_name(*number) == shard);
        let number = number.ok_or_else(|| SourceError(format!("there is no shard {shard}")))?;
        let oldest = self.stream.oldest_seq(number).map_err(|e| failed(&e))?;
        let last = self.stream.latest_seq(number).map_err(|e| failed(&e))?;
        let sequence = |text: &String| {
            text.parse::<u64>().map_err(|_| SourceError(format!("{text} is no sequence number of {shard}")))
        };
        let next = match start {
            // Arrivals are found by looking at each: that costs less than an index.
            Start::Oldest | Start::At(_) => oldest,
            Start::Sequence(number) => sequence(number)?.max(oldest),
            Start::After(number) => sequence(number)?.saturating_add(1).max(oldest),
        };
        let next = next.min(last + 1);
        let reader = self.stream.reader(number, next - 1).map_err(|e| failed(&e))?;
        self.open = Some(Open { name: shard.to_owned(), reader, next, last });
        Ok(())
    }

    async fn next(&mut self, limit: usize) -> Result<Page, SourceError> {
        let Some(open) = &mut self.open else { return Err(failed(&"no shard was sought")) };
        let left = usize::try_from(open.last + 1 - open.next).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(Page { records: Vec::new(), is_last: true });
        }
        let read = open.reader.try_next(limit.min(left), PAGE_BYTES).map_err(|e| failed(&e))?;
        open.next = read.last().map_or(open.last, |log| log.seq) + 1;
        let records = read.iter().map(|log| kinesis_record(&open.name, log)).collect();
        Ok(Page { records, is_last: open.next > open.last })
    }

    fn left(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.last + 1 - open.next)
    }
}

/// How far each shard of a stream was counted into a ledger.
pub fn lags(stream: &StreamLog, ledger: &SqliteLedger) -> Result<Vec<Lag>, LedgerError> {
    let lag = |shard| {
        let consumed = ledger.checkpoint(&consumer_of(stream, shard))?;
        let latest = stream.latest_seq(shard).map_err(|e| LedgerError::Broken(e.to_string()))?;
        Ok(Lag { source: shard_name(shard), latest, consumed, trouble: stream.trouble(shard) })
    };
    (0..stream.shards()).map(lag).collect()
}
