//! One ledger, and what is measured of it at each step.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::measure::Sample;
use super::{progress, reports};
use crate::pipeline::fill::{Load, ensure_exact};
use crate::pipeline::{disk, rate};
use crate::server::Server;
use crate::tally::Tally;

/// How often a start is timed.
const STARTS: usize = 3;

/// A ledger that is filled on.
pub(super) struct Ledger {
    program: PathBuf,
    /// Removed at the end.
    dir: TempDir,
    load: Load,
    sent: Tally,
    events: u64,
    /// None before the first step and after an error.
    server: Option<Server>,
}

impl Ledger {
    /// An empty one, in a directory of its own.
    pub(super) fn begin(program: &Path, within: Option<&Path>, load: Load) -> anyhow::Result<Self> {
        let dir = match within {
            Some(path) => {
                std::fs::create_dir_all(path)?;
                TempDir::with_prefix_in("growth-", path)?
            }
            None => TempDir::with_prefix("growth-")?,
        };
        let program = program.to_owned();
        Ok(Self { program, dir, load, sent: Tally::default(), events: 0, server: None })
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Fills it up to so many events, compares the totals, and measures.
    pub(super) fn grow(&mut self, events: u64) -> anyhow::Result<Sample> {
        let mut sample = Sample { events, ..Sample::default() };
        let what = format!("{events} events of {} agents", self.load.agents);
        let server = match self.server.take() {
            Some(server) => server,
            None => Server::start(&self.program, &self.data())?,
        };
        let more = events - self.events;
        let used = server.processor();
        let filled = progress::while_filling(&what, more, |done| {
            self.load.fill(&server.url, self.events..events, &self.sent, done)
        })?;
        self.sent.merge(&filled.sent);
        self.events = events;
        sample.values.insert("acknowledged", rate(more, filled.acknowledged));
        sample.values.insert("committed", rate(more, filled.committed));
        if let (Some([before, _]), Some([after, _])) = (used, server.processor()) {
            let each = after.saturating_sub(before).as_nanos() / u128::from(more.max(1));
            sample.values.insert("processor", u64::try_from(each)?.max(1));
        }
        memory(&server, Some("memory_filled"), "memory_filling", &mut sample);

        progress::note(&format!("{what}: totals"));
        ensure_exact(&server.url, &self.sent)?;
        progress::note(&format!("{what}: reports over rollups"));
        server.forget_peak();
        let first = self.load.times.as_ref().map_or(0, |times| times.from);
        reports::rollups(&server.url, first, &mut sample)?;
        memory(&server, None, "memory_reports", &mut sample);
        progress::note(&format!("{what}: reports that read records"));
        server.forget_peak();
        reports::records(&server, &mut sample)?;
        memory(&server, None, "memory_scans", &mut sample);

        progress::note(&format!("{what}: restarts"));
        self.restarts(server, &mut sample)?;
        progress::note("");
        Ok(sample)
    }

    /// Times starts after a kill and after a stop, and weighs the files in between.
    fn restarts(&mut self, mut server: Server, sample: &mut Sample) -> anyhow::Result<()> {
        let mut killed = Vec::new();
        for _ in 0..STARTS {
            server.kill()?;
            let (next, took) = self.start()?;
            server = next;
            killed.push(took);
        }
        killed.sort_unstable();
        sample.values.insert("killed", reports::micros(killed.last().copied().unwrap_or_default()));
        ensure_exact(&server.url, &self.sent)?;

        let mut stopped = Vec::new();
        for n in 0..STARTS {
            server.stop()?;
            if n == 0 {
                let data = self.data();
                let all = disk(&data)?;
                let stream = disk(&data.join("stream"))?;
                sample.values.insert("disk_ledger", all - stream);
                sample.values.insert("disk_stream", stream);
                reports::command(&self.program, &data, sample)?;
            }
            let (next, took) = self.start()?;
            server = next;
            stopped.push(took);
        }
        stopped.sort_unstable();
        sample.values.insert("stopped", reports::median(&stopped)?);
        self.server = Some(server);
        Ok(())
    }

    fn start(&self) -> anyhow::Result<(Server, Duration)> {
        let begun = Instant::now();
        let server = Server::start(&self.program, &self.data())?;
        Ok((server, begun.elapsed()))
    }
}

fn memory(server: &Server, now: Option<&'static str>, most: &'static str, sample: &mut Sample) {
    if let Some((kib, peak)) = server.memory_kib() {
        sample.values.extend(now.map(|key| (key, kib * 1024)));
        sample.values.insert(most, peak * 1024);
    }
}
