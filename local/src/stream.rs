//! The stream embedded: an append-only log per shard, durable before it acknowledges.
//!
//! One writer thread per shard commits whatever waits in groups: one write, one sync, many answers. Readers
//! see only what is durable.

mod cursor;
mod disk;
mod error;
mod frame;
mod options;
mod queue;
mod reader;
mod recover;
mod shard;
mod writer;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};
use shared::stream::{EventStream, PutError, PutRecord};

pub use error::{StreamOpenError, StreamReadError};
pub use frame::{LogRecord, sequence_number};
pub use options::{NowMs, StreamOptions, system_now_ms};
pub use reader::ShardReader;

pub(crate) use disk::sync_dir;

use disk::{Disk, RealDisk};
use queue::{Offer, Queue};
use shard::Shard;
use writer::Writer;

/// The description of a stream, beside its shards.
const DESCRIPTION: &str = "stream.json";
/// The format written; a newer one is refused.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Description {
    format: u32,
    shards: u32,
    /// Tells this stream from one that is made anew in its place: positions belong to one of them.
    id: String,
}

/// An embedded stream. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct StreamLog(Arc<Open>);

struct Open {
    id: String,
    shards: Vec<Arc<Shard>>,
    writers: Mutex<Vec<JoinHandle<()>>>,
    /// Locked for as long as the stream is open.
    _lock: File,
}

impl StreamLog {
    /// Opens the stream in `dir`, or makes one there.
    pub fn open(dir: &Path, options: &StreamOptions) -> Result<Self, StreamOpenError> {
        Self::open_on(dir, options, &(Arc::new(RealDisk) as Arc<dyn Disk>))
    }

    fn open_on(dir: &Path, options: &StreamOptions, disk: &Arc<dyn Disk>) -> Result<Self, StreamOpenError> {
        if options.shards == 0 {
            return Err(StreamOpenError::Options("no shards; give at least 1"));
        }
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |error| StreamOpenError::Io { action, path, error }
        };
        fs::create_dir_all(dir).map_err(io("make", dir))?;
        let (lock, found) = describe(dir, options.shards)?;
        let mut shards = Vec::new();
        let mut writers = Vec::new();
        for id in 0..found.shards {
            let shard_dir = dir.join(format!("shard-{id:04}"));
            fs::create_dir_all(&shard_dir).map_err(io("make", &shard_dir))?;
            let recovered = recover::recover(&shard_dir, &**disk)?;
            let queue = Queue::new(options.max_queued_bytes);
            let active = recovered.segments.last().cloned();
            let Some(active) = active else { continue };
            let shard = Arc::new(Shard::new(id, shard_dir, queue, recovered.segments));
            let writer = Writer::new(
                Arc::clone(&shard),
                Arc::clone(disk),
                options.clone(),
                active,
                recovered.last_arrival_ms,
            );
            let thread = std::thread::Builder::new().name(format!("stream-{id}"));
            writers.push(thread.spawn(move || writer.run()).map_err(io("start a writer for", dir))?);
            shards.push(shard);
        }
        sync_dir(dir).map_err(io("sync", dir))?;
        Ok(Self(Arc::new(Open { id: found.id, shards, writers: Mutex::new(writers), _lock: lock })))
    }

    /// Its identity: a stream made anew in the same directory has another.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// How many shards there are, numbered from 0.
    pub fn shards(&self) -> u32 {
        u32::try_from(self.0.shards.len()).unwrap_or(u32::MAX)
    }

    /// The last durable record of a shard; 0 if it has none.
    pub fn latest_seq(&self, shard: u32) -> Result<u64, StreamReadError> {
        Ok(self.shard(shard)?.latest())
    }

    /// The oldest record of a shard that is kept, or the first to come if it has none.
    pub fn oldest_seq(&self, shard: u32) -> Result<u64, StreamReadError> {
        Ok(self.shard(shard)?.oldest())
    }

    /// Why a shard could not write its last group; none if it could.
    pub fn trouble(&self, shard: u32) -> Option<String> {
        let shard = self.shard(shard).ok()?;
        shard.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads a shard after the record `after`.
    pub fn reader(&self, shard: u32, after: u64) -> Result<ShardReader, StreamReadError> {
        ShardReader::new(Arc::clone(self.shard(shard)?), after)
    }

    /// Deletes whole segments whose every record is consumed and arrived before `before_ms`; how many.
    pub fn trim(&self, shard: u32, consumed: u64, before_ms: i64) -> Result<usize, StreamReadError> {
        self.shard(shard)?.trim(consumed, before_ms)
    }

    /// Refuses further puts, writes what waits, and ends the writers.
    pub fn close(&self) {
        self.0.close();
    }

    fn shard(&self, id: u32) -> Result<&Arc<Shard>, StreamReadError> {
        let found = usize::try_from(id).ok().and_then(|id| self.0.shards.get(id));
        found.ok_or(StreamReadError::NoShard { shard: id, shards: self.shards() })
    }

    /// A number is taken as it is, so that lanes spread evenly; other keys are hashed.
    fn shard_of(&self, partition_key: &str) -> usize {
        let count = self.0.shards.len().max(1);
        match partition_key.parse::<usize>() {
            Ok(number) => number % count,
            Err(_) => usize::try_from(crc32fast::hash(partition_key.as_bytes())).unwrap_or(0) % count,
        }
    }
}

