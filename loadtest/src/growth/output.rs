//! The figures as JSON, for programs.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use super::fit::{Shape, shape};
use super::measure::{MEASURES, Series, Unit};
use crate::say;

/// Everything that was measured; times in microseconds, memory and disk in bytes.
pub(super) fn json(grown: &[Series]) -> anyhow::Result<String> {
    let series = |series: &Series| {
        let measures = MEASURES.iter().map(|measure| {
            let (word, exponent) = match shape(measure, &series.steps) {
                Shape::Unknown => ("unknown", None),
                Shape::Flat => ("flat", None),
                Shape::Grows(power) => ("at most n log n", Some(power)),
                Shape::Worse(power) => ("worse than n log n", Some(power)),
            };
            let unit = match measure.unit {
                Unit::Rate => "events/s",
                Unit::Each => "nanoseconds",
                Unit::Memory | Unit::Disk => "bytes",
                Unit::Time => "microseconds",
            };
            let steps = series.values(measure).into_iter().map(|(n, value)| json!({"n": n, "value": value}));
            json!({"measure": measure.key, "about": measure.label, "unit": unit, "shape": word,
                "exponent": exponent, "steps": steps.collect::<Vec<_>>()})
        });
        json!({"grows": series.of, "with": series.about, "measures": measures.collect::<Vec<_>>()})
    };
    let all: Vec<Value> = grown.iter().map(series).collect();
    Ok(serde_json::to_string_pretty(&json!({ "growth": all }))?)
}

/// Writes a file and says so.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    say(&format!("written: {}", path.display()));
    Ok(())
}
