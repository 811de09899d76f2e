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

    /// Events of a team.
    pub(crate) fn events_of(&self, team: &str) -> anyhow::Result<i64> {
        Ok(self.spend("team", &[("team", team)])?.iter().map(|(_, sums)| sums.events).sum())
    }

    /// Model calls of an agent in an hour, as `/v1/events` lists them; none where they cannot be listed.
    pub(crate) fn calls(&self, key: &Key, agent: &str) -> anyhow::Result<Option<Vec<Value>>> {
        let Self::Http { client, url } = self else { return Ok(None) };
        let mut asked = format!("{url}/v1/events?agent={}&limit=10000", encoded(agent));
        if let Some(model) = &key.model {
            let _ = write!(asked, "&model={}", encoded(model));
        }
        if let Some(hour) = key.hour {
            let (from, to) = span(hour)?;
            let _ = write!(asked, "&from={}&to={}", encoded(&from), encoded(&to));
        }
        Ok(client.get(&asked)?["events"].as_array().cloned())
    }

    /// Waits until the totals of a team are `events`, or stand still, which the comparison will then say.
    pub(crate) fn drain(&self, team: &str, events: i64) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut last = (i64::MIN, Instant::now());
        loop {
            let now = self.events_of(team)?;
            if let Self::Http { client, url } = self {
                // Events can be right while corrections are still on their way.
                if now == events && client.lag(url)? == 0 {
                    return Ok(begun.elapsed());
                }
            } else if now == events {
                return Ok(begun.elapsed());
            }
            if now != last.0 {
                last = (now, Instant::now());
            }
            if last.1.elapsed() > STILL {
                return Ok(begun.elapsed());
            }
            std::thread::sleep(if matches!(self, Self::Http { .. }) {
                Duration::from_millis(20)
            } else {
                Duration::from_secs(1)
            });
        }
    }
}

/// How long totals that do not change are waited for. Longer than two windows of a deployment's mappings.
const STILL: Duration = Duration::from_secs(150);

/// An hour's beginning and end.
pub(crate) fn span(hour: i64) -> anyhow::Result<(String, String)> {
    let at = |hour: i64| jiff::Timestamp::from_second(hour * 3_600).map(|at| at.to_string());
    Ok((at(hour)?, at(hour + 1)?))
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
