//! The table, in Markdown that a terminal shows well, and what is to be said of it.

use std::fmt::Write;

use super::fit::{Shape, shape};
use super::measure::{MEASURES, Measure, Sample, Series, Unit};
use crate::text::grouped;

/// The table of a series.
pub(super) fn render(series: &Series) -> anyhow::Result<String> {
    let mut rows = vec![vec![series.of.to_owned()]];
    rows[0].extend(series.steps.iter().map(|(n, _)| grouped(*n)));
    rows[0].push("shape".to_owned());
    for measure in &MEASURES {
        let mut row = vec![measure.label.to_owned()];
        row.extend(series.steps.iter().map(|(_, sample)| cell(measure, sample)));
        row.push(shape(measure, &series.steps).to_string());
        rows.push(row);
    }
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max();
    let widths: Vec<usize> = (0..rows[0].len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = format!("{} grow; {}.\n\n", series.of, series.about);
    for (n, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if column == 0 { write!(out, "| {cell:<width$} ")? } else { write!(out, "| {cell:>width$} ")? }
        }
        out.push_str("|\n");
        if n == 0 {
            for (column, width) in widths.iter().enumerate() {
                write!(out, "| {:-<width$} ", if column == 0 { "" } else { "-" })?;
            }
            out.push_str("|\n");
        }
    }
    Ok(out)
}

/// What misses its mark at the last step, or has a bad shape; or that nothing does.
pub(super) fn verdict(series: &Series) -> Vec<String> {
    let mut said = Vec::new();
    for measure in &MEASURES {
        let shape = shape(measure, &series.steps);
        if let Shape::Worse(_) = shape {
            said.push(format!("{}: {shape}", measure.label));
        }
        if let (Some((n, sample)), Some(most)) = (series.steps.last(), measure.most)
            && compared(measure, sample).is_some_and(|value| value > most)
        {
            said.push(format!(
                "{}: {} at {} {}, more than {}",
                measure.label,
                cell(measure, sample),
                grouped(*n),
                series.of,
                shown(measure.unit, most)
            ));
        }
    }
    if said.is_empty() {
        said.push(format!("With {}: no shape is worse than n log n, and every mark is met.", series.of));
    }
    said
}

/// What a mark is set on.
fn compared(measure: &Measure, sample: &Sample) -> Option<u64> {
    let value = *sample.values.get(measure.key)?;
    Some(if measure.unit == Unit::Disk { value / sample.events.max(1) } else { value })
}

fn cell(measure: &Measure, sample: &Sample) -> String {
    compared(measure, sample).map_or_else(|| "-".to_owned(), |value| shown(measure.unit, value))
}

/// A value, or of disk the bytes of one event, with its unit.
fn shown(unit: Unit, value: u64) -> String {
    match unit {
        Unit::Rate => format!("{}/s", grouped(value)),
        Unit::Each => format!("{}.{:02} us", value / 1_000, value % 1_000 / 10),
        Unit::Memory => format!("{} MB", value >> 20),
        Unit::Disk => format!("{value} B/event"),
        Unit::Time => time(value),
    }
}

/// Microseconds with three digits.
pub(super) fn time(micros: u64) -> String {
    match micros {
        0..10_000 => format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(by_agent: u64, disk: u64) -> Series {
        let mut series = Series::new("events", "50 agents".to_owned());
        for n in [100, 1_000] {
            let values = [("by_agent", by_agent), ("disk_ledger", disk * n)];
            series.push(n, Sample { events: n, values: values.into() });
        }
        series
    }

    #[test]
    fn a_mark_that_is_missed_is_named_with_its_step() {
        assert_eq!(verdict(&series(100_000, 250)).len(), 1);
        assert!(verdict(&series(100_000, 250))[0].contains("every mark is met"));
        let said = verdict(&series(100_001, 251));
        assert_eq!(said[0], "ledger: 251 B/event at 1,000 events, more than 250 B/event");
        assert_eq!(said[1..], ["spend by agent: 100 ms at 1,000 events, more than 100 ms"]);
    }

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!([0, 999, 1_000, 10_000_000].map(grouped), ["0", "999", "1,000", "10,000,000"]);
        assert_eq!([950, 45_678, 2_345_678].map(time), ["0.95 ms", "45 ms", "2.34 s"]);
        let table = render(&series(950, 231)).unwrap();
        assert!(table.contains("231 B/event") && table.contains("0.95 ms"), "{table}");
    }
}
