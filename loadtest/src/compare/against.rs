//! Two runs held against each other: the same order, and the same ratios.

use std::fmt::Write;

use super::figures::{Measure, OURS, Run, ratio};

/// How far a ratio may be from that of the first run, in thousandths of it.
const TOLERANCE: u64 = 200;

/// What the comparison says, line by line, and whether it holds.
pub(super) fn compare(first: &Run, second: &Run) -> anyhow::Result<(String, bool)> {
    let (mut text, mut holds, mut compared) = (String::new(), true, 0_u32);
    for part in &first.parts {
        let Some(again) = second.parts.iter().find(|known| known.name == part.name) else {
            writeln!(text, "{}: not measured in the second run", part.name)?;
            continue;
        };
        for measure in part.measures.iter().filter(|measure| measure.compared) {
            let name = format!("{}, {}", part.name, measure.name);
            let Some(other) = again.measures.iter().find(|known| known.name == measure.name) else {
                writeln!(text, "{name}: FAILED, not measured in the second run")?;
                holds = false;
                continue;
            };
            let orders = [order(measure), order(other)];
            if orders[0] != orders[1] {
                writeln!(text, "{name}: FAILED, the order was {} and is {}", orders[0], orders[1])?;
                holds = false;
            }
            for subject in measure.subjects.iter().map(|subject| subject.name.as_str()) {
                let of = |measure: &Measure| ratio(measure.median(subject)?, measure.median(OURS)?);
                if subject == OURS {
                    continue;
                }
                let ratios = [of(measure), of(other)];
                compared += 1;
                let [Some(before), Some(now)] = ratios else {
                    // Nothing to divide by, both times, is the same.
                    let same = ratios[0] == ratios[1];
                    holds &= same;
                    let verdict = if same { "ok" } else { "FAILED" };
                    writeln!(
                        text,
                        "{name}: {verdict}, {subject} has no ratio in one of the runs or in both"
                    )?;
                    continue;
                };
                let off = before.abs_diff(now) * 1000 / before.max(1);
                let verdict = if off <= TOLERANCE { "ok" } else { "FAILED" };
                holds &= off <= TOLERANCE;
                writeln!(
                    text,
                    "{name}: {verdict}, {subject} is {}.{:03} times ours, it was {}.{:03} ({}.{}% off)",
                    now / 1000,
                    now % 1000,
                    before / 1000,
                    before % 1000,
                    off / 10,
                    off % 10
                )?;
            }
        }
    }
    anyhow::ensure!(compared > 0, "the two runs have nothing in common that can be compared");
    Ok((text, holds))
}

/// From the least to the most.
fn order(measure: &Measure) -> String {
    let mut subjects: Vec<_> = measure
        .subjects
        .iter()
        .map(|subject| (measure.median(&subject.name), subject.name.as_str()))
        .collect();
    subjects.sort_unstable();
    subjects.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" < ")
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Part, Unit};
    use super::*;
    use crate::compare::machine::Machine;

    fn run(ours: u64, theirs: u64, noisy: u64) -> Run {
        let mut part = Part::new("extraction", Vec::new());
        for value in [ours, ours * 9, ours] {
            part.add("time", Unit::Nanoseconds, true, OURS, value);
        }
        part.add("time", Unit::Nanoseconds, true, "other", theirs);
        part.add("wall", Unit::PerSecond, false, OURS, 100);
        part.add("wall", Unit::PerSecond, false, "other", noisy);
        Run {
            date: String::new(),
            command: String::new(),
            rounds: 3,
            machine: Machine::default(),
            parts: vec![part],
        }
    }

    #[test]
    fn a_ratio_may_be_a_fifth_off_and_no_more() {
        let first = run(100, 1_000, 1);
        assert!(compare(&first, &run(50, 600, 99)).unwrap().1);
        let (text, holds) = compare(&first, &run(100, 1_210, 1)).unwrap();
        assert!(!holds && text.contains("21.0% off"), "{text}");
        assert!(!compare(&first, &run(100, 790, 1)).unwrap().1);
    }

    #[test]
    fn another_order_fails_even_if_the_ratios_are_near() {
        let (text, holds) = compare(&run(100, 105, 1), &run(100, 95, 1)).unwrap();
        assert!(!holds && text.contains("the order was AgentLedger < other"), "{text}");
    }

    #[test]
    fn runs_without_anything_in_common_are_an_error() {
        let mut other = run(1, 1, 1);
        other.parts.clear();
        assert!(compare(&run(1, 1, 1), &other).is_err());
    }
}
