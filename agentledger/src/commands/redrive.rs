//! `agentledger redrive`: what was put aside, tried again or removed.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use http::Method;
use query::QuarantineReport;
use serde::Serialize;
use shared::ledger::{QuarantineState, Quarantined};
use shared::quarantine::{Retried, RetryAnswer, RetryForm};

use super::{PAGE, read};
use crate::books;
use crate::cli::{LedgerArgs, ListArgs, RedriveArgs, RedriveCommand, RetryArgs};
use crate::cloud;
use crate::config::Config;
use crate::output::{Grid, print, say, text, visible};
use crate::source::{Misuse, Source, escape};

const LIST: &str = "/v1/quarantine";

/// Lists, shows, tries again, or removes.
pub(crate) fn redrive(args: &RedriveArgs) -> anyhow::Result<()> {
    let ledger = match &args.command {
        RedriveCommand::List(args) => &args.ledger,
        RedriveCommand::Retry(args) => &args.ledger,
        RedriveCommand::Show { ledger, .. } | RedriveCommand::Purge { ledger, .. } => ledger,
    };
    if ledger.aws {
        return cloud::redrive(args);
    }
    match &args.command {
        RedriveCommand::List(args) => list(args),
        RedriveCommand::Show { id, ledger } => show(id, ledger),
        RedriveCommand::Retry(args) => retry(args),
        RedriveCommand::Purge { id, yes, ledger } => purge(id, *yes, ledger),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<()> {
    let (grid, answer) = listed(&Source::open(&args.ledger)?, args.limit)?;
    print(args.output.format, &grid, &answer)
}

/// The list as a table, and as it was answered.
pub(crate) fn listed(source: &Source, limit: u32) -> anyhow::Result<(Grid, String)> {
    let answer = source.get(LIST, &[("limit", limit.to_string())])?;
    let report: QuarantineReport = read(&answer)?;
    let row = |item: &Quarantined| {
        let (state, reason) = state(item);
        vec![item.at.to_string(), item.code.clone(), state, reason, item.id.clone()]
    };
    let grid = Grid {
        columns: ["at", "code", "state", "reason", "id"].map(text).into(),
        rows: report.quarantine.iter().map(row).collect(),
        total: None,
        note: report.quarantine.is_empty().then(|| "nothing was put aside".to_owned()),
    };
    Ok((grid, answer))
}

/// Whether it was tried, and why it is there.
fn state(item: &Quarantined) -> (String, String) {
    match &item.state {
        QuarantineState::Open => ("open".to_owned(), item.reason.clone()),
        QuarantineState::Stuck { reason, at } => (format!("stuck since {at}"), reason.clone()),
    }
}

pub(crate) fn show(id: &str, ledger: &LedgerArgs) -> anyhow::Result<()> {
    let answer = Source::open(ledger)?.get(&format!("{LIST}/{}", escape(id)), &[])?;
    say(&format!("{answer}\n"))
}

/// What became of those that were tried.
#[derive(Serialize)]
struct Outcome {
    retried: Vec<RetryAnswer>,
}

fn retry(args: &RetryArgs) -> anyhow::Result<()> {
    let form = form(args)?;
    let source = open(args)?;
    let ids = if args.all { every(&source, args.stuck)? } else { args.ids.clone() };
    retry_each(args, &ids, |id| retry_one(&source, id, form.clone()))
}

/// What is to be counted in place of the one that is named, as a retry is asked for it.
pub(crate) fn form(args: &RetryArgs) -> anyhow::Result<Option<String>> {
    let Some(file) = &args.payload else { return Ok(None) };
    if args.ids.len() != 1 {
        return Err(Misuse("--payload is counted in place of one: name one ID".to_owned()).into());
    }
    let shown = file.display();
    let text = std::fs::read(file).with_context(|| format!("--payload {shown} cannot be read"))?;
    let payload =
        serde_json::from_slice(&text).map_err(|e| Misuse(format!("--payload {shown} is no JSON: {e}")))?;
    Ok(Some(serde_json::to_string(&RetryForm { payload: Some(payload) })?))
}

/// Tries one.
pub(crate) fn retry_one(source: &Source, id: &str, form: Option<String>) -> anyhow::Result<RetryAnswer> {
    let path = format!("/v1/admin/quarantine/{}/retry", escape(id));
    read(&source.send(Method::POST, &path, "", form)?)
}

/// Tries one after the other, and prints what became of them.
pub(crate) fn retry_each(
    args: &RetryArgs,
    ids: &[String],
    mut one: impl FnMut(&str) -> anyhow::Result<RetryAnswer>,
) -> anyhow::Result<()> {
    let mut outcome = Outcome { retried: Vec::new() };
    for id in ids {
        let answer = one(id).with_context(|| match outcome.retried.len() {
            0 => format!("{id} was not tried"),
            n => format!("{id} was not tried, {n} before it were"),
        })?;
        outcome.retried.push(answer);
    }
    let row = |answer: &RetryAnswer| {
        let words = match answer.outcome {
            Retried::Counted => "counted",
            Retried::Known => "counted before",
            Retried::Conflict => "other content stands",
            Retried::PutAside => "put aside anew",
            Retried::Stuck => "stuck",
        };
        let more = answer.reason.clone().unwrap_or_else(|| answer.put_aside.join(", "));
        vec![words.to_owned(), more, answer.id.clone()]
    };
    let grid = Grid {
        columns: ["outcome", "reason", "id"].map(text).into(),
        rows: outcome.retried.iter().map(row).collect(),
        total: None,
        note: outcome.retried.is_empty().then(|| "there is nothing to try again".to_owned()),
    };
    print(args.output.format, &grid, &serde_json::to_string(&outcome)?)?;
    match outcome.retried.iter().filter(|answer| answer.outcome == Retried::Stuck).count() {
        0 => Ok(()),
        stuck => bail!("{stuck} of {} stay, as they cannot be counted as they are", outcome.retried.len()),
    }
}

fn open(args: &RetryArgs) -> anyhow::Result<Source> {
    if args.ledger.data.is_none() {
        return Source::open(&args.ledger);
    }
    let config = match &args.config {
        Some(path) => Config::read(path).map_err(|e| Misuse(e.to_string()))?,
        None => Config::default(),
    };
    Source::open_with(&args.ledger, Some(books::configured(&config)?))
}

/// The ids of all, oldest first, so that what was sent first is counted first.
pub(crate) fn every(source: &Source, stuck: bool) -> anyhow::Result<Vec<String>> {
    let report: QuarantineReport = read(&source.get(LIST, &[("limit", PAGE.to_string())])?)?;
    let wanted = |item: &Quarantined| stuck || item.state.is_open();
    Ok(report.quarantine.into_iter().rev().filter(wanted).map(|item| item.id).collect())
}

pub(crate) fn purge(id: &str, yes: bool, ledger: &LedgerArgs) -> anyhow::Result<()> {
    if !yes && !confirmed(id)? {
        bail!("nothing was removed");
    }
    let path = format!("/v1/admin/quarantine/{}", escape(id));
    Source::open(ledger)?.send(Method::DELETE, &path, "", None)?;
    say(&format!("removed {}\n", visible(id)))
}

pub(crate) fn confirmed(id: &str) -> anyhow::Result<bool> {
    let mut stdin = std::io::stdin().lock();
    if !std::io::stdin().is_terminal() {
        return Err(
            Misuse("what is purged is never counted: say --yes, or ask from a terminal".to_owned()).into()
        );
    }
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "remove {} for good, uncounted? [y/N] ", visible(id))?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
