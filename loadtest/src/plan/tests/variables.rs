//! What is printed is what the module takes: each name is declared, and each value is within its validation.
#![allow(clippy::float_arithmetic, clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;

use crate::plan::Given;
use crate::plan::choose::choose;
use crate::plan::config::Profile;
use crate::plan::terraform::{tfvars, variables};
use crate::plan::workload::Workload;

/// The blocks of the module's variables.
fn declared() -> Vec<(String, String)> {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../terraform");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_of_variables =
        |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("variables");
    let mut blocks = Vec::new();
    for path in files.filter(is_of_variables) {
        let text = std::fs::read_to_string(path).unwrap();
        for block in text.split("\nvariable \"").map(|block| block.trim_start_matches("variable \"")) {
            if let Some((name, body)) = block.split_once('"') {
                blocks.push((name.to_owned(), body.to_owned()));
            }
        }
    }
    assert!(blocks.len() > 40, "{}", blocks.len());
    blocks
}

fn block<'a>(blocks: &'a [(String, String)], name: &str) -> &'a str {
    let found = blocks.iter().find(|(declared, _)| declared == name);
    &found.unwrap_or_else(|| panic!("terraform/variables*.tf declares no variable {name}")).1
}

/// What its conditions say of a number by that name: `NAME >= 1 && NAME <= 500`.
fn bounds(body: &str, name: &str) -> Vec<(String, f64)> {
    // One of two that are enough is no bound.
    let is_bound = |line: &&str| line.trim_start().starts_with("condition") && !line.contains("<= 10 ||");
    let conditions = body.lines().filter(is_bound);
    let mut bounds = Vec::new();
    for condition in conditions {
        for operator in [">=", "<="] {
            let ends = format!("{name} {operator} ");
            for (at, found) in condition.match_indices(&ends) {
                let before = condition[..at].chars().last().unwrap_or(' ');
                if before.is_alphanumeric() || before == '_' || before == '.' {
                    continue;
                }
                let number: String = condition[at + found.len()..]
                    .chars()
                    .take_while(|c| c.is_ascii_digit() || *c == '-')
                    .collect();
                if let Ok(number) = number.parse() {
                    bounds.push((operator.to_owned(), number));
                }
            }
        }
    }
    bounds
}

/// Checks a number; answers how many bounds it was held to.
fn check(body: &str, names: &[String], value: &Value) -> usize {
    let value = value.as_f64().unwrap();
    let bounds: Vec<_> = names.iter().flat_map(|name| bounds(body, name)).collect();
    for (operator, bound) in &bounds {
        let holds = if operator == ">=" { value >= *bound } else { value <= *bound };
        assert!(holds, "{names:?}: {value} is not {operator} {bound}");
    }
    bounds.len()
}

fn checked(load: &Workload, profile: Profile, window: u32) {
    let blocks = declared();
    let plan = choose(load, profile, window, &Given::default());
    let variables = variables(&plan);
    let mut held = 0;
    for (name, value) in &variables {
        let body = block(&blocks, name);
        match value {
            Value::String(text) => {
                let condition = body.lines().find(|line| line.contains("condition")).unwrap();
                assert!(condition.contains(&format!("\"{text}\"")), "{name}: {text} is not of {condition}");
                held += 1;
            }
            Value::Number(_) => held += check(body, &[format!("var.{name}")], value),
            Value::Object(fields) => {
                for (field, value) in fields {
                    let is_declared = body.lines().any(|line| {
                        line.trim_start()
                            .strip_prefix(field.as_str())
                            .is_some_and(|rest| rest.trim_start().starts_with('='))
                    });
                    assert!(is_declared, "terraform's {name} has no {field}");
                    // Where all fields have the same bounds, the condition goes over `values(...)`.
                    let names =
                        [format!("var.{name}.{field}"), "mb".into(), "seconds".into(), "value".into()];
                    held += check(body, &names, value);
                }
            }
            other => panic!("{name}: {other}"),
        }
    }
    assert!(held >= 20, "only {held} bounds were found");
    let number = |name: &str, field: &str| variables[name][field].as_u64().unwrap();
    // What holds between variables.
    let window = number("aggregator_batching", "window_seconds");
    assert!(number("alarm_thresholds", "iterator_age_seconds") > window);
    assert!(number("alarm_thresholds", "ledger_lag_seconds") > window);
    if let Some(shards) = variables.get("shard_count") {
        assert!(variables["lanes"].as_u64() >= shards.as_u64());
    }
    assert_eq!(tfvars(&variables).len(), variables.len());
}

#[test]
fn every_variable_is_declared_and_within_its_bounds() {
    for profile in [Profile::KinesisOnDemand, Profile::KinesisProvisioned, Profile::Direct] {
        for window in [1, 60, 300] {
            for (agents, rate, batch) in [
                (1, 0.01, 1),
                (50, 50.0, 1),
                (5_000, 5_000.0, 10),
                (1_000_000, 100_000.0, 1),
                (1_000_000, 100_000.0, 500),
            ] {
                checked(&Workload::of(agents, rate, batch), profile, window);
            }
        }
    }
}

#[test]
fn bounds_are_found_where_they_are() {
    let blocks = declared();
    let of = |name: &str, number: &str| bounds(block(&blocks, name), number).len();
    assert_eq!((of("lanes", "var.lanes"), of("shard_count", "var.shard_count")), (2, 2));
    assert_eq!(of("aggregator_batching", "var.aggregator_batching.window_seconds"), 2);
    assert_eq!((of("memory_mb", "mb"), of("alarm_thresholds", "value")), (2, 1));
}
