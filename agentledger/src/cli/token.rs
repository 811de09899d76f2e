//! `agentledger token …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{LedgerArgs, OutputArgs};

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a key pair: the private key in FILE, the public key in FILE.pub, for the server.
    Keygen {
        /// Where the private key goes; it is not overwritten.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Print a new token, alone on stdout; what it may do is noted in FILE.issued.jsonl.
    Mint(MintArgs),
    /// List issued and revoked tokens, newest first.
    List(TokenListArgs),
    /// Take a token back, for good. With a server it acts at once.
    Revoke {
        /// Its id, the `jti` that `token list` shows; not the token itself.
        jti: String,
        /// Why, for those who read the list.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        ledger: LedgerArgs,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleArg {
    /// Send usage, for the agents given.
    Ingest,
    /// Read reports and lists, of one team if one is given.
    Read,
    /// Change budgets and revoke tokens, and read.
    Admin,
}

#[derive(Debug, Args)]
pub(crate) struct MintArgs {
    /// The private key.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// What it may do.
    #[arg(long, value_enum)]
    pub(crate) role: RoleArg,
    /// An agent that it may write for, or a pattern with *; may be repeated.
    #[arg(long = "agent", value_name = "AGENT")]
    pub(crate) agents: Vec<String>,
    /// The team that pays for what it sends, or whose spend it may see.
    #[arg(long)]
    pub(crate) team: Option<String>,
    /// For how many days it holds.
    #[arg(long, value_name = "N", default_value_t = 30,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(auth::MAX_DAYS)))]
    pub(crate) days: u32,
    /// What the server's [auth] audience says.
    #[arg(long, default_value = auth::AUDIENCE)]
    pub(crate) audience: String,
}

#[derive(Debug, Args)]
pub(crate) struct TokenListArgs {
    /// The private key whose issued tokens to list; without it, the revoked ones are listed.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}
