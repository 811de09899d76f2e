//! What a case costs: dollars for a million events, by what they are paid for.

use aws::table::size::read_units;
use rust_decimal::Decimal;

use crate::prices::Price;
use crate::run::{Case, Profile, Run};

/// Microseconds of a processor for a request of one event and of 500, everything in it: docs/performance.md.
const INGEST_CPU_US: [u64; 2] = [490, 3_300];
/// Microseconds for a call to DynamoDB: a first event of the aggregator takes 11.3 ms beyond its start, for 35 calls,
/// their TLS included (docs/performance.md).
const CALL_CPU_US: u64 = 323;
/// Microseconds for reading 4 KB of the journal's entries, inflated and parsed. Assumed: some 16 KB of JSON.
const ENTRIES_CPU_US: u64 = 160;
/// Microseconds for an event in the aggregator: 100,000 a second, the target.
const EVENT_CPU_US: u64 = 10;
/// Taken for the times that AWS needs to answer, in milliseconds: `PutRecords` or `PutItem`, a transaction, another call.
const PUT_MS: u64 = 12;
const TRANSACTION_MS: u64 = 15;
const CALL_MS: u64 = 5;
/// Rollups written at a time.
const WRITERS: usize = 32;
/// Memory in MB, as Terraform has it; a whole processor comes with 1,769.
const INGEST_MB: u64 = 256;
const AGGREGATOR_MB: u64 = 512;
const ALERTER_MB: u64 = 256;
const WHOLE_CPU_MB: u64 = 1_769;
/// Bytes of a line of the access log, with the 26 that CloudWatch counts beside.
const LOG_LINE: u64 = 280;
/// Shards of the table's stream, each read by an alerter of its own.
const TABLE_SHARDS: u64 = 4;
/// Changes that the alerter takes at once.
const ALERTER_BATCH: u64 = 1_000;
/// The alerter's window.
const ALERTER_WINDOW_MS: u64 = 1_000;
/// Budgets by the UTC month, all of which every change concerns.
pub(crate) const BUDGETS: u64 = 5;
/// Agents with metrics of their own.
pub(crate) const METRIC_AGENTS: u64 = 50;

const MILLION: u64 = 1_000_000;

/// A case's bill for a million events, and what goes with it.
#[derive(Clone, Debug)]
pub(crate) struct Bill {
    pub(crate) api: Decimal,
    pub(crate) logs: Decimal,
    pub(crate) ingest: Decimal,
    pub(crate) stream: Decimal,
    pub(crate) hours: Decimal,
    pub(crate) records: Decimal,
    pub(crate) journal: Decimal,
    pub(crate) rollups: Decimal,
    pub(crate) reads: Decimal,
    pub(crate) aggregator: Decimal,
    pub(crate) metrics: Decimal,
    pub(crate) alerter: Decimal,
    /// From an event's receipt until its alert is published, at most, in milliseconds.
    pub(crate) alert_ms: u64,
    /// What a batch takes, and what it is gathered for.
    pub(crate) batch_ms: u64,
    pub(crate) gathered_ms: u64,
}

impl Bill {
    pub(crate) fn total(&self) -> Decimal {
        let parts = [self.api, self.logs, self.ingest, self.stream, self.hours, self.records, self.journal];
        let more = [self.rollups, self.reads, self.aggregator, self.metrics, self.alerter];
        parts.iter().chain(&more).sum()
    }

    /// Whether batches are done before the next are gathered.
    pub(crate) fn keeps_up(&self) -> bool {
        self.batch_ms <= self.gathered_ms
    }

