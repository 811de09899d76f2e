//! How many events a second go through to committed rollups, in how much memory, and how fast they are read.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use crate::client::Client;
use crate::server::Server;
use crate::tally::{MODEL, Tally};
use crate::{agentledger, say};

#[derive(Args)]
pub(crate) struct Options {
    /// How many events to send.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// How many of them a submission.
    #[arg(long, default_value_t = 100)]
    batch: u64,
    /// How many agents send.
    #[arg(long, default_value_t = 50)]
    agents: u64,
    /// Over how many connections.
    #[arg(long, default_value_t = 8)]
    connections: u64,
    /// The program to run.
    #[arg(long)]
    agentledger: Option<PathBuf>,
    /// Where to keep the data; a temporary directory that is removed if it is left out.
    #[arg(long)]
    data: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = agentledger(options.agentledger.as_ref())?;
    let temporary = tempfile::tempdir()?;
    let data = options.data.clone().unwrap_or_else(|| temporary.path().join("data"));
    let server = Server::start(&program, &data)?;
    let submissions = options.events.div_ceil(options.batch);
    let next = AtomicU64::new(0);
    let started = Instant::now();
    let mut sent = Tally::default();
    let tallies = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..options.connections)
            .map(|_| scope.spawn(|| worker(options, &server.url, &next, submissions)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
            .collect::<anyhow::Result<Vec<Tally>>>()
    })?;
    tallies.iter().for_each(|tally| sent.merge(tally));
    let acknowledged = started.elapsed();
    let reader = Client::new();
    let url = format!("{}/v1/spend?by=agent&limit=10000", server.url);
    let deadline = Instant::now() + Duration::from_secs(120);
    let reported = loop {
        let reported = Tally::of_report(&reader.get(&url)?);
        if reported.events() >= sent.events() || Instant::now() > deadline {
            break reported;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let committed = started.elapsed();
    if let Some(difference) = sent.difference(&reported) {
        anyhow::bail!("what is reported is not what was sent: {difference}");
    }
    let mut reads: Vec<Duration> = (0..50)
        .map(|_| {
            let begun = Instant::now();
            reader.get(&url).map(|_| begun.elapsed())
        })
        .collect::<anyhow::Result<_>>()?;
    reads.sort_unstable();
    let rate = |elapsed: Duration| u128::from(options.events) * 1000 / elapsed.as_millis().max(1);
    say(&format!("events                     {} in submissions of {}", sent.events(), options.batch));
    say(&format!("agents, connections        {}, {}", options.agents, options.connections));
    say(&format!("acknowledged               {} events/s", rate(acknowledged)));
    say(&format!("committed to rollups       {} events/s", rate(committed)));
    if let Some((now, most)) = server.memory() {
        say(&format!("resident memory            {now} MB, at most {most} MB"));
    }
    let median = reads.get(reads.len() / 2).context("nothing was read")?;
    say(&format!(
        "report by agent            median {median:?}, slowest {:?}",
        reads.last().context("nothing was read")?
    ));
    say(&format!("disk                       {} bytes per event", disk(&data)? / options.events.max(1)));
    say("totals                     equal to what was sent, per agent");
    Ok(())
}

fn worker(options: &Options, url: &str, next: &AtomicU64, submissions: u64) -> anyhow::Result<Tally> {
    let client = Client::new();
    let mut tally = Tally::default();
    let run = std::process::id();
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= submissions {
            return Ok(tally);
        }
        let agent = format!("agent-{:04}", n % options.agents);
        let count = options.batch.min(options.events - n * options.batch);
        let mut body = String::with_capacity(160 * usize::try_from(count)?);
        body.push_str("{\"events\":[");
        for i in 0..count {
            let (input, output) =
                (500 + u32::try_from((n * 31 + i * 7) % 1000)?, 20 + u32::try_from(i % 200)?);
            let comma = if i > 0 { "," } else { "" };
            write!(
                body,
                r#"{comma}{{"agent_id":"{agent}","task_id":"T-{}","team_id":"team-{}","provider":"openai","model":"{MODEL}","usage":{{"input":{input},"output":{output}}},"outcome":"success","latency_ms":{}}}"#,
                n % 200,
                n % 5,
                300 + i
            )?;
            tally.add(&agent, input, output, 1);
        }
        body.push_str("]}");
        let key = format!("load-{run}-{n}");
        while !client.post(url, Some(&key), &body)? {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Bytes under a directory.
fn disk(path: &std::path::Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() { disk(&entry.path())? } else { meta.len() };
    }
    Ok(sum)
}
