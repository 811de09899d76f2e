//! `agentledger prices`, as `--help` explains it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{LedgerArgs, OutputArgs};

#[derive(Debug, Args)]
pub(crate) struct PricesArgs {
    #[command(subcommand)]
    pub(crate) command: PricesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PricesCommand {
    /// Show what models cost, in the book that is compiled in, or in that of a ledger.
    Show(PricesShowArgs),
    /// Put another book in force: a list of genai-prices or `LiteLLM`, one's own prices, or a whole book.
    Import(PricesImportArgs),
    /// Tell what is otherwise in one book than in another.
    Diff(PricesDiffArgs),
    /// List the books of a ledger, and which is in force.
    List {
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        ledger: LedgerArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PricesShowArgs {
    /// A model, as its provider or a gateway names it [default: all].
    pub(crate) model: Option<String>,
    /// Who serves it.
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) provider: Option<String>,
    /// The prices of this time, such as `2026-11-24` or `2026-11-24T09:30:00Z` [default: now].
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// The prices of this service tier, such as `batch`.
    #[arg(long, value_name = "TIER", default_value = "")]
    pub(crate) tier: String,
    /// The book of this version, or in this file [default: the one in force].
    #[arg(long, value_name = "VERSION|FILE")]
    pub(crate) book: Option<String>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PricesImportArgs {
    /// The list, in JSON; one's own prices in TOML, too.
    pub(crate) file: PathBuf,
    /// What it is.
    #[arg(long, value_enum, default_value_t = ListFormat::Auto)]
    pub(crate) format: ListFormat,
    /// The version of the book that this makes [default: the kind of list, and a hash of it].
    #[arg(long, value_name = "VERSION")]
    pub(crate) name: Option<String>,
    /// Lay it over the book of this version [default: the one that is compiled in].
    #[arg(long, value_name = "VERSION", conflicts_with = "replace")]
    pub(crate) over: Option<String>,
    /// Lay it over nothing: what it does not have has no price.
    #[arg(long)]
    pub(crate) replace: bool,
    /// List what of the file a book cannot say, and change nothing.
    #[arg(long)]
    pub(crate) left_out: bool,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PricesDiffArgs {
    /// A version, or a file.
    pub(crate) a: String,
    /// Another.
    pub(crate) b: String,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// Whatever the file looks like.
    Auto,
    /// genai-prices' JSON.
    Genai,
    /// `LiteLLM`'s `model_prices_and_context_window.json`.
    Litellm,
    /// One's own prices and discounts.
    Overrides,
    /// A book as this command writes it.
    Agentledger,
}
