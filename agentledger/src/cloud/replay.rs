//! `agentledger replay --aws`.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use aws::archive::Location;
use aws::env;
use jiff::Timestamp;
use operate::archive::Directory;
use operate::replay::{Bound, Options, Ports};
use shared::clock::{Clock, SystemClock};

use super::consumers::Mappings;
use super::streams::{Origin, Records};
use super::{Cloud, Published};
use crate::books;
use crate::cli::ReplayArgs;
use crate::commands::{replay_from, replay_options, shadow_beside};
use crate::config::Config;
use crate::source::Misuse;

/// The most lanes of an inbox: what Terraform takes.
const MOST_LANES: u32 = 256;

/// Replays, or makes a shadow.
pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<()> {
    let options = if args.shadow { Options::default() } else { replay_options(args)? };
    let cloud = Cloud::open()?;
    if args.shadow {
        let consumers = Mappings::new(cloud.deployed(), Arc::clone(&cloud.table));
        return shadow_beside(args, &cloud.runtime, &cloud.table, &consumers);
    }
    let config = match &args.config {
        Some(path) => Config::read(path).map_err(|e| Misuse(e.to_string()))?,
        None => Config::default(),
    };
    let ports = cloud.ports(&config, args.apply)?;
    let replayed = from(args, &cloud, ports, &options);
    if args.apply {
        // Also what was counted before it stopped.
        cloud.runtime.block_on(cloud.table.settle_all())?;
    }
    replayed
}

fn from(
    args: &ReplayArgs,
    cloud: &Cloud,
    ports: Ports<aws::table::Table, Arc<Published>, SystemClock>,
    options: &Options,
) -> anyhow::Result<()> {
    let origin = match &args.from_archive {
        None => cloud.origin(options)?,
        Some(uri) => match Location::parse(uri).map_err(|e| Misuse(format!("--from-archive {e}")))? {
            Location::Path(dir) => {
                let mut source = Directory::open(Path::new(&dir))?;
                return replay_from(args, &cloud.runtime, ports, &mut source, options);
            }
            location @ Location::S3 { .. } => {
                let Some(from) = time(options.from.as_ref()) else {
                    let why = "--from-archive s3://… lists a bucket by days: give --from, the first of them";
                    return Err(Misuse(why.to_owned()).into());
                };
                let to = time(options.to.as_ref()).unwrap_or_else(|| SystemClock.now());
                Origin::Archive(location, aws_sdk_s3::Client::new(&cloud.config), from, to)
            }
        },
    };
    let mut source = Records::of(origin);
    replay_from(args, &cloud.runtime, ports, &mut source, options)?;
    for what in source.unreadable() {
        tracing::error!("not counted, as it is not readable: {what}");
    }
    match source.unreadable().len() {
        0 => Ok(()),
        n => bail!("{n} places of the archive are not readable; all others were read"),
    }
}

fn time(bound: Option<&Bound>) -> Option<Timestamp> {
    match bound {
        Some(Bound::Time(at)) => Some(*at),
        _ => None,
    }
}

impl Cloud {
    /// What a replay works on; a dry one writes no price book either.
    pub(super) fn ports(
        &self,
        config: &Config,
        writes: bool,
    ) -> anyhow::Result<Ports<aws::table::Table, Arc<Published>, SystemClock>> {
        let books = books::configured(config)?;
        if writes {
            self.runtime.block_on(aggregator::prices::begin(&*self.table, &books, SystemClock.now()))?;
        } else {
            self.runtime.block_on(books::adopt(&books, &*self.table))?;
        }
        let (ledger, metrics) = (Arc::clone(&self.table), Arc::clone(&self.metrics));
        Ok(Ports { ledger, metrics, clock: SystemClock, books })
    }

    /// The stream, or the inbox where there is none.
    pub(super) fn origin(&self, options: &Options) -> anyhow::Result<Origin> {
        if let Some(name) = env::optional(env::STREAM) {
            let stop = match &options.to {
                None => aws::stream::Stop::Tip,
                Some(Bound::Time(at)) => aws::stream::Stop::Time(*at),
                Some(Bound::Sequence(number)) => aws::stream::Stop::At(number.clone()),
            };
            let reader = aws::stream::Reader::new(aws_sdk_kinesis::Client::new(&self.config), name);
            return Ok(Origin::Stream(reader, stop));
        }
        if options.from.iter().chain(&options.to).any(|bound| matches!(bound, Bound::Sequence(_))) {
            let why = format!(
                "an inbox has no sequence numbers: give times, or set {} where there is a stream",
                env::STREAM
            );
            return Err(Misuse(why).into());
        }
        let lanes = env::parsed(env::LANES, MOST_LANES)?;
        let from = time(options.from.as_ref()).unwrap_or(Timestamp::UNIX_EPOCH);
        let to = time(options.to.as_ref()).unwrap_or_else(|| SystemClock.now());
        let client = aws_sdk_dynamodb::Client::new(&self.config);
        Ok(Origin::Inbox(aws::inbox::Reader::new(client, env::table()), lanes, from, to))
    }
}
