//! A scenario against what is already running: another `up`, a local AWS, a deployment.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::conduct::{Setup, conduct, name_of_a_run};
use super::local::Common;
use super::reader::Reader;
use super::scenario::{Bodies, Scenario};
use super::table;
use crate::client::Client;
use crate::{agentledger, say};

#[derive(Args)]
pub(crate) struct RemoteOptions {
    /// Where to send: the address before `/v1/usage`. If it asks for tokens, `AGENTLEDGER_TOKEN` has one of the role `ingest` for the agents `load*`, and `AGENTLEDGER_READ_TOKEN` one to read with.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    common: Common,
    /// Where to read the totals, if not there.
    #[arg(long, conflicts_with = "aws")]
    read_url: Option<String>,
    /// Reads the totals of the deployment on AWS that the environment names, by `agentledger report --aws`. Without
    /// freshness and alerts, which CloudWatch and the topics tell.
    #[arg(long)]
    aws: bool,
    /// The program to read with.
    #[arg(long, requires = "aws")]
    agentledger: Option<PathBuf>,
}

pub(crate) fn run(options: &RemoteOptions) -> anyhow::Result<()> {
    let token = std::env::var("AGENTLEDGER_TOKEN").ok();
    let read_token = std::env::var("AGENTLEDGER_READ_TOKEN").ok().or_else(|| token.clone());
    let read_url = options.read_url.as_ref().unwrap_or(&options.url).trim_end_matches('/').to_owned();
    let scenarios = options.common.scenarios()?;
    let several = scenarios.len() > 1;
    let mut outcomes = Vec::new();
    for (name, scenario) in scenarios {
        let why = match scenario {
            Scenario { restart_percent: Some(_), .. } => Some("it kills the server in the middle"),
            Scenario { bodies: Bodies::Provider, .. } => Some("it sends each response once ahead"),
            _ => None,
        };
        if let Some(why) = why {
            let why = format!("{name}: {why}, for which `loadtest local` starts a server of its own");
            if several {
                say(&format!("skipped {why}\n"));
                continue;
            }
            bail!(why);
        }
        let reader = if options.aws {
            Reader::Aws { program: agentledger(options.agentledger.as_ref())? }
        } else {
            Reader::Http { client: Client::with(read_token.as_deref()), url: read_url.clone() }
        };
        let setup = Setup {
            name: &name,
            scenario,
            span: options.common.duration,
            seed: options.common.seed,
            url: options.url.trim_end_matches('/'),
            token: token.as_deref(),
            read_token: read_token.as_deref(),
            reader,
            bodies: Vec::new(),
            run: name_of_a_run(),
        };
        let outcome = conduct(setup, |_, _| {}).with_context(|| format!("scenario {name}"))?;
        say(&format!("{}\n", table::summary(&outcome)));
        outcomes.push(outcome);
    }
    options.common.write(&outcomes)
}
