//! The command line, as `--help` explains it.

mod extract;
mod operate;
mod price;
mod prices;
mod token;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

pub(crate) use extract::ExtractArgs;
pub(crate) use operate::{DoctorArgs, RedriveArgs, RedriveCommand, ReplayArgs, RetryArgs};
pub(crate) use price::{DifferencesArgs, ExplainArgs, RepriceArgs};
pub(crate) use prices::{
    ListFormat, PricesArgs, PricesCommand, PricesDiffArgs, PricesImportArgs, PricesShowArgs,
};
pub(crate) use token::{MintArgs, RoleArg, TokenArgs, TokenCommand, TokenListArgs};

/// Which AI agent, on which task, spent what, on which model.
#[derive(Debug, Parser)]
#[command(name = "agentledger", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole pipeline in one process.
    Up(UpArgs),
    /// Play a working day of fifty simulated agents, on a temporary ledger.
    Demo(DemoArgs),
    /// Watch spend, alerts and the pipeline live.
    Watch(WatchArgs),
    /// Show what was spent, by one dimension.
    Report(ReportArgs),
    /// List metered calls, newest first, with the prices that applied.
    Events(EventsArgs),
    /// List what has no price, by provider, model and reason, and how to price it.
    Unpriced(UnpricedArgs),
    /// List budget alerts, and notices of usage without a price, newest first.
    Alerts(AlertsArgs),
    /// List attempts to deliver alerts to the webhook, newest first.
    Deliveries(DeliveriesArgs),
    /// List events that came again with other content; the first stands.
    Conflicts(ListArgs),
    /// List what could not be counted, with the reason.
    Quarantine(ListArgs),
    /// List corrections that take no effect: of events that have not arrived, or of nothing.
    Corrections(ListArgs),
    /// List senders that number their submissions, and which of these did not arrive.
    Completeness(ListArgs),
    /// Print how the cost of one call was worked out, line by line.
    Explain(ExplainArgs),
    /// Compare what providers said that calls cost with what the price book says.
    Differences(DifferencesArgs),
    /// Price stored calls anew: shows what would change, and changes it with --apply.
    Reprice(RepriceArgs),
    /// List repricings that were applied, the last one begun first.
    Repricings(ListArgs),
    /// Count the stream again, or make rollups anew: shows what would change, and changes it with --apply or --promote.
    Replay(Box<ReplayArgs>),
    /// List what could not be counted, try it again, and remove it.
    Redrive(RedriveArgs),
    /// Look whether all is well, and say what to do where it is not.
    Doctor(DoctorArgs),
    /// Set, list and remove budgets.
    Budget(BudgetArgs),
    /// Read what a provider's response says was used, and what that costs, without a ledger.
    Extract(ExtractArgs),
    /// Show, compare and import price books.
    Prices(PricesArgs),
    /// Make keys, mint tokens, list and revoke them.
    Token(TokenArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where the stream and the ledger are kept.
    #[arg(long, value_name = "DIR", default_value = "./agentledger-data")]
    pub(crate) data: PathBuf,
    /// The address to listen on; loopback only, unless the configuration asks for tokens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,
    /// Settings in TOML: prices, budgets, retention, authentication.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Decides the whole day: the same seed gives the same calls, tokens and dollars.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Simulated seconds in a second: at 480 the day of eight hours takes one minute.
    #[arg(long, value_name = "X", default_value_t = 480, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) speed: u32,
    /// The address to listen on; loopback only [default: a free port of 127.0.0.1].
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", hide_default_value = true)]
    pub(crate) listen: String,
    /// End after the summary, instead of serving until Ctrl-C.
    #[arg(long)]
    pub(crate) exit: bool,
    /// Keep the data in this directory, which is new or empty [default: a temporary one, removed at the end].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchBy {
    Agent,
    Team,
    Model,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// One row for each of these.
    #[arg(long, value_enum, default_value_t = WatchBy::Agent)]
    pub(crate) by: WatchBy,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) interval: u32,
    /// Print once as text, and end.
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

/// Which ledger.
#[derive(Debug, Clone, Args)]
#[command(group = ArgGroup::new("opened").args(["data", "aws"]))]
pub(crate) struct LedgerArgs {
    /// A running server [default: the address that `agentledger up` listens on by itself].
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    pub(crate) url: Option<String>,
    /// A data directory that no server holds.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A file with the token that the server asks for [default: the variable `AGENTLEDGER_TOKEN`].
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) token_file: Option<PathBuf>,
    /// The deployment on AWS that the environment names: `AWS_REGION` and the like, `AGENTLEDGER_TABLE`.
    #[arg(long, conflicts_with_all = ["url", "data", "token_file"])]
    pub(crate) aws: bool,
}

