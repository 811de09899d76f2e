//! On-failure messages, as AWS documents them.

use std::collections::HashMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::change_message_visibility::ChangeMessageVisibilityOutput;
use aws_sdk_sqs::operation::delete_message::DeleteMessageOutput;
use aws_sdk_sqs::operation::receive_message::ReceiveMessageOutput;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use aws_smithy_mocks::mock;

use super::{Letter, Queue, Source};
use crate::mocks::mock_client;

const KINESIS: &str = r#"{
  "requestContext": {"requestId": "c9b8fa9f-5a7f-xmpl-af9c-0c604cde93a5",
    "functionArn": "arn:aws:lambda:us-east-2:123456789012:function:aggregator",
    "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3},
  "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
  "version": "1.0", "timestamp": "2026-11-14T00:38:06.021Z",
  "KinesisBatchInfo": {"shardId": "shardId-000000000001",
    "startSequenceNumber": "49601189658422359378836298521827638475320189012309704722",
    "endSequenceNumber": "49601189658422359378836298522902373528957594348623495186",
    "approximateArrivalOfFirstRecord": "2026-11-14T00:38:04.835Z",
    "approximateArrivalOfLastRecord": "2026-11-14T00:38:05.580Z",
    "batchSize": 500, "streamArn": "arn:aws:kinesis:us-east-2:123456789012:stream/AgentLedger"}}"#;

fn batch(body: &str) -> super::Batch {
    match Letter::parse(body) {
        Letter::Batch(batch) => *batch,
        Letter::Other(other) => panic!("{other}"),
    }
}

#[test]
fn positions_are_read_of_both_kinds_of_stream() {
    let kinesis = batch(KINESIS);
    assert_eq!(kinesis.source, Source::Kinesis);
    assert_eq!(kinesis.shard, "shardId-000000000001");
    assert_eq!(kinesis.size, 500);
    assert_eq!(kinesis.condition, "RetryAttemptsExhausted");
    assert_eq!(kinesis.error.as_deref(), Some("Unhandled"));
    assert_eq!(kinesis.first_arrived.unwrap().to_string(), "2026-11-14T00:38:04.835Z");
    assert!(kinesis.to_string().contains("500 records of arn:aws:kinesis"), "{kinesis}");

    let table = batch(&KINESIS.replace("KinesisBatchInfo", "DDBStreamBatchInfo"));
    assert_eq!(table.source, Source::Table);
}

#[test]
fn a_message_of_another_kind_is_shown_as_it_came() {
    for body in ["", "hello", "{}", r#"{"KinesisBatchInfo": 3}"#] {
        assert_eq!(Letter::parse(body), Letter::Other(body.to_owned()));
    }
    assert_eq!(
        batch(r#"{"KinesisBatchInfo": {}}"#).shard,
        "",
        "what is missing is no reason to hide the rest"
    );
}

fn message(id: &str) -> Message {
    let attributes = HashMap::from([
        (MessageSystemAttributeName::SentTimestamp, "1795000000123".to_owned()),
        (MessageSystemAttributeName::ApproximateReceiveCount, "2".to_owned()),
    ]);
    Message::builder()
        .message_id(id)
        .receipt_handle(format!("receipt of {id}"))
        .body(KINESIS)
        .set_attributes(Some(attributes))
        .build()
}

#[tokio::test]
async fn messages_are_received_once_each_then_deleted_or_released() {
    let receive = mock!(Client::receive_message)
        .sequence()
        .output(|| ReceiveMessageOutput::builder().messages(message("a")).messages(message("b")).build())
        .output(|| ReceiveMessageOutput::builder().messages(message("b")).messages(message("c")).build())
        .output(|| ReceiveMessageOutput::builder().build())
        .build();
    let delete = mock!(Client::delete_message)
        .match_requests(|r| r.receipt_handle() == Some("receipt of a"))
        .then_output(|| DeleteMessageOutput::builder().build());
    let release = mock!(Client::change_message_visibility)
        .match_requests(|r| r.visibility_timeout() == Some(0))
        .then_output(|| ChangeMessageVisibilityOutput::builder().build());
    let queue = Queue::new(mock_client!(aws_sdk_sqs, [&receive, &delete, &release]), "http://queue");
    let received = queue.receive(100).await.unwrap();
    assert_eq!(received.iter().map(|m| &*m.id).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(received[0].times, 2);
    assert_eq!(received[0].sent.unwrap().as_millisecond(), 1_795_000_000_123);
    queue.delete(&received[0]).await.unwrap();
    queue.release(&received[1]).await.unwrap();
    assert_eq!((delete.num_calls(), release.num_calls()), (1, 1));
}
