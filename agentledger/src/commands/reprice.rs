//! `agentledger reprice` and `repricings`: steps of a repricing, one after the other, and their sum.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::bail;
use http::Method;
use jiff::Timestamp;
use query::parse_instant;
use serde::Serialize;
use shared::id::{AgentId, ModelId, OwnId};
use shared::mint::{Mint, UuidMint};
use shared::repricing::{
    Figures, FiguresBy, FiguresRow, LeftRecord, RepricingAnswer, RepricingForm, RepricingList, RepricingRun,
};
use shared::window::Zone;

use super::{cell, read};
use crate::books;
use crate::cli::{Format, ListArgs, RepriceArgs};
use crate::config::Config;
use crate::output::{Grid, number, print, say, text};
use crate::source::{Misuse, Source};

const PATH: &str = "/v1/admin/reprice";

/// What a repricing did, or would do.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Whether it was written.
    applied: bool,
    /// Version of the book.
    book: String,
    /// The run; none for a look.
    run: Option<RepricingRun>,
    /// By agent and model; of a run that was continued, what was done since.
    rows: Vec<FiguresRow>,
    /// All of these.
    total: Figures,
    /// Records that were left as they were.
    left: Vec<LeftRecord>,
}

/// Shows what a repricing would change, or changes it.
pub(crate) fn reprice(args: &RepriceArgs) -> anyhow::Result<()> {
    let mut form = form(args)?;
    let source = open(args, &mut form)?;
    let mut rows: FiguresBy = BTreeMap::new();
    let mut left = Vec::new();
    let mut seen = Figures::default();
    let name = form.run.clone();
    let last = loop {
        let answer = source.send(Method::POST, PATH, "", Some(serde_json::to_string(&form)?));
        let mut answer: RepricingAnswer = match answer.and_then(|answer| read(&answer)) {
            Ok(answer) => answer,
            // So that nobody has to guess how it goes on.
            Err(error) if seen.events > 0 => match &name {
                Some(run) => {
                    return Err(error.context(format!("stopped; continue with --apply --resume {run}")));
                }
                None => return Err(error),
            },
            Err(error) => return Err(error),
        };
        for row in answer.rows.drain(..) {
            seen.add(&row.figures)?;
            rows.entry((row.agent, row.model)).or_default().add(&row.figures)?;
        }
        left.append(&mut answer.left);
        progress(&seen, answer.run.as_ref());
        if answer.done {
            break answer;
        }
        form = match &name {
            // A run knows where it is, and what it is about.
            Some(run) => RepricingForm { apply: true, run: Some(run.clone()), ..RepricingForm::default() },
            None => RepricingForm { next: answer.next, ..form },
        };
    };
    let row = |((agent, model), figures)| FiguresRow { agent, model, figures };
    let outcome = Outcome {
        applied: args.apply,
        book: last.book,
        run: last.run,
        rows: rows.into_iter().map(row).collect(),
        total: seen,
        left,
    };
    print(args.output.format, &grid(&outcome), &serde_json::to_string(&outcome)?)?;
    match outcome.left.first() {
        None => Ok(()),
        Some(first) => bail!(
            "{} records were left as they were; the first, {} of {}: {}",
            outcome.left.len(),
            first.key,
            first.agent,
            first.reason
        ),
    }
}

fn form(args: &RepriceArgs) -> anyhow::Result<RepricingForm> {
    let misuse = |flag: &str, e: &dyn std::fmt::Display| Misuse(format!("{flag} {e}"));
    let instant = |flag: &str, value: &Option<String>| -> Result<Option<Timestamp>, Misuse> {
        let read = |text: &String| {
            let wrong = || Misuse(format!("{flag} {text:?} is no date such as 2026-11-24, and no RFC 3339"));
            parse_instant(text, &Zone::utc()).ok_or_else(wrong)
        };
        value.as_ref().map(read).transpose()
    };
    let agents = args.agents.iter().map(|a| AgentId::parse(a).map_err(|e| misuse("--agent", &e)));
    let models = args.models.iter().map(|m| ModelId::parse(m).map_err(|e| misuse("--model", &e)));
    let named = args.resume.as_ref().or(args.run.as_ref());
    let named = named.map(|run| OwnId::parse(run).map_err(|e| misuse("--run", &e))).transpose()?;
    // Named here, so that it can be continued even if no answer ever comes.
    let run = if args.apply { Some(named.unwrap_or_else(|| UuidMint.mint())) } else { None };
    Ok(RepricingForm {
        from: instant("--from", &args.from)?,
        to: instant("--to", &args.to)?,
        agents: agents.collect::<Result<_, _>>()?,
        models: models.collect::<Result<_, _>>()?,
        unpriced: args.unpriced,
        closed: args.closed,
        book: args.book.clone(),
        apply: args.apply,
        run,
        next: None,
    })
}

