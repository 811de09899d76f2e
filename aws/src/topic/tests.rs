//! Who is told what.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_sns::Client;
use aws_sdk_sns::operation::publish::{PublishError, PublishInput, PublishOutput};
use aws_smithy_mocks::{MockResponse, Rule, mock};
use aws_smithy_types::error::ErrorMetadata;
use serde_json::Value;
use shared::alert::{Alert, AlertKind};
use shared::notifier::Notifier;

use super::{Severity, TopicArns, Topics, chat, message};
use crate::mocks::mock_client;

fn alert(kind: AlertKind, percent: u32) -> Alert {
    serde_json::from_value(serde_json::json!({
        "id": format!("daily.v1.20261123T181500Z.{percent}.1"),
        "budget": "daily", "budget_version": 1, "scope": "agent:researcher-7", "kind": kind,
        "threshold_percent": percent, "episode": 1, "period": "day",
        "period_start": "2026-11-23T18:15:00Z", "period_end": "2026-11-24T18:15:00Z", "timezone": "Asia/Kathmandu",
        "spend_usd": "8000.0005", "spend_tokens": 1_234_567, "unpriced_tokens": 0,
        "limit_usd": "10000", "limit_tokens": null, "late": false,
        "top": [{"dimension": "agent", "name": "researcher-7", "spend_usd": "4200.5", "tokens": 12}],
        "at": "2026-11-24T12:00:00Z", "state": "pending"
    }))
    .unwrap()
}

fn arns(chat: Option<&str>) -> TopicArns {
    TopicArns {
        info: "arn:info".to_owned(),
        warning: "arn:warning".to_owned(),
        critical: "arn:critical".to_owned(),
        chat: chat.map(str::to_owned),
    }
}

type Published = Arc<Mutex<Vec<PublishInput>>>;

/// Takes what is published, except to the topic `down`.
fn taking(down: &'static str) -> (Rule, Published) {
    let published = Published::default();
    let taken = Arc::clone(&published);
    let rule = mock!(Client::publish).then_compute_response(move |input| {
        if input.topic_arn() == Some(down) {
            let meta = ErrorMetadata::builder().code("InternalError").message("down").build();
            return MockResponse::Error(PublishError::generic(meta));
        }
        taken.lock().unwrap().push(input.clone());
        MockResponse::Output(PublishOutput::builder().message_id("1").build())
    });
    (rule, published)
}

#[test]
fn severities() {
    use AlertKind::{Priced, Recovered, Threshold, Unpriced};
    let of = |kind, percent| Severity::of(&alert(kind, percent));
    assert_eq!(of(Threshold, 99), Severity::Warning);
    assert_eq!(of(Threshold, 100), Severity::Critical);
    assert_eq!(of(Threshold, 150), Severity::Critical);
    for kind in [Recovered, Unpriced, Priced] {
        assert_eq!(of(kind, 100), Severity::Info);
    }
}

#[tokio::test]
async fn people_get_words_and_programs_the_alert() {
    let (rule, published) = taking("");
    let topics = Topics::new(mock_client!(aws_sdk_sns, [&rule]), arns(None));
    let alert = alert(AlertKind::Threshold, 80);
    topics.notify(&alert).await.unwrap();
    let published = published.lock().unwrap();
    let [publish] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!(publish.topic_arn(), Some("arn:warning"));
    assert_eq!(publish.subject(), Some("Budget daily: 80% reached"));
    assert_eq!(publish.message_structure(), Some("json"));
    let texts: BTreeMap<String, String> = serde_json::from_str(publish.message().unwrap()).unwrap();
    assert_eq!(texts["default"], alert.text().to_string());
    assert_eq!(texts["sms"], message::cut(&texts["default"], 480));
    for protocol in ["sqs", "lambda", "http", "https", "firehose"] {
        let mut json: Value = serde_json::from_str(&texts[protocol]).unwrap();
        assert_eq!(json["text"], texts["default"]);
        json.as_object_mut().unwrap().remove("text");
        assert_eq!(json, serde_json::to_value(&alert).unwrap());
    }
    let attributes = publish.message_attributes().unwrap();
    let value = |name: &str| attributes[name].string_value().unwrap();
    assert_eq!(value("alert_id"), alert.id);
    assert_eq!((value("severity"), value("kind"), value("budget")), ("warning", "threshold", "daily"));
    assert_eq!(attributes["threshold_percent"].data_type(), "Number");
}

