use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use proptest::prelude::*;

use super::disk::SegmentFile;
use super::*;

fn options() -> StreamOptions {
    StreamOptions { shards: 1, segment_bytes: 400, now_ms: Arc::new(|| 1_000), ..StreamOptions::default() }
}

fn record(n: usize, size: usize) -> PutRecord {
    let mut data = format!("{n}:").into_bytes();
    data.resize(size.max(data.len()), b'x');
    PutRecord { partition_key: "0".to_owned(), spread: 0, data: Bytes::from(data) }
}

async fn put(log: &StreamLog, n: usize, size: usize) -> Result<String, PutError> {
    log.put(vec![record(n, size)]).await.remove(0)
}

fn read_all(log: &StreamLog, after: u64) -> Vec<Bytes> {
    let mut reader = log.reader(0, after).unwrap();
    let mut all = Vec::new();
    loop {
        let some = reader.try_next(3, 250).unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some.into_iter().map(|r| r.data));
    }
}

fn segments(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut names: Vec<_> =
        fs::read_dir(dir.join("shard-0000")).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|p| p.extension().is_some_and(|e| e == "log"));
    names.sort();
    names
}

#[tokio::test]
async fn what_was_acknowledged_is_there_in_order_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let log = StreamLog::open(dir.path(), &StreamOptions { shards: 1 + round, ..options() }).unwrap();
        assert_eq!(log.shards(), 1, "a stream keeps its number of shards");
        for n in 0..20 {
            let seq = put(&log, n, 50).await.unwrap();
            assert_eq!(seq, format!("{:020}", u64::from(round) * 20 + n as u64 + 1));
        }
    }
    let log = StreamLog::open(dir.path(), &options()).unwrap();
    let all = read_all(&log, 0);
    assert_eq!(all.len(), 60);
    assert!(all.iter().enumerate().all(|(n, data)| data.starts_with(format!("{}:", n % 20).as_bytes())));
    assert_eq!(read_all(&log, 57).len(), 3);
    assert!(segments(dir.path()).len() > 3, "segments roll");
}

#[tokio::test]
async fn a_second_opener_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _log = StreamLog::open(dir.path(), &options()).unwrap();
    assert!(matches!(StreamLog::open(dir.path(), &options()), Err(StreamOpenError::InUse { .. })));
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_costs_only_the_torn_record() {
    let dir = tempfile::tempdir().unwrap();
    let log = StreamLog::open(dir.path(), &StreamOptions { segment_bytes: 1 << 20, ..options() }).unwrap();
    for n in 0..3 {
        put(&log, n, 40).await.unwrap();
    }
    drop(log);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let frame = whole.len() / 3;
    for cut in 1..frame {
        fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let log = StreamLog::open(dir.path(), &options()).unwrap();
        assert_eq!(read_all(&log, 0).len(), 2, "cut by {cut}");
        put(&log, 9, 40).await.unwrap();
        assert_eq!(read_all(&log, 0).len(), 3);
    }
    let kept = fs::read_dir(dir.path().join("shard-0000")).unwrap();
    assert_eq!(
        kept.filter(|e| e.as_ref().unwrap().path().display().to_string().contains("torn")).count(),
        frame - 1
    );
}

#[tokio::test]
async fn damage_in_the_middle_is_named_not_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let log = StreamLog::open(dir.path(), &options()).unwrap();
    for n in 0..30 {
        put(&log, n, 60).await.unwrap();
    }
    drop(log);
    let path = segments(dir.path()).remove(1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[60] ^= 1;
    fs::write(&path, bytes).unwrap();
    let log = StreamLog::open(dir.path(), &options()).unwrap();
    let mut reader = log.reader(0, 0).unwrap();
    let error = std::iter::repeat_with(|| reader.try_next(1, 1)).take(31).find_map(Result::err).unwrap();
    assert!(error.to_string().contains("is damaged at byte"), "{error}");
}

