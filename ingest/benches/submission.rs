//! How fast a submission is read into events, and events are packed into the records of the stream.
//!
//! `cargo bench -p ingest --bench submission`.

#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};

#[path = "../../shared/benches/cases/case.rs"]
mod case;
#[path = "cases/pack.rs"]
mod pack;
#[path = "cases/parse.rs"]
mod parse;
#[path = "cases/submission.rs"]
mod submission;
#[path = "../../shared/benches/cases/timed.rs"]
mod timed;

fn steps(criterion: &mut Criterion) {
    timed::time(&mut criterion.benchmark_group("parse"), parse::cases());
    timed::time(&mut criterion.benchmark_group("pack"), pack::cases());
}

criterion_group!(benches, steps);
criterion_main!(benches);
