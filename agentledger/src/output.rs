//! Tables for reading and CSV for spreadsheets.

use std::io::Write;

use anyhow::Context;
use comfy_table::{CellAlignment, Table};

use crate::cli::Format;

/// A column: its heading, and whether it holds numbers.
pub(crate) struct Column {
    heading: &'static str,
    number: bool,
}

/// A column of text, which comes from outside.
pub(crate) const fn text(heading: &'static str) -> Column {
    Column { heading, number: false }
}

/// A column of our own numbers.
pub(crate) const fn number(heading: &'static str) -> Column {
    Column { heading, number: true }
}

/// Rows to print.
pub(crate) struct Grid {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<String>>,
    /// A last row for tables; a spreadsheet would add it to the others.
    pub(crate) total: Option<Vec<String>>,
    /// A line below the table.
    pub(crate) note: Option<String>,
}

/// Prints `grid`, or `json` as it is.
pub(crate) fn print(format: Format, grid: &Grid, json: &str) -> anyhow::Result<()> {
    let text = match format {
        Format::Json => format!("{json}\n"),
        Format::Table => table(grid),
        Format::Csv => as_csv(grid)?,
    };
    say(&text)
}

/// Writes to stdout. A reader that stopped reading, such as `head`, is no failure.
pub(crate) fn say(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to stdout"),
    }
}

/// A table for reading.
pub(crate) fn table(grid: &Grid) -> String {
    let mut table = Table::new();
    table.set_header(grid.columns.iter().map(|column| column.heading));
    for row in grid.rows.iter().chain(&grid.total) {
        table.add_row(row.iter().map(|cell| visible(cell)));
    }
    for (n, column) in grid.columns.iter().enumerate() {
        if let Some(shown) = table.column_mut(n).filter(|_| column.number) {
            shown.set_cell_alignment(CellAlignment::Right);
        }
    }
    let note = grid.note.as_ref().map(|note| format!("{note}\n")).unwrap_or_default();
    format!("{table}\n{note}")
}

/// Control characters would move a terminal's cursor or change its colours; others turn the text around, or are
/// not seen.
pub(crate) fn visible(cell: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    cell.replace(hidden, "\u{fffd}")
}

fn as_csv(grid: &Grid) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(grid.columns.iter().map(|column| column.heading))?;
    for row in &grid.rows {
        let cells = row.iter().zip(&grid.columns);
        let shown =
            |(cell, column): (&String, &Column)| if column.number { cell.clone() } else { harmless(cell) };
        writer.write_record(cells.map(shown))?;
    }
    let bytes = writer.into_inner().map_err(csv::IntoInnerError::into_error).context("cannot write CSV")?;
    Ok(String::from_utf8(bytes)?)
}

/// A spreadsheet runs a cell that starts like a formula; with a quote before it, it is text.
fn harmless(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(cells: [&str; 2]) -> Grid {
        Grid {
            columns: vec![text("name"), number("cost_usd")],
            rows: vec![cells.map(str::to_owned).to_vec()],
            total: Some(vec!["total".to_owned(), "1".to_owned()]),
            note: None,
        }
    }

    #[test]
    fn names_cannot_be_formulas() {
        for (name, shown) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("a=1", "a=1"),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
        ] {
            assert_eq!(as_csv(&grid([name, "-0.5"])).unwrap(), format!("name,cost_usd\n{shown},-0.5\n"));
        }
    }

    #[test]
    fn a_table_shows_the_total_and_no_control_characters() {
        let table = table(&grid(["a\u{1b}[31m", "2"]));
        assert!(table.contains("total") && !table.contains('\u{1b}'), "{table}");
    }
}
