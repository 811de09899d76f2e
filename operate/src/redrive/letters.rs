//! Dead letters: what an event source mapping gave up, by its positions in the stream.
//!
//! Such a message holds no data. What it names is read from the stream again, as far as the stream still has it.

use std::future::Future;

use serde::{Deserialize, Serialize};
use shared::clock::Clock;
use shared::ledger::{RecordStore, SequenceStore};
use shared::metrics::Metrics;

use crate::replay::{Bound, Options, Ports, Position, ReplayError, Report, replay};
use crate::{Replayed, SourceError};

/// A run of records of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// Their shard.
    pub shard: String,
    /// Sequence number of the first.
    pub from: String,
    /// Sequence number of the last.
    pub to: String,
}

/// A message of a dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its id.
    pub id: String,
    /// Of which queue.
    pub queue: String,
    /// When it was sent.
    pub at: jiff::Timestamp,
    /// Why, as the mapping says it.
    pub reason: String,
    /// What it is about; none if it is about no stream of events, such as a change that the alerter did not take.
    pub about: Option<Positions>,
    /// The message as it is.
    pub body: String,
}

/// Queues of dead letters.
pub trait DeadLetters: Send + Sync {
    /// Some messages, without taking them out.
    fn letters(&self, limit: usize) -> impl Future<Output = Result<Vec<DeadLetter>, SourceError>> + Send;

    /// Takes one out for good; false if it is not there.
    fn remove(&self, id: &str) -> impl Future<Output = Result<bool, SourceError>> + Send;
}

/// Replays what a letter names. The letter may go once that is complete: what cannot be counted is in the quarantine
/// then. None if it names nothing that can be read again.
pub async fn retry_letter<L, M, C, S>(
    ports: Ports<L, M, C>,
    source: &mut S,
    letter: &DeadLetter,
) -> Result<Option<Report>, ReplayError>
where
    L: RecordStore + SequenceStore,
    M: Metrics,
    C: Clock,
    S: Replayed,
{
    let Some(about) = &letter.about else { return Ok(None) };
    let options = Options {
        from: Some(Bound::Sequence(about.from.clone())),
        to: Some(Bound::Sequence(about.to.clone())),
        shard: Some(about.shard.clone()),
        apply: true,
        ..Options::default()
    };
    replay(ports, source, &options, Position::default(), &mut |_, _, _| Ok(())).await.map(Some)
}
