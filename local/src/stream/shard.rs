//! What the writer of a shard and its readers share: the list of segments and how far it is durable.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use tokio::sync::watch;

use super::cursor::{Cursor, READ_BYTES};
use super::disk::sync_dir;
use super::error::StreamReadError;
use super::queue::Queue;

/// The offset of a frame is remembered every so many bytes, so that a seek reads little.
const INDEX_BYTES: u64 = 1 << 20;

/// One segment file. The last of a shard is the one written to.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// The sequence number of its first record, present or to come.
    pub(super) first_seq: u64,
    /// Of its last durable record; `first_seq - 1` when it has none.
    pub(super) last_seq: u64,
    /// Of its last durable record; None when that is not known yet.
    pub(super) last_arrival_ms: Option<i64>,
    /// How many bytes are durable.
    pub(super) len: u64,
    /// Some sequence numbers and where their frames begin, in order.
    pub(super) index: Vec<(u64, u64)>,
}

impl Segment {
    pub(super) fn empty(dir: &Path, first_seq: u64) -> Self {
        Self {
            path: dir.join(file_name(first_seq)),
            first_seq,
            last_seq: first_seq - 1,
            last_arrival_ms: None,
            len: 0,
            index: Vec::new(),
        }
    }

    /// Notes that the frame of `seq` begins at `offset`, if the last note is far enough away.
    pub(super) fn note(&mut self, seq: u64, offset: u64) {
        if offset >= self.index.last().map_or(0, |&(_, at)| at) + INDEX_BYTES {
            self.index.push((seq, offset));
        }
    }
}

/// The name of the segment that begins with `first_seq`.
pub(super) fn file_name(first_seq: u64) -> String {
    format!("{first_seq:020}.log")
}

/// How far a shard can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Durable {
    /// The last durable record; 0 before the first.
    pub(super) seq: u64,
    /// No more will come.
    pub(super) closed: bool,
}

/// Where to read a record.
pub(super) struct View {
    pub(super) path: PathBuf,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    pub(super) end: u64,
    /// Where a frame at or before the record begins.
    pub(super) start: u64,
}

/// One shard.
pub(super) struct Shard {
    pub(super) id: u32,
    pub(super) dir: PathBuf,
    pub(super) queue: Queue,
    pub(super) durable: watch::Sender<Durable>,
    segments: Mutex<Vec<Segment>>,
    /// Why the last group was not written; none if it was.
    pub(super) trouble: Mutex<Option<String>>,
    /// One trim at a time: it looks at the list, reads files, and looks again.
    trimming: Mutex<()>,
}

impl Shard {
    /// `segments` has at least one: the one to write to.
    pub(super) fn new(id: u32, dir: PathBuf, queue: Queue, segments: Vec<Segment>) -> Self {
        let seq = segments.last().map_or(0, |active| active.last_seq);
        let (durable, _) = watch::channel(Durable { seq, closed: false });
        Self {
            id,
            dir,
            queue,
            durable,
            segments: Mutex::new(segments),
            trouble: Mutex::default(),
            trimming: Mutex::new(()),
        }
    }

    pub(super) fn latest(&self) -> u64 {
        self.durable.borrow().seq
    }

    pub(super) fn oldest(&self) -> u64 {
        self.segments().first().map_or(1, |oldest| oldest.first_seq)
    }

    /// Begins a new segment.
    pub(super) fn push(&self, segment: Segment) {
        self.segments().push(segment);
    }

    /// Changes the segment written to.
    pub(super) fn grow(&self, change: impl FnOnce(&mut Segment)) {
        if let Some(active) = self.segments().last_mut() {
            change(active);
        }
    }

    /// Where `seq` is, or the oldest record kept if it was trimmed.
    pub(super) fn view(&self, seq: u64) -> Option<View> {
        let segments = self.segments();
        let at = segments.partition_point(|segment| segment.first_seq <= seq).saturating_sub(1);
        let segment = segments.get(at)?;
        let noted = segment.index.partition_point(|&(first, _)| first <= seq);
        let start =
            noted.checked_sub(1).and_then(|last| segment.index.get(last)).map_or(0, |&(_, offset)| offset);
        Some(View {
            path: segment.path.clone(),
            first_seq: segment.first_seq,
            last_seq: segment.last_seq,
            end: segment.len,
            start,
        })
    }

    /// Deletes whole segments, oldest first, whose every record is consumed and arrived before `before_ms`.
    pub(super) fn trim(&self, consumed_seq: u64, before_ms: i64) -> Result<usize, StreamReadError> {
        let _one = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        let mut deleted = 0;
        loop {
            let oldest = match self.segments().as_slice() {
                [oldest, _, ..] => oldest.clone(),
                _ => break,
            };
            if oldest.last_seq > consumed_seq {
                break;
            }
            let last_arrival_ms = match oldest.last_arrival_ms {
                Some(known) => known,
                None => self.find_last_arrival(&oldest)?,
            };
            if last_arrival_ms >= before_ms {
                break;
            }
            // Off the list first: a reader that finds the file gone looks at the list again.
            self.segments().remove(0);
            match fs::remove_file(&oldest.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    self.segments().insert(0, oldest.clone());
                    return Err(StreamReadError::Io { action: "delete", path: oldest.path, error });
                }
                _ => deleted += 1,
            }
        }
        if deleted > 0 {
            sync_dir(&self.dir).map_err(|error| StreamReadError::Io {
                action: "sync",
                path: self.dir.clone(),
                error,
            })?;
        }
        Ok(deleted)
    }

    /// Reads through a segment written by an earlier process, once.
    fn find_last_arrival(&self, segment: &Segment) -> Result<i64, StreamReadError> {
        let found = last_arrival(&segment.path, segment.len)?.unwrap_or(i64::MIN);
        for known in self.segments().iter_mut().filter(|known| known.first_seq == segment.first_seq) {
            known.last_arrival_ms = Some(found);
        }
        Ok(found)
    }

    fn segments(&self) -> MutexGuard<'_, Vec<Segment>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The arrival of the last record of a complete segment.
pub(super) fn last_arrival(path: &Path, len: u64) -> Result<Option<i64>, StreamReadError> {
    let open = |error| StreamReadError::Io { action: "open", path: path.to_owned(), error };
    let mut cursor = Cursor::open(path, 0).map_err(open)?;
    let mut last = None;
    while let Some((record, frame_len)) = cursor.peek(len, READ_BYTES)? {
        last = Some(record.arrival_ms);
        cursor.advance(frame_len);
    }
    Ok(last)
}
