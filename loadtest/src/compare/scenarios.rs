//! The load scenarios, run by this program's own `local` command, and what their reports say.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use serde_json::Value;

use super::figures::{Part, Unit};

/// As in the markers of the page.
pub(super) const NAME: &str = "scenarios";
/// Those that are run if none are named.
pub(super) const DEFAULT: &str = "fifty-agents,five-thousand-agents,hot-agent,bursts,singles,tens,hundreds,\
     five-hundreds,mess,slow-clients,restart";

/// What is read of a report, where it stands, and how many of the unit it is in are one of its own.
const FIELDS: [(&str, &str, Unit, u64); 9] = [
    ("accepted", "/accepted_per_second", Unit::PerSecond, 1),
    ("in the totals", "/committed_per_second", Unit::PerSecond, 1),
    ("receipt, p50", "/ingest_us/p50", Unit::Nanoseconds, 1_000),
    ("receipt, p99", "/ingest_us/p99", Unit::Nanoseconds, 1_000),
    ("receipt to rollup, p99", "/rollup_us/p99", Unit::Nanoseconds, 1_000),
    ("receipt to alert, p99", "/alert_us/p99", Unit::Nanoseconds, 1_000),
    ("restart", "/restart_us", Unit::Nanoseconds, 1_000),
    ("memory, at most", "/memory_mb/1", Unit::Bytes, 1_000_000),
    ("events compared, all equal", "/compared_events", Unit::Count, 1),
];

pub(super) fn part() -> Part {
    let notes = [
        "Arrival times are fixed in advance, from the scenario's file (`loadtest/scenarios`), and latency counts from the \
         arrival, so that an answer that is late cannot hide the wait of those after it. The generator shares the cores \
         with `agentledger up`. Every run ends with the conservation check: the totals by agent, model and hour have to \
         be what the generator's own ledger says, to the token and the last decimal, or the command fails.",
    ];
    Part::new(NAME, notes.map(str::to_owned).to_vec())
}

/// Runs one scenario and adds what it found.
pub(super) fn measure(
    part: &mut Part,
    agentledger: &Path,
    directory: &Path,
    scenario: &str,
    duration: &str,
) -> anyhow::Result<()> {
    let file = directory.join(format!("scenario-{scenario}.json"));
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["local", "--scenario", scenario, "--duration", duration, "--json"]).arg(&file);
    command.arg("--agentledger").arg(agentledger).stdout(Stdio::null());
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    anyhow::ensure!(status.success(), "{command:?} ended with {status}; run it to see what it says");
    let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    add(part, scenario, &serde_json::from_str(&text)?)
}

/// A report's figures. What a scenario does not have is left out; all of them have the first.
fn add(part: &mut Part, scenario: &str, report: &Value) -> anyhow::Result<()> {
    for (name, place, unit, times) in FIELDS {
        if let Some(value) = report.pointer(place).and_then(Value::as_u64) {
            part.add(name, unit, false, scenario, value.saturating_mul(times));
        }
    }
    let first = FIELDS[0].1;
    anyhow::ensure!(report.pointer(first).is_some_and(Value::is_u64), "the report has no {first}");
    Ok(())
}

/// In the order of the scenarios.
pub(super) fn ordered(mut part: Part, scenarios: &[&str]) -> Part {
    part.order(scenarios, &FIELDS.map(|(name, ..)| name));
    part
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_becomes_figures() {
        let mut read = part();
        let report = json!({"accepted_per_second": 5000, "committed_per_second": 4990, "restart_us": null,
            "ingest_us": {"p50": 400, "p99": 2100}, "rollup_us": null, "memory_mb": [51, 60], "compared_events": 300_000});
        add(&mut read, "singles", &report).unwrap();
        add(&mut read, "mess", &json!({"accepted_per_second": 1, "rollup_us": {"p99": 7}})).unwrap();
        let read = ordered(read, &["mess", "singles"]);
        assert_eq!(read.measures[0].subjects[0].name, "mess");
        let of = |name: &str| read.measures.iter().find(|m| m.name == name).and_then(|m| m.median("singles"));
        assert_eq!(of("receipt, p99"), Some(2_100_000));
        assert_eq!(of("memory, at most"), Some(60_000_000));
        assert_eq!(of("receipt to rollup, p99"), None);
        assert!(add(&mut part(), "x", &json!({})).is_err());
    }
}
