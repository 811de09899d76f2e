//! The view as text, for a pipe or a log.

use std::io::{ErrorKind, Write};

use anyhow::Context;
use jiff::{Timestamp, Unit};

use super::view::{Spender, View};
use crate::output::{Grid, number, table, text};

/// Prints the view; false if nobody reads any more.
pub(super) fn print(view: &View, now: Timestamp) -> anyhow::Result<bool> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(snapshot(view, now).as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("cannot write to stdout"),
    }
}

pub(super) fn snapshot(view: &View, now: Timestamp) -> String {
    let row = |spender: Spender| {
        vec![
            spender.name,
            spender.cost,
            spender.cost_rate,
            spender.share,
            spender.tokens,
            spender.token_rate,
            spender.calls,
            spender.unpriced,
        ]
    };
    let grid = Grid {
        columns: vec![
            text(view.by.name()),
            number("cost"),
            number("cost/min"),
            number("share"),
            number("tokens"),
            number("tokens/min"),
            number("calls"),
            number("unpriced calls"),
        ],
        rows: view.spenders().into_iter().map(row).collect(),
        total: None,
        note: None,
    };
    let now = now.round(Unit::Second).unwrap_or(now);
    let table = if view.look.is_some() { table(&grid) } else { String::new() };
    let alerts: Vec<_> = view.alerts().into_iter().map(|alert| format!("alert  {alert}\n")).collect();
    let (totals, (health, _)) = (view.totals_line(), view.health_line());
    format!("{} at {now}\n{totals}\n{health}\n{table}{}\n", view.place, alerts.concat())
}
