//! The reports that are timed, and what each reads.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::measure::Sample;
use crate::client::Client;
use crate::pipeline::times;
use crate::server::Server;

/// How long a report is waited for: far longer than any may take, so that it is measured all the same.
const PATIENCE: Duration = Duration::from_secs(300);
/// Reads of a report over rollups, of which the median counts.
const READS: usize = 21;
/// As many of one that reads records, unless it takes longer than [`SLOW`].
const SCANS: usize = 3;
/// The one whose processor time is measured beside.
const PROCESSOR: &str = "by_session";
const SLOW: Duration = Duration::from_secs(2);

/// Answered from rollups, or, for the newest events, from the end of an index.
const ROLLUPS: [(&str, &str); 6] = [
    ("by_agent", "/v1/spend?by=agent"),
    ("by_model", "/v1/spend?by=model"),
    ("by_day", "/v1/spend?by=day"),
    ("one_agent", "/v1/spend?by=day&agent=agent-0007"),
    // `FROM` is replaced by a quarter past an hour of the first day.
    ("quarters", "/v1/spend?by=agent&from=FROM"),
    ("newest", "/v1/events"),
];

/// Answered from the records, which all have to be read; those of a team for the second.
const RECORDS: [(&str, &str); 4] = [
    ("by_session", "/v1/spend?by=session"),
    ("team_models", "/v1/spend?by=model&team=team-1"),
    ("differences", "/v1/differences"),
    ("events_unpriced", "/v1/events?unpriced=true"),
];

/// Times the reports over rollups.
pub(super) fn rollups(url: &str, first: i64, sample: &mut Sample) -> anyhow::Result<()> {
    let reader = Client::waiting(PATIENCE);
    let quarter = jiff::Timestamp::from_second(first - first.rem_euclid(3600) + 3600 + 900)?;
    for (key, path) in ROLLUPS {
        let path = path.replace("FROM", &quarter.to_string());
        sample.values.insert(key, median(&times(&reader, &format!("{url}{path}"), READS)?)?);
    }
    Ok(())
}

/// Times the reports that read records.
pub(super) fn records(server: &Server, sample: &mut Sample) -> anyhow::Result<()> {
    let reader = Client::waiting(PATIENCE);
    for (key, path) in RECORDS {
        let url = format!("{}{path}", server.url);
        let used = server.processor();
        let mut taken = times(&reader, &url, 1)?;
        if let (PROCESSOR, Some([before, _]), Some([after, _])) = (key, used, server.processor()) {
            sample.values.insert("by_session_processor", micros(after.saturating_sub(before)));
        }
        if taken.iter().all(|first| *first < SLOW) {
            taken.extend(times(&reader, &url, SCANS - 1)?);
            taken.sort_unstable();
        }
        sample.values.insert(key, median(&taken)?);
    }
    Ok(())
}

/// Times a report by the command, which opens the data directory itself.
pub(super) fn command(program: &Path, data: &Path, sample: &mut Sample) -> anyhow::Result<()> {
    let mut taken = Vec::new();
    for _ in 0..SCANS {
        let begun = Instant::now();
        let mut report = Command::new(program);
        report.args(["report", "--by", "agent", "--data"]).arg(data).stdout(Stdio::null());
        let status = report.status().with_context(|| format!("cannot start {}", program.display()))?;
        anyhow::ensure!(status.success(), "agentledger report ended with {status}");
        taken.push(begun.elapsed());
    }
    taken.sort_unstable();
    sample.values.insert("command", median(&taken)?);
    Ok(())
}

/// The middle one of sorted times, in microseconds.
pub(super) fn median(sorted: &[Duration]) -> anyhow::Result<u64> {
    let middle = sorted.get(sorted.len() / 2).context("nothing was measured")?;
    Ok(micros(*middle))
}

pub(super) fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).max(1)
}
