//! A bar with live figures, on a terminal; nothing elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::play::Run;

/// The bar of a run.
pub(crate) struct Progress {
    stop: Arc<AtomicBool>,
    drawing: JoinHandle<()>,
}

impl Progress {
    pub(crate) fn start(run: Arc<Run>, begin: Instant) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let drawing = std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
            let bar = ProgressBar::new(u64::try_from(run.span.as_millis()).unwrap_or(u64::MAX));
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent}% {msg}") {
                bar.set_style(style);
            }
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(250));
                bar.set_position(u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX));
                bar.set_message(line(&run, begin));
            }
            bar.finish_and_clear();
        })?;
        Ok(Self { stop, drawing })
    }

    pub(crate) fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.drawing.join();
    }
}

/// The last whole second, and all so far.
fn line(run: &Run, begin: Instant) -> String {
    let mut seen = run.seen();
    let total: u64 = seen.slices.iter().map(|slice| slice.events).sum();
    let seconds = seen.slice.as_secs().max(1);
    let before = begin.elapsed().saturating_sub(seen.slice);
    let (rate, p99) = seen
        .slice_at(before)
        .map_or((0, 0), |slice| (slice.events / seconds, slice.latency.value_at_quantile(0.99)));
    let tries = seen.retries;
    format!("{total} events, {rate}/s, p99 {:.1?}, {tries} tried again", Duration::from_micros(p99))
}
