//! `agentledger doctor`: looks whether all is well.

use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use local::replayed::lags;
use local::stream::{StreamLog, StreamOptions};
use operate::doctor::{Check, Finding, Known, Report, Verdict, examine, judge};
use query::{AlertReport, QuarantineReport};
use serde::Deserialize;
use shared::clock::{Clock, SystemClock};
use shared::ledger::RecordStore;
use shared::price::BookReport;

use super::{PAGE, cell, read};
use crate::cli::DoctorArgs;
use crate::cloud;
use crate::config::Config;
use crate::embedded::Embedded;
use crate::output::{Grid, print, text};
use crate::source::{Misuse, Source, open_dir};

/// Looks at everything, and fails if something has.
pub(crate) fn doctor(args: &DoctorArgs) -> anyhow::Result<()> {
    if args.ledger.aws {
        return cloud::doctor(args);
    }
    let now = SystemClock.now();
    let config = args.config.as_deref().map(Config::read).transpose().map_err(|e| Misuse(e.to_string()))?;
    let mut checks: Vec<Box<dyn Check>> = Vec::new();
    let mut add = |name, found: anyhow::Result<Vec<Finding>>| {
        checks.push(Box::new(Known::new(name, found.map_err(|e| format!("{e:#}")))));
    };
    let source = match &args.ledger.data {
        Some(data) => {
            let embedded = open_dir(data, None)?;
            let of_dir = of_directory(&embedded, now);
            of_dir.into_iter().for_each(|(name, found)| add(name, found));
            Source::InProcess(Box::new(embedded))
        }
        None => {
            let source = Source::open(&args.ledger)?;
            add("clock", source.clock_ahead().map(|ahead| ahead.map(judge::clock).unwrap_or_default()));
            add("stream", health(&source));
            source
        }
    };
    of_ledger(&source, now).into_iter().for_each(|(name, found)| add(name, found));
    if let Some(found) = config.and_then(|config| keys_of(&config, now)) {
        add("keys", found);
    }
    finish(args, &checks)
}

/// The public keys that a configuration names; none if it names none.
pub(crate) fn keys_of(config: &Config, now: Timestamp) -> Option<anyhow::Result<Vec<Finding>>> {
    let auth = config.auth.as_ref()?;
    Some(keys(&auth.public_keys).map(|keys| judge::keys(&keys, now)))
}

/// Looks, prints, and fails if something has.
pub(crate) fn finish(args: &DoctorArgs, checks: &[Box<dyn Check>]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(examine(checks));
    print(args.format, &grid(&report), &serde_json::to_string(&report)?)?;
    match report.findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count() {
        0 => Ok(()),
        1 => bail!("one check failed"),
        n => bail!("{n} checks failed"),
    }
}

/// What any ledger is asked, over HTTP or in this process.
pub(crate) fn of_ledger(
    source: &Source,
    now: Timestamp,
) -> Vec<(&'static str, anyhow::Result<Vec<Finding>>)> {
    let limit = |limit: usize| ("limit", limit.to_string());
    let spend = || {
        source.get("/v1/spend", &[("by", "agent".to_owned()), limit(1)])?;
        Ok(vec![Finding::ok("ledger", "it can be read")])
    };
    let quarantine = || {
        let report: QuarantineReport = read(&source.get("/v1/quarantine", &[limit(PAGE)])?)?;
        Ok(judge::quarantine(&report.quarantine, report.quarantine.len() < PAGE, now))
    };
    let alerts = || {
        let pending = ("state", "pending".to_owned());
        let report: AlertReport = read(&source.get("/v1/alerts", &[pending, limit(PAGE)])?)?;
        Ok(judge::pending(&report.alerts, now))
    };
    let prices = || {
        let report: BookReport = read(&source.get("/v1/prices", &[])?)?;
        Ok(judge::price_book(&report.current, &report.books, now))
    };
    vec![("ledger", spend()), ("quarantine", quarantine()), ("alerts", alerts()), ("price book", prices())]
}

/// What a directory is asked that no server holds.
fn of_directory(embedded: &Embedded, now: Timestamp) -> Vec<(&'static str, anyhow::Result<Vec<Finding>>)> {
    let stream = || {
        let stream = StreamLog::open(&embedded.dir().stream(), &StreamOptions::default())?;
        let lags = lags(&stream, embedded.ledger())?.into_iter().map(|lag| judge::Lag {
            waiting: lag.latest.saturating_sub(lag.consumed),
            source: lag.source,
            oldest: None,
            trouble: lag.trouble,
            is_consumed: false,
        });
        Ok(judge::lags("stream", &lags.collect::<Vec<_>>()))
    };
    let watermark = || Ok(judge::watermark(embedded.wait(embedded.ledger().closed_before())?, now));
    vec![("stream", stream()), ("watermark", watermark()), ("disk", disk(embedded.dir().path()))]
}

fn disk(path: &Path) -> anyhow::Result<Vec<Finding>> {
    let room = rustix::fs::statvfs(path).with_context(|| format!("{}", path.display()))?;
    let bytes = |blocks: u64| blocks.saturating_mul(room.f_frsize);
    Ok(judge::disk(bytes(room.f_bavail), bytes(room.f_blocks)))
}

/// How far the consumers of a server are.
fn health(source: &Source) -> anyhow::Result<Vec<Finding>> {
    #[derive(Deserialize)]
    struct Health {
        pipeline: Option<Pipeline>,
    }
    #[derive(Deserialize)]
    struct Pipeline {
        stream: Vec<Line>,
        changes: Line,
    }
    #[derive(Deserialize)]
    struct Line {
        source: String,
        latest: u64,
        consumed: u64,
        trouble: Option<String>,
    }
    let health: Health = read(&source.get("/healthz", &[])?)?;
    let Some(Pipeline { stream, changes }) = health.pipeline else {
        return Ok(vec![Finding::warn(
            "stream",
            "the server does not say how far its consumers are",
            "ask with a token that may see everything",
        )]);
    };
    let lag = |line: Line| judge::Lag {
        waiting: line.latest.saturating_sub(line.consumed),
        source: line.source,
        oldest: None,
        trouble: line.trouble,
        is_consumed: true,
    };
    let mut found = judge::lags("stream", &stream.into_iter().map(lag).collect::<Vec<_>>());
    found.extend(judge::lags("alerter", &[lag(changes)]));
    Ok(found)
}

/// Public keys, and when their files were written.
fn keys(path: &Path) -> anyhow::Result<Vec<(String, Timestamp)>> {
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).with_context(|| format!("{}", path.display()))? {
            files.push(entry?.path());
        }
    } else {
        files.push(path.to_owned());
    }
    files.sort();
    let written = |path: &Path| -> anyhow::Result<Timestamp> {
        let at = std::fs::metadata(path).and_then(|file| file.modified());
        let at = at.with_context(|| format!("{}", path.display()))?;
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Timestamp::from_duration(SignedDuration::try_from(since)?)?)
    };
    files.iter().map(|file| Ok((file.display().to_string(), written(file)?))).collect()
}

fn grid(report: &Report) -> Grid {
    let row = |finding: &Finding| {
        let todo = cell(finding.todo.as_ref());
        vec![finding.verdict.to_string(), finding.check.clone(), finding.found.clone(), todo]
    };
    Grid {
        columns: ["verdict", "check", "found", "what to do"].map(text).into(),
        rows: report.findings.iter().map(row).collect(),
        total: None,
        note: None,
    }
}
