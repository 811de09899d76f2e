//! On-failure messages of event source mappings: read, shown, deleted.
//!
//! Such a message holds positions in a stream and no data. The aggregator puts what it cannot count aside itself,
//! so that here is only what a mapping gave up without it: the function could not be invoked, or records expired.

mod message;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use jiff::Timestamp;

use crate::failure::{self, Failure};

pub use message::{Batch, Letter, Source};

/// The most messages of one call.
const PER_CALL: i32 = 10;
/// For how long a message that was received is hidden from other receivers.
const HIDDEN: Duration = Duration::from_secs(60);

/// An on-failure queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
}

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The message's id: the same whenever it is received.
    pub id: String,
    /// What it is deleted or released by, until it is received again.
    pub receipt: String,
    /// When it was sent.
    pub sent: Option<Timestamp>,
    /// How often it was received.
    pub times: u32,
    /// What it says.
    pub letter: Letter,
}

impl Queue {
    /// The queue at this URL.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// The queue of this name; none if there is none.
    pub async fn named(client: &Client, name: &str) -> Result<Option<Self>, Failure> {
        match client.get_queue_url().queue_name(name).send().await {
            Ok(found) => Ok(found.queue_url.map(|url| Self::new(client.clone(), url))),
            Err(error) if error.as_service_error().is_some_and(GetQueueUrlError::is_queue_does_not_exist) => {
                Ok(None)
            }
            Err(error) => Err(failure::of("sqs:GetQueueUrl", &format!("queue {name}"), &error)),
        }
    }

    /// Its name: the end of its URL.
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    /// About how many messages are in the queue, those that someone is looking at included.
    pub async fn depth(&self) -> Result<u64, Failure> {
        use aws_sdk_sqs::types::QueueAttributeName as Name;
        let (visible, hidden) =
            (Name::ApproximateNumberOfMessages, Name::ApproximateNumberOfMessagesNotVisible);
        let call = self.client.get_queue_attributes().queue_url(&self.url);
        let call = call.attribute_names(visible.clone()).attribute_names(hidden.clone());
        let output =
            call.send().await.map_err(|error| failure::of("sqs:GetQueueAttributes", &self.url, &error))?;
        let attributes = output.attributes.unwrap_or_default();
        let count = |name| attributes.get(&name).and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
        Ok(count(visible).saturating_add(count(hidden)))
    }

    /// Receives up to `most` messages, each once. They are hidden from others for a minute, or until they are
    /// released. A queue gives what it has in no order, and perhaps not all of it.
    pub async fn receive(&self, most: usize) -> Result<Vec<Received>, Failure> {
        let mut received: Vec<Received> = Vec::new();
        while received.len() < most {
            let left = i32::try_from(most - received.len()).unwrap_or(PER_CALL).min(PER_CALL);
            let call = self
                .client
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(left)
                .visibility_timeout(i32::try_from(HIDDEN.as_secs()).unwrap_or(60))
                .wait_time_seconds(1)
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
            let output =
                call.send().await.map_err(|error| failure::of("sqs:ReceiveMessage", &self.url, &error))?;
            let messages = output.messages.unwrap_or_default();
            let before = received.len();
            for message in messages.into_iter().map(read) {
                // Queues deliver at least once.
                if received.iter().all(|known| known.id != message.id) {
                    received.push(message);
                }
            }
            if received.len() == before {
                break;
            }
        }
        Ok(received)
    }

    /// Deletes a message.
    pub async fn delete(&self, message: &Received) -> Result<(), Failure> {
        let call = self.client.delete_message().queue_url(&self.url).receipt_handle(&message.receipt);
        match call.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(failure::of("sqs:DeleteMessage", &self.url, &error)),
        }
    }

    /// Lets others see a message again at once.
    pub async fn release(&self, message: &Received) -> Result<(), Failure> {
        let call = self.client.change_message_visibility().queue_url(&self.url);
        match call.receipt_handle(&message.receipt).visibility_timeout(0).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(failure::of("sqs:ChangeMessageVisibility", &self.url, &error)),
        }
    }
}

fn read(message: Message) -> Received {
    let attribute = |name| message.attributes.as_ref().and_then(|all| all.get(&name)).map(String::as_str);
    let sent = attribute(MessageSystemAttributeName::SentTimestamp).and_then(|ms| ms.parse().ok());
    let times = attribute(MessageSystemAttributeName::ApproximateReceiveCount).and_then(|n| n.parse().ok());
    Received {
        sent: sent.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        times: times.unwrap_or(1),
        letter: Letter::parse(message.body.as_deref().unwrap_or_default()),
        id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
    }
}
