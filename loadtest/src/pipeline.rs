//! How many events a second go through to committed rollups, in how much memory, and how fast they are read.

pub(crate) mod fill;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;

use crate::client::Client;
use crate::server::Server;
use crate::tally::Tally;
use crate::{agentledger, say};
use fill::{Filled, Load};

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
    let load = Load {
        run: format!("load-{}", std::process::id()),
        batch: options.batch,
        agents: options.agents,
        agents_each: 1,
        connections: options.connections,
        times: None,
    };
    let filled = load.fill(&server.url, 0..options.events, &Tally::default(), &AtomicU64::new(0))?;
    let Filled { sent, acknowledged, committed } = filled;
    fill::ensure_exact(&server.url, &sent)?;
    let reader = Client::new();
    let reads = times(&reader, &format!("{}/v1/spend?by=agent&limit=10000", server.url), 50)?;
    say(&format!("events                     {} in submissions of {}", sent.events(), options.batch));
    say(&format!("agents, connections        {}, {}", options.agents, options.connections));
    say(&format!("acknowledged               {} events/s", rate(options.events, acknowledged)));
    say(&format!("committed to rollups       {} events/s", rate(options.events, committed)));
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

/// How long so many reads take, the quickest first.
pub(crate) fn times(reader: &Client, url: &str, reads: usize) -> anyhow::Result<Vec<Duration>> {
    let mut times: Vec<Duration> = (0..reads)
        .map(|_| {
            let begun = Instant::now();
            reader.text(url).map(|_| begun.elapsed())
        })
        .collect::<anyhow::Result<_>>()?;
    times.sort_unstable();
    Ok(times)
}

/// Events a second.
pub(crate) fn rate(events: u64, elapsed: Duration) -> u64 {
    u64::try_from(u128::from(events) * 1_000_000 / elapsed.as_micros().max(1)).unwrap_or(u64::MAX)
}

/// Bytes of a file, or of all under a directory; none where there is nothing.
pub(crate) fn disk(path: &Path) -> anyhow::Result<u64> {
    let meta = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        meta => meta?,
    };
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    let mut sum = 0;
    for entry in std::fs::read_dir(path)? {
        sum += disk(&entry?.path())?;
    }
    Ok(sum)
}
