//! What a deployment asks of AWS in a second.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use super::changes::{BUCKETS, Changes};
use super::config::{Config, Profile};
use super::cycle::Cycle;
use super::lanes::{Writer, fullest, range, spread, writers};
use super::numbers::{begun, up};
use super::workload::{Arrivals, Workload};
use super::{service, sizes};

const KB: f64 = 1024.0;
/// Bytes of a line of the access log, with the 26 that CloudWatch counts beside.
const LOG_LINE: f64 = 280.0;
/// Partitions that a table on demand begins with, and what each takes: see [`quotas`](super::quotas).
const FIRST_PARTITIONS: u32 = 4;
/// Bytes of open entries that a process keeps in mind (`aws/src/table/remembered.rs`).
const REMEMBERED: f64 = 16.0 * KB * KB;
/// Models and teams with metrics of their own, at most.
const METRIC_NAMES: u32 = 20;

/// How a writer's cycle is computed.
type CycleOf = fn(&Workload, &Config, &Writer) -> Cycle;

/// Rates of a second, where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Demand {
    pub(crate) submissions: f64,
    pub(crate) log_bytes: f64,
    pub(crate) ingest_ms: f64,
    /// Kilobytes begun, PUT units, and write units of the inbox; those of its fullest key.
    pub(crate) stream_kb: f64,
    pub(crate) put_units: f64,
    pub(crate) inbox_units: f64,
    pub(crate) inbox_key: f64,
    /// Write units.
    pub(crate) record_units: f64,
    pub(crate) journal_units: f64,
    pub(crate) rollup_units: f64,
    pub(crate) note_units: f64,
    /// Rollups written for each event.
    pub(crate) rollups_per_event: f64,
    /// Write units of the partition keys that get most: a lane's journal, a bucket of rollups, the list of lanes, the
    /// pages of the busiest agent.
    pub(crate) journal_key: f64,
    pub(crate) rollup_key: f64,
    pub(crate) lanes_key: f64,
    pub(crate) pages_key: f64,
    /// Read units: of the aggregator, of the alerter; those of one lane's journal, and of the list of lanes.
    pub(crate) aggregator_reads: f64,
    pub(crate) alerter_reads: f64,
    pub(crate) journal_reads: f64,
    pub(crate) lanes_reads: f64,
    pub(crate) aggregator_batches: f64,
    /// Of a batch, mean and longest; writers at work at a time.
    pub(crate) aggregator_ms: f64,
    pub(crate) aggregator_longest_ms: f64,
    pub(crate) aggregator_at_work: f64,
    /// The fullest writer: the part of its time that it works with its batches as configured, and as they become.
    pub(crate) gathered_busy: f64,
    pub(crate) busy: f64,
    pub(crate) metric_calls: f64,
    pub(crate) metric_series: u32,
    /// Shards of the table's stream, invocations of the alerter, the time of each, and the part of what the busiest of
    /// these shards' alerters can take.
    pub(crate) table_shards: u32,
    pub(crate) alerter_calls: f64,
    pub(crate) alerter_ms: f64,
    pub(crate) alerter_at_work: f64,
    pub(crate) alerter_busy: f64,
    /// Of the fullest lane: kilobytes begun and records a second.
    pub(crate) lane_kb: f64,
    pub(crate) lane_records: f64,
    pub(crate) cycle: Cycle,
    /// Seconds from receipt, at most: until it is in totals, until rollups are written, until an alert.
    pub(crate) total_s: f64,
    pub(crate) rollup_s: f64,
    pub(crate) alert_s: f64,
    /// Bytes stored for each event, by items and what AWS adds to each.
    pub(crate) stored: f64,
}

impl Demand {
    /// With batches as they become.
    pub(crate) fn of(load: &Workload, config: &Config) -> Self {
        Self::with(load, config, Cycle::steady)
    }

