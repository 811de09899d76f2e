//! How many events a second the aggregator takes on one core, over a ledger that accepts everything: decoding,
//! pricing, packing into commits, metrics.
//!
//! `cargo bench -p aggregator --bench commit`. Times are of the processor, which other programs on the machine change
//! less than the time that passes. Making the batches is not in them; dropping all that was made of them is.

#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};

#[path = "../../shared/benches/cases/case.rs"]
mod case;
#[path = "cases/commit.rs"]
mod cases;
#[path = "../../ingest/benches/cases/submission.rs"]
mod submission;
#[path = "../../shared/benches/cases/timed.rs"]
mod timed;

/// The time that this thread had a processor.
struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.try_into().expect("a processor was had for some time, not a negative one")
    }

    fn end(&self, start: Duration) -> Duration {
        self.start().saturating_sub(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

const EVENTS: usize = 10_000;

fn commit(criterion: &mut Criterion<ProcessorTime>) {
    let mut group = criterion.benchmark_group("aggregator");
    timed::time(group.sample_size(20), cases::cases(EVENTS));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = commit
}
criterion_main!(benches);
