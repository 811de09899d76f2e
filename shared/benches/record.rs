//! How fast a stream record is read back, and a record of the ledger made and read.
//!
//! `cargo bench -p shared --bench record`.

#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};

#[path = "cases/case.rs"]
mod case;
#[path = "cases/record.rs"]
mod cases;
#[path = "cases/timed.rs"]
mod timed;

fn record(criterion: &mut Criterion) {
    timed::time(&mut criterion.benchmark_group("record"), cases::cases());
}

criterion_group!(benches, record);
criterion_main!(benches);
