//! How fast an event is rated.
//!
//! `cargo bench -p shared --bench price`.

#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};

#[path = "cases/case.rs"]
mod case;
#[path = "cases/price.rs"]
mod cases;
#[path = "cases/timed.rs"]
mod timed;

fn price(criterion: &mut Criterion) {
    timed::time(&mut criterion.benchmark_group("price"), cases::cases());
}

criterion_group!(benches, price);
criterion_main!(benches);
