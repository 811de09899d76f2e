//! What is measured, in whole numbers of the finest unit, and the values of all steps.

use std::collections::BTreeMap;

/// What a measure is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Events a second, of what was added in the step.
    Rate,
    /// Nanoseconds of the server's processor time for each event that was added: what other programs do to a rate
    /// hardly moves it.
    Each,
    /// Bytes of memory.
    Memory,
    /// Bytes on disk, shown for each event.
    Disk,
    /// Microseconds.
    Time,
}

/// One measure.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Measure {
    /// Its name in JSON.
    pub(super) key: &'static str,
    /// Its name in the table and the plot.
    pub(super) label: &'static str,
    pub(super) unit: Unit,
    /// Which panel of the plot it is in.
    pub(super) panel: &'static str,
    /// What it must not pass at the last step, if that was promised.
    pub(super) most: Option<u64>,
}

/// Titles of the plot's panels, in order.
pub(super) const PANELS: [&str; 7] = [
    "throughput, events/s",
    "processor time of one event",
    "resident memory",
    "disk",
    "reports over rollups",
    "reports that read records",
    "start until ready",
];

const MB: u64 = 1 << 20;
const MS: u64 = 1_000;
const S: u64 = 1_000_000;

const fn of(key: &'static str, label: &'static str, unit: Unit, panel: usize, most: Option<u64>) -> Measure {
    Measure { key, label, unit, panel: PANELS[panel], most }
}

/// Every measure, in the order of the table.
pub(super) const MEASURES: [Measure; 23] = [
    of("acknowledged", "acknowledged", Unit::Rate, 0, None),
    of("committed", "committed to rollups", Unit::Rate, 0, None),
    of("processor", "server's processor time", Unit::Each, 1, None),
    of("memory_filled", "after filling", Unit::Memory, 2, Some(200 * MB)),
    of("memory_filling", "at most while filling", Unit::Memory, 2, Some(200 * MB)),
    of("memory_reports", "at most in reports over rollups", Unit::Memory, 2, Some(200 * MB)),
    of("memory_scans", "at most in reports that read records", Unit::Memory, 2, Some(200 * MB)),
    of("disk_ledger", "ledger", Unit::Disk, 3, Some(250)),
    of("disk_stream", "stream log, kept for 24 h", Unit::Disk, 3, None),
    of("by_agent", "spend by agent", Unit::Time, 4, Some(100 * MS)),
    of("by_model", "spend by model", Unit::Time, 4, Some(100 * MS)),
    of("by_day", "spend by day", Unit::Time, 4, Some(100 * MS)),
    of("one_agent", "one agent by day", Unit::Time, 4, Some(100 * MS)),
    of("quarters", "between quarter hours, by agent", Unit::Time, 4, Some(100 * MS)),
    of("newest", "the newest 100 events", Unit::Time, 4, Some(100 * MS)),
    of("by_session", "spend by session", Unit::Time, 5, Some(10 * S)),
    of("team_models", "a team by model", Unit::Time, 5, Some(10 * S)),
    of("by_session_processor", "spend by session, processor time", Unit::Time, 5, None),
    of("differences", "stated costs beside ours", Unit::Time, 5, Some(10 * S)),
    of("events_unpriced", "events without a price", Unit::Time, 5, Some(10 * S)),
    of("command", "report --by agent --data", Unit::Time, 6, None),
    of("stopped", "after a stop", Unit::Time, 6, Some(2 * S)),
    of("killed", "after kill -9, slowest of 3", Unit::Time, 6, Some(2 * S)),
];

/// What one step measured, by key. What the system does not tell is not there.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    /// Events in the ledger then.
    pub(super) events: u64,
    pub(super) values: BTreeMap<&'static str, u64>,
}

/// The values of all steps.
#[derive(Debug)]
pub(super) struct Series {
    /// What grows.
    pub(super) of: &'static str,
    /// What stays.
    pub(super) about: String,
    pub(super) steps: Vec<(u64, Sample)>,
}

impl Series {
    pub(super) fn new(of: &'static str, about: String) -> Self {
        Self { of, about, steps: Vec::new() }
    }

    pub(super) fn push(&mut self, n: u64, sample: Sample) {
        self.steps.push((n, sample));
    }

    /// The values of one measure by n, where there are any.
    pub(super) fn values(&self, measure: &Measure) -> Vec<(u64, u64)> {
        let value = |(n, sample): &(u64, Sample)| Some((*n, *sample.values.get(measure.key)?));
        self.steps.iter().filter_map(value).collect()
    }
}
