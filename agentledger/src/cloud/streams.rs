//! Where a deployment's records are read again: the stream, the table's inbox, or an archive in S3.

use std::collections::VecDeque;

use aws::archive::{Archive, ArchiveError, Location};
use aws::inbox::{InboxPages, Partition, Reader as Inbox};
use aws::read::ReadError;
use aws::stream::{Reader, ShardPages, Start as ShardStart, Stop};
use aws_lambda_events::kinesis::KinesisEventRecord;
use jiff::Timestamp;
use operate::{Page, Replayed, SourceError, Start};

/// The one shard of an archive.
const ARCHIVE: &str = "archive";

/// What is read.
pub(super) enum Origin {
    /// A Kinesis stream, up to there.
    Stream(Reader, Stop),
    /// An inbox of so many lanes, between two times.
    Inbox(Inbox, u32, Timestamp, Timestamp),
    /// An archive, what was received between two times.
    Archive(Location, aws_sdk_s3::Client, Timestamp, Timestamp),
}

enum Pages {
    None,
    Shard(Box<ShardPages>),
    Inbox(Box<InboxPages>),
    /// An archive, and the place up to which all is done.
    Archive(Box<Archive>, Option<(String, usize)>),
}

/// Records to be read again.
pub(super) struct Records {
    origin: Origin,
    pages: Pages,
    waiting: VecDeque<KinesisEventRecord>,
    unreadable: Vec<String>,
}

impl Records {
    pub(super) fn of(origin: Origin) -> Self {
        Self { origin, pages: Pages::None, waiting: VecDeque::new(), unreadable: Vec::new() }
    }

    /// What of an archive could not be read, and so was not counted.
    pub(super) fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

    /// Reads on; false at the end.
    async fn fill(&mut self) -> Result<bool, SourceError> {
        let page = match &mut self.pages {
            Pages::None => return Ok(false),
            Pages::Shard(pages) => pages.next().await.map_err(|e| unread(&e))?,
            Pages::Inbox(pages) => pages.next().await.map_err(|e| unread(&e))?,
            Pages::Archive(archive, done) => match archive.next().await {
                Ok(None) => None,
                Ok(Some(object)) => {
                    let name = &object.name;
                    let stretches = object.unreadable.iter().map(|stretch| {
                        let (from, to, why) = (stretch.bytes.start, stretch.bytes.end, &stretch.why);
                        format!("{name}, bytes {from} to {to}: {why}")
                    });
                    self.unreadable.extend(stretches);
                    let mut records = object.records;
                    if let Some(done) = done {
                        records.retain(|record| {
                            place(&record.kinesis.sequence_number).is_none_or(|place| place > *done)
                        });
                    }
                    Some(records)
                }
                // The others can be read: nothing is kept from being counted by it.
                Err(error @ ArchiveError::Object { .. }) => {
                    self.unreadable.push(error.to_string());
                    Some(Vec::new())
                }
                Err(ArchiveError::Read(error)) => return Err(unread(&error)),
            },
        };
        let is_more = page.is_some();
        self.waiting.extend(page.unwrap_or_default());
        Ok(is_more)
    }
}

fn unread(error: &ReadError) -> SourceError {
    SourceError(error.to_string())
}

/// The object of a record of an archive, and where in it that is.
fn place(number: &str) -> Option<(String, usize)> {
    let (name, at) = number.rsplit_once('@')?;
    Some((name.to_owned(), at.parse().ok()?))
}

/// A name before this one, and before none that is not its beginning.
fn before(name: &str) -> String {
    let mut shorter = name.to_owned();
    shorter.pop();
    shorter
}

/// The name of a partition of the inbox, and back.
fn shard_of(partition: Partition) -> String {
    format!("lane-{:04}.{:02}", partition.lane, partition.spread)
}

fn partition_of(shard: &str) -> Option<Partition> {
    let (lane, spread) = shard.strip_prefix("lane-")?.split_once('.')?;
    Some(Partition { lane: lane.parse().ok()?, spread: spread.parse().ok()? })
}

impl Replayed for Records {
    async fn shards(&mut self) -> Result<Vec<String>, SourceError> {
        match &self.origin {
            Origin::Stream(reader, _) => {
                let shards = reader.shards().await.map_err(|e| unread(&e))?;
                Ok(shards.into_iter().map(|shard| shard.id).collect())
            }
            Origin::Inbox(_, lanes, ..) => Ok(Inbox::partitions(*lanes).map(shard_of).collect()),
            Origin::Archive(..) => Ok(vec![ARCHIVE.to_owned()]),
        }
    }

    /// Each source ends where it is told to, and knows better when that is.
    fn is_ordered(&self) -> bool {
        false
    }

    async fn seek(&mut self, shard: &str, start: &Start) -> Result<(), SourceError> {
        self.waiting.clear();
        self.pages = match &self.origin {
            Origin::Stream(reader, stop) => {
                let start = match start {
                    Start::Oldest => ShardStart::Horizon,
                    Start::At(at) => ShardStart::Time(*at),
                    Start::Sequence(number) => ShardStart::At(number.clone()),
                    Start::After(number) => ShardStart::After(number.clone()),
                };
                Pages::Shard(Box::new(reader.read(shard, start, stop.clone())))
            }
            Origin::Inbox(reader, _, from, to) => {
                let unknown = || SourceError(format!("{shard:?} is no part of an inbox"));
                let partition = partition_of(shard).ok_or_else(unknown)?;
                let (from, after) = match start {
                    Start::Oldest | Start::Sequence(_) => (*from, None),
                    Start::At(at) => (*at, None),
                    Start::After(number) => (*from, Some(number.clone())),
                };
                Pages::Inbox(Box::new(reader.read(partition, from, *to, after)))
            }
            Origin::Archive(location, client, from, to) => {
                let done = match start {
                    Start::After(number) => place(number),
                    _ => None,
                };
                let archive = Archive::new(location.clone(), client.clone(), *from, *to, 1);
                let archive = archive.after(done.as_ref().map(|(name, _)| before(name)));
                Pages::Archive(Box::new(archive), done)
            }
        };
        Ok(())
    }

    async fn next(&mut self, limit: usize) -> Result<Page, SourceError> {
        if self.waiting.is_empty() && !self.fill().await? {
            return Ok(Page { records: Vec::new(), is_last: true });
        }
        let taken = limit.min(self.waiting.len());
        Ok(Page { records: self.waiting.drain(..taken).collect(), is_last: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_back_and_an_object_that_was_begun_is_read_again() {
        let (name, at) = place("events/2026/11/24/10/a@b.gz@17").unwrap();
        assert_eq!((&*name, at), ("events/2026/11/24/10/a@b.gz", 17));
        assert!(before(&name) < name && name.starts_with(&before(&name)));
        assert_eq!(place("9"), None);
        let partition = Partition { lane: 12, spread: 3 };
        assert_eq!(partition_of(&shard_of(partition)), Some(partition));
        assert_eq!(partition_of("shardId-000000000000"), None);
    }
}
