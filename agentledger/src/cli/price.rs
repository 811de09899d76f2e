//! The arguments of `agentledger explain`, `differences` and `reprice`.

use std::path::PathBuf;

use clap::Args;

use super::{FilterArgs, LedgerArgs, OutputArgs};

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Whose call.
    pub(crate) agent: String,
    /// Its id, as the receipt and `agentledger events` show it.
    pub(crate) event: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DifferencesArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RepriceArgs {
    /// Calls made at this time or later: a UTC date, or RFC 3339.
    #[arg(long, value_name = "T", required_unless_present = "resume")]
    pub(crate) from: Option<String>,
    /// And before this time: a UTC date, or RFC 3339.
    #[arg(long, value_name = "T", required_unless_present = "resume")]
    pub(crate) to: Option<String>,
    /// Of this agent; may be repeated.
    #[arg(long = "agent", value_name = "AGENT")]
    pub(crate) agents: Vec<String>,
    /// By this model; may be repeated.
    #[arg(long = "model", value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// Only calls whose cost is unknown.
    #[arg(long)]
    pub(crate) unpriced: bool,
    /// Version of the price book, or with --data or --aws a file that holds one [default: the one in use].
    #[arg(long, value_name = "V")]
    pub(crate) book: Option<String>,
    /// Also in closed periods.
    #[arg(long)]
    pub(crate) closed: bool,
    /// Write, and do not only look.
    #[arg(long)]
    pub(crate) apply: bool,
    /// Name the run; if it was begun, it is continued [default: a new name].
    #[arg(long, value_name = "RUN", requires = "apply")]
    pub(crate) run: Option<String>,
    /// Continue a run where it stopped.
    #[arg(long, value_name = "RUN", requires = "apply",
          conflicts_with_all = ["run", "from", "to", "agents", "models", "unpriced", "closed"])]
    pub(crate) resume: Option<String>,
    /// With --data or --aws: settings in TOML, of which `prices` is used.
    #[arg(long, value_name = "FILE", requires = "opened")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}
