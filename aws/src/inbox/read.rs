//! Reading the inbox back for a replay: one partition key after another, between two times.

use std::collections::HashMap;

use aws_lambda_events::kinesis::KinesisEventRecord;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::{SPREAD, item};
use crate::failure;
use crate::read::{Pacer, Patience, ReadBack, ReadError};

/// Items of one `Query`.
const PAGE: i32 = 200;

/// One partition key of the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition {
    /// Of which lane.
    pub lane: u32,
    /// Which of the lane's.
    pub spread: u32,
}

/// Reads the inbox back.
#[derive(Clone, Debug)]
pub struct Reader {
    client: Client,
    table: String,
    patience: Patience,
}

impl Reader {
    /// Of the table of that name.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        let patience = Patience { pause: std::time::Duration::ZERO, ..Patience::default() };
        Self { client, table: table.into(), patience }
    }

    /// With other pauses.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The partition keys of so many lanes. Where lanes were taken away, give the most that there were.
    pub fn partitions(lanes: u32) -> impl Iterator<Item = Partition> {
        (0..lanes).flat_map(|lane| (0..SPREAD).map(move |spread| Partition { lane, spread }))
    }

    /// Items of a partition that arrived from `from` and before `to`, and behind the sort key `after`: where an
    /// interrupted reading stopped.
    pub fn read(
        &self,
        partition: Partition,
        from: Timestamp,
        to: Timestamp,
        after: Option<String>,
    ) -> InboxPages {
        // Without an id: before every key of its millisecond.
        let (begin, until) = (item::sort_key(from, ""), item::sort_key(to, ""));
        InboxPages {
            reader: self.clone(),
            pk: item::partition_key(partition.lane, partition.spread),
            // A place outside of the range is an error to DynamoDB.
            is_done: after.as_ref().is_some_and(|after| *after >= until),
            after: after.filter(|after| *after >= begin),
            from: begin,
            to: until,
            pacer: Pacer::new(self.patience),
        }
    }
}

/// Items of one partition, page by page.
#[derive(Debug)]
pub struct InboxPages {
    reader: Reader,
    pk: String,
    from: String,
    to: String,
    after: Option<String>,
    pacer: Pacer,
    is_done: bool,
}

impl InboxPages {
    /// The next records, as a Lambda batch has them, with sort keys as their sequence numbers; none at the end.
    /// No page is empty.
    pub async fn next(&mut self) -> Result<Option<Vec<KinesisEventRecord>>, ReadError> {
        while !self.is_done {
            self.pacer.ready().await;
            // Items that expired may be there for days; they are read like the others, as they can do no harm.
            let key = |name: &str, value: &str| (name.to_owned(), AttributeValue::S(value.to_owned()));
            let start =
                self.after.as_ref().map(|sk| HashMap::from([key(item::PK, &self.pk), key(item::SK, sk)]));
            let call = self
                .reader
                .client
                .query()
                .table_name(&self.reader.table)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .expression_attribute_values(":pk", AttributeValue::S(self.pk.clone()))
                .expression_attribute_values(":from", AttributeValue::S(self.from.clone()))
                .expression_attribute_values(":to", AttributeValue::S(self.to.clone()))
                .set_exclusive_start_key(start)
                .limit(PAGE);
            let output = match call.send().await {
                Ok(output) => output,
                Err(error) => {
                    let target = format!("table {}", self.reader.table);
                    self.pacer.failed(failure::of("dynamodb:Query", &target, &error)).await?;
                    continue;
                }
            };
            self.pacer.answered();
            let last = output.last_evaluated_key.as_ref().and_then(|key| text(key, item::SK));
            self.is_done = last.is_none();
            let records: Vec<_> = output.items().iter().map(|item| self.record(item)).collect();
            self.after = last
                .or_else(|| records.last().map(|r| r.kinesis.sequence_number.clone()))
                .or(self.after.take());
            if !records.is_empty() {
                return Ok(Some(records));
            }
        }
        Ok(None)
    }

    /// Where reading on would begin.
    pub fn position(&self) -> Option<&str> {
        self.after.as_deref()
    }

    fn record(&self, read: &HashMap<String, AttributeValue>) -> KinesisEventRecord {
        let sk = text(read, item::SK).unwrap_or_default();
        let packed = text(read, item::PACKED);
        let data = match read.get(item::DATA) {
            Some(AttributeValue::B(data)) => item::unpack(data.as_ref(), packed.as_deref()),
            _ => None,
        };
        let partition_key = match read.get(item::LANE) {
            Some(AttributeValue::N(lane)) => lane.clone(),
            _ => String::new(),
        };
        // What cannot be read goes to the aggregator all the same, which puts it aside with the reason.
        let data =
            data.unwrap_or_else(|| format!("unreadable inbox item {}: {read:?}", self.pk).into_bytes());
        ReadBack {
            event_id: item::event_id(&self.pk, &sk),
            partition_key,
            arrived: item::arrived(&sk),
            sequence_number: sk,
            data,
        }
        .into_record()
    }
}

fn text(item: &HashMap<String, AttributeValue>, name: &str) -> Option<String> {
    item.get(name).and_then(|value| value.as_s().ok()).cloned()
}
