//! The queues of what event source mappings gave up.

use aws::env;
use aws::queue::{Batch, Letter, Queue, Received, Source};
use jiff::Timestamp;
use operate::SourceError;
use operate::redrive::{DeadLetter, DeadLetters, Positions};

/// The most messages that are looked at of one queue.
const MOST: usize = 1_000;

/// A message, and what it says if that is a batch.
pub(super) struct Found {
    pub(super) letter: DeadLetter,
    pub(super) batch: Option<Batch>,
}

impl Found {
    fn of(queue: &str, received: &Received) -> Self {
        let (batch, body) = match &received.letter {
            Letter::Batch(batch) => (Some((**batch).clone()), serde_json::to_string(batch)),
            Letter::Other(text) => (None, Ok(text.clone())),
        };
        let about = batch.as_ref().filter(|batch| batch.source == Source::Kinesis).map(|batch| Positions {
            shard: batch.shard.clone(),
            from: batch.first.clone(),
            to: batch.last.clone(),
        });
        let letter = DeadLetter {
            id: received.id.clone(),
            queue: queue.to_owned(),
            at: received.sent.unwrap_or(Timestamp::UNIX_EPOCH),
            reason: batch.as_ref().map_or_else(|| "no batch of a mapping".to_owned(), Batch::to_string),
            about,
            body: body.unwrap_or_default(),
        };
        Self { letter, batch }
    }

    /// Whether it is the alerter's: a batch of the table's stream that the aggregator did not read.
    pub(super) fn is_of_alerter(&self, alerter: Option<&str>) -> bool {
        let function = self.batch.as_ref().map(|batch| batch.function.as_str());
        // arn:aws:lambda:REGION:ACCOUNT:function:NAME, perhaps with an alias.
        let name = function.and_then(|arn| arn.split(":function:").nth(1)).and_then(|n| n.split(':').next());
        match (name, alerter) {
            (Some(name), Some(alerter)) => name == alerter,
            _ => self.letter.queue.ends_with("-alerter-failures"),
        }
    }
}

/// All of a deployment's queues.
pub(super) struct Letters {
    queues: Vec<Queue>,
}

impl Letters {
    /// Those that the environment names, or those that are named after the functions.
    pub(super) async fn open(client: &aws_sdk_sqs::Client) -> Result<Self, SourceError> {
        if let Some(urls) = env::optional(env::FAILURE_QUEUES) {
            let queues = urls.split_whitespace().map(|url| Queue::new(client.clone(), url)).collect();
            return Ok(Self { queues });
        }
        let mut queues = Vec::new();
        for (variable, suffix) in [(env::AGGREGATOR, "aggregator"), (env::ALERTER, "alerter")] {
            if let Some(function) = env::function(variable, suffix) {
                let found = Queue::named(client, &format!("{function}-failures")).await;
                queues.extend(found.map_err(|e| SourceError(e.to_string()))?);
            }
        }
        Ok(Self { queues })
    }

    pub(super) fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// Messages, which others see again at once.
    pub(super) async fn all(&self, most: usize) -> Result<Vec<Found>, SourceError> {
        let mut all = Vec::new();
        for queue in &self.queues {
            let received = queue.receive(most.min(MOST)).await.map_err(|e| SourceError(e.to_string()))?;
            for message in &received {
                all.push(Found::of(queue.name(), message));
                // If it is not let go of, its minute lets it.
                let _ = queue.release(message).await;
            }
        }
        all.sort_by_key(|found| std::cmp::Reverse(found.letter.at));
        Ok(all)
    }

    /// One message, for `show`.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Found>, SourceError> {
        Ok(self.all(MOST).await?.into_iter().find(|found| found.letter.id == id))
    }
}

impl DeadLetters for Letters {
    async fn letters(&self, limit: usize) -> Result<Vec<DeadLetter>, SourceError> {
        Ok(self.all(limit).await?.into_iter().map(|found| found.letter).take(limit).collect())
    }

    async fn remove(&self, id: &str) -> Result<bool, SourceError> {
        let failed = |e: aws::failure::Failure| SourceError(e.to_string());
        for queue in &self.queues {
            let mut removed = false;
            for message in queue.receive(MOST).await.map_err(failed)? {
                if message.id == id {
                    queue.delete(&message).await.map_err(failed)?;
                    removed = true;
                } else {
                    let _ = queue.release(&message).await;
                }
            }
            if removed {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(queue: &str, function: Option<&str>, source: Source) -> Found {
        let batch = function.map(|function| Batch {
            source,
            stream: "arn:aws:kinesis:eu-central-1:1:stream/s".to_owned(),
            shard: "shardId-000000000000".to_owned(),
            first: "5".to_owned(),
            last: "7".to_owned(),
            first_arrived: None,
            last_arrived: None,
            size: 3,
            condition: "RecordAgeExceeded".to_owned(),
            invocations: 1,
            error: None,
            function: function.to_owned(),
            at: None,
        });
        let letter = match batch {
            Some(batch) => Letter::Batch(Box::new(batch)),
            None => Letter::Other("{}".to_owned()),
        };
        let received = Received { id: "m".to_owned(), receipt: "r".to_owned(), sent: None, times: 1, letter };
        Found::of(queue, &received)
    }

    #[test]
    fn a_message_is_told_by_its_function_or_else_by_its_queue() {
        let arn = |name: &str| format!("arn:aws:lambda:eu-central-1:1:function:{name}");
        let kinesis = found("q", Some(&arn("x-aggregator")), Source::Kinesis);
        let about = kinesis.letter.about.as_ref().unwrap();
        assert_eq!((&*about.from, &*about.to), ("5", "7"));
        assert!(!kinesis.is_of_alerter(Some("x-alerter")));
        let table = found("q", Some(&format!("{}:live", arn("x-alerter"))), Source::Table);
        assert!(table.letter.about.is_none() && table.is_of_alerter(Some("x-alerter")));
        assert!(found("x-alerter-failures", None, Source::Table).is_of_alerter(Some("x-alerter")));
        assert!(!found("x-aggregator-failures", None, Source::Table).is_of_alerter(None));
    }
}
