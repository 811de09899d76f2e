//! Reads a shard in order, only what is durable, and waits for more.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use super::cursor::{Cursor, READ_BYTES};
use super::error::StreamReadError;
use super::frame::LogRecord;
use super::shard::{Durable, Shard};

/// A consumer's place in a shard.
pub struct ShardReader {
    shard: Arc<Shard>,
    durable: watch::Receiver<Durable>,
    /// The record to read next.
    next: u64,
    /// The open segment, by its first record.
    open: Option<(u64, Cursor)>,
}

impl ShardReader {
    pub(super) fn new(shard: Arc<Shard>, after: u64) -> Result<Self, StreamReadError> {
        let latest = shard.latest();
        if after > latest {
            return Err(StreamReadError::Ahead { shard: shard.id, after, latest });
        }
        let durable = shard.durable.subscribe();
        Ok(Self { shard, durable, next: after + 1, open: None })
    }

    /// Waits until there is something to read; false if nothing will ever come.
    pub async fn ready(&mut self) -> bool {
        let next = self.next;
        let seen = self.durable.wait_for(|durable| durable.seq >= next || durable.closed).await;
        seen.is_ok_and(|durable| durable.seq >= next)
    }

    /// Goes to the record after `after`.
    pub fn seek(&mut self, after: u64) {
        if self.next != after + 1 {
            self.next = after + 1;
            self.open = None;
        }
    }

    /// What there is, up to these limits but at least one record; nothing if there is nothing yet.
    pub fn try_next(
        &mut self,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<LogRecord>, StreamReadError> {
        let mut records = Vec::new();
        let mut bytes = 0;
        while records.len() < max_records && self.next <= self.shard.latest() {
            let Some(view) = self.shard.view(self.next) else { break };
            if view.first_seq > self.next {
                tracing::warn!(
                    shard = self.shard.id,
                    from = self.next,
                    to = view.first_seq,
                    "records were trimmed unread"
                );
                self.next = view.first_seq;
            }
            let mut cursor = match self.open.take() {
                Some((first, cursor)) if first == view.first_seq => cursor,
                _ => match Cursor::open(&view.path, view.start) {
                    Ok(cursor) => cursor,
                    // Trimmed in between: look again.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => {
                        return Err(StreamReadError::Io { action: "open", path: view.path, error });
                    }
                },
            };
            while let Some((record, len)) = cursor.peek(view.end, READ_BYTES)? {
                if record.seq > self.next {
                    return Err(cursor.damaged(format!("record {} is missing", self.next)));
                }
                let size = record.data.len();
                let wanted = record.seq == self.next;
                if wanted && !records.is_empty() && (bytes + size > max_bytes || records.len() >= max_records)
                {
                    self.open = Some((view.first_seq, cursor));
                    return Ok(records);
                }
                cursor.advance(len);
                if wanted {
                    bytes += size;
                    self.next += 1;
                    records.push(record);
                }
            }
            if self.next <= view.last_seq {
                return Err(cursor.damaged(format!("it ends before record {}", self.next)));
            }
            self.open = Some((view.first_seq, cursor));
        }
        Ok(records)
    }
}
