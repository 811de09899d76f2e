//! `agentledger replay`, `redrive` and `doctor`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::{Format, LedgerArgs, ListArgs, OutputArgs};

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct ReplayArgs {
    /// From this record or time of arrival: a sequence number, a UTC date, or RFC 3339 [default: the oldest kept].
    #[arg(long, value_name = "T|SEQ")]
    pub(crate) from: Option<String>,
    /// To this record, included, or this time, not included [default: the last].
    #[arg(long, value_name = "T|SEQ")]
    pub(crate) to: Option<String>,
    /// Only this shard, by its name or number.
    #[arg(long, value_name = "SHARD")]
    pub(crate) shard: Option<String>,
    /// Only what is of this agent.
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// Read this directory of archived records in place of the stream; with --aws also `s3://BUCKET/PREFIX`.
    #[arg(long, value_name = "DIR|URI")]
    pub(crate) from_archive: Option<String>,
    /// Write, and do not only look.
    #[arg(long)]
    pub(crate) apply: bool,
    /// At most so many records in a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
    /// Keep the place in this file, and go on from it if it is there. It is removed at the end.
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// Make rollups anew of the stored records, whole UTC hours, and compare them with those that are stored.
    #[arg(long, requires_all = ["from", "to"],
          conflicts_with_all = ["shard", "agent", "from_archive", "apply", "rate", "resume"])]
    pub(crate) shadow: bool,
    /// With --shadow: repair what differs.
    #[arg(long, requires = "shadow")]
    pub(crate) promote: bool,
    /// With --promote: also in closed periods, whose records may have expired.
    #[arg(long, requires = "promote")]
    pub(crate) closed: bool,
    /// Settings in TOML, of which `prices` is used.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RedriveArgs {
    #[command(subcommand)]
    pub(crate) command: RedriveCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RedriveCommand {
    /// List what was put aside, newest first, and what became of trying it again.
    List(ListArgs),
    /// Show one, with its payload.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        ledger: LedgerArgs,
    },
    /// Try some again: what is counted leaves, what can never be counted stays, marked.
    Retry(RetryArgs),
    /// Remove one for good, uncounted.
    Purge {
        /// Its id.
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        ledger: LedgerArgs,
    },
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "all"]))]
pub(crate) struct RetryArgs {
    /// Their ids.
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// All that were not tried yet.
    #[arg(long)]
    pub(crate) all: bool,
    /// With --all: also those that were tried in vain.
    #[arg(long, requires = "all")]
    pub(crate) stuck: bool,
    /// Count what this file holds in place of the one that is named: a stream record, or what /v1/usage takes.
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    pub(crate) payload: Option<PathBuf>,
    /// With --data or --aws: settings in TOML, of which `prices` is used.
    #[arg(long, value_name = "FILE", requires = "opened")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The server's settings in TOML, of which `auth` is looked at.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}
