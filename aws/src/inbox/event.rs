//! What the table's stream brings of the inbox, as the aggregator's input.
//!
//! It assumes of its event source mapping: a stream with `NEW_IMAGE`, `ReportBatchItemFailures`, starting at
//! `TRIM_HORIZON`, retries until the records expire, and a filter on `eventName` INSERT and `Keys.pk.S` with the
//! prefix `I#`. What passes by the filter all the same, such as an expiry, is left out here.

use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse, KinesisEventResponse};
use serde_dynamo::{AttributeValue, Item};

use super::item;
use crate::read::ReadBack;

/// The inbox items of a batch as stream records, one for each, in order.
///
/// An item that cannot be read becomes a record of its own JSON, which the aggregator puts aside with the reason.
pub fn to_kinesis(event: Event) -> KinesisEvent {
    let mut batch = KinesisEvent::default();
    batch.records = event.records.into_iter().filter_map(record).collect();
    batch
}

/// The aggregator's answer for the table's stream: the same sequence numbers.
pub fn to_dynamodb(response: &KinesisEventResponse) -> DynamoDbEventResponse {
    let mut answer = DynamoDbEventResponse::default();
    // A failure without a number fails the whole batch, in either kind.
    answer.batch_item_failures = response
        .batch_item_failures
        .iter()
        .map(|failure| {
            let mut same = DynamoDbBatchItemFailure::default();
            same.item_identifier = failure.item_identifier.clone();
            same
        })
        .collect();
    answer
}

fn record(record: EventRecord) -> Option<KinesisEventRecord> {
    let keys = &record.change.keys;
    let pk = text(keys, item::PK).unwrap_or_default().to_owned();
    let sk = text(keys, item::SK).unwrap_or_default().to_owned();
    if record.event_name != "INSERT" || !pk.starts_with(item::PREFIX) {
        return None;
    }
    let sequence_number = record.change.sequence_number.clone().unwrap_or_default();
    let event_id = if sk.is_empty() { record.event_id.clone() } else { item::event_id(&pk, &sk) };
    let image = &record.change.new_image;
    let lane = match image.get(item::LANE) {
        Some(AttributeValue::N(lane)) => lane.clone(),
        _ => String::new(),
    };
    let data = match image.get(item::DATA) {
        Some(AttributeValue::B(data)) => item::unpack(data, text(image, item::PACKED)),
        _ => None,
    };
    let data = match data {
        Some(data) => data,
        None => serde_json::to_vec(&record).unwrap_or_default(),
    };
    let arrived = item::arrived(&sk);
    let mut read = ReadBack { event_id, partition_key: lane, sequence_number, arrived, data }.into_record();
    read.aws_region = Some(record.aws_region);
    read.event_source_arn = record.event_source_arn;
    Some(read)
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Some(text),
        _ => None,
    }
}
