//! The `agentledger` command: a thin layer over the crates that do the work.

mod authority;
mod books;
mod cli;
#[cfg(feature = "aws")]
mod cloud;
#[cfg(not(feature = "aws"))]
#[path = "cloud/absent.rs"]
mod cloud;
mod commands;
mod config;
mod demo;
mod embedded;
mod extract;
mod figures;
mod handlers;
mod metrics;
mod output;
mod serve;
mod source;
mod stop;
mod up;
mod watch;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::source::Misuse;

/// Names what is logged, such as `info` or `debug,agentledger=trace`.
const LOG_VARIABLE: &str = "AGENTLEDGER_LOG";

/// What is logged unless that is named. What the SDK could not find is said by whoever needs it, in fewer words.
const LOGGED: &str = "info,aws_config=error";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors to clap, with the exit code 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    start_logging();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr().lock(), "agentledger: {error:#}");
            ExitCode::from(if error.is::<Misuse>() { 2 } else { 1 })
        }
    }
}

fn start_logging() {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(LOGGED));
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colour).with_writer(std::io::stderr).init();
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(args) => up::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Report(args) => commands::report(&args),
        Command::Events(args) => commands::events(&args),
        Command::Unpriced(args) => commands::unpriced(&args),
        Command::Alerts(args) => commands::alerts(&args),
        Command::Deliveries(args) => commands::deliveries(&args),
        Command::Conflicts(args) => commands::conflicts(&args),
        Command::Quarantine(args) => commands::quarantine(&args),
        Command::Corrections(args) => commands::corrections(&args),
        Command::Completeness(args) => commands::completeness(&args),
        Command::Budget(args) => commands::budget(&args),
        Command::Extract(args) => extract::run(&args),
        Command::Explain(args) => commands::explain(&args),
        Command::Differences(args) => commands::differences(&args),
        Command::Reprice(args) => commands::reprice(&args),
        Command::Repricings(args) => commands::repricings(&args),
        Command::Replay(args) => commands::replay(&args),
        Command::Redrive(args) => commands::redrive(&args),
        Command::Doctor(args) => commands::doctor(&args),
        Command::Prices(args) => commands::prices(&args),
        Command::Token(args) => commands::token(&args),
    }
}
