//! `agentledger report`.

use clap::ValueEnum;
use query::{SpendLine, SpendReport};

use super::{cell, read_pages_of};
use crate::cli::{ByArg, Format, ReportArgs};
use crate::output::{Column, Grid, number, print, text};
use crate::source::Source;

/// Shows what was spent.
pub(crate) fn report(args: &ReportArgs) -> anyhow::Result<()> {
    let source = Source::open(&args.ledger)?;
    let by = args.by.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let mut params = args.filter.params();
    params.push(("by", by));
    let whole: SpendReport = read_pages_of(source.report_rows(), &source, "/v1/spend", &params, usize::MAX)?;
    let json =
        if args.output.format == Format::Json { serde_json::to_string(&whole)? } else { String::new() };
    print(args.output.format, &spend_grid(args.by, args.output.format, &whole), &json)
}

/// A report as rows.
pub(crate) fn spend_grid(by: ByArg, format: Format, report: &SpendReport) -> Grid {
    let heading = match by {
        ByArg::Agent => "agent",
        ByArg::Team => "team",
        ByArg::Task => "task",
        ByArg::Session => "session",
        ByArg::Model => "model",
        ByArg::Provider => "provider",
        ByArg::Day => "day",
        ByArg::Hour => "hour",
    };
    let tasks = report.total.tasks.is_some();
    let mut columns: Vec<Column> = vec![
        text(heading),
        number("events"),
        number("tokens"),
        number("cost_usd"),
        number("unpriced_events"),
        number("unpriced_tokens"),
    ];
    if tasks {
        columns.extend([number("succeeded"), number("failed"), number("abandoned")]);
    }
    let rows = report.rows.iter().map(|line| {
        // An empty cell says "not stated" to a spreadsheet, without a name that could be an agent's.
        let empty = format == Format::Csv && line.name() == query::NOT_STATED;
        row(if empty { "" } else { line.name() }, line, tasks)
    });
    let unknown = report.total.unpriced_tokens;
    let note = format!("{} to {} ({})", report.from, report.to, report.tz);
    let note = match unknown {
        0 => note,
        n => format!("{note}; the cost leaves out {n} tokens whose price is unknown"),
    };
    Grid { rows: rows.collect(), columns, total: Some(row("total", &report.total, tasks)), note: Some(note) }
}

fn row(name: &str, line: &SpendLine, tasks: bool) -> Vec<String> {
    let mut cells = vec![
        name.to_owned(),
        line.events.to_string(),
        line.tokens.to_string(),
        cell(line.cost_usd.as_ref()),
        line.unpriced_events.to_string(),
        line.unpriced_tokens.to_string(),
    ];
    if tasks {
        let counts = line.tasks.map_or([0; 3], |t| [t.success, t.failure, t.abandoned]);
        cells.extend(counts.map(|n| n.to_string()));
    }
    cells
}
