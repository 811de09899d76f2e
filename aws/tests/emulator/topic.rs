//! Topics with a queue behind them, and the queue of on-failure messages.

use std::collections::BTreeMap;

use aws::queue::{Letter, Queue};
use aws::topic::{TopicArns, Topics};
use serde_json::{Value, json};
use shared::alert::Alert;
use shared::notifier::Notifier;

use super::{config, name};

fn alert() -> Alert {
    serde_json::from_value(json!({
        "id": "daily.v1.20261123T181500Z.100.1", "budget": "daily", "budget_version": 1,
        "scope": "agent:researcher-7", "kind": "threshold", "threshold_percent": 100, "episode": 1, "period": "day",
        "period_start": "2026-11-23T18:15:00Z", "period_end": "2026-11-24T18:15:00Z", "timezone": "Asia/Kathmandu",
        "spend_usd": "10000.0005", "spend_tokens": 1_234_567, "unpriced_tokens": 0, "limit_usd": "10000",
        "limit_tokens": null, "late": false, "top": [], "at": "2026-11-24T12:00:00Z", "state": "pending"
    }))
    .unwrap()
}

#[tokio::test]
#[ignore = "needs the emulator"]
async fn a_queue_gets_the_alert_and_chat_its_own_schema() {
    let config = config().await;
    let (sns, sqs) = (aws_sdk_sns::Client::new(&config), aws_sdk_sqs::Client::new(&config));
    let url = sqs.create_queue().queue_name(name("alerts")).send().await.unwrap().queue_url.unwrap();
    let arn = aws_sdk_sqs::types::QueueAttributeName::QueueArn;
    let attributes =
        sqs.get_queue_attributes().queue_url(&url).attribute_names(arn.clone()).send().await.unwrap();
    let queue_arn = attributes.attributes.unwrap().remove(&arn).unwrap();
    let mut topics = Vec::new();
    for of in ["critical", "chat"] {
        let topic = sns.create_topic().name(name(of)).send().await.unwrap().topic_arn.unwrap();
        sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(&queue_arn).send().await.unwrap();
        topics.push(topic);
    }
    let missing = format!("{}x", topics[0]);
    let arns = TopicArns {
        info: missing.clone(),
        warning: missing,
        critical: topics[0].clone(),
        chat: Some(topics[1].clone()),
    };
    let notifier = Topics::new(sns, arns);
    notifier.notify(&alert()).await.unwrap();

    let mut messages = BTreeMap::new();
    let queue = Queue::new(sqs, &url);
    for received in queue.receive(2).await.unwrap() {
        let Letter::Other(body) = &received.letter else { panic!("{received:?}") };
        let envelope: Value = serde_json::from_str(body).unwrap();
        let message: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
        messages.insert(envelope["TopicArn"].as_str().unwrap().to_owned(), (envelope, message));
        queue.delete(&received).await.unwrap();
    }
    let (envelope, message) = &messages[&topics[0]];
    assert_eq!(message["id"], "daily.v1.20261123T181500Z.100.1");
    assert_eq!(message["spend_usd"], "10000.0005");
    assert_eq!(message["text"], alert().text().to_string());
    assert_eq!(envelope["Subject"], "Budget daily: 100% reached");
    assert_eq!(envelope["MessageAttributes"]["severity"]["Value"], "critical");
    let (_, message) = &messages[&topics[1]];
    assert_eq!(message["source"], "custom");
    assert_eq!(queue.depth().await.unwrap(), 0);

    let mut recovered = alert();
    recovered.kind = shared::alert::AlertKind::Recovered;
    assert!(notifier.notify(&recovered).await.is_err(), "a topic that is not there has nothing");
}

#[tokio::test]
#[ignore = "needs the emulator"]
async fn on_failure_messages_are_shown_released_and_deleted() {
    let sqs = aws_sdk_sqs::Client::new(&config().await);
    let url = sqs.create_queue().queue_name(name("dead")).send().await.unwrap().queue_url.unwrap();
    let body = json!({
        "requestContext": {"functionArn": "arn:f", "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 2},
        "KinesisBatchInfo": {"shardId": "shardId-000000000000", "startSequenceNumber": "1",
            "endSequenceNumber": "2", "batchSize": 2, "streamArn": "arn:s"},
    });
    sqs.send_message().queue_url(&url).message_body(body.to_string()).send().await.unwrap();
    let queue = Queue::new(sqs, &url);
    assert_eq!(queue.depth().await.unwrap(), 1);
    let received = queue.receive(10).await.unwrap();
    let Letter::Batch(batch) = &received[0].letter else { panic!("{received:?}") };
    assert_eq!((&*batch.first, &*batch.last, batch.size), ("1", "2", 2));
    assert!(queue.receive(10).await.unwrap().is_empty(), "hidden while someone looks at it");
    queue.release(&received[0]).await.unwrap();
    let again = queue.receive(10).await.unwrap();
    assert_eq!(again[0].id, received[0].id);
    queue.delete(&again[0]).await.unwrap();
    assert_eq!(queue.depth().await.unwrap(), 0);
}
