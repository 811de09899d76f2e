//! Reading a shard back, page by page, beside the live consumer.

use aws_lambda_events::kinesis::KinesisEventRecord;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::get_records::{GetRecordsError, GetRecordsOutput};
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{EncryptionType, Record, ShardIteratorType};
use jiff::{SignedDuration, Timestamp};

use crate::failure;
use crate::read::{Pacer, Patience, ReadBack, ReadError};

/// Arrival times are approximate, and not in order: so much later than the end, nothing before it comes.
const DISORDER: SignedDuration = SignedDuration::from_secs(10);

/// One shard of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The shards that it was split or merged from; those that expired are not listed any more.
    pub parents: Vec<String>,
    /// The first sequence number that it can hold.
    pub first: String,
    /// The last one, once it is closed.
    pub last: Option<String>,
}

/// Where to begin in a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record that is kept.
    Horizon,
    /// At the first record that arrived then or later.
    Time(Timestamp),
    /// At this sequence number.
    At(String),
    /// Behind this sequence number: where an interrupted reading stopped.
    After(String),
}

/// Where to end in a shard. All end where it does: at the tip as of when it is reached, or where it was closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Only there.
    Tip,
    /// Without the records that arrived then or later.
    Time(Timestamp),
    /// With this sequence number.
    At(String),
}

/// Reads a stream back.
#[derive(Clone, Debug)]
pub struct Reader {
    client: Client,
    stream: String,
    patience: Patience,
}

impl Reader {
    /// Of the stream of that name.
    pub fn new(client: Client, stream_name: impl Into<String>) -> Self {
        Self { client, stream: stream_name.into(), patience: Patience::default() }
    }

    /// With other pauses.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// All shards that still hold something, the closed ones too, in the order of their making.
    pub async fn shards(&self) -> Result<Vec<Shard>, ReadError> {
        let mut pacer = Pacer::new(self.patience);
        let (mut shards, mut next) = (Vec::new(), None::<String>);
        loop {
            pacer.ready().await;
            let call = self.client.list_shards();
            // The token stands for the stream as well.
            let call = match &next {
                None => call.stream_name(&self.stream),
                Some(token) => call.next_token(token),
            };
            match call.send().await {
                Ok(output) => {
                    pacer.answered();
                    shards.extend(output.shards.unwrap_or_default().into_iter().map(shard));
                    next = output.next_token;
                    if next.is_none() {
                        return Ok(shards);
                    }
                }
                Err(error) => pacer.failed(failure::of("kinesis:ListShards", &self.target(), &error)).await?,
            }
        }
    }

    /// The records of a shard from `start` to `stop`.
    pub fn read(&self, shard: &str, start: Start, stop: Stop) -> ShardPages {
        ShardPages {
            reader: self.clone(),
            shard: shard.to_owned(),
            start,
            stop,
            iterator: None,
            pacer: Pacer::new(self.patience),
            behind: None,
            is_done: false,
        }
    }

    fn target(&self) -> String {
        format!("stream {}", self.stream)
    }
}

/// The records of a shard, page by page.
#[derive(Debug)]
pub struct ShardPages {
    reader: Reader,
    shard: String,
    /// Moves on with each page, so that an expired iterator is made anew where it was.
    start: Start,
    stop: Stop,
    iterator: Option<String>,
    pacer: Pacer,
    behind: Option<SignedDuration>,
    is_done: bool,
}

impl ShardPages {
    /// The next records, as a Lambda batch has them; none at the end. No page is empty.
    pub async fn next(&mut self) -> Result<Option<Vec<KinesisEventRecord>>, ReadError> {
        while !self.is_done {
            let Some(output) = self.call().await? else { continue };
            self.behind = output.millis_behind_latest.map(SignedDuration::from_millis);
            self.iterator = output.next_shard_iterator;
            // A closed shard has no further iterator; an open one always has.
            self.is_done = self.iterator.is_none() || output.millis_behind_latest == Some(0);
            let records = self.take(output.records);
            if !records.is_empty() {
                return Ok(Some(records));
            }
        }
        Ok(None)
    }

    /// How far the last page was behind the tip.
    pub fn behind(&self) -> Option<SignedDuration> {
        self.behind
    }

    /// Where reading on would begin: to be kept for a later [`Reader::read`].
    pub fn position(&self) -> &Start {
        &self.start
    }

