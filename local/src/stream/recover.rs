//! What a shard holds when it is opened: complete segments, and a last one that a crash may have torn.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use bytes::{Buf, Bytes};

use super::cursor::{Cursor, READ_BYTES};
use super::disk::Disk;
use super::error::{StreamOpenError, StreamReadError};
use super::frame::{self, Decoded};
use super::shard::{Segment, last_arrival};

/// A shard as it was found.
pub(super) struct Recovered {
    /// At least one: the last is written to.
    pub(super) segments: Vec<Segment>,
    /// Of the last record; arrivals never go back.
    pub(super) last_arrival_ms: i64,
}

pub(super) fn recover(dir: &Path, disk: &dyn Disk) -> Result<Recovered, StreamOpenError> {
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |error| StreamOpenError::Io { action, path, error }
    };
    let mut firsts = Vec::new();
    for entry in fs::read_dir(dir).map_err(io("list", dir))? {
        let name = entry.map_err(io("list", dir))?.file_name();
        let first =
            name.to_str().and_then(|name| name.strip_suffix(".log")).and_then(|seq| seq.parse::<u64>().ok());
        firsts.extend(first.filter(|seq| *seq > 0));
    }
    firsts.sort_unstable();
    let mut segments: Vec<Segment> = Vec::new();
    let mut last_arrival_ms = 0;
    for (n, first) in firsts.iter().enumerate() {
        let mut segment = Segment::empty(dir, *first);
        match firsts.get(n + 1) {
            // Complete: it was synced before the next one was begun. Reading it checks every frame.
            Some(next) => {
                segment.last_seq = next - 1;
                segment.len = fs::metadata(&segment.path).map_err(io("read", &segment.path))?.len();
            }
            None => {
                scan(&mut segment, disk)?;
                let before = segments.last();
                last_arrival_ms = match (segment.last_arrival_ms, before) {
                    (Some(known), _) => known,
                    (None, Some(before)) => last_arrival(&before.path, before.len)?.unwrap_or(0),
                    (None, None) => 0,
                };
            }
        }
        segments.push(segment);
    }
    if segments.is_empty() {
        let first = Segment::empty(dir, 1);
        disk.create(&first.path).map_err(io("make", &first.path))?;
        disk.sync_dir(dir).map_err(io("sync", dir))?;
        segments.push(first);
    }
    Ok(Recovered { segments, last_arrival_ms })
}

/// Walks the last segment to its last whole frame, and moves what follows aside.
fn scan(segment: &mut Segment, disk: &dyn Disk) -> Result<(), StreamOpenError> {
    let path = segment.path.clone();
    let io = |action| {
        let path = path.clone();
        move |error| StreamOpenError::Io { action, path, error }
    };
    let size = fs::metadata(&path).map_err(io("read"))?.len();
    let mut cursor = Cursor::open(&path, 0).map_err(io("open"))?;
    loop {
        match cursor.peek(size, READ_BYTES) {
            Ok(Some((record, len))) if record.seq == segment.last_seq + 1 => {
                segment.note(record.seq, cursor.offset());
                segment.last_seq = record.seq;
                segment.last_arrival_ms = Some(record.arrival_ms);
                cursor.advance(len);
            }
            Ok(_) | Err(StreamReadError::Damaged { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    segment.len = cursor.offset();
    if segment.len < size {
        if let Some(later) = later_group(&path, segment.len, segment.last_seq + 1).map_err(io("read"))? {
            let why = format!("its record {} is missing, though {later} is there", segment.last_seq + 1);
            return Err(StreamReadError::Damaged { path, offset: segment.len, why }.into());
        }
        let aside = set_aside(&path, segment.len).map_err(io("move a torn tail aside from"))?;
        tracing::warn!(
            path = %path.display(),
            bytes = size - segment.len,
            aside = %aside.display(),
            "the last write was torn, which a crash explains; nothing acknowledged was in it, and it was kept aside"
        );
        let mut file = disk.open(&path).map_err(io("open"))?;
        return file.truncate(segment.len).and_then(|()| file.sync()).map_err(io("cut"));
    }
    // What a killed process had written and not synced is read and counted from now on: it has to stay.
    disk.open(&path).and_then(|mut file| file.sync()).map_err(io("sync"))
}

/// A record behind `offset` of a group that begins after `missing`, if there is one.
fn later_group(path: &Path, offset: u64, missing: u64) -> std::io::Result<Option<u64>> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let mut tail = Bytes::from(tail);
    while !tail.is_empty() {
        if let Decoded::Frame { record, group, .. } = frame::decode(&tail)
            && group > missing
            && record.seq >= group
        {
            return Ok(Some(record.seq));
        }
        tail.advance(1);
    }
    Ok(None)
}

fn set_aside(path: &Path, from: u64) -> std::io::Result<std::path::PathBuf> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let mut n = 0;
    loop {
        let aside = path.with_extension(format!("log.torn-{n}"));
        if !aside.exists() {
            fs::write(&aside, tail)?;
            // Before the original is cut.
            fs::File::open(&aside)?.sync_all()?;
            return Ok(aside);
        }
        n += 1;
    }
}
