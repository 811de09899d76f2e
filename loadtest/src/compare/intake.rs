//! Our intake beside a handler as a user would write it, over the same HTTP, each in a process of its own.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::figures::{OURS, Part, Unit, percentile};
use super::process::Process;
use crate::client::Client;
use crate::tally::{MODEL, Tally};

/// As in the markers of the page.
pub(super) const NAME: &str = "intake";
const PLAIN: &str = "a handler, a transaction for each event";
const GROUPED: &str = "a handler, one for each submission";
const AGENTS: u64 = 50;

/// One way of taking events in, with submissions of one size.
#[derive(Clone, Copy)]
struct Contest {
    name: &'static str,
    /// What a subject of the handler's is told to make a transaction of; none for ours.
    commit: Option<&'static str>,
    batch: u64,
    connections: u64,
}

const CONTESTS: [Contest; 5] = [
    Contest { name: OURS, commit: None, batch: 1, connections: 16 },
    Contest { name: PLAIN, commit: Some("event"), batch: 1, connections: 16 },
    Contest { name: OURS, commit: None, batch: 100, connections: 8 },
    Contest { name: PLAIN, commit: Some("event"), batch: 100, connections: 8 },
    Contest { name: GROUPED, commit: Some("submission"), batch: 100, connections: 8 },
];

pub(super) struct Intake {
    agentledger: PathBuf,
    directory: PathBuf,
    seconds: u64,
    part: Part,
}

impl Intake {
    pub(super) fn prepare(agentledger: PathBuf, directory: &Path, seconds: u64) -> Self {
        let notes = [
            format!(
                "Both over HTTP on loopback, `agentledger up` and the handler, each a process on an empty directory of the \
                 same file system, with the same version of axum and of SQLite; both answer when what they took in is \
                 synced to the disk. {seconds} seconds for each size and round, closed loop: 16 connections with single \
                 events, 8 with submissions of 100, each sends again when it was answered. The generator has the same \
                 cores. The clock of \"in the totals\" runs until the sums of every agent hold all that was sent, to the \
                 token and the last decimal, or the command fails."
            ),
            "The handler puts an item and adds to a metric for each event, in one transaction; on a Lambda function these \
             would be two calls. It does less: no identity, so that a retry counts twice in its metric, no rollups by \
             team, task or model, no corrections, budgets or alerts. Its events wait for a sync one after the other; \
             receipts here share syncs. A user may put a submission into one transaction, which is the third column."
                .to_owned(),
            "Processor time is that of the server's process, until the totals hold everything: what other programs take \
             hardly changes it, which cannot be said of the rates. Disk: ours holds the stream's log besides the ledger, \
             and both their write-ahead log, which a short run does not spread over many events."
                .to_owned(),
        ];
        Self { agentledger, directory: directory.to_owned(), seconds, part: Part::new(NAME, notes.to_vec()) }
    }

    pub(super) fn subjects() -> usize {
        CONTESTS.len()
    }

    pub(super) fn measure(&mut self, subject: usize, round: u32) -> anyhow::Result<()> {
        let contest = *CONTESTS.get(subject).context("there is no such contest")?;
        let temporary = tempfile::tempdir_in(&self.directory)?;
        let data = temporary.path().join("data");
        let server = Process::start(&mut self.command(&contest, &data)?)?;
        let seconds = Duration::from_secs(self.seconds);
        let next = AtomicU64::new(0);
        let (before, begun) = (server.processor()?, Instant::now());
        let run = format!("{}-{round}-{subject}", std::process::id());
        let sent = std::thread::scope(|scope| {
            let send = || send(&contest, &server.url, &run, &next, begun + seconds);
            let senders: Vec<_> = (0..contest.connections).map(|_| scope.spawn(send)).collect();
            senders
                .into_iter()
                .map(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?)
                .collect::<anyhow::Result<Vec<Sent>>>()
        })?;
        let acknowledged = begun.elapsed();
        let (mut tally, mut latencies) = (Tally::default(), Vec::new());
        for sent in sent {
            tally.merge(&sent.tally);
            latencies.extend(sent.latencies);
        }
        settle(&server.url, &tally)
            .with_context(|| format!("{}, submissions of {}", contest.name, contest.batch))?;
        let counted = begun.elapsed();
        let processor = server.processor()? - before;
        let events = u64::try_from(tally.events())?.max(1);
        let rate = |elapsed: Duration| {
            u64::try_from(u128::from(events) * 1_000_000 / elapsed.as_micros().max(1)).unwrap_or(u64::MAX)
        };
        let what = if contest.batch == 1 {
            "single events".to_owned()
        } else {
            format!("submissions of {}", contest.batch)
        };
        let mut add = |measure: &str, unit, compared, value| {
            self.part.add(&format!("{what}: {measure}"), unit, compared, contest.name, value);
        };
        add("acknowledged", Unit::PerSecond, false, rate(acknowledged));
        add("in the totals", Unit::PerSecond, false, rate(counted));
        add("receipt, p50", Unit::Nanoseconds, false, percentile(&latencies, 50).unwrap_or_default());
        add("receipt, p99", Unit::Nanoseconds, false, percentile(&latencies, 99).unwrap_or_default());
        add("processor time of an event", Unit::Nanoseconds, true, processor / events);
        add("on disk, for each event", Unit::Bytes, false, bytes(&data)? / events);
        Ok(())
    }

