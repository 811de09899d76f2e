//! How far it is, on a terminal; elsewhere nothing.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(200);

/// Shows on one line what is being done.
pub(super) fn note(what: &str) {
    if std::io::stderr().is_terminal() {
        // To the line's beginning, and clear it.
        let _ = write!(std::io::stderr().lock(), "\r\x1b[K{what}");
    }
}

/// Does `work` while it shows how much of `of` is done.
pub(super) fn while_filling<T>(what: &str, of: u64, work: impl FnOnce(&AtomicU64) -> T) -> T {
    let (done, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (done, ended) = (&done, &ended);
        scope.spawn(move || {
            let begun = Instant::now();
            while !ended.load(Ordering::Relaxed) {
                let now = done.load(Ordering::Relaxed);
                let rate = crate::pipeline::rate(now, begun.elapsed());
                note(&format!("{what}: {}% sent, {rate} events/s", now * 100 / of.max(1)));
                std::thread::sleep(EVERY);
            }
        });
        let result = work(done);
        ended.store(true, Ordering::Relaxed);
        result
    })
}
