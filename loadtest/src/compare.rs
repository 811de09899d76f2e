//! Ours beside what others do, and what a user would write instead: everything in one run, interleaved, and from the
//! medians the page of results.
//!
//! In each round every subject of every part has one turn, and each round begins with another one, so that what the
//! machine does meanwhile falls on all of them alike. A run is kept as JSON (`figures`), from which the tables (`tables`)
//! are written into their places on the page (`page`), and which is held against another run (`against`).

mod added;
mod against;
mod bodies;
mod extraction;
mod figures;
mod functions;
mod intake;
mod machine;
mod page;
pub(crate) mod plain;
mod process;
mod scenarios;
mod tables;
mod worker;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use shared::clock::{Clock, SystemClock};

use crate::{agentledger, say};
use figures::{Part, Run};
use machine::Machine;

/// What stands in the markers, so that a reader of the page knows how to repeat it.
const COMMAND: &str = "cargo run --release -p loadtest -- compare";

#[derive(Args)]
pub(crate) struct Options {
    /// How often everything is measured.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// What to measure; the other parts of the page stay as they are.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Piece::value_variants().to_vec())]
    parts: Vec<Piece>,
    /// The page to write into.
    #[arg(long, default_value = "docs/performance.md")]
    out: PathBuf,
    /// Where the run is kept.
    #[arg(long, default_value = "target/compare/run.json")]
    json: PathBuf,
    /// Measures nothing: takes a run that was kept.
    #[arg(long, conflicts_with_all = ["rounds", "parts", "json"])]
    from: Option<PathBuf>,
    /// A run that was kept: the order has to be the same, and each ratio within a fifth of it. The page is not written.
    #[arg(long)]
    against: Option<PathBuf>,
    /// NAME=FILE: results in the form of the proxies' kit, for the part NAME of the page.
    #[arg(long)]
    add: Vec<String>,
    /// Recorded responses and what they cost; `AGENTLEDGER_CORPUS`, or what lies beside the repository.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// Where to keep what is installed and what is measured: a real disk, as syncs are part of it.
    #[arg(long, default_value = "target/compare")]
    directory: PathBuf,
    /// The Python to make environments with.
    #[arg(long, default_value = "python3")]
    python: String,
    /// The program to run.
    #[arg(long)]
    agentledger: Option<PathBuf>,
    /// How long each way of taking events in is measured in a round.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// The functions' binaries, as NAME-lambda; `BOOTSTRAPS`, or what `cargo xtask package` leaves.
    #[arg(long)]
    bootstraps: Option<PathBuf>,
    /// The load scenarios to run.
    #[arg(long, default_value = scenarios::DEFAULT, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// How long each is run in a round.
    #[arg(long, default_value = "20s")]
    duration: String,
}

/// A part of the page that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Piece {
    Extraction,
    Intake,
    Functions,
    Scenarios,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let mut run = match &options.from {
        Some(path) => read(path)?,
        None => measure(options)?,
    };
    if let Some(first) = &options.against {
        let (text, holds) = against::compare(&read(first)?, &run)?;
        say(text.trim_end());
        anyhow::ensure!(holds, "this run is not as {} says", first.display());
        return Ok(());
    }
    for add in &options.add {
        run.parts.push(added::read(add)?);
    }
    let page = fs::read_to_string(&options.out).with_context(|| {
        format!("cannot read {}: the page has to be there, with its markers", options.out.display())
    })?;
    let mut written = page.clone();
    if !run.parts.is_empty() {
        written = page::replace(&written, "machine", COMMAND, &tables::machine(&run))?;
    }
    for part in &run.parts {
        let command = format!("{COMMAND}{}", run.command);
        written = page::replace(&written, &part.name, &command, &tables::part(&run, part))
            .with_context(|| format!("cannot write {} into {}", part.name, options.out.display()))?;
    }
    if written != page {
        fs::write(&options.out, written)
            .with_context(|| format!("cannot write {}", options.out.display()))?;
    }
    say(&format!("{} holds {} parts of this run", options.out.display(), run.parts.len()));
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Run> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a run of this command", path.display()))
}

/// Someone whose turn comes once a round.
#[derive(Clone)]
enum Turn {
    Extraction(usize),
    Intake(usize),
    Functions(usize),
    Scenario(String),
}