/// Opens the ledger. A book in a file is one that an embedded ledger finds.
fn open(args: &RepriceArgs, form: &mut RepricingForm) -> anyhow::Result<Source> {
    let file = args.book.as_deref().map(Path::new).filter(|path| path.is_file());
    if let Some(file) = file.filter(|_| !args.ledger.is_opened()) {
        let file = file.display();
        let reason = "a server reprices with the books that it has; with --data or --aws a file can be named";
        return Err(Misuse(format!("--book {file} is a file: {reason}")).into());
    }
    if !args.ledger.is_opened() {
        return Source::open(&args.ledger);
    }
    let config = match &args.config {
        Some(path) => Config::read(path).map_err(|e| Misuse(e.to_string()))?,
        None => Config::default(),
    };
    let books = books::configured(&config)?;
    if let Some(file) = file {
        form.book = Some(books::hold_file(&books, file)?);
    }
    Source::open_with(&args.ledger, Some(books))
}

/// One line that is written over, where somebody looks.
fn progress(seen: &Figures, run: Option<&RepricingRun>) {
    let mut stderr = std::io::stderr().lock();
    if !stderr.is_terminal() {
        return;
    }
    let name = run.map(|run| format!(" (run {})", run.id)).unwrap_or_default();
    // Nothing depends on it.
    let _ = write!(stderr, "\r{} calls looked at, {} changed{name}", seen.events, seen.changed);
    let _ = stderr.flush();
}

fn grid(outcome: &Outcome) -> Grid {
    if std::io::stderr().is_terminal() {
        // Ends the line of progress.
        let _ = writeln!(std::io::stderr().lock());
    }
    let figures = |agent: String, model: String, figures: &Figures| {
        vec![
            agent,
            model,
            figures.events.to_string(),
            figures.changed.to_string(),
            figures.cost_before_usd.to_string(),
            figures.cost_after_usd.to_string(),
            figures.difference_usd.to_string(),
            figures.newly_priced.to_string(),
            figures.newly_unpriced.to_string(),
        ]
    };
    let row = |row: &FiguresRow| figures(row.agent.to_string(), cell(row.model.as_ref()), &row.figures);
    let note = match &outcome.run {
        None => format!("with book {}; nothing was changed: --apply does it", outcome.book),
        Some(run) => {
            format!("run {} with book {}: done, {} calls changed", run.id, run.book, run.total.changed)
        }
    };
    Grid {
        columns: vec![
            text("agent"),
            text("model"),
            number("events"),
            number("changed"),
            number("cost_before_usd"),
            number("cost_after_usd"),
            number("difference_usd"),
            number("newly_priced"),
            number("newly_unpriced"),
        ],
        rows: outcome.rows.iter().map(row).collect(),
        total: Some(figures("total".to_owned(), String::new(), &outcome.total)),
        note: Some(note),
    }
}

/// Lists runs.
pub(crate) fn repricings(args: &ListArgs) -> anyhow::Result<()> {
    let answer = Source::open(&args.ledger)?.get("/v1/repricings", &[("limit", args.limit.to_string())])?;
    let report: RepricingList = read(&answer)?;
    if args.output.format == Format::Table && report.repricings.is_empty() {
        return say("no repricing was applied\n");
    }
    let rows = report.repricings.iter().map(|run| {
        vec![
            run.started_at.to_string(),
            run.id.to_string(),
            run.book.clone(),
            run.selection.from.to_string(),
            run.selection.to.to_string(),
            run.total.events.to_string(),
            run.total.changed.to_string(),
            run.total.difference_usd.to_string(),
            run.left.to_string(),
            if run.done { "done" } else { "not finished" }.to_owned(),
        ]
    });
    let grid = Grid {
        columns: vec![
            text("started_at"),
            text("run"),
            text("book"),
            text("from"),
            text("to"),
            number("events"),
            number("changed"),
            number("difference_usd"),
            number("left"),
            text("state"),
        ],
        rows: rows.collect(),
        total: None,
        note: None,
    };
    print(args.output.format, &grid, &answer)
}
