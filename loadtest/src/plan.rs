//! What a deployment on AWS takes, costs and bears: a model of expected values, and a simulation that it is held to.
//!
//! No AWS is asked. Sizes, times and prices are those of `docs/cost.md`, limits those that AWS documents.

mod bill;
mod changes;
mod choose;
mod config;
mod cycle;
mod demand;
mod lanes;
mod limit;
mod numbers;
mod price;
mod quotas;
mod service;
mod show;
mod simulate;
mod sizes;
mod table;
mod terraform;
#[cfg(test)]
mod tests;
mod touched;
mod workload;

use clap::Args;

use crate::say;
use choose::choose;
use config::{Config, Profile};
use workload::{Arrivals, Workload};

#[derive(Args)]
pub(crate) struct Options {
    /// Agents that send.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    agents: u32,
    /// Events a second, of all agents together.
    #[arg(long, value_parser = rate)]
    rate: f64,
    /// Events of a submission.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=500))]
    batch: u32,
    /// What carries events from ingest to the aggregator.
    #[arg(long, value_enum, default_value_t = Profile::KinesisOnDemand)]
    profile: Profile,
    /// For how long the aggregator's batches are gathered, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=300))]
    window: u32,
    /// Budgets that every change concerns.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    budgets: u32,
    /// The part of all events that the busiest agent sends, in percent; as much as the others if left out.
    #[arg(long, value_parser = percent)]
    busiest: Option<f64>,
    /// How submissions follow each other.
    #[arg(long, value_enum, default_value_t = Arrivals::Random)]
    arrivals: Arrivals,
    #[command(flatten)]
    given: Given,
    /// Play it, beside what is computed.
    #[arg(long)]
    simulate: bool,
    /// How long is played, in seconds of the simulated time; four settlings if left out.
    #[arg(long, requires = "simulate", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: Option<u32>,
    /// Chooses what is random in it.
    #[arg(long, default_value_t = 1, requires = "simulate")]
    seed: u64,
    /// For programs.
    #[arg(long)]
    json: bool,
}

/// What is not left to choose.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Given {
    /// So many lanes.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    lanes: Option<u32>,
    /// So many shards, of a provisioned stream.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=500))]
    shards: Option<u32>,
    /// So much memory of the aggregator, in MB.
    #[arg(long, value_parser = clap::value_parser!(u32).range(128..=10_240))]
    aggregator_memory: Option<u32>,
    /// So much memory of the alerter, in MB.
    #[arg(long, value_parser = clap::value_parser!(u32).range(128..=10_240))]
    alerter_memory: Option<u32>,
}

impl Given {
    /// The configuration with it.
    fn over(&self, config: Config) -> Config {
        let shards = self.shards.unwrap_or(config.shards);
        let config = Config { shards, ..config };
        let config = config.with_lanes(self.lanes.unwrap_or(config.lanes));
        Config {
            aggregator_mb: self.aggregator_memory.unwrap_or(config.aggregator_mb),
            alerter_mb: self.alerter_memory.unwrap_or(config.alerter_mb),
            ..config
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number of events a second".to_owned())?;
    if (0.001..=10_000_000.0).contains(&rate) { Ok(rate) } else { Err("from 0.001 to 10,000,000".to_owned()) }
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "a number of percent".to_owned())?;
    if (0.0..=100.0).contains(&percent) { Ok(percent) } else { Err("from 0 to 100".to_owned()) }
}

#[expect(clippy::float_arithmetic, reason = "a part of the traffic")]
fn workload(options: &Options) -> Workload {
    let mut load = Workload::of(options.agents, options.rate, options.batch);
    load.arrivals = options.arrivals;
    load.shape.budgets = options.budgets;
    load.busiest = options.busiest.map_or(load.busiest, |percent| (percent / 100.0).max(load.busiest));
    load
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    anyhow::ensure!(
        options.given.shards.is_none() || options.profile == Profile::KinesisProvisioned,
        "--shards is of --profile kinesis-provisioned; a stream on demand has as many as AWS gives it"
    );
    report(options)?.iter().for_each(|line| say(line));
    Ok(())
}

/// What is printed.
fn report(options: &Options) -> anyhow::Result<Vec<String>> {
    let load = workload(options);
    let plan = choose(&load, options.profile, options.window, &options.given);
    let played = options.simulate.then(|| {
        let seconds = options.seconds.map_or_else(|| simulate::span(&plan.demand.cycle), f64::from);
        simulate::play(&load, &plan.config, seconds, options.seed)
    });
    if options.json {
        let mut json = show::json(&plan);
        if let Some(played) = &played {
            json["simulated"] = played.json();
        }
        return Ok(vec![serde_json::to_string_pretty(&json)?]);
    }
    let mut text = show::text(&plan);
    let most = choose::most_rate(&load, options.profile, options.window, &options.given);
    text.push("\nHow far it goes".to_owned());
    text.push(show::far(&plan, most));
    if !plan.works() {
        text.extend(instead(&load, options));
    }
    if let Some(played) = &played {
        text.push(String::new());
        text.extend(played.text(&plan));
    }
    Ok(text)
}

/// What would work, of what does not.
fn instead(load: &Workload, options: &Options) -> Vec<String> {
    let (profile, window, given) = (options.profile, options.window, &options.given);
    let larger = choose::with_larger_submissions(load, profile, window, given);
    let other = choose::with_other_window(load, profile, window, given);
    let mut text = vec!["\nWhat would work".to_owned()];
    text.push(show::instead(larger.as_ref(), "larger submissions"));
    text.push(show::instead(other.as_ref(), "another window"));
    if profile == Profile::Direct {
        let kinesis = choose(load, Profile::KinesisOnDemand, window, given);
        text.push(show::instead(Some(&kinesis).filter(|plan| plan.works()), "--profile kinesis-on-demand"));
    }
    text
}
