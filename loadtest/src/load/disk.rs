//! What the disk takes to keep a few KB for good, in the same run: receipts wait for that, so it is what their latency is
//! measured against.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::seen::{histogram, micros};

/// How often. Rarely enough to be no load of its own.
const EVERY: Duration = Duration::from_millis(25);
/// How much, as a group of receipts is.
const BYTES: usize = 4_096;

/// Appends and syncs until it is told to stop.
pub(crate) struct Syncs {
    stop: Arc<AtomicBool>,
    working: JoinHandle<anyhow::Result<Histogram<u64>>>,
}

impl Syncs {
    /// In a file of its own under `dir`.
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Self> {
        let mut file = std::fs::File::create(dir.join("syncs"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let working = std::thread::Builder::new().name("syncs".to_owned()).spawn(move || {
            let mut took = histogram()?;
            while !stopped.load(Ordering::Relaxed) {
                file.write_all(&[7; BYTES])?;
                let begun = Instant::now();
                file.sync_data()?;
                took.saturating_record(micros(begun.elapsed()));
                std::thread::sleep(EVERY);
            }
            Ok(took)
        })?;
        Ok(Self { stop, working })
    }

    /// What they took, in microseconds.
    pub(crate) fn end(self) -> anyhow::Result<Histogram<u64>> {
        self.stop.store(true, Ordering::Relaxed);
        self.working.join().map_err(|_| anyhow::anyhow!("the thread that syncs panicked"))?
    }
}
