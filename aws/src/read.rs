//! Reading back what was put, for a replay: errors and patience that all sources share.

use std::time::Duration;

use aws_lambda_events::kinesis::KinesisEventRecord;
use jiff::Timestamp;

use crate::failure::Failure;

/// Why a source could not be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The service does not answer; reading on later continues where it stopped.
    #[error("gave up after {attempts} attempts: {last}")]
    Unavailable {
        /// How often it was tried.
        attempts: u32,
        /// What was said last.
        last: String,
    },
    /// It will not answer until someone changes something.
    #[error("{0}")]
    Refused(String),
}

/// How patiently a source is read.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The least time between two calls.
    pub pause: Duration,
    /// The longest wait after the first failure; twice as long after each further one.
    pub backoff: Duration,
    /// The longest wait at all.
    pub longest: Duration,
    /// Attempts of one call, beside those that the SDK makes.
    pub attempts: u32,
}

impl Default for Patience {
    /// A shard answers five `GetRecords` a second, of which its live consumer takes one.
    fn default() -> Self {
        Self {
            pause: Duration::from_millis(300),
            backoff: Duration::from_millis(500),
            longest: Duration::from_secs(10),
            attempts: 30,
        }
    }
}

/// Waits between the calls of one reader.
#[derive(Debug)]
pub(crate) struct Pacer {
    patience: Patience,
    failed: u32,
    last_call: Option<tokio::time::Instant>,
}

impl Pacer {
    pub(crate) fn new(patience: Patience) -> Self {
        Self { patience, failed: 0, last_call: None }
    }

    /// Before each call.
    pub(crate) async fn ready(&mut self) {
        if let Some(last) = self.last_call {
            tokio::time::sleep_until(last + self.patience.pause).await;
        }
        self.last_call = Some(tokio::time::Instant::now());
    }

    /// After a call that was answered.
    pub(crate) fn answered(&mut self) {
        self.failed = 0;
    }

    /// After one that was not: waits, or says that it is enough. All of the wait is random, so that readers
    /// which were throttled together do not come back together.
    pub(crate) async fn failed(&mut self, failure: Failure) -> Result<(), ReadError> {
        let last = match failure {
            Failure::Refused(why) => return Err(ReadError::Refused(why)),
            Failure::Retry(why) => why,
        };
        self.failed += 1;
        if self.failed >= self.patience.attempts {
            return Err(ReadError::Unavailable { attempts: self.failed, last });
        }
        let most =
            self.patience.backoff.saturating_mul(1 << (self.failed - 1).min(16)).min(self.patience.longest);
        let most = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..=most))).await;
        Ok(())
    }
}

/// What a record read back is made of.
pub(crate) struct ReadBack {
    /// Unique, and the same whenever it is read again.
    pub(crate) event_id: String,
    pub(crate) partition_key: String,
    pub(crate) sequence_number: String,
    pub(crate) arrived: Option<Timestamp>,
    pub(crate) data: Vec<u8>,
}

impl ReadBack {
    /// The record as a Lambda batch has it.
    pub(crate) fn into_record(self) -> KinesisEventRecord {
        let mut record = KinesisEventRecord::default();
        record.event_id = Some(self.event_id);
        record.event_name = Some("aws:kinesis:record".to_owned());
        record.event_source = Some("aws:kinesis".to_owned());
        record.event_version = Some("1.0".to_owned());
        record.kinesis.kinesis_schema_version = Some("1.0".to_owned());
        record.kinesis.partition_key = self.partition_key;
        record.kinesis.sequence_number = self.sequence_number;
        record.kinesis.data.0 = self.data;
        if let Some(millis) = self.arrived.and_then(|at| u64::try_from(at.as_millisecond()).ok()) {
            let arrived = std::time::UNIX_EPOCH + Duration::from_millis(millis);
            record.kinesis.approximate_arrival_timestamp.0 = arrived.into();
        }
        record
    }
}
