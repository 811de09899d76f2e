//! A scenario against what is already running: another `up`, a local AWS, a deployment.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::bodies;
use super::conduct::{Setup, conduct, name_of_a_run};
use super::local::Common;
use super::reader::Reader;
use super::scenario::{Bodies, corpus};
use super::table;
use crate::client::Client;
use crate::{agentledger, say};

#[derive(Args)]
pub(crate) struct RemoteOptions {
    /// Where to send: the address before `/v1/usage`. The token, if it asks for one, is in `AGENTLEDGER_TOKEN`.
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
    let read_url = options.read_url.as_ref().unwrap_or(&options.url).trim_end_matches('/').to_owned();
    let mut outcomes = Vec::new();
    for (name, scenario) in options.common.scenarios()? {
        if scenario.restart_percent.is_some() {
            bail!("{name} kills the server in the middle: `loadtest local` starts one of its own for that");
        }
        let run = name_of_a_run();
        let bodies = match scenario.bodies {
            Bodies::Native => Vec::new(),
            Bodies::Provider if options.aws => {
                bail!("{name} reads single events ahead, which is not done on AWS")
            }
            Bodies::Provider => {
                let corpus = corpus().context(
                    "there are no recorded responses here: AGENTLEDGER_CORPUS names a directory of them",
                )?;
                bodies::calibrate(bodies::read(&corpus)?, &read_url, &run)?
            }
        };
        let reader = if options.aws {
            Reader::Aws { program: agentledger(options.agentledger.as_ref())? }
        } else {
            Reader::Http { client: Client::with(token.as_deref()), url: read_url.clone() }
        };
        let setup = Setup {
            name: &name,
            scenario,
            span: options.common.duration,
            seed: options.common.seed,
            url: options.url.trim_end_matches('/'),
            token: token.as_deref(),
            reader,
            bodies,
            run,
        };
        let outcome = conduct(setup, |_, _| {}).with_context(|| format!("scenario {name}"))?;
        say(&format!("{}\n", table::summary(&outcome)));
        outcomes.push(outcome);
    }
    options.common.write(&outcomes)
}