impl LedgerArgs {
    /// Whether the ledger is opened by the command itself, and not asked through a server.
    pub(crate) fn is_opened(&self) -> bool {
        self.aws || self.data.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For reading.
    Table,
    /// As the HTTP interface answers.
    Json,
    /// For spreadsheets.
    Csv,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct OutputArgs {
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ByArg {
    Agent,
    Team,
    Task,
    Session,
    Model,
    Provider,
    Day,
    Hour,
}

/// Which calls count.
#[derive(Debug, Clone, Args)]
pub(crate) struct FilterArgs {
    /// From this time: a date in --tz, or RFC 3339 [default: the first data].
    #[arg(long, value_name = "T")]
    pub(crate) from: Option<String>,
    /// To this time, not included: a date in --tz, or RFC 3339 [default: the end of this UTC month].
    #[arg(long, value_name = "T")]
    pub(crate) to: Option<String>,
    /// Of this agent; may be repeated.
    #[arg(long = "agent", value_name = "AGENT")]
    pub(crate) agents: Vec<String>,
    /// Paid by this team.
    #[arg(long)]
    pub(crate) team: Option<String>,
    /// Of this task.
    #[arg(long)]
    pub(crate) task: Option<String>,
    /// Of this conversation or run.
    #[arg(long)]
    pub(crate) session: Option<String>,
    /// By this model.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// IANA time zone of dates, days and hours [default: UTC].
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
}

impl FilterArgs {
    /// As query parameters.
    pub(crate) fn params(&self) -> Vec<(&'static str, String)> {
        let single = [
            ("from", &self.from),
            ("to", &self.to),
            ("team", &self.team),
            ("task", &self.task),
            ("session", &self.session),
            ("model", &self.model),
            ("tz", &self.tz),
        ];
        let agents = self.agents.iter().map(|agent| ("agent", agent.clone()));
        agents.chain(single.into_iter().filter_map(|(name, v)| Some((name, v.clone()?)))).collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// One row for each of these.
    #[arg(long, value_enum)]
    pub(crate) by: ByArg,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only calls whose cost is unknown.
    #[arg(long)]
    pub(crate) unpriced: bool,
    /// At most so many.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct UnpricedArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// At most so many rows.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AlertsArgs {
    /// Of one budget only; "unpriced" for notices of usage without a price.
    #[arg(long)]
    pub(crate) budget: Option<String>,
    /// In one state only: pending or delivered.
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeliveriesArgs {
    /// Of one alert only, by its id.
    #[arg(long, value_name = "ID")]
    pub(crate) alert: Option<String>,
    #[command(flatten)]
    pub(crate) list: ListArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// At most so many.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BudgetArgs {
    #[command(subcommand)]
    pub(crate) command: BudgetCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetCommand {
    /// Create a budget, or change it: other content is a new version, evaluated at once.
    Set(BudgetSetArgs),
    /// List budgets.
    List {
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        ledger: LedgerArgs,
    },
    /// Remove a budget.
    Rm {
        /// Its name.
        name: String,
        #[command(flatten)]
        ledger: LedgerArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct BudgetSetArgs {
    /// Its name.
    pub(crate) name: String,
    /// What it limits: org, team:NAME, agent:NAME, task:NAME or model:NAME.
    #[arg(long)]
    pub(crate) scope: String,
    /// The limit in US dollars.
    #[arg(long, value_name = "X", required_unless_present = "limit_tokens", conflicts_with = "limit_tokens")]
    pub(crate) limit_usd: Option<String>,
    /// The limit in tokens.
    #[arg(long, value_name = "N")]
    pub(crate) limit_tokens: Option<u64>,
    /// Per hour, day, week or month.
    #[arg(long)]
    pub(crate) period: String,
    /// IANA time zone in which periods start and end [default: UTC].
    #[arg(long, value_name = "ZONE")]
    pub(crate) tz: Option<String>,
    /// Percentages of the limit at which to alert [default: 50,80,100].
    #[arg(long = "threshold", value_name = "P", value_delimiter = ',')]
    pub(crate) thresholds: Vec<u32>,
    /// What usage without a price means: ignore, block, or assume=PRICE in US dollars a token [default: ignore].
    #[arg(long, value_name = "POLICY")]
    pub(crate) unpriced: Option<String>,
    #[command(flatten)]
    pub(crate) ledger: LedgerArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_excludes_each_other_is_refused() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("agentledger report --by agent").is_ok());
        assert!(parse("agentledger report").is_err());
        assert!(parse("agentledger alerts --url http://x --data y").is_err());
        assert!(parse("agentledger alerts --aws").is_ok());
        for other in ["--url http://x", "--data y", "--token-file z"] {
            assert!(parse(&format!("agentledger alerts --aws {other}")).is_err());
        }
        assert!(parse("agentledger redrive retry --all --config c --aws").is_ok());
        assert!(parse("agentledger redrive retry --all --config c").is_err());
        assert!(parse("agentledger budget set b --scope org --period day").is_err());
        let both = "agentledger budget set b --scope org --period day --limit-usd 1 --limit-tokens 1";
        assert!(parse(both).is_err());
        let fine = "agentledger budget set b --scope org --period day --limit-usd 1 --threshold 50,80";
        let Command::Budget(BudgetArgs { command: BudgetCommand::Set(args) }) = parse(fine).unwrap().command
        else {
            panic!("not a budget")
        };
        assert_eq!(args.thresholds, [50, 80]);
    }
}
