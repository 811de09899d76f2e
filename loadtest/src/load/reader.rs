//! Where the totals are read: a server's HTTP interface, or the command on a deployment.

use std::fmt::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::expected::{Key, Sums};
use crate::client::Client;

/// A way to read reports.
pub(crate) enum Reader {
    /// `GET /v1/…` of this server.
    Http { client: Client, url: String },
    /// `agentledger report … --aws`: a deployment on AWS has no HTTP interface to read from.
    Aws { program: std::path::PathBuf },
}

/// What is of a run.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// All that this team pays.
    Team(String),
    /// All of the agents whose names begin so.
    Agents(String),
}

/// Rows of one report.
pub(crate) type Rows = Vec<(Value, Sums)>;

impl Reader {
    /// Sums by `by`, of what `filters` say.
    pub(crate) fn spend(&self, by: &str, filters: &[(&str, &str)]) -> anyhow::Result<Rows> {
        let mut rows = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = match self {
                Self::Http { client, url } => {
                    // Writing to a string cannot fail, here and below.
                    let mut asked = format!("{url}/v1/spend?by={by}&limit=10000");
                    for (name, value) in
                        filters.iter().copied().chain(next.as_deref().map(|next| ("next", next)))
                    {
                        let _ = write!(asked, "&{name}={}", encoded(value));
                    }
                    client.get(&asked)?
                }
                Self::Aws { program } => {
                    let mut command = Command::new(program);
                    command.args(["report", "--aws", "--format", "json", "--by", by]);
                    filters.iter().for_each(|(name, value)| {
                        command.args([format!("--{name}"), (*value).to_owned()]);
                    });
                    let output =
                        command.output().with_context(|| format!("cannot start {}", program.display()))?;
                    ensure!(
                        output.status.success(),
                        "agentledger report: {}",
                        String::from_utf8_lossy(&output.stderr).trim()
                    );
                    serde_json::from_slice(&output.stdout)?
                }
            };
            for row in page["rows"].as_array().context("a report without rows")? {
                let sums = Sums::of_row(row).with_context(|| format!("a row that cannot be read: {row}"))?;
                rows.push((row["key"][by].clone(), sums));
            }
            match page["next"].as_str() {
                Some(more) if matches!(self, Self::Http { .. }) => next = Some(more.to_owned()),
                _ => return Ok(rows),
            }
        }
    }

    /// Sums of a run's agents.
    pub(crate) fn agents(&self, scope: &Scope) -> anyhow::Result<Rows> {
        match scope {
            Scope::Team(team) => self.spend("agent", &[("team", team)]),
            Scope::Agents(prefix) => {
                let mut rows = self.spend("agent", &[])?;
                rows.retain(|(agent, _)| agent.as_str().is_some_and(|agent| agent.starts_with(prefix)));
                Ok(rows)
            }
        }
    }

    /// Events of a run.
    pub(crate) fn events_of(&self, scope: &Scope) -> anyhow::Result<i64> {
        let rows = match scope {
            Scope::Team(team) => self.spend("team", &[("team", team)])?,
            Scope::Agents(_) => self.agents(scope)?,
        };
        Ok(rows.iter().map(|(_, sums)| sums.events).sum())
    }

    /// Model calls of an agent in an hour, as `/v1/events` lists them; none where they cannot be listed.
    pub(crate) fn calls(&self, key: &Key, agent: &str) -> anyhow::Result<Option<Vec<Value>>> {
        let Self::Http { client, url } = self else { return Ok(None) };
        let mut asked = format!("{url}/v1/events?agent={}&limit=1000", encoded(agent));
        if let Some(model) = &key.model {
            let _ = write!(asked, "&model={}", encoded(model));
        }
        if let Some(hour) = key.hour {
            let (from, to) = span(hour)?;
            let _ = write!(asked, "&from={}&to={}", encoded(&from), encoded(&to));
        }
        let (mut calls, mut next) = (Vec::new(), String::new());
        loop {
            let page = client.get(&format!("{asked}{next}"))?;
            calls.extend(page["events"].as_array().into_iter().flatten().cloned());
            match page["next"].as_str() {
                Some(more) => next = format!("&next={}", encoded(more)),
                None => return Ok(Some(calls)),
            }
        }
    }

    /// How long totals have to be right before nothing more is expected: on AWS it cannot be asked what is on its way.
    fn holds(&self) -> Duration {
        if matches!(self, Self::Aws { .. }) { Duration::from_secs(30) } else { Duration::ZERO }
    }

    /// Waits until the totals of a run are `events`, or stand still, which the comparison will then say.
    pub(crate) fn drain(&self, scope: &Scope, events: i64) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut last = (i64::MIN, Instant::now());
        loop {
            let now = self.events_of(scope)?;
            // Events can be right while corrections are still on their way.
            let waiting = match self {
                Self::Http { client, url } => client.lag(url)?,
                Self::Aws { .. } => 0,
            };
            if now == events && waiting == 0 && last.0 == now && last.1.elapsed() >= self.holds() {
                return Ok(last.1.saturating_duration_since(begun));
            }
            if now != last.0 {
                last = (now, Instant::now());
            }
            let (still, pause) = match self {
                Self::Http { .. } if waiting == 0 => (STILL, SOON),
                Self::Http { .. } => (STILL_ON_AWS, SOON),
                Self::Aws { .. } => (STILL_ON_AWS, Duration::from_secs(1)),
            };
            if last.1.elapsed() > still {
                return Ok(begun.elapsed());
            }
            std::thread::sleep(pause);
        }
    }
}

/// How often a server is asked whether it has everything.
const SOON: Duration = Duration::from_millis(20);
/// How long totals that do not change are waited for, where nothing is left to commit.
const STILL: Duration = Duration::from_secs(3);
/// The same where that is not known, or something is left: longer than two windows of a deployment's mappings.
const STILL_ON_AWS: Duration = Duration::from_secs(150);

/// An hour's beginning and end.
pub(crate) fn span(hour: i64) -> anyhow::Result<(String, String)> {
    let at = |hour: i64| jiff::Timestamp::from_second(hour * 3_600).map(|at| at.to_string());
    Ok((at(hour)?, at(hour + 1)?))
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