impl Open {
    fn close(&self) {
        self.shards.iter().for_each(|shard| shard.queue.close());
        let writers = std::mem::take(&mut *self.writers.lock().unwrap_or_else(PoisonError::into_inner));
        for writer in writers {
            if writer.join().is_err() {
                tracing::error!("a writer of the stream panicked; what it had not acknowledged was refused");
            }
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close();
    }
}

impl EventStream for StreamLog {
    async fn put(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        let again = |why: &str| Err(PutError::Retry(why.to_owned()));
        let mut answers: Vec<Result<String, PutError>> = Vec::with_capacity(records.len());
        let mut by_shard: Vec<(Vec<usize>, Vec<PutRecord>)> = vec![Default::default(); self.0.shards.len()];
        for (n, record) in records.into_iter().enumerate() {
            if let Some(why) = refused(&record) {
                answers.push(Err(PutError::Refused(why)));
                continue;
            }
            answers.push(again("the stream has not answered"));
            let (indexes, records) = &mut by_shard[self.shard_of(&record.partition_key)];
            indexes.push(n);
            records.push(record);
        }
        let mut waiting = Vec::new();
        for (shard, (indexes, records)) in self.0.shards.iter().zip(by_shard) {
            if records.is_empty() {
                continue;
            }
            let (queued, answer) = match shard.queue.offer(records) {
                Offer::Queued(count, answer) => (count, Some(answer)),
                Offer::Full => (0, None),
                Offer::Closed => {
                    indexes.iter().for_each(|n| answers[*n] = again("the stream is closed"));
                    continue;
                }
            };
            for n in &indexes[queued..] {
                answers[*n] = again("too much waits to be written; send less, or later");
            }
            waiting.extend(answer.map(|answer| (indexes[..queued].to_vec(), answer)));
        }
        for (indexes, answer) in waiting {
            let answer = answer.await.unwrap_or_else(|_| Err("the stream was closed".to_owned()));
            for (offset, n) in (0..).zip(indexes) {
                answers[n] = match &answer {
                    Ok(first) => Ok(sequence_number(first + offset)),
                    Err(why) => again(why),
                };
            }
        }
        answers
    }
}

fn refused(record: &PutRecord) -> Option<String> {
    if record.data.len() > frame::MAX_DATA {
        return Some(format!(
            "{} bytes are more than the {} of a record",
            record.data.len(),
            frame::MAX_DATA
        ));
    }
    if record.partition_key.is_empty() || record.partition_key.chars().count() > frame::MAX_KEY_CHARS {
        return Some(format!("a partition key has 1 to {} characters", frame::MAX_KEY_CHARS));
    }
    None
}

/// Locks and reads the description, or writes one.
fn describe(dir: &Path, shards: u32) -> Result<(File, Description), StreamOpenError> {
    let path = dir.join(DESCRIPTION);
    let io = |action| {
        let path = path.clone();
        move |error| StreamOpenError::Io { action, path, error }
    };
    let lock_path = dir.join("lock");
    let lock =
        File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(io("lock"))?;
    lock.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => StreamOpenError::InUse { path: dir.to_owned() },
        fs::TryLockError::Error(error) => io("lock")(error),
    })?;
    if !path.exists() {
        // Renamed into place, so that it is there as a whole or not at all.
        let made = Description { format: FORMAT, shards, id: uuid::Uuid::now_v7().to_string() };
        let text = serde_json::to_string(&made)
            .map_err(|e| StreamOpenError::Description { path: path.clone(), why: e.to_string() })?;
        let draft = dir.join("stream.json.new");
        fs::write(&draft, text).map_err(io("write"))?;
        File::open(&draft).and_then(|f| f.sync_all()).map_err(io("sync"))?;
        fs::rename(&draft, &path).map_err(io("write"))?;
        return Ok((lock, made));
    }
    let text = fs::read_to_string(&path).map_err(io("read"))?;
    let found: Description = serde_json::from_str(&text).map_err(|e| StreamOpenError::Description {
        path: path.clone(),
        why: format!("is not readable: {e}"),
    })?;
    if found.format > FORMAT {
        return Err(StreamOpenError::Newer { path, found: found.format, known: FORMAT });
    }
    if found.shards == 0 {
        return Err(StreamOpenError::Description { path, why: "describes no shards".to_owned() });
    }
    Ok((lock, found))
}
