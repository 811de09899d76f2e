//! How long things take: the times that `docs/cost.md` rests on, measured or assumed there.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

/// Microseconds of a processor for a request of one event and of 500.
const INGEST_US: [f64; 2] = [490.0, 3_300.0];
/// For a call to DynamoDB; for 4 KB of the journal's entries; for an event in the aggregator.
const CALL_US: f64 = 323.0;
const ENTRIES_US: f64 = 160.0;
const EVENT_US: f64 = 10.0;
/// Milliseconds of waiting: for `PutRecords` or `PutItem`, for a transaction, for another call.
const PUT_MS: f64 = 12.0;
const TRANSACTION_MS: f64 = 15.0;
const CALL_MS: f64 = 5.0;
/// Rollups written at a time.
const WRITERS: f64 = 32.0;
/// Calls of a batch beside its commits, and of a look at one budget.
const BATCH_CALLS: f64 = 6.0;
const LOOK_CALLS: f64 = 5.0;
/// Memory with which a whole processor comes: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>.
/// The functions run on one thread: more makes nothing faster.
pub(super) const WHOLE_MB: u32 = 1_769;
/// Memory of ingest, as Terraform has it.
const INGEST_MB: u32 = 256;

/// Milliseconds for a processor's microseconds, with the share that the memory brings.
fn cpu_ms(us: f64, mb: u32) -> f64 {
    us * f64::from(WHOLE_MB) / f64::from(mb.min(WHOLE_MB)) / 1_000.0
}

pub(super) fn ingest_ms(batch: u32, mb: u32) -> f64 {
    let more = (INGEST_US[1] - INGEST_US[0]) * f64::from(batch - 1) / 499.0;
    cpu_ms(INGEST_US[0] + more, mb) + PUT_MS
}

/// Requests that one process of ingest answers in a second.
pub(super) fn ingest_requests(batch: u32) -> f64 {
    1_000.0 / ingest_ms(batch, INGEST_MB)
}

/// A batch's commits, each with so many calls that put pages before it, and what goes around them.
pub(super) fn commit_ms(commits: f64, page_calls: f64, events: f64, mb: u32) -> f64 {
    let calls = commits * (1.0 + page_calls) + BATCH_CALLS;
    cpu_ms(calls * CALL_US + events * EVENT_US, mb)
        + commits * (CALL_MS + TRANSACTION_MS)
        + BATCH_CALLS * CALL_MS
}

/// Writing so many rollups.
pub(super) fn settle_ms(updates: f64, mb: u32) -> f64 {
    cpu_ms(updates * CALL_US, mb) + (updates / WRITERS).ceil() * CALL_MS
}

/// A look at so many budgets and at what has no price, with so many 4 KB of open entries to decode for each.
pub(super) fn alerter_ms(budgets: u32, open: f64, mb: u32) -> f64 {
    let looks = 1.0 + f64::from(budgets);
    let calls = looks * LOOK_CALLS + 1.0;
    cpu_ms(calls * CALL_US + looks * open * ENTRIES_US, mb) + calls * CALL_MS
}
