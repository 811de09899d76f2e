//! A directory of archived records, as a stream's archive writes them: stream records one behind the other in files,
//! perhaps compressed with gzip.
//!
//! What an archive does not keep is made up for: a record arrived when ingest received it, and its sequence number is
//! its file and its place there. Files are read in the order of their names, one at a time.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lambda_events::kinesis::KinesisEventRecord;
use flate2::read::MultiGzDecoder;
use serde::de::IgnoredAny;
use shared::wire::StreamRecord;

use crate::{Page, Replayed, SourceError, Start};

/// The largest file that is read, inflated: an archive is written in pieces of at most 128 MB.
const MOST_BYTES: u64 = 512 << 20;
/// Its one shard.
const SHARD: &str = "archive";

/// An archive in a directory.
pub struct Directory {
    root: PathBuf,
    /// By name.
    files: Vec<String>,
    /// The next file to open.
    next: usize,
    /// What is left of the open one, the last first.
    open: Vec<KinesisEventRecord>,
}

impl Directory {
    /// Lists the files in `root` and below.
    pub fn open(root: &Path) -> Result<Self, SourceError> {
        let mut files = Vec::new();
        let mut dirs = vec![root.to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).map_err(|e| wrong(&dir, &e))? {
                let entry = entry.map_err(|e| wrong(&dir, &e))?;
                let path = entry.path();
                // A link is read as a file, or not at all: it could lead back.
                if entry.file_type().map_err(|e| wrong(&path, &e))?.is_dir() {
                    dirs.push(path);
                } else if let Ok(name) = path.strip_prefix(root) {
                    files.push(name.to_string_lossy().into_owned());
                }
            }
        }
        files.sort_unstable();
        Ok(Self { root: root.to_owned(), files, next: 0, open: Vec::new() })
    }

    fn fill(&mut self) -> Result<bool, SourceError> {
        let Some(name) = self.files.get(self.next).cloned() else { return Ok(false) };
        self.open = records(&name, &read(&self.root.join(&name))?);
        self.open.reverse();
        self.next += 1;
        Ok(true)
    }
}

fn wrong(path: &Path, error: &io::Error) -> SourceError {
    SourceError(format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    let file = fs::File::open(path).map_err(|e| wrong(path, &e))?;
    let mut bytes = Vec::new();
    let is_gzip = path.extension().is_some_and(|extension| extension == "gz");
    let mut input: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    input.by_ref().take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|e| wrong(path, &e))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(SourceError(format!("{}: more than {MOST_BYTES} bytes", path.display())));
    }
    Ok(bytes)
}

/// The records of a file. What is no JSON is one more, to be put aside as it is.
fn records(name: &str, bytes: &[u8]) -> Vec<KinesisEventRecord> {
    let mut documents = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    let mut found = Vec::new();
    loop {
        let from = documents.byte_offset();
        let (to, is_last) = match documents.next() {
            None => return found,
            Some(Ok(_)) => (documents.byte_offset(), false),
            Some(Err(_)) => (bytes.len(), true),
        };
        let data = bytes.get(from..to).unwrap_or_default().trim_ascii().to_vec();
        found.push(record(name, found.len(), data));
        if is_last {
            return found;
        }
    }
}

fn record(name: &str, n: usize, data: Vec<u8>) -> KinesisEventRecord {
    let mut record = KinesisEventRecord::default();
    let number = format!("{name}#{n}");
    if let Ok(read) = StreamRecord::decode(&data) {
        let since = read.received.as_millisecond();
        record.kinesis.approximate_arrival_timestamp.0 +=
            std::time::Duration::from_millis(u64::try_from(since).unwrap_or(0));
    }
    record.event_id = Some(format!("{SHARD}:{number}"));
    record.event_name = Some("aws:kinesis:record".to_owned());
    record.kinesis.sequence_number = number;
    record.kinesis.data.0 = data;
    record
}

impl Replayed for Directory {
    async fn shards(&mut self) -> Result<Vec<String>, SourceError> {
        Ok(vec![SHARD.to_owned()])
    }

    fn is_ordered(&self) -> bool {
        false
    }

    async fn seek(&mut self, _: &str, start: &Start) -> Result<(), SourceError> {
        (self.next, self.open) = (0, Vec::new());
        let (number, and_it) = match start {
            // Files are named by time, but not by ours: whoever asks looks at each record.
            Start::Oldest | Start::At(_) => return Ok(()),
            Start::Sequence(number) => (number, false),
            Start::After(number) => (number, true),
        };
        let place = number.rsplit_once('#').and_then(|(name, n)| Some((name, n.parse::<usize>().ok()?)));
        let Some((name, n)) = place else {
            return Err(SourceError(format!("{number:?} is no place in an archive such as FILE#0")));
        };
        self.next = self.files.partition_point(|file| file.as_str() < name);
        if self.files.get(self.next).is_some_and(|file| file == name) {
            self.fill()?;
            let done = n + usize::from(and_it);
            self.open.truncate(self.open.len().saturating_sub(done));
        }
        Ok(())
    }

    async fn next(&mut self, limit: usize) -> Result<Page, SourceError> {
        if self.open.is_empty() && !self.fill()? {
            return Ok(Page { records: Vec::new(), is_last: true });
        }
        let mut records = Vec::new();
        while records.len() < limit
            && let Some(record) = self.open.pop()
        {
            records.push(record);
        }
        let is_last = self.open.is_empty() && self.next == self.files.len();
        Ok(Page { records, is_last })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::arrived;

    async fn all(source: &mut Directory, limit: usize) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        loop {
            let page = source.next(limit).await.unwrap();
            let line = |r: &KinesisEventRecord| (r.kinesis.sequence_number.clone(), r.kinesis.data.len());
            found.extend(page.records.iter().map(line));
            if page.is_last {
                return found;
            }
        }
    }

    #[tokio::test]
    async fn records_are_read_in_order_from_any_place_and_what_is_no_json_is_kept_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let empty = StreamRecord::new("2026-03-07T10:00:00Z".parse().unwrap(), Vec::new()).encode().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/2"), [&empty[..], b"\n", &empty, b"\n oops {"].concat()).unwrap();
        let mut packed = flate2::write::GzEncoder::new(
            fs::File::create(dir.path().join("a.gz")).unwrap(),
            flate2::Compression::fast(),
        );
        packed.write_all(&[&empty[..], &empty].concat()).unwrap();
        packed.finish().unwrap();
        let mut source = Directory::open(dir.path()).unwrap();
        let len = empty.len();
        let wanted = [("a.gz#0", len), ("a.gz#1", len), ("b/2#0", len), ("b/2#1", len), ("b/2#2", 6)];
        let wanted = wanted.map(|(name, len)| (name.to_owned(), len));
        for limit in [1, 2, 100] {
            source.seek(SHARD, &Start::Oldest).await.unwrap();
            assert_eq!(all(&mut source, limit).await, wanted);
        }
        for (n, (number, _)) in wanted.iter().enumerate() {
            source.seek(SHARD, &Start::Sequence(number.clone())).await.unwrap();
            assert_eq!(all(&mut source, 2).await, wanted[n..]);
            source.seek(SHARD, &Start::After(number.clone())).await.unwrap();
            assert_eq!(all(&mut source, 2).await, wanted[n + 1..]);
        }
        source.seek(SHARD, &Start::Oldest).await.unwrap();
        let first = source.next(1).await.unwrap().records.remove(0);
        assert_eq!(arrived(&first), "2026-03-07T10:00:00Z".parse().unwrap());
    }
}
