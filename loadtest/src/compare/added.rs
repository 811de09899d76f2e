//! Results of another bench, to stand beside ours: the form of the proxies' kit, for each scenario and each target a list of
//! runs with `rps`, `p50`, `p90` and `p99` in milliseconds, `cpu_us`, `rss` in MB and `err`.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rust_decimal::Decimal;
use serde_json::Value;

use super::figures::{Part, Unit};

/// What is read of a run, and how many of the unit it is in are one of its own.
const FIELDS: [(&str, &str, Unit, u32); 6] = [
    ("rps", "requests", Unit::PerSecond, 1),
    ("p50", "p50", Unit::Nanoseconds, 1_000_000),
    ("p99", "p99", Unit::Nanoseconds, 1_000_000),
    ("cpu_us", "processor time of a request", Unit::Nanoseconds, 1_000),
    ("rss", "resident memory", Unit::Bytes, 1_000_000),
    ("err", "errors", Unit::Count, 1),
];

/// `NAME=FILE`, as a part of that name.
pub(super) fn read(argument: &str) -> anyhow::Result<Part> {
    let (name, file) = argument.split_once('=').with_context(|| format!("{argument:?} is not NAME=FILE"))?;
    let text = fs::read_to_string(Path::new(file)).with_context(|| format!("cannot read {file}"))?;
    part(name, &text).with_context(|| format!("{file} is not a list of runs by scenario and target"))
}

fn part(name: &str, text: &str) -> anyhow::Result<Part> {
    // Python writes what it could not measure as something that is no JSON.
    let results: Value = serde_json::from_str(&text.replace(": NaN", ": null"))?;
    let note = "Read from the results of another bench, as they are; see there for how they were measured.";
    let mut part = Part::new(name, vec![note.to_owned()]);
    for (scenario, targets) in results.as_object().context("no scenarios")? {
        for (target, runs) in targets.as_object().context("a scenario without targets")? {
            for run in runs.as_array().context("a target without runs")? {
                for (field, shown, unit, times) in FIELDS {
                    let Some(value) = run[field].as_number() else { continue };
                    let value = value.to_string();
                    let value = value.parse().or_else(|_| Decimal::from_scientific(&value))?;
                    let value = u64::try_from((value * Decimal::from(times)).round())?;
                    part.add(&format!("{scenario}: {shown}"), unit, false, target, value);
                }
            }
        }
    }
    anyhow::ensure!(!part.measures.is_empty(), "it has no runs");
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_read_by_scenario_and_target() {
        let text = r#"{"json0/c1": {"direct": [
            {"n": 9, "rps": 32209.4, "p50": NaN, "p99": 0.778, "err": 0, "sock": "", "cpu_us": null},
            {"n": 9, "rps": 30000, "p50": 0.026000000000000002, "p99": 1e-3, "err": 2, "sock": "", "cpu_us": 69.2}]}}"#;
        let part = part("proxies", text).unwrap();
        let of = |name: &str| {
            let measure = part.measures.iter().find(|measure| measure.name == format!("json0/c1: {name}"));
            measure.map(|measure| measure.subjects[0].values.clone())
        };
        assert_eq!(of("requests"), Some(vec![32_209, 30_000]));
        assert_eq!(of("p50"), Some(vec![26_000]));
        assert_eq!(of("p99"), Some(vec![778_000, 1_000]));
        assert_eq!(of("processor time of a request"), Some(vec![69_200]));
        assert_eq!(of("errors"), Some(vec![0, 2]));
        assert_eq!(of("resident memory"), None);
    }

    #[test]
    fn what_is_no_such_list_is_an_error() {
        for text in ["{}", "[]", r#"{"a": 1}"#, r#"{"a": {"b": 1}}"#] {
            assert!(part("x", text).is_err(), "{text}");
        }
        assert!(read("no file").is_err());
    }
}
