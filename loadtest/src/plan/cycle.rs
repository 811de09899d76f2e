//! What one writer does from batch to batch, and from settling to settling.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use super::config::Config;
use super::lanes::Writer;
use super::numbers::{up, whole};
use super::touched::Touched;
use super::workload::{Arrivals, Workload};
use super::{service, sizes};

/// Records, and records with rollups, of one commit (`aws/src/table/commit.rs`).
pub(super) const COMMIT_RECORDS: f64 = 90.0;
pub(super) const COMMIT_ITEMS: f64 = 1_000.0;
/// Items that one call puts (`aws/src/table/directory.rs`).
pub(super) const PUTS: f64 = 25.0;
/// Entries read at once, settled together, and after how many additions no more are (`aws/src/table/settle.rs`).
pub(super) const SETTLE_READ: u32 = 32;
pub(super) const SETTLE_GROUP: u32 = 320;
pub(super) const SETTLE_ROOM: f64 = 200_000.0;
/// Open entries at which a lane is settled whatever the time, and rollups after which it is noted how far that came.
pub(super) const SETTLE_OPEN: u32 = 256;
pub(super) const SETTLE_STRIDE: f64 = 200.0;

/// A writer's cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cycle {
    /// Submissions of a batch, the seconds from its first to its end, and from batch to batch.
    pub(crate) submissions: f64,
    pub(crate) gathered_s: f64,
    pub(crate) period_s: f64,
    /// Whether batches end because they are full.
    pub(crate) is_full: bool,
    /// Batches between two settlings.
    pub(crate) batches: u32,
    /// Of a batch.
    pub(crate) commits: f64,
    pub(crate) pages: f64,
    /// Of a commit, in bytes.
    pub(crate) entry: f64,
    /// Of a settling: rollups written, those that the alerter is called for, notes of how far it came, and those of one
    /// window of the scope that has most.
    pub(crate) updates: f64,
    pub(crate) watched: f64,
    pub(crate) notes: f64,
    pub(crate) widest: f64,
    /// Of a batch, and of a settling.
    pub(crate) commit_ms: f64,
    pub(crate) settle_ms: f64,
    pub(crate) events: f64,
}

impl Cycle {
    /// With batches that are gathered as configured, whether that leaves the time or not.
    pub(crate) fn gathered(load: &Workload, config: &Config, writer: &Writer) -> Self {
        let window = f64::from(config.window_s);
        let by_window = match load.arrivals {
            // A part of a regular sequence: the first, and what comes within the window.
            Arrivals::InTurn => 1.0 + (window * load.submissions() - 1.0) * writer.share,
            Arrivals::Random => 1.0 + window * load.submissions() * writer.share,
        };
        Self::of(load, config, writer, by_window.max(1.0))
    }

