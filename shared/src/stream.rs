//! The stream port: where accepted submissions become durable.

use std::future::Future;

use bytes::Bytes;

/// One record to put, as Kinesis knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutRecord {
    /// Chooses the shard; `ingest` puts a lane number here.
    pub partition_key: String,
    /// Which of the parts that the stream has of a lane, below [`EventStream::spread`].
    pub spread: u32,
    /// A serialised [`crate::wire::StreamRecord`].
    pub data: Bytes,
}

/// Why one record of a put was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// The stream asks to send this record again later (throttled, or a passing fault).
    #[error("the stream did not take the record, try again: {0}")]
    Retry(String),
    /// The record will never be taken as it is.
    #[error("the stream refused the record: {0}")]
    Refused(String),
}

/// An append-only stream of records, durable once acknowledged, ordered per shard.
pub trait EventStream: Send + Sync {
    /// Puts records, and answers for each in order: `Ok(sequence number)` once the record is durable.
    ///
    /// An `Err` says nothing about the record being absent: a put that timed out may have happened.
    fn put(&self, records: Vec<PutRecord>) -> impl Future<Output = Vec<Result<String, PutError>>> + Send;

    /// The largest `data` of one record, in bytes.
    fn max_record_bytes(&self) -> usize {
        1 << 20
    }

    /// The most records of one put.
    fn max_put_records(&self) -> usize {
        500
    }

    /// Into how many parts the stream spreads a lane, each with a limit of its own.
    fn spread(&self) -> u32 {
        1
    }
}

impl<S: EventStream> EventStream for std::sync::Arc<S> {
    fn put(&self, records: Vec<PutRecord>) -> impl Future<Output = Vec<Result<String, PutError>>> + Send {
        (**self).put(records)
    }

    fn max_record_bytes(&self) -> usize {
        (**self).max_record_bytes()
    }

    fn max_put_records(&self) -> usize {
        (**self).max_put_records()
    }

    fn spread(&self) -> u32 {
        (**self).spread()
    }
}