    fn command(&self, contest: &Contest, data: &Path) -> anyhow::Result<Command> {
        let mut command = match contest.commit {
            None => {
                let mut command = Command::new(&self.agentledger);
                command.args(["up", "--listen", "127.0.0.1:0"]);
                command
            }
            Some(commit) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["plain-intake", "--commit", commit]);
                command
            }
        };
        command.arg("--data").arg(data);
        Ok(command)
    }

    pub(super) fn into_part(mut self) -> Part {
        let measures: Vec<String> = self.part.measures.iter().map(|measure| measure.name.clone()).collect();
        let mut measures: Vec<&str> = measures.iter().map(String::as_str).collect();
        // Single events first, whichever a round began with.
        measures.sort_by_key(|name| !name.starts_with("single"));
        self.part.order(&[OURS, PLAIN, GROUPED], &measures);
        self.part
    }
}

struct Sent {
    tally: Tally,
    /// In nanoseconds, of each submission.
    latencies: Vec<u64>,
}

/// One connection: sends again when it was answered, until the time is over.
fn send(contest: &Contest, url: &str, run: &str, next: &AtomicU64, until: Instant) -> anyhow::Result<Sent> {
    let client = Client::new();
    let mut sent = Sent { tally: Tally::default(), latencies: Vec::new() };
    while Instant::now() < until {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let agent = format!("agent-{:04}", n % AGENTS);
        let mut body = String::from(if contest.batch == 1 { "" } else { "{\"events\":[" });
        for i in 0..contest.batch {
            let input = u32::try_from(500 + (n * 7 + i * 13) % 1_500)?;
            let output = u32::try_from(50 + (n * 3 + i * 11) % 400)?;
            let comma = if i == 0 { "" } else { "," };
            write!(
                body,
                r#"{comma}{{"agent_id":"{agent}","task_id":"T-{}","provider":"openai","model":"{MODEL}","usage":{{"input":{input},"output":{output}}}}}"#,
                n % 40
            )?;
            sent.tally.add(&agent, input, output, 1);
        }
        body.push_str(if contest.batch == 1 { "" } else { "]}" });
        let key = format!("{run}-{n}");
        let begun = Instant::now();
        // Turned away is answered too: the wait for the one that is taken is the sender's.
        while !client.post(url, Some(&key), &body)? {
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(30), "{url} takes nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
        sent.latencies.push(u64::try_from(begun.elapsed().as_nanos())?);
    }
    Ok(sent)
}

/// Waits until the totals are what was sent.
fn settle(url: &str, sent: &Tally) -> anyhow::Result<()> {
    let reader = Client::new();
    let url = format!("{url}/v1/spend?by=agent&limit=10000");
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let reported = Tally::of_report(&reader.get(&url)?);
        let Some(difference) = sent.difference(&reported) else { return Ok(()) };
        anyhow::ensure!(Instant::now() < deadline, "the totals are not what was sent: {difference}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Bytes under a directory.
fn bytes(path: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() { bytes(&entry.path())? } else { meta.len() };
    }
    Ok(sum)
}
