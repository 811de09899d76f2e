//! How cost grows: throughput, memory, disk, reports and restarts, from few events to many in one ledger that is
//! filled on, and from few agents to many with as many events. The shape is judged, not only the size.

mod fit;
mod measure;
mod output;
mod plot;
mod progress;
mod reports;
mod step;
mod table;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::pipeline::fill::{Load, Times};
use crate::{agentledger, say};
use measure::Series;
use step::Ledger;

/// How many agents send while the events grow.
const AGENTS: u64 = 50;
/// How many agents share a submission while the agents grow: a gateway's, so that few events reach many.
const AGENTS_EACH: u64 = 10;
const DAY: i64 = 24 * 3600;

#[derive(Args)]
pub(crate) struct Options {
    /// Events after each step, in one ledger.
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 300_000, 1_000_000, 3_000_000, 10_000_000])]
    events: Vec<u64>,
    /// Agents of each ledger.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 500, 5_000, 50_000])]
    agents: Vec<u64>,
    /// Events of each of these ledgers.
    #[arg(long, default_value_t = 1_000_000)]
    agents_events: u64,
    /// One of the two alone.
    #[arg(long)]
    only: Option<Growing>,
    /// Events of a submission.
    #[arg(long, default_value_t = 100)]
    batch: u64,
    /// Over how many days the calls were made.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Over how many connections.
    #[arg(long, default_value_t = 8)]
    connections: u64,
    /// The program to run.
    #[arg(long)]
    agentledger: Option<PathBuf>,
    /// Where to keep the data while it runs: 10,000,000 events take some 6 GB. The system's temporary directory
    /// if it is left out.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Where growth.json and growth.svg are written.
    #[arg(long, default_value = "target/growth")]
    out: PathBuf,
}

/// What grows.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Growing {
    /// Events.
    Events,
    /// Agents.
    Agents,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = agentledger(options.agentledger.as_ref())?;
    anyhow::ensure!(options.batch > 0 && options.connections > 0, "give at least 1 event and connection");
    anyhow::ensure!(options.agents.iter().all(|agents| *agents > 0), "give at least 1 agent");
    let whole = |events: &u64| *events > 0 && events.is_multiple_of(options.batch);
    anyhow::ensure!(options.events.iter().all(whole), "steps of --events have to be multiples of --batch");
    anyhow::ensure!(options.events.is_sorted(), "steps of --events have to grow");
    let mut grown = Vec::new();
    if options.only != Some(Growing::Agents) {
        grown.push(events(options, &program)?);
    }
    if options.only != Some(Growing::Events) {
        grown.push(agents(options, &program)?);
    }
    for series in &grown {
        say("");
        say(&table::render(series)?);
        table::verdict(series).iter().for_each(|line| say(line));
    }
    std::fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot make {}", options.out.display()))?;
    output::write(&options.out.join("growth.json"), &output::json(&grown)?)?;
    output::write(&options.out.join("growth.svg"), &plot::render(&grown))
}

/// One ledger that is filled on.
fn events(options: &Options, program: &std::path::Path) -> anyhow::Result<Series> {
    let mut series = Series::new("events", format!("{AGENTS} agents, submissions of {}", options.batch));
    let most = options.events.last().copied().unwrap_or_default();
    let mut ledger = Ledger::begin(program, options.data.as_deref(), load(options, AGENTS, 1, most))?;
    for events in &options.events {
        series.push(*events, ledger.grow(*events)?);
    }
    Ok(series)
}

/// A ledger for each number of agents.
fn agents(options: &Options, program: &std::path::Path) -> anyhow::Result<Series> {
    let about =
        format!("{} events, submissions of {} by {AGENTS_EACH} agents", options.agents_events, options.batch);
    let mut series = Series::new("agents", about);
    for agents in &options.agents {
        let load = load(options, *agents, AGENTS_EACH, options.agents_events);
        let mut ledger = Ledger::begin(program, options.data.as_deref(), load)?;
        series.push(*agents, ledger.grow(options.agents_events)?);
    }
    Ok(series)
}

fn load(options: &Options, agents: u64, agents_each: u64, most: u64) -> Load {
    #[expect(clippy::disallowed_methods, reason = "the load is of the days before now")]
    let now = Timestamp::now().as_second();
    Load {
        run: format!("growth-{}-{agents}", std::process::id()),
        batch: options.batch,
        agents,
        agents_each: agents_each.min(agents),
        connections: options.connections,
        times: Some(Times { from: now - i64::from(options.days) * DAY, to: now, of: most }),
    }
}