    /// With a writer's cycles as they are said to be.
    pub(super) fn with(load: &Workload, config: &Config, cycle_of: CycleOf) -> Self {
        let submissions = load.submissions();
        let bytes = sizes::stream_record(load.batch);
        let kb = begun(bytes + 2.0, KB);
        let mut made = Self::nothing(load, config);
        let mut changes = Changes::default();
        for writer in writers(load, config) {
            let cycle = cycle_of(load, config, &writer);
            made.add(&cycle, f64::from(writer.count));
            changes.add(&cycle, f64::from(writer.count));
        }
        let slowest = fullest(load, config);
        made.cycle = cycle_of(load, config, &slowest);
        made.gathered_busy = Cycle::gathered(load, config, &slowest).busy();
        made.busy = made.cycle.busy();
        made.aggregator_longest_ms = made.cycle.longest_ms();
        made.aggregator_ms = made.aggregator_at_work * 1_000.0 / made.aggregator_batches;
        made.rollups_per_event = (made.rollup_units - made.note_units) / load.rate;
        made.record_units += submissions * sizes::record_writes(load.batch) + noted(load, config) / 3_600.0;
        if config.is_direct() {
            let units = begun(sizes::inbox_item(load.batch), KB);
            made.inbox_units = submissions * units;
            made.inbox_key = made.inbox_units * slowest.share / 2.0;
        } else {
            made.stream_kb = submissions * kb;
            made.put_units = submissions * begun(bytes, 25.0 * KB);
            made.lane_kb = submissions * slowest.share * kb;
            made.lane_records = submissions * slowest.share;
        }
        made.lanes_key = made.note_units;
        made.journal_key = made.cycle.commits / made.cycle.period_s * sizes::journal_writes(made.cycle.entry);
        // Each scope's rows of a window are in 16 buckets at most, of all lanes: the widest has most.
        made.rollup_key = changes.widest / BUCKETS * unevenness(load);
        let busiest = load.busiest.max(1.0 / f64::from(load.agents));
        made.pages_key = pages_of(load, config, busiest);
        made.alerter(load, config, &changes);
        made.latency(load, config, cycle_of);
        made.stored = (sizes::record_writes(load.batch) / 2.0 * KB * 0.75 + 100.0) / f64::from(load.batch);
        made
    }

    fn nothing(load: &Workload, config: &Config) -> Self {
        let submissions = load.submissions();
        Self {
            submissions,
            log_bytes: submissions * LOG_LINE,
            ingest_ms: service::ingest_ms(load.batch, config.ingest_mb),
            aggregator_reads: minutely_reads(load, config) / 60.0,
            metric_calls: f64::from(processes(config)) / 60.0,
            metric_series: series(load, config),
            table_shards: FIRST_PARTITIONS,
            ..Self::default()
        }
    }

    /// What so many writers do, in cycles of that kind.
    fn add(&mut self, cycle: &Cycle, writers: f64) {
        let batches = writers / cycle.period_s;
        let settles = writers * cycle.settles();
        self.record_units += batches * cycle.pages;
        self.journal_units += batches * cycle.commits * sizes::journal_writes(cycle.entry);
        self.note_units += settles * cycle.notes;
        self.rollup_units += settles * (cycle.updates * sizes::rollup_writes() + cycle.notes);
        // The watermark, the lane and its head; and the entries.
        self.aggregator_reads += batches * 3.0 + settles * sizes::reads(cycle.open());
        self.aggregator_batches += batches;
        self.aggregator_at_work += batches * cycle.batch_ms() / 1_000.0;
        self.metric_calls += batches;
    }

    /// The alerter is called for each shard of the table's stream as long as anything is settled, in windows, or as fast
    /// as it is done.
    fn alerter(&mut self, load: &Workload, config: &Config, changes: &Changes) {
        let lanes = f64::from(config.lanes);
        let units = sizes::reads(self.cycle.open());
        let is_put_off = self.cycle.batches > 1;
        // Of the lane that is being settled all, of the others half of what they leave to the next batch.
        let others = if is_put_off { (lanes - 1.0) * units / 2.0 } else { 0.0 };
        self.alerter_ms = service::alerter_ms(load.shape.budgets, units + others, config.alerter_mb);
        let looks = 1.0 + f64::from(load.shape.budgets);
        let snapshot = sizes::snapshot_reads(config.lanes);
        // The budget's state, the totals and what is pending; the budgets once.
        let looked = looks * (2.0 + snapshot + sizes::scope_reads(config.lanes))
            + snapshot
            + sizes::budget_reads(load.shape.budgets)
            - 1.0;
        // What does not fit in mind is read again for each budget.
        let kept = (REMEMBERED / ((units + others) * 4.0 * KB)).min(1.0);
        let again = looks * (1.0 - kept) * (units + others);
        let step_s = f64::from(config.alerter_window_s).max(self.alerter_ms / 1_000.0).max(0.1);
        // What the alerters read again they read of partitions that are there: if those do not bear it, that is a limit.
        self.table_shards = partitions(self.writes(), self.aggregator_reads);
        let shards = f64::from(self.table_shards);
        let by_shard = f64::from(config.alerter_parallelization);
        self.alerter_calls = changes.calls(shards, step_s, f64::from(config.alerter_batch));
        let fresh = changes.settles * units * shards * kept;
        self.alerter_reads = self.alerter_calls * (looked + again) + fresh;
        self.journal_reads = (fresh + self.alerter_calls * again) / lanes;
        self.lanes_reads = self.alerter_calls * (looks + 1.0) * (snapshot - lanes);
        let of_busiest = changes.watched * (1.0 / shards).max(changes.widest_part() / BUCKETS);
        let of_batch = of_busiest / f64::from(config.alerter_batch);
        self.alerter_busy = of_batch * (self.alerter_ms / 1_000.0) / by_shard;
        self.alerter_at_work = self.alerter_calls * self.alerter_ms / 1_000.0;
    }

