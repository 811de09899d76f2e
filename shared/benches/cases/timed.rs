//! Cases by time.

use criterion::measurement::Measurement;
use criterion::{BatchSize, BenchmarkGroup, Throughput};

use crate::case::{Amount, Case, Run};

/// Measures each.
pub(crate) fn time<M: Measurement>(group: &mut BenchmarkGroup<'_, M>, cases: Vec<Case>) {
    for mut case in cases {
        group.throughput(match case.amount {
            Amount::Events(events) => Throughput::Elements(events as u64),
            Amount::Bytes(bytes) => Throughput::Bytes(bytes as u64),
        });
        group.bench_function(case.name, |bencher| match case.run {
            Run::Again(ref mut run) => bencher.iter(run),
            Run::Once(ref mut make) => bencher.iter_batched(make, |run| run(), BatchSize::LargeInput),
        });
    }
}
