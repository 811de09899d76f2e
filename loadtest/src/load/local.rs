//! A scenario on one machine: the server is started for it, and killed in the middle if the scenario asks for that.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;

use super::bodies;
use super::conduct::{Setup, conduct, name_of_a_run};
use super::disk::Syncs;
use super::outcome::{Outcome, Quantiles};
use super::reader::Reader;
use super::scenario::{Bodies, SCENARIOS, Scenario, corpus};
use super::seen::micros;
use super::{html, table};
use crate::client::Client;
use crate::pipeline::disk;
use crate::server::Server;
use crate::{agentledger, say};

/// What every run can be told.
#[derive(Args)]
pub(crate) struct Common {
    /// A scenario by its name, or a file; several names with commas between, or `all`, run one after another.
    #[arg(long, default_value = "fifty-agents")]
    pub(crate) scenario: String,
    /// How long, as 60s or 10m.
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// Events a second; the scenario's if left out.
    #[arg(long)]
    pub(crate) rate: Option<u32>,
    /// Chooses everything that is random.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Writes the figures there, as JSON; of several scenarios, a list.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Writes a page with latency and throughput over time there; of several scenarios, NAME-SCENARIO.html.
    #[arg(long)]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct LocalOptions {
    #[command(flatten)]
    common: Common,
    /// The program to run; built for this if it is not beside this one.
    #[arg(long)]
    agentledger: Option<PathBuf>,
    /// Where to keep the data; a temporary directory that is removed if it is left out.
    #[arg(long)]
    data: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is no time: write 60s or 10m"))?;
    let seconds = match unit {
        "" | "s" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3_600),
        _ => return Err(format!("`{unit}` is no unit: write 60s, 10m or 1h")),
    };
    if (1..=86_400).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err("from 1s to 24h".to_owned())
    }
}

impl Common {
    /// The scenarios asked for, by name.
    pub(crate) fn scenarios(&self) -> anyhow::Result<Vec<(String, Scenario)>> {
        let names: Vec<&str> = if self.scenario == "all" {
            SCENARIOS.iter().map(|(name, _)| *name).collect()
        } else {
            self.scenario.split(',').collect()
        };
        let load = |name: &str| {
            let mut scenario = Scenario::load(name)?;
            scenario.rate = self.rate.unwrap_or(scenario.rate);
            let short = Path::new(name)
                .file_stem()
                .map_or_else(|| name.to_owned(), |stem| stem.to_string_lossy().into_owned());
            Ok((short, scenario.checked()?))
        };
        names.into_iter().map(load).collect()
    }

    /// Writes what was asked for.
    pub(crate) fn write(&self, outcomes: &[Outcome]) -> anyhow::Result<()> {
        if let Some(path) = &self.json {
            let text = match outcomes {
                [one] => serde_json::to_string_pretty(one)?,
                several => serde_json::to_string_pretty(several)?,
            };
            std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        }
        let Some(path) = &self.html else { return Ok(()) };
        for outcome in outcomes {
            let path = match outcomes {
                [_] => path.clone(),
                _ => {
                    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                    path.with_file_name(format!("{stem}-{}.html", outcome.scenario))
                }
            };
            std::fs::write(&path, html::page(outcome))
                .with_context(|| format!("cannot write {}", path.display()))?;
            say(&format!("written: {}", path.display()));
        }
        Ok(())
    }
}

pub(crate) fn run(options: &LocalOptions) -> anyhow::Result<()> {
    let program = program(options.agentledger.as_ref())?;
    let mut outcomes = Vec::new();
    let scenarios = options.common.scenarios()?;
    let several = scenarios.len() > 1;
    for (name, scenario) in scenarios {
        if scenario.bodies == Bodies::Provider && corpus().is_none() {
            let why = "there are no recorded responses here: AGENTLEDGER_CORPUS names a directory of them";
            if several {
                say(&format!("{name}: skipped, {why}\n"));
                continue;
            }
            bail!("{name}: {why}");
        }
        let outcome = one(options, &program, &name, scenario).with_context(|| format!("scenario {name}"))?;
        say(&format!("{}\n", table::summary(&outcome)));
        outcomes.push(outcome);
    }
    options.common.write(&outcomes)
}

