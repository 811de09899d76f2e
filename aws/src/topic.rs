//! Alerts to SNS topics, by severity: people get words, programs get the alert as `GET /v1/alerts` shows it.
//!
//! One publish carries both, as `MessageStructure: json` has a text for each protocol: email and SMS get the words
//! (`default`), SQS, Lambda, Firehose and HTTP get JSON with the words in `text`. A topic may bring a message
//! twice, and an alert whose receipt was lost is published again; the id is always the same. Topics are not FIFO:
//! those have no email.

mod chat;
mod message;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

use std::collections::HashMap;

use aws_sdk_sns::Client;
use aws_sdk_sns::types::MessageAttributeValue;
use shared::alert::{Alert, AlertKind};
use shared::notifier::{Notifier, NotifyError};

use crate::failure;

/// How much an alert matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know: a recovery, usage without a price, or none of that left. Nothing is exceeded.
    Info,
    /// A threshold below the limit is reached.
    Warning,
    /// The limit is reached, or passed.
    Critical,
}

impl Severity {
    /// How much this alert matters.
    pub fn of(alert: &Alert) -> Self {
        match alert.kind {
            AlertKind::Threshold if alert.threshold_percent >= 100 => Self::Critical,
            AlertKind::Threshold => Self::Warning,
            AlertKind::Recovered | AlertKind::Unpriced | AlertKind::Priced => Self::Info,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Which topics there are, by ARN. The same one may stand for several severities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicArns {
    /// Of notices and recoveries.
    pub info: String,
    /// Of thresholds below the limit.
    pub warning: String,
    /// Of limits that are reached.
    pub critical: String,
    /// Of every alert, in the schema of chat notifications.
    pub chat: Option<String>,
}

impl TopicArns {
    fn of(&self, severity: Severity) -> &str {
        match severity {
            Severity::Info => &self.info,
            Severity::Warning => &self.warning,
            Severity::Critical => &self.critical,
        }
    }
}

/// Publishes alerts to topics.
#[derive(Clone, Debug)]
pub struct Topics {
    client: Client,
    arns: TopicArns,
}

impl Topics {
    /// To these topics.
    pub fn new(client: Client, arns: TopicArns) -> Self {
        Self { client, arns }
    }

    async fn publish(&self, alert: &Alert, severity: Severity) -> Result<(), NotifyError> {
        let message = message::by_protocol(alert).map_err(|e| NotifyError(e.to_string()))?;
        let arn = self.arns.of(severity);
        let call = self
            .client
            .publish()
            .topic_arn(arn)
            .subject(message::subject(alert))
            .message_structure("json")
            .message(message)
            .set_message_attributes(Some(attributes(alert, severity)?));
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(NotifyError(failure::of("sns:Publish", arn, &error).to_string())),
        }
    }

    async fn publish_to_chat(&self, alert: &Alert, severity: Severity) -> Result<(), NotifyError> {
        let Some(arn) = &self.arns.chat else { return Ok(()) };
        let message = chat::notification(alert, severity).map_err(|e| NotifyError(e.to_string()))?;
        // Without a subject, and as it is: the chat client's schema is the whole message.
        match self.client.publish().topic_arn(arn).message(message).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(NotifyError(failure::of("sns:Publish", arn, &error).to_string())),
        }
    }
}

impl Notifier for Topics {
    /// `Ok` once every topic has it. If one has not, all get it again.
    async fn notify(&self, alert: &Alert) -> Result<(), NotifyError> {
        let severity = Severity::of(alert);
        // Both, whatever becomes of one: who can be told is told.
        let (published, chatted) =
            tokio::join!(self.publish(alert, severity), self.publish_to_chat(alert, severity));
        match (published, chatted) {
            (Err(NotifyError(one)), Err(NotifyError(other))) => Err(NotifyError(format!("{one}; {other}"))),
            (one, other) => one.and(other),
        }
    }
}

/// What a subscription's filter policy can choose by.
fn attributes(
    alert: &Alert,
    severity: Severity,
) -> Result<HashMap<String, MessageAttributeValue>, NotifyError> {
    let percent = alert.threshold_percent.to_string();
    [
        ("alert_id", "String", alert.id.as_str()),
        ("budget", "String", alert.budget.as_str()),
        ("kind", "String", alert.kind.name()),
        ("threshold_percent", "Number", &percent),
        ("severity", "String", severity.name()),
    ]
    .into_iter()
    .map(|(name, of, value)| {
        let value = MessageAttributeValue::builder().data_type(of).string_value(value).build();
        Ok((name.to_owned(), value.map_err(|e| NotifyError(e.to_string()))?))
    })
    .collect()
}