    /// In whichever lane it takes longest.
    fn latency(&mut self, load: &Workload, config: &Config, cycle_of: CycleOf) {
        for writer in range(load, config) {
            let cycle = cycle_of(load, config, &writer);
            let first = if cycle.is_full { cycle.period_s } else { cycle.gathered_s };
            // While the one before it was settled, a batch may have waited.
            let late = (cycle.longest_ms() / 1_000.0 - cycle.period_s).max(0.0);
            self.total_s = self.total_s.max(first + late + cycle.commit_ms / 1_000.0);
            // A batch that comes just before it is due leaves it to the next.
            let by_time = config.settle_s() + cycle.period_s;
            let is_by_time = cycle.batches > 1 && cycle.waits_s() >= config.settle_s();
            let waits = if is_by_time { by_time } else { cycle.waits_s() };
            self.rollup_s = self.rollup_s.max(waits + cycle.longest_ms() / 1_000.0);
        }
        self.alert_s = self.rollup_s + f64::from(config.alerter_window_s) + self.alerter_ms / 1_000.0;
    }

    /// Write units of the table.
    pub(crate) fn writes(&self) -> f64 {
        self.record_units + self.journal_units + self.rollup_units + self.inbox_units
    }

    /// Read units of the table.
    pub(crate) fn reads(&self) -> f64 {
        self.aggregator_reads + self.alerter_reads
    }

    /// Requests of ingest at a time.
    pub(crate) fn ingest_at_work(&self) -> f64 {
        self.submissions * self.ingest_ms / 1_000.0
    }
}

/// Partitions that so many units a second take, and at least those that a table begins with.
fn partitions(writes: f64, reads: f64) -> u32 {
    up(writes / super::quotas::PARTITION_WRITES)
        .max(up(reads / super::quotas::PARTITION_READS))
        .max(FIRST_PARTITIONS)
}

/// Processes that gather batches.
fn processes(config: &Config) -> u32 {
    match config.profile {
        Profile::Direct => 3 * config.lanes,
        _ => config.lanes,
    }
}

/// How much fuller the fullest of a kind's buckets is, as names fall on them by hash.
fn unevenness(load: &Workload) -> f64 {
    1.0 + ((BUCKETS - 1.0) / f64::from(load.agents)).sqrt() * (2.0 * BUCKETS.ln()).sqrt()
}

/// Notes of an hour: each process notes each agent once that it hears of in the hour; `docs/cost.md` takes it for all of
/// them.
fn noted(load: &Workload, config: &Config) -> f64 {
    let of = |writer: &Writer| {
        let heard =
            writer.agents * (1.0 - (-load.submissions() * writer.share * 3_600.0 / writer.agents).exp());
        f64::from(writer.count) * heard
    };
    let agents: f64 = match load.arrivals {
        Arrivals::InTurn => f64::from(load.agents) * f64::from(processes(config)),
        Arrivals::Random => writers(load, config).iter().map(of).sum(),
    };
    agents + 3.0 * f64::from(processes(config))
}

/// Read units of a minute: each process reads books, and what was spent for `SpendToDate`.
fn minutely_reads(load: &Workload, config: &Config) -> f64 {
    let spent = sizes::snapshot_reads(config.lanes) + 1.0 + f64::from(load.agents.min(config.metric_agents));
    f64::from(processes(config)) * (1.0 + spent)
}

/// Pages of one agent with that share, a second.
fn pages_of(load: &Workload, config: &Config, share: f64) -> f64 {
    let places = if config.is_direct() { 4 * config.lanes } else { config.lanes };
    let over = f64::from(spread(load, places, share));
    let records = load.submissions() * share * f64::from(sizes::parts(load.batch));
    let mean = fullest(load, config);
    let cycle = Cycle::steady(load, config, &mean);
    let of_batch = records / over * cycle.period_s;
    // One for each commit that has any of its records, and one for each page that these fill.
    let of_commits = of_batch.min((of_batch / super::cycle::COMMIT_RECORDS).ceil().max(1.0));
    over / cycle.period_s * of_commits.max(of_batch / sizes::PAGE)
}

/// Series of metrics that get a value in a month.
fn series(load: &Workload, config: &Config) -> u32 {
    let with_other = |names: u32, most: u32| if names > most { most + 1 } else { names };
    let named = with_other(load.agents, config.metric_agents)
        + with_other(up(load.teams()), METRIC_NAMES)
        + with_other(load.shape.models, METRIC_NAMES);
    // TokenCost, Tokens and Events of each; all four without dimensions; the lag and four counts; SpendToDate.
    3 * named + 4 + 5 + (1 + load.agents.min(config.metric_agents) + 1)
}
