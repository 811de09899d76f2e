//! The one writer of a shard: takes all waiting puts, writes them at once, syncs once, then answers.
//!
//! Nothing is acknowledged on top of an unknown state: after a failure the file is opened anew and cut back
//! to its durable length before anything else is written.

use std::io;
use std::sync::{Arc, PoisonError};

use super::disk::{Disk, SegmentFile};
use super::frame;
use super::options::StreamOptions;
use super::queue::Batch;
use super::shard::{Segment, Shard};

/// Memory for encoding that is kept between groups.
const KEPT_BUFFER: usize = 1 << 20;

/// The writer, moved into its thread.
pub(super) struct Writer {
    shard: Arc<Shard>,
    disk: Arc<dyn Disk>,
    options: StreamOptions,
    /// The segment written to, as far as it is durable.
    active: Segment,
    /// None: what the file holds past its durable length is not known.
    file: Option<Box<dyn SegmentFile>>,
    /// Arrivals never go back, also when the clock does.
    last_arrival_ms: i64,
    buf: Vec<u8>,
}

/// Refuses further puts however the thread ends, also by a panic.
struct OnExit(Arc<Shard>);

impl Drop for OnExit {
    fn drop(&mut self) {
        self.0.queue.abandon();
        self.0.durable.send_modify(|durable| durable.closed = true);
    }
}

impl Writer {
    /// A writer that goes on at the end of `active`. The file is opened with the first group.
    pub(super) fn new(
        shard: Arc<Shard>,
        disk: Arc<dyn Disk>,
        options: StreamOptions,
        active: Segment,
        last_arrival_ms: i64,
    ) -> Self {
        Self { shard, disk, options, active, file: None, last_arrival_ms, buf: Vec::new() }
    }

    /// Serves the queue until it is closed and empty.
    pub(super) fn run(mut self) {
        let _on_exit = OnExit(Arc::clone(&self.shard));
        while let Some(group) = self.shard.queue.take_group(self.options.max_group_bytes) {
            let answer = self.commit(&group).map_err(|error| self.explain(&error));
            if let Err(why) = &answer {
                tracing::warn!(shard = self.shard.id, "{why}");
            }
            *self.shard.trouble.lock().unwrap_or_else(PoisonError::into_inner) = answer.clone().err();
            let mut next = answer;
            for batch in group {
                let count = batch.records.len() as u64;
                // A putter that went away does not want to know.
                let _ = batch.reply.send(next.clone());
                next = next.map(|seq| seq + count);
            }
        }
        if let Some(file) = &mut self.file
            && let Err(error) = file.sync()
        {
            tracing::warn!(shard = self.shard.id, "{}", self.explain(&error));
        }
    }

    /// Makes a group durable; the sequence number of its first record.
    fn commit(&mut self, group: &[Batch]) -> io::Result<u64> {
        self.repair()?;
        if self.active.len >= self.options.segment_bytes {
            self.roll()?;
        }
        let first = self.active.last_seq + 1;
        let arrival_ms = (self.options.now_ms)().max(self.last_arrival_ms);
        self.buf.clear();
        self.buf.shrink_to(KEPT_BUFFER);
        let mut next = first;
        for record in group.iter().flat_map(|batch| &batch.records) {
            frame::encode(&mut self.buf, next, first, arrival_ms, &record.partition_key, &record.data);
            next += 1;
        }
        self.write()?;
        let offset = self.active.len;
        self.active.note(first, offset);
        self.active.len += self.buf.len() as u64;
        self.active.last_seq = next - 1;
        self.active.last_arrival_ms = Some(arrival_ms);
        self.last_arrival_ms = arrival_ms;
        let Segment { len, last_seq, last_arrival_ms, .. } = self.active;
        self.shard.grow(|shared| {
            shared.note(first, offset);
            (shared.len, shared.last_seq, shared.last_arrival_ms) = (len, last_seq, last_arrival_ms);
        });
        self.shard.durable.send_modify(|durable| durable.seq = last_seq);
        Ok(first)
    }

    /// Writes and syncs the buffer. The file stays taken out on failure, which asks for a repair.
    fn write(&mut self) -> io::Result<()> {
        let Some(mut file) = self.file.take() else {
            return Err(io::Error::other("the segment is not open"));
        };
        file.write_at(self.active.len, &self.buf)?;
        if self.options.fsync {
            file.sync()?;
        }
        self.file = Some(file);
        Ok(())
    }

    /// Opens the file anew and cuts it back to what is durable, if its state is not known.
    fn repair(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let mut file = self.disk.open(&self.active.path)?;
            file.truncate(self.active.len)?;
            file.sync()?;
            self.file = Some(file);
        }
        Ok(())
    }

    /// Begins the next segment. On failure the present one stays, and the next group tries again.
    fn roll(&mut self) -> io::Result<()> {
        // Also without `fsync`: only the last segment may have a torn tail.
        if let Some(mut file) = self.file.take() {
            file.sync()?;
            self.file = Some(file);
        }
        let next = Segment::empty(&self.shard.dir, self.active.last_seq + 1);
        let file = self.disk.create(&next.path)?;
        self.disk.sync_dir(&self.shard.dir)?;
        self.shard.push(next.clone());
        self.active = next;
        self.file = Some(file);
        Ok(())
    }

    fn explain(&self, error: &io::Error) -> String {
        format!(
            "shard {} could not write {}: {error}; check the disk and its free space, then send the records again",
            self.shard.id,
            self.active.path.display()
        )
    }
}