fn measure(options: &Options) -> anyhow::Result<Run> {
    let wants = |piece| options.parts.contains(&piece);
    fs::create_dir_all(&options.directory)
        .with_context(|| format!("cannot make {}", options.directory.display()))?;
    // Everything that can be missing is asked for before anything is measured.
    let program = if wants(Piece::Intake) || wants(Piece::Scenarios) {
        fs::canonicalize(agentledger(options.agentledger.as_ref())?)?
    } else {
        PathBuf::new()
    };
    let mut machine = Machine::look(&options.directory)?;
    let mut turns: Vec<Vec<Turn>> = Vec::new();
    let mut extraction = None;
    if wants(Piece::Extraction) {
        let corpus = bodies::corpus(options.corpus.as_ref());
        let bodies = bodies::load(corpus.as_deref())?;
        say(&format!("{} bodies{}", bodies.len(), if corpus.is_some() { " of the corpus" } else { "" }));
        let (directory, python) = (&options.directory, &options.python);
        extraction = Some(extraction::Extraction::prepare(bodies, corpus.is_some(), directory, python)?);
        turns.push((0..extraction::Extraction::subjects()).map(Turn::Extraction).collect());
    }
    let mut intake = None;
    if wants(Piece::Intake) {
        intake = Some(intake::Intake::prepare(program.clone(), &options.directory, options.seconds));
        turns.push((0..intake::Intake::subjects()).map(Turn::Intake).collect());
    }
    let mut functions = None;
    if wants(Piece::Functions) {
        functions = Some(functions::Functions::prepare(options.bootstraps.as_ref(), &options.directory)?);
        turns.push((0..functions::Functions::subjects()).map(Turn::Functions).collect());
    }
    let mut scenarios = None;
    if wants(Piece::Scenarios) {
        scenarios = Some(scenarios::part());
        turns.push(options.scenarios.iter().cloned().map(Turn::Scenario).collect());
    }
    for round in 0..options.rounds {
        machine.note_load();
        say(&format!("round {} of {}", round + 1, options.rounds));
        for turn in turns.iter().flat_map(|of_part| rotated(of_part, round)) {
            match turn {
                Turn::Extraction(subject) => ready(&mut extraction)?.measure(subject)?,
                Turn::Intake(subject) => ready(&mut intake)?.measure(subject, round)?,
                Turn::Functions(subject) => ready(&mut functions)?.measure(subject)?,
                Turn::Scenario(name) => scenarios::measure(
                    ready(&mut scenarios)?,
                    &program,
                    &options.directory,
                    &name,
                    &options.duration,
                )?,
            }
        }
        if let Some(extraction) = &mut extraction {
            extraction.end_round();
        }
    }
    let names: Vec<&str> = options.scenarios.iter().map(String::as_str).collect();
    let parts: Vec<Part> = [
        extraction.map(extraction::Extraction::into_part),
        intake.map(intake::Intake::into_part),
        functions.map(functions::Functions::into_part),
        scenarios.map(|part| scenarios::ordered(part, &names)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let date = SystemClock.now().strftime("%-d %B %Y").to_string();
    let run = Run { date, command: told(options), rounds: options.rounds, machine, parts };
    if let Some(parent) = options.json.parent() {
        fs::create_dir_all(parent)?;
    }
    let json = serde_json::to_string_pretty(&run)? + "\n";
    fs::write(&options.json, json).with_context(|| format!("cannot write {}", options.json.display()))?;
    Ok(run)
}

/// What was asked for otherwise than by default, as far as it bears on the figures.
fn told(options: &Options) -> String {
    let mut told = Vec::new();
    let names: Vec<_> = options.parts.iter().filter_map(ValueEnum::to_possible_value).collect();
    if names.len() < Piece::value_variants().len() {
        let names: Vec<_> = names.iter().map(PossibleValue::get_name).collect();
        told.push(format!(" --parts {}", names.join(",")));
    }
    let scenarios = options.scenarios.join(",");
    if scenarios != scenarios::DEFAULT {
        told.push(format!(" --scenarios {scenarios}"));
    }
    if options.rounds != 5 {
        told.push(format!(" --rounds {}", options.rounds));
    }
    if options.seconds != 5 {
        told.push(format!(" --seconds {}", options.seconds));
    }
    if options.duration != "20s" {
        told.push(format!(" --duration {}", options.duration));
    }
    told.concat()
}

fn ready<T>(part: &mut Option<T>) -> anyhow::Result<&mut T> {
    part.as_mut().context("a part has a turn and was not prepared")
}

/// The turns of a part, beginning with another one each round.
fn rotated<T: Clone>(turns: &[T], round: u32) -> Vec<T> {
    let mut turns = turns.to_vec();
    let by = usize::try_from(round).unwrap_or_default() % turns.len().max(1);
    turns.rotate_left(by);
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another_turn() {
        let rounds: Vec<_> = (0..4).map(|round| rotated(&["a", "b", "c"], round).concat()).collect();
        assert_eq!(rounds, ["abc", "bca", "cab", "abc"]);
        assert!(rotated::<u8>(&[], 3).is_empty());
    }
}