#[tokio::test]
async fn damage_in_the_last_segment_is_told_from_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let wide = StreamOptions { segment_bytes: 1 << 20, ..options() };
    let log = StreamLog::open(dir.path(), &wide).unwrap();
    // Three groups of one record, then one of three.
    for n in 0..3 {
        put(&log, n, 40).await.unwrap();
    }
    assert!(log.put((3..6).map(|n| record(n, 40)).collect()).await.iter().all(Result::is_ok));
    drop(log);
    let path = segments(dir.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    let frame = whole.len() / 6;
    for broken in 0..6 {
        let mut bytes = whole.clone();
        bytes[broken * frame + 30] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let opened = StreamLog::open(dir.path(), &wide);
        if broken < 3 {
            // A later group was begun, so this record was acknowledged.
            let error = opened.err().unwrap().to_string();
            assert!(error.contains("is damaged at byte"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bytes, "nothing is cut");
        } else {
            // The last group may never have been acknowledged, in whatever order its pages reached the disk.
            assert_eq!(read_all(&opened.unwrap(), 0).len(), broken);
        }
    }
}

#[tokio::test]
async fn trimming_keeps_what_is_unread_or_young() {
    let dir = tempfile::tempdir().unwrap();
    let log = StreamLog::open(dir.path(), &options()).unwrap();
    for n in 0..40 {
        put(&log, n, 60).await.unwrap();
    }
    let before = segments(dir.path()).len();
    assert_eq!(log.trim(0, 40, 1_000).unwrap(), 0, "young");
    assert_eq!(log.trim(0, 0, 2_000).unwrap(), 0, "unread");
    assert_eq!(log.trim(0, 40, 2_000).unwrap(), before - 1, "all but the one written to");
    put(&log, 40, 60).await.unwrap();
    assert!(!read_all(&log, 0).is_empty());
}

#[tokio::test]
async fn a_reader_waits_for_what_comes() {
    let dir = tempfile::tempdir().unwrap();
    let log = StreamLog::open(dir.path(), &options()).unwrap();
    let mut reader = log.reader(0, 0).unwrap();
    let writer = log.clone();
    let waiting = tokio::spawn(async move {
        assert!(reader.ready().await);
        let some = reader.try_next(10, 1000).unwrap();
        (some.len(), reader.ready().await)
    });
    put(&writer, 0, 10).await.unwrap();
    writer.close();
    assert_eq!(waiting.await.unwrap(), (1, false));
    assert!(matches!(put(&writer, 1, 10).await, Err(PutError::Retry(_))));
}

/// A disk whose machine can lose its power: what was not synced is gone then.
#[derive(Clone, Default)]
struct Volatile(Arc<Mutex<std::collections::HashMap<std::path::PathBuf, u64>>>);

struct VolatileFile {
    path: std::path::PathBuf,
    file: Box<dyn SegmentFile>,
    disk: Volatile,
}

impl Volatile {
    /// What is left of `dir` after a power cut, in a directory of its own.
    fn after_a_power_cut(&self, dir: &Path) -> tempfile::TempDir {
        let left = tempfile::tempdir().unwrap();
        fs::create_dir(left.path().join("shard-0000")).unwrap();
        fs::copy(dir.join(DESCRIPTION), left.path().join(DESCRIPTION)).unwrap();
        for segment in segments(dir) {
            let synced = self.0.lock().unwrap().get(&segment).copied().unwrap_or(0);
            let mut bytes = fs::read(&segment).unwrap();
            bytes.truncate(usize::try_from(synced).unwrap());
            fs::write(left.path().join("shard-0000").join(segment.file_name().unwrap()), bytes).unwrap();
        }
        left
    }

    fn file(&self, path: &Path, file: Box<dyn SegmentFile>) -> Box<dyn SegmentFile> {
        Box::new(VolatileFile { path: path.to_owned(), file, disk: self.clone() })
    }
}

impl Disk for Volatile {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        Ok(self.file(path, RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        Ok(self.file(path, RealDisk.open(path)?))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)
    }
}

impl SegmentFile for VolatileFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        let len = fs::metadata(&self.path)?.len();
        self.disk.0.lock().unwrap().insert(self.path.clone(), len);
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}