    /// One `GetRecords`; none where it has to be asked again.
    async fn call(&mut self) -> Result<Option<GetRecordsOutput>, ReadError> {
        let Some(iterator) = self.iterator.clone() else {
            self.iterator = self.new_iterator().await?;
            return Ok(None);
        };
        self.pacer.ready().await;
        match self.reader.client.get_records().shard_iterator(iterator).send().await {
            Ok(output) => {
                self.pacer.answered();
                Ok(Some(output))
            }
            Err(error) => {
                // An iterator lives five minutes: a pause of the consumer outlasts it.
                if error.as_service_error().is_some_and(GetRecordsError::is_expired_iterator_exception) {
                    self.iterator = None;
                }
                let failure = if self.iterator.is_none() {
                    failure::Failure::Retry("the shard iterator expired".to_owned())
                } else {
                    failure::of("kinesis:GetRecords", &self.reader.target(), &error)
                };
                self.pacer.failed(failure).await?;
                Ok(None)
            }
        }
    }

    async fn new_iterator(&mut self) -> Result<Option<String>, ReadError> {
        loop {
            let call = self
                .reader
                .client
                .get_shard_iterator()
                .stream_name(&self.reader.stream)
                .shard_id(&self.shard);
            let call = match &self.start {
                Start::Horizon => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
                Start::Time(at) => call
                    .shard_iterator_type(ShardIteratorType::AtTimestamp)
                    .timestamp(DateTime::from_millis(at.as_millisecond())),
                Start::At(number) => call
                    .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
                    .starting_sequence_number(number),
                Start::After(number) => call
                    .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                    .starting_sequence_number(number),
            };
            self.pacer.ready().await;
            match call.send().await {
                Ok(output) if output.shard_iterator.is_some() => return Ok(output.shard_iterator),
                Ok(_) => {
                    let why = "kinesis:GetShardIterator answered without an iterator".to_owned();
                    self.pacer.failed(failure::Failure::Retry(why)).await?;
                }
                Err(error) => {
                    let failure = failure::of("kinesis:GetShardIterator", &self.reader.target(), &error);
                    self.pacer.failed(failure).await?;
                }
            }
        }
    }

    /// Those of a page that are asked for.
    fn take(&mut self, records: Vec<Record>) -> Vec<KinesisEventRecord> {
        let mut taken = Vec::with_capacity(records.len());
        for record in records {
            let arrived = record.approximate_arrival_timestamp.and_then(instant);
            match &self.stop {
                Stop::Tip => {}
                Stop::Time(stop) => {
                    if arrived.is_some_and(|at| at.duration_since(*stop) > DISORDER) {
                        self.is_done = true;
                        break;
                    }
                    if arrived.is_some_and(|at| at >= *stop) {
                        self.start = Start::After(record.sequence_number);
                        continue;
                    }
                }
                Stop::At(last) => {
                    if is_later(&record.sequence_number, last) {
                        self.is_done = true;
                        break;
                    }
                }
            }
            self.start = Start::After(record.sequence_number.clone());
            taken.push(self.event_record(record, arrived));
        }
        taken
    }

    fn event_record(&self, record: Record, arrived: Option<Timestamp>) -> KinesisEventRecord {
        let is_encrypted = record.encryption_type == Some(EncryptionType::Kms);
        let mut read = ReadBack {
            event_id: format!("{}:{}", self.shard, record.sequence_number),
            partition_key: record.partition_key,
            sequence_number: record.sequence_number,
            arrived,
            data: record.data.into_inner(),
        }
        .into_record();
        if is_encrypted {
            read.kinesis.encryption_type = aws_lambda_events::kinesis::KinesisEncryptionType::Kms;
        }
        read
    }
}

fn shard(shard: aws_sdk_kinesis::types::Shard) -> Shard {
    let range = shard.sequence_number_range;
    Shard {
        id: shard.shard_id,
        parents: shard.parent_shard_id.into_iter().chain(shard.adjacent_parent_shard_id).collect(),
        first: range.as_ref().map(|range| range.starting_sequence_number.clone()).unwrap_or_default(),
        last: range.and_then(|range| range.ending_sequence_number),
    }
}

fn instant(at: DateTime) -> Option<Timestamp> {
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

/// Compares sequence numbers: whole numbers of up to 56 digits.
pub(super) fn is_later(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    (a.len(), a) > (b.len(), b)
}
