//! What a load is: a file that says who sends what, how fast, and what goes wrong meanwhile.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// A scenario. Percentages are of submissions.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// What it shows, in a sentence.
    pub(crate) about: String,
    /// How many agents send.
    pub(crate) agents: u32,
    /// Events a second, on average over the run; duplicates and what is refused are in it.
    pub(crate) rate: u32,
    /// Events of a submission. One alone has an id of its own, several are sealed by a key.
    #[serde(default = "one")]
    pub(crate) events: u32,
    /// Over how many connections.
    #[serde(default = "connections")]
    pub(crate) connections: u32,
    /// So much of all comes from the first agent.
    #[serde(default)]
    pub(crate) hot_percent: u8,
    /// Everything arrives in bursts.
    pub(crate) bursts: Option<Bursts>,
    /// Submissions that were sent before, sent again.
    #[serde(default)]
    pub(crate) duplicate_percent: u8,
    /// Submissions with a fault, which have to be refused as a whole.
    #[serde(default)]
    pub(crate) invalid_percent: u8,
    /// Submissions of calls made up to 33 days ago.
    #[serde(default)]
    pub(crate) late_percent: u8,
    /// Submissions that take an event back.
    #[serde(default)]
    pub(crate) void_percent: u8,
    /// Clients beside these that send a byte at a time, as from behind a bad line.
    #[serde(default)]
    pub(crate) slow_clients: u32,
    /// The server is killed when so much of the time is over, and started again.
    pub(crate) restart_percent: Option<u8>,
    /// What a submission is.
    #[serde(default)]
    pub(crate) bodies: Bodies,
}

/// Bursts: everything arrives in the first part of each period.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bursts {
    /// How long a period is, in milliseconds.
    pub(crate) period_ms: u32,
    /// How long the burst at its beginning is.
    pub(crate) burst_ms: u32,
}

/// What is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bodies {
    /// Native events.
    #[default]
    Native,
    /// Responses of providers, as they came.
    Provider,
}

fn one() -> u32 {
    1
}

fn connections() -> u32 {
    64
}

/// Those of this program, by name.
macro_rules! scenarios {
    ($($name:literal),* $(,)?) => {
        pub(crate) const SCENARIOS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),*];
    };
}
scenarios!(
    "fifty-agents",
    "five-thousand-agents",
    "hot-agent",
    "bursts",
    "singles",
    "tens",
    "hundreds",
    "five-hundreds",
    "provider-bodies",
    "mess",
    "slow-clients",
    "restart",
);

impl Scenario {
    /// One of this program's by its name, or any by its file.
    pub(crate) fn load(named: &str) -> anyhow::Result<Self> {
        if let Some((_, text)) = SCENARIOS.iter().find(|(name, _)| *name == named) {
            return Self::parse(text).with_context(|| format!("scenario {named}"));
        }
        let path = Path::new(named);
        let names: Vec<_> = SCENARIOS.iter().map(|(name, _)| *name).collect();
        ensure!(path.exists(), "no scenario `{named}`: name a file, or one of {}", names.join(", "));
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {named}"))?;
        Self::parse(&text).with_context(|| format!("scenario {named}"))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let scenario: Self = toml::from_str(text)?;
        scenario.checked()
    }

    /// The scenario, if it makes sense.
    pub(crate) fn checked(self) -> anyhow::Result<Self> {
        ensure!((1..=1_000_000).contains(&self.agents), "`agents` has to be from 1 to 1,000,000");
        ensure!(self.rate >= 1, "`rate` has to be at least 1 event a second");
        ensure!((1..=500).contains(&self.events), "`events` has to be from 1 to 500");
        ensure!((1..=400).contains(&self.connections), "`connections` has to be from 1 to 400");
        ensure!(self.slow_clients <= 64, "`slow_clients` has to be at most 64");
        let kinds = [self.duplicate_percent, self.invalid_percent, self.late_percent, self.void_percent];
        ensure!(
            kinds.iter().map(|p| u32::from(*p)).sum::<u32>() <= 90,
            "the kinds come to more than 90 percent"
        );
        ensure!(self.hot_percent <= 100, "`hot_percent` has to be at most 100");
        ensure!(
            self.restart_percent.is_none_or(|p| (1..=95).contains(&p)),
            "`restart_percent` has to be from 1 to 95"
        );
        if let Some(bursts) = self.bursts {
            ensure!(
                (1..=bursts.period_ms).contains(&bursts.burst_ms),
                "`burst_ms` has to be from 1 to `period_ms`"
            );
        }
        if self.bodies == Bodies::Provider {
            ensure!(self.events == 1, "a provider's response is one submission: `events` has to be 1");
            let others = [self.invalid_percent, self.late_percent, self.void_percent];
            ensure!(others == [0; 3], "with providers' bodies nothing can be invalid, late or void");
        }
        Ok(self)
    }
}

/// Where recorded responses of providers are, if anywhere.
pub(crate) fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("AGENTLEDGER_CORPUS")
        .map_or_else(|| PathBuf::from("../shared/corpus"), PathBuf::from);
    path.join("cases").is_dir().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_of_the_program_can_be_played() {
        for (name, _) in SCENARIOS {
            Scenario::load(name).unwrap();
        }
    }

    #[test]
    fn a_mistyped_field_is_an_error() {
        let error = Scenario::parse("about = \"\"\nagents = 1\nrate = 1\nduplicates = 3\n").unwrap_err();
        assert!(format!("{error:#}").contains("duplicates"), "{error:#}");
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for wrong in [
            "events = 501",
            "restart_percent = 100",
            "hot_percent = 101",
            "connections = 0",
            "bodies = \"provider\"\nevents = 2",
        ] {
            Scenario::parse(&format!("about = \"\"\nagents = 1\nrate = 1\n{wrong}\n")).unwrap_err();
        }
    }
}
