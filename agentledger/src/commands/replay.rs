//! `agentledger replay`: counts a stream, or its archive, once more.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use local::dir::DataDir;
use local::host::Counters;
use local::ledger::SqliteLedger;
use local::replayed::Replay;
use local::stream::{StreamLog, StreamOptions};
use operate::Replayed;
use operate::archive::Directory;
use operate::replay::{AgentRow, Bound, Options, Ports, ReplayError, Report};
use query::parse_instant;
use shared::clock::{Clock, SystemClock};
use shared::id::AgentId;
use shared::ledger::{RecordStore, SequenceStore};
use shared::metrics::Metrics;
use shared::window::Zone;
use tokio::runtime::Runtime;

use super::cell;
use super::place::Place;
use super::shadow::shadow;
use crate::books;
use crate::cli::ReplayArgs;
use crate::cloud;
use crate::config::Config;
use crate::output::{Grid, number, print, text};
use crate::source::Misuse;

/// Replays, or makes a shadow.
pub(crate) fn replay(args: &ReplayArgs) -> anyhow::Result<()> {
    if args.ledger.aws {
        return cloud::replay(args);
    }
    let Some(data) = &args.ledger.data else {
        return Err(Misuse(
            "replay reads the stream and the ledger themselves, which a running server holds: stop it, and name its \
             directory with --data DIR (what was accepted meanwhile waits for nobody: senders try again)"
                .to_owned(),
        )
        .into());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let opened = Opened::open(data)?;
    if args.shadow {
        shadow(args, &runtime, &opened.ledger)?;
        // What is told as repaired has to outlive a power cut.
        return if args.promote { Ok(opened.ledger.sync()?) } else { Ok(()) };
    }
    let options = options(args)?;
    let config = match &args.config {
        Some(path) => Config::read(path).map_err(|e| Misuse(e.to_string()))?,
        None => Config::default(),
    };
    let books = books::configured(&config)?;
    let ledger = &opened.ledger;
    if args.apply {
        runtime.block_on(aggregator::prices::begin(&**ledger, &books, SystemClock.now()))?;
    } else {
        runtime.block_on(books::adopt(&books, &**ledger))?;
    }
    let metrics = Arc::<Counters>::default();
    let ports = Ports { ledger: Arc::clone(ledger), metrics, clock: SystemClock, books };
    match &args.from_archive {
        Some(archive) => {
            let mut source = Directory::open(Path::new(local_archive(archive)?))?;
            replay_from(args, &runtime, ports, &mut source, &options)?;
        }
        None => {
            let stream = StreamLog::open(&opened.dir.stream(), &StreamOptions::default())?;
            replay_from(args, &runtime, ports, &mut Replay::new(stream), &options)?;
        }
    }
    if args.apply {
        // What is told as counted has to outlive a power cut.
        ledger.sync()?;
    }
    Ok(())
}

/// A directory that no server holds.
struct Opened {
    ledger: Arc<SqliteLedger>,
    dir: DataDir,
}

impl Opened {
    fn open(data: &Path) -> anyhow::Result<Self> {
        if !data.is_dir() {
            let data = data.display();
            return Err(Misuse(format!(
                "--data {data}: there is no such directory; `agentledger up` makes it"
            ))
            .into());
        }
        let dir = DataDir::open(data)?;
        Ok(Self { ledger: Arc::new(SqliteLedger::open(&dir.ledger())?), dir })
    }
}

fn local_archive(uri: &str) -> Result<&str, Misuse> {
    match uri.split_once("://") {
        None => Ok(uri),
        Some(("file", path)) => Ok(path),
        Some((scheme, _)) => Err(Misuse(format!(
            "--from-archive {uri}: {scheme} is read with --aws; or copy the archive to a directory, and name that"
        ))),
    }
}

/// What is asked for.
pub(crate) fn options(args: &ReplayArgs) -> Result<Options, Misuse> {
    let by_number = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let bound = |flag: &str, value: &Option<String>| {
        value
            .as_ref()
            .map(|value| {
                if by_number(value) && args.from_archive.is_none() {
                    return Ok(Bound::Sequence(value.clone()));
                }
                let no_number = "no date such as 2026-11-24, no RFC 3339, and no sequence number of a stream";
                let at = parse_instant(value, &Zone::utc());
                at.map(Bound::Time).ok_or_else(|| Misuse(format!("{flag} {value:?} is {no_number}")))
            })
            .transpose()
    };
    let agent = args.agent.as_deref().map(AgentId::parse).transpose();
    Ok(Options {
        from: bound("--from", &args.from)?,
        to: bound("--to", &args.to)?,
        shard: args.shard.clone(),
        agent: agent.map_err(|e| Misuse(format!("--agent {e}")))?,
        apply: args.apply,
        rate: args.rate,
        attempts: None,
    })
}

/// What was asked, for the place in a file.
fn question(args: &ReplayArgs) -> Vec<String> {
    let named = [
        ("--from", &args.from),
        ("--to", &args.to),
        ("--shard", &args.shard),
        ("--agent", &args.agent),
        ("--from-archive", &args.from_archive),
    ];
    let said = named.into_iter().filter_map(|(flag, value)| Some(format!("{flag} {}", value.as_ref()?)));
    said.chain(args.apply.then(|| "--apply".to_owned())).collect()
}

/// Replays from a source, and prints what came of it.
pub(crate) fn replay_from<L, M, C, S>(
    args: &ReplayArgs,
    runtime: &Runtime,
    ports: Ports<L, M, C>,
    source: &mut S,
    options: &Options,
) -> anyhow::Result<()>
where
    L: RecordStore + SequenceStore,
    M: Metrics,
    C: Clock,
    S: Replayed,
{
    let (place, position) = Place::open(args.resume.as_deref(), question(args))?;
    let bar = bar("records");
    let mut told = |position: &_, read: u64, left: Option<u64>| {
        if let Some(left) = left {
            bar.set_length(read + left);
        }
        bar.set_position(read);
        place.keep(position).map_err(ReplayError::Place)
    };
    let replayed = runtime.block_on(operate::replay::replay(ports, source, options, position, &mut told));
    bar.finish_and_clear();
    let report = match replayed {
        Ok(report) => report,
        Err(ReplayError::Asked(why)) => return Err(Misuse(why).into()),
        Err(error) => return Err(error.into()),
    };
    print(args.output.format, &grid(&report), &serde_json::to_string(&report)?)?;
    match &report.stopped {
        Some(why) => bail!("stopped before the end: {why}"),
        None => place.done(),
    }
}

/// A bar of progress on stderr; nothing where that is no terminal.
pub(super) fn bar(unit: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(&format!("{{bar:40}} {{pos}}/{{len}} {unit}, {{eta}} left"));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn grid(report: &Report) -> Grid {
    let row = |row: &AgentRow, name: String| {
        vec![
            name,
            row.events.to_string(),
            row.tokens.to_string(),
            row.cost_usd.to_string(),
            row.unpriced_events.to_string(),
        ]
    };
    Grid {
        columns: vec![
            text("agent"),
            number("events"),
            number("tokens"),
            number("cost_usd"),
            number("unpriced_events"),
        ],
        rows: report.rows.iter().map(|agent| row(agent, cell(agent.agent.as_ref()))).collect(),
        total: Some(row(&report.total, "total".to_owned())),
        note: Some(note(report)),
    }
}

/// What the table does not show, in words.
fn note(report: &Report) -> String {
    let mut lines = vec![match (report.applied, report.is_nothing()) {
        (false, true) => "nothing would change: all of it was counted before".to_owned(),
        (false, false) => "nothing was changed: --apply does it".to_owned(),
        (true, true) => "nothing changed: all of it was counted before".to_owned(),
        (true, false) => "counted".to_owned(),
    }];
    lines.push(format!("{} records read, {} counted before", report.records, report.duplicates));
    let (would_be, would_come) = if report.applied { ("were", "came") } else { ("would be", "would come") };
    if report.conflicts > 0 {
        let what = "with other content than what stands: `agentledger conflicts` lists them";
        lines.push(format!("{} {would_come} {what}", report.conflicts));
    }
    if report.quarantined > 0 {
        lines.push(format!("{} {would_be} put aside:", report.quarantined));
        lines.extend(report.aside.iter().map(|item| format!("  {}: {}", item.id, item.reason)));
    }
    if report.too_old > 0 {
        lines.push(format!(
            "{} events are too old to be counted, as their period is closed; they are not put aside",
            report.too_old
        ));
    }
    if report.unreadable > 0 {
        lines.push(format!("{} records cannot be read, so nobody can say whose they are", report.unreadable));
    }
    lines.join("\n")
}
