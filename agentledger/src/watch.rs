//! `agentledger watch`: spend, alerts and the pipeline, live in a terminal, or as text where there is none.

mod draw;
mod look;
mod plain;
mod screen;
#[cfg(test)]
mod tests;
mod view;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use shared::clock::{Clock, SystemClock};

use crate::cli::{LedgerArgs, WatchArgs};
use crate::source::{DEFAULT_URL, Source};
use view::View;

/// Watches until told to stop.
pub(crate) fn run(args: &WatchArgs) -> anyhow::Result<()> {
    // What cannot be asked at all is an error now, not a message that comes again and again.
    drop(Source::open(&args.ledger)?);
    let view = View::new(&place(&args.ledger), args.by, args.interval);
    // A terminal without a cursor to move gets lines.
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if args.once || dumb || !std::io::stdout().is_terminal() {
        return lines(args, view);
    }
    screen::run(args, view)
}

/// What is watched, in words.
fn place(ledger: &LedgerArgs) -> String {
    if ledger.aws {
        return "AWS".to_owned();
    }
    match (&ledger.data, &ledger.url) {
        (Some(dir), _) => dir.display().to_string(),
        (None, url) => url.clone().unwrap_or_else(|| DEFAULT_URL.to_owned()),
    }
}

/// Prints what there is, again and again unless once is enough.
fn lines(args: &WatchArgs, mut view: View) -> anyhow::Result<()> {
    loop {
        let seen = look::look(&args.ledger, args.by);
        if args.once {
            view.see(args.by, Ok(seen?), Instant::now());
            plain::print(&view, SystemClock.now())?;
            return Ok(());
        }
        view.see(args.by, seen.map_err(|error| format!("{error:#}")), Instant::now());
        if !plain::print(&view, SystemClock.now())? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(args.interval.into()));
    }
}
