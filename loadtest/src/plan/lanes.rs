//! Which part of the traffic a lane's writer gets: `ingest/src/lane.rs` in expected values.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use super::config::Config;
use super::numbers::{up, whole};
use super::service;
use super::sizes;
use super::workload::{Arrivals, Workload};

/// Partition keys of a lane's inbox, and how they fall on the partitions of a table: a half, and two quarters.
const SPREAD: u32 = 4;
const INBOX: [(u32, u32); 2] = [(2, 1), (1, 2)];
/// Units that a process has to see of an agent within its memory of some 1.5 s before it counts as busy.
const BUSY: f64 = 20.0;
const MEMORY_S: f64 = 1.5;
/// An agent with up to this part of an even place's traffic keeps to one place.
const PART: f64 = 4.0;
/// Writers that are looked at between the emptiest and the fullest.
const STEPS: f64 = 8.0;

/// Writers that get the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Writer {
    /// How many there are.
    pub(crate) count: u32,
    /// The part of all submissions that each gets.
    pub(crate) share: f64,
    /// Agents that each hears of.
    pub(crate) agents: f64,
}

/// All writers, each with its mean.
pub(crate) fn writers(load: &Workload, config: &Config) -> Vec<Writer> {
    if !config.is_direct() {
        return vec![writer(load, config.lanes, 1, config.lanes)];
    }
    let places = SPREAD * config.lanes;
    INBOX.iter().map(|(keys, count)| writer(load, places, *keys, count * config.lanes)).collect()
}

/// The writer that is expected to get most.
pub(crate) fn fullest(load: &Workload, config: &Config) -> Writer {
    let (places, keys) = if config.is_direct() { (SPREAD * config.lanes, 2) } else { (config.lanes, 1) };
    let mean = writer(load, places, keys, 1);
    let hot = load.busiest.max(1.0 / f64::from(load.agents));
    let over = f64::from(spread(load, places, hot)) / f64::from(keys).min(f64::from(places));
    let rest = 1.0 - hot;
    let others = mean.share * rest * unevenness(load, places);
    Writer { share: (others + hot * (1.0 / over).min(1.0)).clamp(mean.share, 1.0), ..mean }
}

/// Writers from the one that is expected to get least to the one with most: where a batch is full, the emptier wait for
/// longer.
pub(crate) fn range(load: &Workload, config: &Config) -> Vec<Writer> {
    let fullest = fullest(load, config);
    let places = if config.is_direct() { SPREAD * config.lanes } else { config.lanes };
    let emptiest = writer(load, places, 1, 1).share / unevenness(load, places);
    let step = (fullest.share - emptiest) / STEPS;
    (0..=8_u32).map(|n| Writer { share: emptiest + step * f64::from(n), ..fullest }).collect()
}

/// How much more than the mean the fullest of so many places gets, as agents fall on them by hash: the largest of
/// so many nearly normal numbers.
fn unevenness(load: &Workload, places: u32) -> f64 {
    let own = f64::from(spread(load, places, 1.0 / f64::from(load.agents)));
    let places = f64::from(places);
    let deviation = ((places - 1.0) / (f64::from(load.agents) * own)).sqrt();
    if places < 2.0 { 1.0 } else { 1.0 + deviation * (2.0 * places.ln()).sqrt() }
}

fn writer(load: &Workload, places: u32, keys: u32, count: u32) -> Writer {
    let agents = f64::from(load.agents);
    let over = spread(load, places, 1.0 / agents);
    let share = f64::from(keys) / f64::from(places);
    let heard = if over < places { 1.0 - (1.0 - share).powf(f64::from(over)) } else { 1.0 };
    Writer { count, share, agents: (agents * heard).max(1.0) }
}

/// Over how many places an agent with that part of the traffic goes. Each process goes by what it saw itself: one that
/// saw a large submission a moment ago takes its agent for busy.
pub(crate) fn spread(load: &Workload, places: u32, share: f64) -> u32 {
    let seen = match load.arrivals {
        Arrivals::InTurn => load.submissions(),
        Arrivals::Random => load.submissions().min(service::ingest_requests(load.batch)),
    } * MEMORY_S;
    let units = (sizes::stream_record(load.batch) / 1024.0).ceil();
    if places == 1 || units * (1.0 + seen * share) < BUSY {
        return 1;
    }
    let parts = up(PART * f64::from(places) * (share + 1.0 / seen.max(1.0)));
    whole(f64::from(parts).log2().ceil().exp2()).clamp(1, places)
}
