//! Load on a real `agentledger up` or a deployment: scenarios, a throughput benchmark, an overload and a crash test, all of
//! which compare every total with what was sent; and, without one, a model of a deployment on AWS.

mod client;
mod compare;
mod crash;
mod growth;
mod load;
mod overload;
mod pipeline;
mod plan;
mod server;
mod tally;
mod text;
mod wire;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about, version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts `agentledger up`, plays a scenario, and compares every total with what was sent.
    Local(load::LocalOptions),
    /// Plays a scenario against a server or a deployment that is running, and compares every total with what was sent.
    Run(load::RemoteOptions),
    /// Sends events as fast as they are taken, and measures until the rollups have them all.
    Pipeline(pipeline::Options),
    /// Sends more than can be taken, at times fixed in advance, and measures what is accepted and what refused.
    Overload(overload::Options),
    /// Kills the process again and again under load, and compares the totals in the end.
    Crash(crash::Options),
    /// Computes what a deployment on AWS takes, costs and bears, and what binds first.
    Plan(plan::Options),
    /// Fills a ledger further and further, and others with more and more agents, and judges how cost grows.
    Growth(growth::Options),
    /// Measures ours beside others and writes docs/performance.md.
    Compare(Box<compare::Options>),
    /// The handler that `compare` holds our intake against.
    #[command(hide = true)]
    PlainIntake(compare::plain::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Local(options) => load::run_local(&options),
        Command::Run(options) => load::run_remote(&options),
        Command::Pipeline(options) => pipeline::run(&options),
        Command::Overload(options) => overload::run(&options),
        Command::Crash(options) => crash::run(&options),
        Command::Plan(options) => plan::run(&options),
        Command::Growth(options) => growth::run(&options),
        Command::Compare(options) => compare::run(&options),
        Command::PlainIntake(options) => compare::plain::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line; a reader that went away is no reason to stop measuring.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// The `agentledger` to run: named, or the one beside this program.
fn agentledger(named: Option<&PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.clone());
    }
    let beside = std::env::current_exe()?.with_file_name("agentledger");
    anyhow::ensure!(beside.exists(), "{} is not there; run cargo build --release first", beside.display());
    Ok(beside)
}
