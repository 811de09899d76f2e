//! One look at a ledger: its spend, its newest alerts, and how its pipeline is.

use query::{AlertReport, SpendReport};
use serde::Deserialize;
use shared::alert::Alert;

use crate::cli::{LedgerArgs, WatchBy};
use crate::commands::read;
use crate::source::Source;

/// The most rows and alerts asked for: more than a screen holds.
const ROWS: usize = 200;
const ALERTS: usize = 20;

/// What was seen.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) spend: SpendReport,
    /// Newest first.
    pub(super) alerts: Vec<Alert>,
    /// None where there is no server.
    pub(super) health: Option<Health>,
}

/// What of `/healthz` is shown. Fields that a later server adds are left alone.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Health {
    pub(super) status: String,
    pipeline: Pipeline,
}

#[derive(Clone, Debug, Deserialize)]
struct Pipeline {
    stream: Vec<Lag>,
    changes: Lag,
    rejected: u64,
    counts: Counts,
}

#[derive(Clone, Debug, Deserialize)]
struct Lag {
    latest: u64,
    consumed: u64,
    trouble: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Counts {
    conflicts: u64,
    quarantined: u64,
}

impl Health {
    fn lags(&self) -> impl Iterator<Item = &Lag> {
        self.pipeline.stream.iter().chain([&self.pipeline.changes])
    }

    /// What hinders it, in words.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.lags().find_map(|lag| lag.trouble.as_deref())
    }

    /// A line for people.
    pub(super) fn line(&self) -> String {
        let behind = |lag: &Lag| lag.latest.saturating_sub(lag.consumed);
        let lag: u64 = self.lags().map(behind).fold(0, u64::saturating_add);
        let Pipeline { rejected, counts: Counts { conflicts, quarantined }, .. } = &self.pipeline;
        let figures =
            format!("lag {lag}, rejected {rejected}, conflicts {conflicts}, quarantined {quarantined}");
        match self.trouble() {
            Some(trouble) => format!("pipeline {}: {trouble} ({figures})", self.status),
            None => format!("pipeline {}: {figures}", self.status),
        }
    }
}

impl WatchBy {
    /// Its name in a question.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Team => "team",
            Self::Model => "model",
        }
    }
}

/// Looks. A directory is let go of again, so that a server can be started on it meanwhile.
pub(super) fn look(ledger: &LedgerArgs, by: WatchBy) -> anyhow::Result<Look> {
    let source = Source::open(ledger)?;
    let limit = |most: usize| ("limit", most.to_string());
    let spend: SpendReport = read(&source.get("/v1/spend", &[("by", by.name().to_owned()), limit(ROWS)])?)?;
    let alerts: AlertReport = read(&source.get("/v1/alerts", &[limit(ALERTS)])?)?;
    let health = match &source {
        Source::Server { .. } => Some(read(&source.get("/healthz", &[])?)?),
        Source::InProcess(_) => None,
    };
    Ok(Look { spend, alerts: alerts.alerts, health })
}