    /// With batches as they become: where one takes longer than the next is gathered, more waits meanwhile, up to a full
    /// batch.
    pub(crate) fn steady(load: &Workload, config: &Config, writer: &Writer) -> Self {
        let gathered = Self::gathered(load, config, writer);
        let full = full_batch(load, config);
        if gathered.busy() <= 1.0 || gathered.is_full {
            return gathered;
        }
        let (mut low, mut high) = (gathered.submissions, full);
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if Self::of(load, config, writer, middle).busy() > 1.0 { low = middle } else { high = middle }
        }
        Self::of(load, config, writer, high)
    }

    fn of(load: &Workload, config: &Config, writer: &Writer, submissions: f64) -> Self {
        let rate = load.submissions() * writer.share;
        let full = full_batch(load, config);
        let is_full = submissions >= full;
        let submissions = submissions.min(full);
        let period_s = submissions / rate;
        let gathered_s = period_s.min(f64::from(config.window_s));
        let touched = Touched::by(load, writer.agents, submissions);
        let parts = f64::from(sizes::parts(load.batch));
        let commit = Commit::of(load, config, submissions * parts, touched.agents);
        let commits = (submissions * parts / commit.records - 1e-9).ceil().max(1.0);
        let commit = commit.with_records(load, config, submissions * parts / commits);
        // Where a commit ends, its last agent mostly has more records: those are on another page.
        let of_agent = submissions * parts / touched.agents.max(1e-9);
        let pages = touched.agents * (of_agent / sizes::PAGE).max(1.0)
            + (commits - 1.0) * (of_agent - 1.0).clamp(0.0, 1.0);
        let is_put_off = is_full && !config.is_direct();
        let batches = if is_put_off {
            up(config.settle_s() / period_s - 1e-9).min(whole(f64::from(SETTLE_OPEN) / commits) + 1).max(1)
        } else {
            1
        };
        let mut cycle = Self {
            submissions,
            gathered_s,
            period_s,
            is_full,
            batches,
            commits,
            pages,
            entry: sizes::entry(commit.adds.rollups(), commit.adds.sums()),
            events: submissions * f64::from(load.batch),
            ..Self::default()
        };
        let entries = commits * f64::from(batches);
        for group in groups(entries, commit.adds.rollups()) {
            let of_batches = group / commits;
            let all = if of_batches >= 1.0 {
                Touched::by(load, writer.agents, submissions * of_batches)
            } else {
                // Within a batch records go by agent: a part of it is a part of its agents.
                touched.part(of_batches)
            };
            cycle.updates += all.rollups();
            cycle.watched += all.singles();
            cycle.widest += all.agents.max(all.tasks).max(all.pairs);
            cycle.notes += 1.0 + ((all.rollups() - 1.0) / SETTLE_STRIDE).floor().max(0.0);
        }
        let page_calls = (pages / commits / PUTS - 1e-9).ceil();
        cycle.commit_ms = service::commit_ms(commits, page_calls, cycle.events, config.aggregator_mb);
        cycle.settle_ms = service::settle_ms(cycle.updates, config.aggregator_mb);
        cycle
    }

    /// The longest that a batch takes, and the mean.
    pub(crate) fn longest_ms(&self) -> f64 {
        self.commit_ms + self.settle_ms
    }

    pub(crate) fn batch_ms(&self) -> f64 {
        self.commit_ms + self.settle_ms / f64::from(self.batches)
    }

    /// The part of the time that the writer works; beyond 1 it falls behind.
    pub(crate) fn busy(&self) -> f64 {
        self.batch_ms() / 1_000.0 / self.period_s
    }

    /// Seconds from an event's arrival until settling begins, at most.
    pub(crate) fn waits_s(&self) -> f64 {
        let first = if self.is_full { self.period_s } else { self.gathered_s };
        first + self.period_s * f64::from(self.batches - 1)
    }

    /// Bytes of a lane's open entries when it is settled.
    pub(crate) fn open(&self) -> f64 {
        self.entry * self.commits * f64::from(self.batches)
    }

    /// Settlings a second.
    pub(crate) fn settles(&self) -> f64 {
        1.0 / self.period_s / f64::from(self.batches)
    }
}

/// Submissions of a full batch.
pub(crate) fn full_batch(load: &Workload, config: &Config) -> f64 {
    let bytes =
        if config.is_direct() { sizes::inbox_item(load.batch) } else { sizes::stream_record(load.batch) };
    f64::from(config.batch_size).min((sizes::PAYLOAD / sizes::payload(bytes)).floor()).max(1.0)
}

/// How many of so many entries are settled together, group after group.
fn groups(entries: f64, adds: f64) -> Vec<f64> {
    let (mut left, mut groups) = (entries, Vec::new());
    while left > 1e-9 {
        let mut taken = 0.0;
        while taken < left && taken < f64::from(SETTLE_GROUP) && taken * adds < SETTLE_ROOM {
            taken = left.min(taken + f64::from(SETTLE_READ));
        }
        groups.push(taken);
        left -= taken;
    }
    groups
}

/// What goes into a commit.
struct Commit {
    records: f64,
    /// Records of one agent in the batch.
    of_agent: f64,
    adds: Touched,
}

impl Commit {
    /// As many as fit of a batch with so many records of so many agents, which it takes agent by agent.
    fn of(load: &Workload, config: &Config, records: f64, agents: f64) -> Self {
        let empty =
            Self { records: 0.0, of_agent: (records / agents.max(1e-9)).max(1.0), adds: Touched::default() };
        let fits = |some: f64| {
            let commit = empty.with_records(load, config, some);
            some + commit.adds.rollups() <= COMMIT_ITEMS
        };
        let most = COMMIT_RECORDS.min(records);
        let (mut some, mut beyond) = if fits(most) { (most, most) } else { (most.min(1.0), most) };
        while beyond - some > 0.5 {
            let middle = f64::midpoint(some, beyond);
            if fits(middle) { some = middle } else { beyond = middle }
        }
        empty.with_records(load, config, some)
    }

    fn with_records(&self, load: &Workload, config: &Config, records: f64) -> Self {
        let agents = (records / self.of_agent).max(1.0);
        let parts = f64::from(sizes::parts(load.batch));
        let calls = self.of_agent.min(records) * f64::from(load.batch) / parts;
        let adds = Touched::by_neighbours(load, agents, calls, config.lanes);
        Self { records, of_agent: self.of_agent, adds }
    }
}
