//! Parts of a run as Markdown.

use std::fmt::Write;

use super::figures::{Measure, OURS, Part, Run, Unit, ratio, times};

/// A part: its table, and what has to be known to read it.
pub(super) fn part(run: &Run, part: &Part) -> String {
    let mut subjects: Vec<&str> = Vec::new();
    for subject in part.measures.iter().flat_map(|measure| &measure.subjects) {
        if !subjects.contains(&subject.name.as_str()) {
            subjects.push(&subject.name);
        }
    }
    let of_measure = |measure: &Measure| subjects.iter().map(|subject| cell(measure, subject)).collect();
    let of_subject = |subject: &&str| part.measures.iter().map(|measure| cell(measure, subject)).collect();
    let measures = part.measures.iter().map(|measure| measure.name.as_str());
    // Many subjects with a few figures each are read down the page.
    let mut text = if subjects.len() > part.measures.len().min(8) {
        table(&measures.collect::<Vec<_>>(), &subjects, subjects.iter().map(of_subject).collect())
    } else {
        table(&subjects, &measures.collect::<Vec<_>>(), part.measures.iter().map(of_measure).collect())
    };
    for note in &part.notes {
        let _ = write!(text, "\n{}\n", wrap(note));
    }
    let _ = write!(text, "\n{}\n", wrap(&measured(run)));
    text
}

fn table(columns: &[&str], rows: &[&str], cells: Vec<Vec<String>>) -> String {
    let mut text = format!("| | {} |\n|{}\n", columns.join(" | "), " --- |".repeat(columns.len() + 1));
    for (name, cells) in rows.iter().zip(cells) {
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    text
}

/// The median, and how many times ours that is.
fn cell(measure: &Measure, subject: &str) -> String {
    let Some(median) = measure.median(subject) else { return String::new() };
    let shown = measure.unit.show(median);
    let told = measure.compared && subject != OURS && measure.unit != Unit::Count;
    let ratio = measure.median(OURS).filter(|_| told).and_then(|ours| ratio(median, ours));
    ratio.map_or(shown.clone(), |ratio| format!("{shown} ({})", times(ratio)))
}

fn measured(run: &Run) -> String {
    let load = run.machine.load.iter().map(|load| format!("{}.{:02}", load / 100, load % 100));
    let how = match run.rounds {
        1 => "One round".to_owned(),
        rounds => format!("Medians of {rounds} rounds, interleaved, each beginning with another subject"),
    };
    format!(
        "{how}. Measured on {}; load averages when the rounds began: {}.",
        run.date,
        load.collect::<Vec<_>>().join(", ")
    )
}

/// The machine.
pub(super) fn machine(run: &Run) -> String {
    let machine = &run.machine;
    let versions = machine.versions.iter().map(|(name, version)| format!("{name} {version}"));
    let rows = [
        ("processor", format!("{}, {} cores", machine.processor, machine.cores)),
        ("memory", format!("{} MB", machine.memory_mb)),
        ("system", machine.system.clone()),
        (
            "append 4 KiB and sync, p50, p99",
            format!(
                "{}, {}",
                Unit::Nanoseconds.show(machine.fsync_p50),
                Unit::Nanoseconds.show(machine.fsync_p99)
            ),
        ),
        ("versions", versions.collect::<Vec<_>>().join(", ")),
        ("date", run.date.clone()),
    ];
    let mut text = "| | |\n| --- | --- |\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

/// Lines of at most 120 characters.
fn wrap(text: &str) -> String {
    let (mut wrapped, mut width) = (String::new(), 0);
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > 120 {
            wrapped.push('\n');
            width = 0;
        } else if width > 0 {
            wrapped.push(' ');
            width += 1;
        }
        wrapped.push_str(word);
        width += length;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::machine::Machine;

    #[test]
    fn a_table_has_medians_and_what_is_compared_has_ratios() {
        let mut part_of = Part::new("x", vec!["Note.".to_owned()]);
        for value in [1_000, 2_000, 9_000] {
            part_of.add("time", Unit::Nanoseconds, true, OURS, value);
            part_of.add("time", Unit::Nanoseconds, true, "other", value * 10);
        }
        part_of.add("rate", Unit::PerSecond, false, OURS, 5);
        part_of.add("only theirs", Unit::Count, true, "other", 1_234);
        let machine = Machine { load: vec![105], ..Machine::default() };
        let run = Run {
            date: "2026-11-24".to_owned(),
            command: String::new(),
            rounds: 3,
            machine,
            parts: Vec::new(),
        };
        let text = part(&run, &part_of);
        assert!(text.starts_with("| | AgentLedger | other |\n| --- | --- | --- |\n"), "{text}");
        assert!(text.contains("| time | 2.00 µs | 20.0 µs (10.0×) |\n"), "{text}");
        assert!(text.contains("| rate | 5/s |  |\n| only theirs |  | 1,234 |\n\nNote.\n"), "{text}");
        assert!(text.contains("rounds began: 1.05.\n"), "{text}");
    }

    #[test]
    fn paragraphs_are_wrapped() {
        let text = wrap(&"word ".repeat(60));
        assert!(text.lines().all(|line| line.len() <= 120) && text.lines().count() == 3, "{text}");
    }
}
