//! The stream on Kinesis: writing, and reading back for a replay.

mod read;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, PutRecordsResultEntry};
use shared::stream::{EventStream, PutError, PutRecord};

use crate::failure::{self, Failure};

pub use read::{Reader, Shard, ShardPages, Start, Stop};

/// The most records of one `PutRecords`.
pub const MAX_CALL_RECORDS: usize = 500;
/// The most bytes of one `PutRecords`, partition keys included.
pub const MAX_CALL_BYTES: usize = 10 << 20;
/// The most bytes of one record with its partition key. Kinesis takes up to 10 MiB where the stream's
/// `MaxRecordSizeInKiB` says so; a stream that was made without it takes this.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// What a partition key may take of a record; a lane's number takes a few bytes.
const MAX_KEY_BYTES: usize = 256;

const ACTION: &str = "kinesis:PutRecords";

/// A Kinesis stream. It repeats no put beyond what the SDK does: `ingest` does that, of the records that failed.
#[derive(Clone, Debug)]
pub struct Kinesis {
    client: Client,
    stream: String,
    lanes: u32,
}

impl Kinesis {
    /// The stream of that name.
    pub fn new(client: Client, stream_name: impl Into<String>) -> Self {
        Self { client, stream: stream_name.into(), lanes: 0 }
    }

    /// Lays so many lanes evenly over the stream's shards: by the hashes of their names, which are digits, four lanes
    /// would all be in one of four shards.
    #[must_use]
    pub fn over(self, lanes: u32) -> Self {
        Self { lanes, ..self }
    }

    fn hash_key(&self, partition_key: &str) -> Option<String> {
        let lane = partition_key.parse().ok().filter(|lane: &u32| *lane < self.lanes)?;
        let width = u128::MAX / u128::from(self.lanes);
        Some((width * u128::from(lane) + width / 2).to_string())
    }

    async fn call(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        let count = records.len();
        let mut call = self.client.put_records().stream_name(&self.stream);
        for record in records {
            let entry = PutRecordsRequestEntry::builder()
                .data(Blob::new(record.data))
                .set_explicit_hash_key(self.hash_key(&record.partition_key))
                .partition_key(record.partition_key)
                .build();
            match entry {
                Ok(entry) => call = call.records(entry),
                Err(error) => return vec![Err(PutError::Refused(error.to_string())); count],
            }
        }
        match call.send().await {
            Ok(output) => {
                let mut answers: Vec<_> = output.records.into_iter().map(answer).collect();
                // A missing answer is no acknowledgement.
                answers.resize(count, Err(PutError::Retry("Kinesis gave no answer for it".to_owned())));
                answers
            }
            Err(error) => {
                let error = put_error(failure::of(ACTION, &format!("stream {}", self.stream), &error));
                vec![Err(error); count]
            }
        }
    }
}

impl EventStream for Kinesis {
    async fn put(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        let mut answers = Vec::with_capacity(records.len());
        let (mut call, mut bytes) = (Vec::new(), 0);
        for record in records {
            let size = size(&record);
            // One such record would have the whole call refused.
            if size > MAX_RECORD_BYTES {
                if !call.is_empty() {
                    answers.extend(self.call(std::mem::take(&mut call)).await);
                    bytes = 0;
                }
                let why = format!("{size} bytes; the stream takes at most {MAX_RECORD_BYTES} of a record");
                answers.push(Err(PutError::Refused(why)));
                continue;
            }
            if call.len() == MAX_CALL_RECORDS || bytes + size > MAX_CALL_BYTES {
                answers.extend(self.call(std::mem::take(&mut call)).await);
                bytes = 0;
            }
            bytes += size;
            call.push(record);
        }
        if !call.is_empty() {
            answers.extend(self.call(call).await);
        }
        answers
    }

    fn max_record_bytes(&self) -> usize {
        MAX_RECORD_BYTES - MAX_KEY_BYTES
    }

    fn max_put_records(&self) -> usize {
        MAX_CALL_RECORDS
    }
}

fn size(record: &PutRecord) -> usize {
    record.data.len() + record.partition_key.len()
}

fn answer(entry: PutRecordsResultEntry) -> Result<String, PutError> {
    match (entry.error_code, entry.sequence_number) {
        (None, Some(number)) => Ok(number),
        (None, None) => Err(PutError::Retry("Kinesis gave no sequence number for it".to_owned())),
        (Some(code), _) => {
            let why = format!("{code} ({})", entry.error_message.as_deref().unwrap_or("no message"));
            if failure::is_passing_code(&code) {
                Err(PutError::Retry(why))
            } else {
                Err(PutError::Refused(why))
            }
        }
    }
}

/// What a failed call means for each of its records.
fn put_error(failure: Failure) -> PutError {
    match failure {
        Failure::Retry(why) => PutError::Retry(why),
        Failure::Refused(why) => PutError::Refused(why),
    }
}
