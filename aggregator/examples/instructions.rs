//! The cases of the benchmarks, each alone in a process, for `scripts/instructions.sh` to count its instructions. It
//! stands here as the aggregator's tests are those that see all of them.
//!
//! Without arguments: each case, and how often it is to run. `CASE INPUTS RUNS`: makes so many inputs and runs on so many
//! of them. Two processes of the same inputs differ by what their runs take, and by nothing else.

#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::io::Write;

use crate::case::{Amount, Case, Run};

#[path = "../../shared/benches/cases/case.rs"]
mod case;
#[path = "../benches/cases/commit.rs"]
mod commit;
#[path = "../../shared/benches/cases/extract.rs"]
mod extract;
#[path = "../../ingest/benches/cases/pack.rs"]
mod pack;
#[path = "../../ingest/benches/cases/parse.rs"]
mod parse;
#[path = "../../shared/benches/cases/price.rs"]
mod price;
#[path = "../../shared/benches/cases/record.rs"]
mod record;
#[path = "../../ingest/benches/cases/submission.rs"]
mod submission;

/// A batch is smaller than where time is measured: counts do not scatter.
const COMMITTED: usize = 1_000;

type Group = (&'static str, fn() -> Vec<Case>);

const GROUPS: [Group; 6] = [
    ("parse", parse::cases),
    ("extract", extract::cases),
    ("price", price::cases),
    ("pack", pack::cases),
    ("record", record::cases),
    ("commit", || commit::cases(COMMITTED)),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else { return list() };
    let mut number = || arguments.next().and_then(|n| n.parse().ok()).expect("CASE INPUTS RUNS");
    let (inputs, runs): (usize, usize) = (number(), number());
    let (group, name) = name.split_once('/').expect("a case is GROUP/NAME");
    let (_, cases) = GROUPS.into_iter().find(|(known, _)| *known == group).expect("no such group");
    let case = cases().into_iter().find(|case| case.name == name).expect("no such case");
    match case.run {
        Run::Again(mut run) => (0..runs).for_each(|_| run()),
        Run::Once(make) => {
            let mut made = std::iter::repeat_with(make).take(inputs).collect::<Vec<_>>().into_iter();
            made.by_ref().take(runs).for_each(|run| run());
            // To drop an input is no part of a run.
            std::mem::forget(made);
        }
    }
}

fn list() {
    let mut out = std::io::stdout().lock();
    for (group, cases) in GROUPS {
        for case in cases() {
            let runs = runs(case.amount);
            writeln!(out, "{group}/{} {runs}", case.name).expect("somebody reads the list");
        }
    }
}

/// Enough that what the start of a process varies by is lost among them, few enough for a second.
fn runs(amount: Amount) -> usize {
    let runs = match amount {
        Amount::Events(events) => 400 / events,
        Amount::Bytes(bytes) => (1 << 18) / bytes,
    };
    runs.clamp(2, 200)
}
