//! The archive of the raw stream, in S3 or in a directory, read back for a replay.
//!
//! Firehose writes objects under a prefix and the UTC hour of the oldest record in each: `PREFIX/YYYY/MM/DD/HH/…`
//! as it does by itself, or `PREFIX/year=YYYY/month=MM/day=DD/hour=HH/…` where the delivery stream's prefix is
//! `PREFIX/year=!{timestamp:yyyy}/month=!{timestamp:MM}/day=!{timestamp:dd}/hour=!{timestamp:HH}/`. Objects are
//! gzip or plain, told apart by their first bytes, whatever their name or their `Content-Encoding` says. Each holds
//! stream records as JSON, one after the other, with or without newlines.
//!
//! An archive holds no partition keys: records are given lanes in turn. Nothing that counts depends on the lane.

mod decode;
mod layout;
mod local;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;

use aws_lambda_events::kinesis::KinesisEventRecord;
use aws_sdk_s3::Client;
use jiff::Timestamp;

use crate::failure;
use crate::read::{Pacer, Patience, ReadError};

pub use decode::Stretch;

/// The most bytes of an object, as stored and when inflated: Firehose buffers at most 128 MiB.
pub const MAX_OBJECT_BYTES: u64 = 256 << 20;

/// Where an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a bucket, under a prefix that ends with a slash or is empty.
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix.
        prefix: String,
    },
    /// In a directory, or in one file.
    Path(PathBuf),
}

/// A text that names no archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no archive; give s3://BUCKET/PREFIX, file:///PATH or a path")]
pub struct LocationError(pub String);

impl Location {
    /// Reads `s3://BUCKET/PREFIX`, `file:///PATH` or a path.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let bad = || LocationError(text.to_owned());
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(bad());
            }
            let mut prefix = prefix.to_owned();
            if !prefix.is_empty() && !prefix.ends_with('/') {
                prefix.push('/');
            }
            return Ok(Self::S3 { bucket: bucket.to_owned(), prefix });
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err(bad());
        }
        Ok(Self::Path(PathBuf::from(path)))
    }
}

/// What one object holds of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key, or its path.
    pub name: String,
    /// Its records as a Lambda batch has them. One that is JSON but no stream record is among them: the aggregator
    /// puts it aside with the reason.
    pub records: Vec<KinesisEventRecord>,
    /// What is no JSON.
    pub unreadable: Vec<Stretch>,
}

/// Why an archive could not be read on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The archive, or an object of it, does not answer or is not allowed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An object that cannot be taken as a whole. Others can: go on behind it.
    #[error("{name} {why}")]
    Object {
        /// Its key, or its path.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads an archive, one object at a time.
#[derive(Debug)]
pub struct Archive {
    source: Source,
    from: Timestamp,
    to: Timestamp,
    lanes: u32,
    limit: u64,
    /// Names that are listed and not read.
    waiting: VecDeque<String>,
    /// Behind this name: where an interrupted reading stopped.
    after: Option<String>,
}

#[derive(Debug)]
enum Source {
    S3 { client: Client, bucket: String, listing: layout::Listing, pacer: Pacer },
    Path { root: PathBuf, is_listed: bool },
}

impl Archive {
    /// Records that ingest received from `from` and before `to`, given to so many lanes. The client is asked only
    /// where the archive is in S3.
    pub fn new(location: Location, client: Client, from: Timestamp, to: Timestamp, lanes: u32) -> Self {
        let source = match location {
            Location::S3 { bucket, prefix } => Source::S3 {
                client,
                bucket,
                listing: layout::Listing::new(&prefix, from, to),
                pacer: Pacer::new(Patience { pause: std::time::Duration::ZERO, ..Patience::default() }),
            },
            Location::Path(root) => Source::Path { root, is_listed: false },
        };
        let (waiting, after) = (VecDeque::new(), None);
        Self { source, from, to, lanes: lanes.max(1), limit: MAX_OBJECT_BYTES, waiting, after }
    }

    /// Goes on behind an object, by its name.
    #[must_use]
    pub fn after(mut self, name: Option<String>) -> Self {
        self.after = name;
        self
    }

    /// With objects of at most so many bytes.
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// The next object that holds anything; none at the end. After an error about an object, the next call goes
    /// on behind it.
    pub async fn next(&mut self) -> Result<Option<Object>, ArchiveError> {
        while let Some(name) = self.next_name().await? {
            let stored = self.fetch(&name).await?;
            let too_large = |why: String| ArchiveError::Object { name: name.clone(), why };
            let bytes = decode::inflate(stored, self.limit).map_err(too_large)?;
            let object = decode::object(name, &bytes, self.from, self.to, self.lanes);
            if !object.records.is_empty() || !object.unreadable.is_empty() {
                return Ok(Some(object));
            }
        }
        Ok(None)
    }

    async fn next_name(&mut self) -> Result<Option<String>, ArchiveError> {
        loop {
            while let Some(name) = self.waiting.pop_front() {
                if self.after.as_ref().is_none_or(|after| name > *after) {
                    return Ok(Some(name));
                }
            }
            match &mut self.source {
                Source::Path { is_listed: true, .. } => return Ok(None),
                Source::Path { root, is_listed } => {
                    *is_listed = true;
                    self.waiting = local::list(root, self.from, self.to)?.into();
                }
                Source::S3 { client, bucket, listing, pacer } => {
                    let Some(page) = listing.next_page() else { return Ok(None) };
                    let call = client
                        .list_objects_v2()
                        .bucket(&*bucket)
                        .prefix(&page.prefix)
                        .set_continuation_token(page.token.clone());
                    pacer.ready().await;
                    match call.send().await {
                        Ok(output) => {
                            pacer.answered();
                            let names = output.contents().iter().filter_map(|object| object.key());
                            self.waiting =
                                names.filter(|name| listing.holds(name)).map(str::to_owned).collect();
                            listing.listed(output.next_continuation_token);
                        }
                        Err(error) => {
                            let target = format!("bucket {bucket}");
                            pacer.failed(failure::of("s3:ListBucket", &target, &error)).await?;
                        }
                    }
                }
            }
        }
    }

    async fn fetch(&mut self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let limit = self.limit;
        let (client, bucket, pacer) = match &mut self.source {
            Source::Path { .. } => return local::read(name, limit),
            Source::S3 { client, bucket, pacer, .. } => (client, bucket, pacer),
        };
        loop {
            let failure = match client.get_object().bucket(&*bucket).key(name).send().await {
                Ok(mut output) => {
                    let mut bytes = Vec::new();
                    loop {
                        match output.body.next().await {
                            None => {
                                pacer.answered();
                                return Ok(bytes);
                            }
                            Some(Ok(chunk)) => {
                                bytes.extend_from_slice(&chunk);
                                if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
                                    let why = format!("is larger than {limit} bytes");
                                    return Err(ArchiveError::Object { name: name.to_owned(), why });
                                }
                            }
                            Some(Err(error)) => {
                                break failure::Failure::Retry(format!(
                                    "s3://{bucket}/{name} broke off: {error}"
                                ));
                            }
                        }
                    }
                }
                Err(error) => failure::of("s3:GetObject", &format!("s3://{bucket}/{name}"), &error),
            };
            pacer.failed(failure).await?;
        }
    }
}
