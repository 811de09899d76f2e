//! `agentledger differences`: stated costs beside ours.

use query::{DifferenceReport, Differences};

use super::{cell, read};
use crate::cli::DifferencesArgs;
use crate::output::{Grid, number, print, text};
use crate::source::Source;

/// Compares.
pub(crate) fn differences(args: &DifferencesArgs) -> anyhow::Result<()> {
    let answer = Source::open(&args.ledger)?.get("/v1/differences", &args.filter.params())?;
    let report: DifferenceReport = read(&answer)?;
    let row = |provider: String, model: String, figures: &Differences| {
        vec![
            provider,
            model,
            figures.events.to_string(),
            figures.reported_cost_usd.to_string(),
            figures.cost_usd.to_string(),
            figures.difference_usd.to_string(),
            figures.unpriced_events.to_string(),
            figures.unpriced_reported_cost_usd.to_string(),
        ]
    };
    let rows = report.rows.iter();
    let grid = Grid {
        columns: vec![
            text("provider"),
            text("model"),
            number("events"),
            number("reported_cost_usd"),
            number("cost_usd"),
            number("difference_usd"),
            number("unpriced_events"),
            number("unpriced_reported_cost_usd"),
        ],
        rows: rows.map(|r| row(cell(r.provider.as_ref()), cell(r.model.as_ref()), &r.figures)).collect(),
        total: Some(row("total".to_owned(), String::new(), &report.total)),
        note: None,
    };
    print(args.output.format, &grid, &answer)
}
