//! The puts that wait for a shard's writer: bounded in bytes, taken in groups.
//!
//! A full queue refuses at once instead of waiting, so that back pressure reaches the sender while it can
//! still be told.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use shared::stream::PutRecord;
use tokio::sync::oneshot;

/// What one record costs in memory besides its data and key.
const RECORD_OVERHEAD: usize = 128;

/// The answer to a batch: the sequence number of its first record, or why it must come again.
pub(super) type Answer = Result<u64, String>;

/// The records of one put for one shard.
pub(super) struct Batch {
    /// In order.
    pub(super) records: Vec<PutRecord>,
    /// Who waits.
    pub(super) reply: oneshot::Sender<Answer>,
}

/// What became of an offer.
pub(super) enum Offer {
    /// So many records, from the first, are queued; the answer comes for all of them.
    Queued(usize, oneshot::Receiver<Answer>),
    /// None is: too much waits already.
    Full,
    /// None is: the stream is closed.
    Closed,
}

/// The queue of one shard.
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
    max_bytes: usize,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { state: Mutex::default(), arrived: Condvar::new(), max_bytes }
    }

    /// Queues as many of the records as there is room for, from the first.
    pub(super) fn offer(&self, mut records: Vec<PutRecord>) -> Offer {
        let mut state = self.lock();
        if state.closed {
            return Offer::Closed;
        }
        let mut accepted = 0;
        for record in &records {
            let size = cost(record);
            // An empty queue takes a record of any size: it could never come in otherwise.
            if state.bytes > 0 && state.bytes + size > self.max_bytes {
                break;
            }
            state.bytes += size;
            accepted += 1;
        }
        if accepted == 0 {
            return Offer::Full;
        }
        records.truncate(accepted);
        let (reply, answer) = oneshot::channel();
        state.batches.push_back(Batch { records, reply });
        drop(state);
        self.arrived.notify_one();
        Offer::Queued(accepted, answer)
    }

    /// Waits for batches and takes all that wait, up to `max_bytes` but at least one. None: closed and empty.
    pub(super) fn take_group(&self, max_bytes: usize) -> Option<Vec<Batch>> {
        let mut state = self.lock();
        while state.batches.is_empty() {
            if state.closed {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(batch) = state.batches.pop_front() {
            let size: usize = batch.records.iter().map(cost).sum();
            if !group.is_empty() && bytes + size > max_bytes {
                state.batches.push_front(batch);
                break;
            }
            bytes += size;
            state.bytes -= size;
            group.push(batch);
        }
        Some(group)
    }

    /// Refuses what comes from now on; what waits is still taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Refuses what comes and lets go of what waits: its putters see that no answer will come.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.bytes = 0;
        state.batches.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(record: &PutRecord) -> usize {
    record.data.len() + record.partition_key.len() + RECORD_OVERHEAD
}