#[tokio::test]
async fn an_alert_has_arrived_once_every_topic_has_it() {
    let alert = alert(AlertKind::Threshold, 100);
    for down in ["arn:chat", "arn:critical"] {
        let (rule, published) = taking(down);
        let topics = Topics::new(mock_client!(aws_sdk_sns, [&rule]), arns(Some("arn:chat")));
        let error = topics.notify(&alert).await.unwrap_err();
        assert!(error.0.contains(down), "{error}");
        assert_eq!(published.lock().unwrap().len(), 1, "the other topic has it");
    }
    let (rule, published) = taking("");
    let topics = Topics::new(mock_client!(aws_sdk_sns, [&rule]), arns(Some("arn:chat")));
    topics.notify(&alert).await.unwrap();
    topics.notify(&alert).await.unwrap();
    assert_eq!(published.lock().unwrap().len(), 4);
    let ids: Vec<_> = published
        .lock()
        .unwrap()
        .iter()
        .filter(|publish| publish.topic_arn() == Some("arn:chat"))
        .map(|publish| serde_json::from_str::<Value>(publish.message().unwrap()).unwrap()["id"].clone())
        .collect();
    assert_eq!(ids, [&*alert.id, &*alert.id]);
}

#[tokio::test]
async fn a_lost_answer_is_no_delivery() {
    let rule = mock!(Client::publish).sequence().http_status(503, None).times(2).build();
    let topics = Topics::new(mock_client!(aws_sdk_sns, [&rule], 2), arns(None));
    assert!(topics.notify(&alert(AlertKind::Recovered, 80)).await.is_err());
    assert_eq!(rule.num_calls(), 2);
}

#[test]
fn names_forge_no_lines_and_no_markup() {
    let mut alert = alert(AlertKind::Threshold, 80);
    alert.top[0].name =
        "a\nBudget b: 100% reached\u{202e}\u{2028}<!channel> [x](https://evil.example) *b*".to_owned();
    let words = message::words(&alert);
    assert!(!words.chars().any(char::is_control) && !words.contains(['\u{202e}', '\u{2028}']), "{words}");
    assert!(words.contains("a\\u{a}Budget b"), "{words}");
    let json: Value = serde_json::from_str(&chat::notification(&alert, Severity::Warning).unwrap()).unwrap();
    let description = json["content"]["description"].as_str().unwrap();
    assert!(!description.contains(['<', '>', '[', ']', '*', '\n']), "{description}");
    assert!(!description.contains("://"), "{description}");
    assert!(description.contains("&lt;!channel&gt;"), "{description}");
}

#[test]
fn subjects_are_short_and_ascii() {
    let mut alert = alert(AlertKind::Threshold, 10_000);
    alert.budget = shared::id::BudgetName::parse(&"b".repeat(64)).unwrap();
    alert.late = true;
    let subject = message::subject(&alert);
    assert!(subject.len() <= 100 && subject.is_ascii(), "{subject}");
    assert!(subject.ends_with("..."), "{subject}");
}

#[test]
fn a_message_is_within_what_sns_takes_however_long_the_alert_is() {
    let mut alert = alert(AlertKind::Threshold, 80);
    alert.top[0].name = "\u{1}".repeat(100_000);
    let message = message::by_protocol(&alert).unwrap();
    assert!(message.len() <= message::MAX_MESSAGE_BYTES, "{}", message.len());
    let texts: BTreeMap<String, String> = serde_json::from_str(&message).unwrap();
    assert!(texts["default"].starts_with("Budget daily: 80% reached"));
}

#[test]
fn a_chat_notification_follows_the_schema() {
    let alert = alert(AlertKind::Threshold, 100);
    let json: Value = serde_json::from_str(&chat::notification(&alert, Severity::Critical).unwrap()).unwrap();
    assert_eq!((&json["version"], &json["source"]), (&"1.0".into(), &"custom".into()));
    assert_eq!(json["content"]["textType"], "client-markdown");
    assert!(json["content"]["title"].as_str().unwrap().ends_with("Budget daily: 100% reached"));
    assert_eq!(json["metadata"]["threadId"], "daily.v1.1795457700");
    assert_eq!(json["metadata"]["eventType"], "threshold");
    assert_eq!(json["metadata"]["additionalContext"]["spend_usd"], "8000.0005");
    let context = json["metadata"]["additionalContext"].as_object().unwrap();
    assert!(context.values().all(Value::is_string), "{context:?}");
}