fn one(options: &LocalOptions, program: &Path, name: &str, scenario: Scenario) -> anyhow::Result<Outcome> {
    let temporary = tempfile::tempdir()?;
    let data = options.data.as_ref().map_or_else(|| temporary.path().join("data"), |data| data.join(name));
    let server = Server::start(program, &data)?;
    let url = server.url.clone();
    let run = name_of_a_run();
    let bodies = match scenario.bodies {
        Bodies::Native => Vec::new(),
        Bodies::Provider => {
            bodies::calibrate(bodies::read(&corpus().context("no recorded responses")?)?, &url, &run)?
        }
    };
    let syncs = Syncs::start(temporary.path())?;
    let before = server.processor().unwrap_or_default();
    let restart = scenario.restart_percent.map(|percent| options.common.duration * u32::from(percent) / 100);
    let server = Arc::new(Mutex::new(Some(server)));
    let setup = Setup {
        name,
        scenario,
        span: options.common.duration,
        seed: options.common.seed,
        url: &url,
        token: None,
        read_token: None,
        reader: Reader::Http { client: Client::new(), url: url.clone() },
        bodies,
        run,
    };
    let mut restarting = None;
    let outcome = conduct(setup, |begin, _| {
        restarting = restart.map(|after| {
            let (server, program, data) = (Arc::clone(&server), program.to_owned(), data.clone());
            std::thread::spawn(move || kill_and_start(&server, &program, &data, begin + after))
        });
    });
    let restart = restarting
        .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("the thread that restarts panicked"))?)
        .transpose();
    let fsync = syncs.end()?;
    let mut outcome = outcome?;
    outcome.restart_us = restart?.map(micros);
    outcome.fsync_us = Some(Quantiles::from(&fsync));
    if let Some(server) = &*server.lock().unwrap_or_else(PoisonError::into_inner) {
        outcome.memory_mb = server.memory().map(|(now, most)| [now, most]);
        // What a killed process used is gone with it.
        outcome.processor_ms = server.processor().filter(|_| outcome.restart_us.is_none()).map(|after| {
            let of = |after: Duration, before: Duration| {
                u64::try_from(after.saturating_sub(before).as_millis()).unwrap_or(0)
            };
            [of(after[0], before[0]), of(after[1], before[1])]
        });
    }
    // What comes and goes while the server works in there is no reason to fail.
    outcome.disk_bytes = disk(&data).ok();
    Ok(outcome)
}

/// As a power cut, as far as a process can tell, and the next start; answers how long it was away.
fn kill_and_start(
    server: &Mutex<Option<Server>>,
    program: &Path,
    data: &Path,
    at: Instant,
) -> anyhow::Result<Duration> {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
    let killed = Instant::now();
    let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
    let old = server.take().context("there is no server to kill")?;
    let listen = old.url.trim_start_matches("http://").to_owned();
    old.kill()?;
    *server = Some(Server::start_at(program, data, None, &listen)?);
    Ok(killed.elapsed())
}

/// The `agentledger` to run: named, beside this program, or built now, in the profile of this program.
fn program(named: Option<&PathBuf>) -> anyhow::Result<PathBuf> {
    if let Ok(found) = agentledger(named) {
        return Ok(found);
    }
    say("building agentledger");
    let mut cargo = std::process::Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "--bin", "agentledger"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().context("cannot start cargo to build agentledger")?;
    anyhow::ensure!(status.success(), "agentledger was not built: {status}");
    agentledger(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_with_its_unit() {
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        for wrong in ["", "s", "0s", "5d", "25h", "1.5s"] {
            duration(wrong).unwrap_err();
        }
    }
}
