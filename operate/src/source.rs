//! Where stream records come from again: a stream's retention, or an archive of it.

use std::cmp::Ordering;
use std::future::Future;

use aws_lambda_events::kinesis::KinesisEventRecord;
use jiff::Timestamp;

/// A source that did not answer, or that does not hold what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// Where to begin in a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record that is kept.
    Oldest,
    /// With the first that arrived at this instant or later. Whoever cannot tell may begin earlier.
    At(Timestamp),
    /// With the record of this sequence number, or the first kept after it.
    Sequence(String),
    /// Behind the record of this sequence number.
    After(String),
}

/// Some records of a shard, in order.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// As the event source mapping delivers them: with their sequence number, partition key, arrival and `event_id`.
    /// There may be none though there are more.
    pub records: Vec<KinesisEventRecord>,
    /// Whether these were the last of those that were there when the shard was sought.
    pub is_last: bool,
}

/// Records that can be read again, in order by shard.
pub trait Replayed: Send {
    /// The shards there are, in the order in which to read them: a shard that was split before those it became.
    fn shards(&mut self) -> impl Future<Output = Result<Vec<String>, SourceError>> + Send;

    /// Goes to a place in a shard.
    fn seek(&mut self, shard: &str, start: &Start) -> impl Future<Output = Result<(), SourceError>> + Send;

    /// Reads on from there, at most `limit` records.
    fn next(&mut self, limit: usize) -> impl Future<Output = Result<Page, SourceError>> + Send;

    /// Whether records come in the order of their arrival, so that one past the end says that all that follow are.
    fn is_ordered(&self) -> bool {
        true
    }

    /// About how many records there are from where it was sought to the end, for a bar of progress.
    fn left(&self) -> Option<u64> {
        None
    }
}

/// When a record arrived.
pub fn arrived(record: &KinesisEventRecord) -> Timestamp {
    let ms = record.kinesis.approximate_arrival_timestamp.0.timestamp_millis();
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Orders two sequence numbers of a shard: whole numbers, of more digits than a machine word holds.
pub fn compare_sequence(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_are_ordered_as_numbers() {
        let long = "49590338271490256608559692538361571095921575989136588898";
        for (a, b, order) in [
            ("9", "10", Ordering::Less),
            ("00010", "10", Ordering::Equal),
            (long, "9", Ordering::Greater),
            ("0", "", Ordering::Equal),
        ] {
            assert_eq!(compare_sequence(a, b), order, "{a} {b}");
        }
    }
}
