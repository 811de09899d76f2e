//! What an on-failure message says.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Which kind of stream a batch came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Kinesis.
    Kinesis,
    /// A table's stream.
    Table,
}

/// A batch that a mapping gave up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// Of which kind of stream.
    pub source: Source,
    /// The stream's ARN.
    pub stream: String,
    /// The shard.
    pub shard: String,
    /// Sequence number of its first record.
    pub first: String,
    /// Sequence number of its last record.
    pub last: String,
    /// When the first one arrived.
    pub first_arrived: Option<Timestamp>,
    /// When the last one arrived.
    pub last_arrived: Option<Timestamp>,
    /// How many records.
    pub size: u64,
    /// Why: `RetryAttemptsExhausted` or `RecordAgeExceeded`, or what AWS may add.
    pub condition: String,
    /// How often the function was invoked with it.
    pub invocations: u64,
    /// The function's error, if it had one.
    pub error: Option<String>,
    /// The function's ARN.
    pub function: String,
    /// When it was given up.
    pub at: Option<Timestamp>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letter {
    /// A batch was given up.
    Batch(Box<Batch>),
    /// Something else, as it came.
    Other(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    request_context: Option<RequestContext>,
    response_context: Option<ResponseContext>,
    timestamp: Option<String>,
    #[serde(rename = "KinesisBatchInfo")]
    kinesis: Option<Info>,
    #[serde(rename = "DDBStreamBatchInfo")]
    table: Option<Info>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RequestContext {
    function_arn: String,
    condition: String,
    approximate_invoke_count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    function_error: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Info {
    shard_id: String,
    start_sequence_number: String,
    end_sequence_number: String,
    approximate_arrival_of_first_record: Option<String>,
    approximate_arrival_of_last_record: Option<String>,
    batch_size: u64,
    stream_arn: String,
}

impl Letter {
    /// Reads a message's body.
    pub fn parse(body: &str) -> Self {
        let Ok(form) = serde_json::from_str::<Form>(body) else { return Self::Other(body.to_owned()) };
        let (source, info) = match (form.kinesis, form.table) {
            (Some(info), _) => (Source::Kinesis, info),
            (None, Some(info)) => (Source::Table, info),
            (None, None) => return Self::Other(body.to_owned()),
        };
        let request = form.request_context.unwrap_or_default();
        let instant = |text: Option<String>| text.and_then(|text| text.parse().ok());
        Self::Batch(Box::new(Batch {
            source,
            stream: info.stream_arn,
            shard: info.shard_id,
            first: info.start_sequence_number,
            last: info.end_sequence_number,
            first_arrived: instant(info.approximate_arrival_of_first_record),
            last_arrived: instant(info.approximate_arrival_of_last_record),
            size: info.batch_size,
            condition: request.condition,
            invocations: request.approximate_invoke_count,
            error: form.response_context.and_then(|response| response.function_error),
            function: request.function_arn,
            at: instant(form.timestamp),
        }))
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, stream, shard, first, last, condition, invocations, .. } = self;
        write!(f, "{size} records of {stream}, shard {shard}, from {first} to {last}: {condition}")?;
        write!(f, " after {invocations} invocations")?;
        match &self.error {
            Some(error) => write!(f, " ({error})"),
            None => Ok(()),
        }
    }
}