#[tokio::test]
async fn a_power_cut_takes_nothing_that_was_acknowledged_or_read() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Volatile::default();
    let open = |disk: &Volatile| {
        StreamLog::open_on(dir.path(), &options(), &(Arc::new(disk.clone()) as Arc<dyn Disk>)).unwrap()
    };
    let log = open(&disk);
    for n in 0..20 {
        put(&log, n, 60).await.unwrap();
        let left = disk.after_a_power_cut(dir.path());
        assert_eq!(read_all(&StreamLog::open(left.path(), &options()).unwrap(), 0).len(), n + 1);
    }
    drop(log);
    // A process was killed after it wrote and before it synced: nothing of the last segment is safe. Whoever
    // opens the log reads those records, so from then on they have to stay.
    let last = segments(dir.path()).pop().unwrap();
    disk.0.lock().unwrap().remove(&last);
    let log = open(&disk);
    let read = read_all(&log, 0).len();
    let left = disk.after_a_power_cut(dir.path());
    assert_eq!(read_all(&StreamLog::open(left.path(), &options()).unwrap(), 0).len(), read);
}

/// A disk that fails every so many calls, after a part of the work.
struct Failing {
    every: u32,
    calls: AtomicU32,
}

struct FailingFile {
    file: Box<dyn SegmentFile>,
    disk: Arc<Failing>,
}

impl Failing {
    fn fails(&self) -> bool {
        self.every > 0 && self.calls.fetch_add(1, Ordering::Relaxed) % self.every == self.every - 1
    }
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

struct FailingDisk(Arc<Failing>);

impl Disk for FailingDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        if self.0.fails() {
            return Err(full());
        }
        Ok(Box::new(FailingFile { file: RealDisk.create(path)?, disk: Arc::clone(&self.0) }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        if self.0.fails() {
            return Err(full());
        }
        Ok(Box::new(FailingFile { file: RealDisk.open(path)?, disk: Arc::clone(&self.0) }))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if self.0.fails() { Err(full()) } else { RealDisk.sync_dir(path) }
    }
}

impl SegmentFile for FailingFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.disk.fails() {
            self.file.write_at(offset, &bytes[..bytes.len() / 2])?;
            return Err(full());
        }
        self.file.write_at(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.disk.fails() { Err(full()) } else { self.file.sync() }
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        if self.disk.fails() { Err(full()) } else { self.file.truncate(len) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_failing_disk_loses_nothing_acknowledged(every in 0_u32..9, sizes in prop::collection::vec(1_usize..300, 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let acknowledged = Mutex::new(Vec::new());
        runtime.block_on(async {
            // Opened on a sound disk first, so that only puts fail.
            drop(StreamLog::open(dir.path(), &options()).unwrap());
            let failing = Arc::new(Failing { every, calls: AtomicU32::new(0) });
            let disk: Arc<dyn Disk> = Arc::new(FailingDisk(failing));
            // A disk that fails at once opens nothing, and so acknowledges nothing.
            let Ok(log) = StreamLog::open_on(dir.path(), &options(), &disk) else { return };
            for (n, size) in sizes.iter().enumerate() {
                if let Ok(seq) = put(&log, n, *size).await {
                    acknowledged.lock().unwrap().push((seq, record(n, *size).data));
                }
            }
        });
        let log = StreamLog::open(dir.path(), &options()).unwrap();
        let stored = read_all(&log, 0);
        let mut last = 0;
        for (seq, data) in acknowledged.into_inner().unwrap() {
            let seq: u64 = seq.parse().unwrap();
            prop_assert!(seq > last);
            last = seq;
            let at = usize::try_from(seq).unwrap() - 1;
            prop_assert_eq!(stored.get(at), Some(&data));
        }
    }
}