    pub(crate) fn of(case: &Case, run: &Run) -> Self {
        let counted = &run.counted;
        let (lanes, writers) = (case.traffic.lanes, case.writers());
        let events_per_hour = dec(case.traffic.events_per_1000_s()) * Decimal::new(36, 1);
        // What happens for each submission, each batch, and each hour or minute, for a million events.
        let submissions = dec(MILLION) / dec(case.traffic.per_submission);
        let by_events = dec(MILLION) / dec(run.events);
        let batches = dec(size(run.batches)) * by_events;
        let per = |count: usize| dec(size(count)) * by_events;
        let sent = dec(MILLION) / dec(run.submissions * case.traffic.per_submission);
        let hours = dec(MILLION) / events_per_hour;
        let minutes = hours * dec(60);

        let extra = (INGEST_CPU_US[1] - INGEST_CPU_US[0]) * (case.traffic.per_submission - 1) / 499;
        let ingest_ms = cpu_ms(INGEST_CPU_US[0] + extra, INGEST_MB) + PUT_MS;

        let gb = dec(size(run.stream_kb)) * sent / dec(1 << 20);
        let stream = match case.profile {
            Profile::OnDemand => Price::OnDemandGbIn.of(gb) + Price::OnDemandGbOut.of(gb),
            Profile::Provisioned => Price::PutUnit.of(dec(size(run.put_units)) * sent),
            Profile::Direct => Price::WriteUnit.of(dec(size(run.inbox_units)) * sent),
        };
        let stream_hours = match case.profile {
            Profile::OnDemand => Price::OnDemandStreamHour.of(hours),
            Profile::Provisioned => Price::ShardHour.of(hours * dec(lanes)),
            Profile::Direct => Decimal::ZERO,
        };

        // Each process keeps in mind what it noted, and notes agents anew in each hour.
        let notes = hours * dec(writers * (case.traffic.agents + 3));
        let records = Price::WriteUnit.of(per(counted.record_units + counted.page_units) + notes);
        let rollups = Price::WriteUnit.of(per(counted.update_units + counted.settle_notes));
        let journal = Price::WriteUnit.of(per(counted.journal_units));

        let settles = per(counted.settles);
        let per_settle = |count: usize| size(count / counted.settles.max(1));
        // The watermark, the lane and its head, the entries; and each minute the books and what was spent.
        let open_units = size(read_units(counted.entry_bytes / counted.settles.max(1)));
        let spend = 1 + lanes + 1 + case.traffic.agents.min(METRIC_AGENTS);
        let reads = Price::ReadUnit
            .of(batches * dec(3) + settles * dec(open_units) + minutes * dec(writers) * dec(1 + spend));

        let per_batch = |count: usize| size(count / run.batches.max(1));
        let commits = per_batch(counted.commits);
        let calls = commits + per_batch(counted.page_calls) + 6;
        let of_batch = calls * CALL_CPU_US + run.events / size(run.batches.max(1)) * EVENT_CPU_US;
        // The pages of a commit are put at once, before its transaction.
        let commits_ms = commits * (CALL_MS + TRANSACTION_MS);
        let commit_ms = cpu_ms(of_batch, AGGREGATOR_MB) + commits_ms + 6 * CALL_MS;
        let updates = per_settle(counted.updates);
        let rounds = updates.div_ceil(size(WRITERS));
        let settle_ms = cpu_ms(updates * CALL_CPU_US, AGGREGATOR_MB) + rounds * CALL_MS;
        let batch_ms = commit_ms + settle_ms * size(counted.settles) / size(run.batches.max(1));

        // For each budget and for what has no price: state, lanes, heads, totals, and what is pending. And what is open
        // meanwhile: of the lane that is being settled all, of the others half of what they leave to the next batch.
        // That is decoded each time, and read once by each shard's alerter, a unit begun for each lane.
        let is_put_off = counted.settles < run.batches;
        let others = if is_put_off { (lanes - 1) * open_units / 2 } else { 0 };
        let looked = (1 + BUDGETS) * (4 + lanes) + 1 + lanes;
        let entries_read = settles * dec(open_units * TABLE_SHARDS);
        let alerter_calls = (1 + BUDGETS) * 5 + 1;
        let decoding = (1 + BUDGETS) * (open_units + others) * ENTRIES_CPU_US;
        let alerter_ms = cpu_ms(alerter_calls * CALL_CPU_US + decoding, ALERTER_MB) + alerter_calls * CALL_MS;
        let watched = per_settle(counted.watched);
        // Each shard's changes come as long as it is settled, in batches of its window, one after the other.
        let rounds = settle_ms.div_ceil(ALERTER_WINDOW_MS.max(alerter_ms)).max(1);
        let alerters = settles * dec((TABLE_SHARDS * rounds).min(watched) + watched / ALERTER_BATCH);
        let gathered_ms = run.gathering_ms / size(run.batches.max(1));

        Self {
            api: Price::ApiRequest.of(submissions),
            logs: Price::LogGb.of(submissions * dec(LOG_LINE) / dec(1 << 30)),
            ingest: lambda(submissions, ingest_ms, INGEST_MB),
            stream,
            hours: stream_hours,
            records,
            journal,
            rollups,
            reads,
            aggregator: lambda(batches, batch_ms, AGGREGATOR_MB),
            metrics: Price::PutMetricData.of(batches + minutes * dec(writers)),
            alerter: lambda(alerters, alerter_ms, ALERTER_MB)
                + Price::ReadUnit.of(alerters * dec(looked) + entries_read),
            alert_ms: counted.waited_ms + commit_ms + settle_ms + ALERTER_WINDOW_MS + alerter_ms,
            batch_ms,
            gathered_ms,
        }
    }
}

/// What one `PutItem` and one `PutMetricData` for each event come to.
pub(crate) fn baseline(run: &Run, per_submission: u64) -> [(&'static str, Decimal); 6] {
    let million = dec(MILLION);
    let gb = dec(size(run.stream_kb)) * million / dec(run.submissions * per_submission) / dec(1 << 20);
    let ms = cpu_ms(INGEST_CPU_US[0], INGEST_MB) + PUT_MS;
    [
        ("API Gateway", Price::ApiRequest.of(million)),
        ("Lambda, ingest", lambda(million, ms, INGEST_MB)),
        ("Kinesis on demand", Price::OnDemandGbIn.of(gb) + Price::OnDemandGbOut.of(gb)),
        ("Lambda, aggregator, 10 ms for each event", Price::LambdaGbSecond.of(dec(5_000))),
        ("PutItem of 1 KB", Price::WriteUnit.of(million)),
        ("PutMetricData", Price::PutMetricData.of(million)),
    ]
}

fn lambda(invocations: Decimal, ms: u64, mb: u64) -> Decimal {
    let gb_seconds = invocations * dec(ms) * dec(mb) / dec(1_024_000);
    Price::LambdaRequest.of(invocations) + Price::LambdaGbSecond.of(gb_seconds)
}

/// Milliseconds for a processor's microseconds, with the share that the memory brings.
fn cpu_ms(us: u64, mb: u64) -> u64 {
    (us * WHOLE_CPU_MB).div_ceil(mb * 1_000)
}

pub(crate) fn dec(count: u64) -> Decimal {
    Decimal::from(count)
}

pub(crate) fn size(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
