//! Which configuration carries a workload.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use rust_decimal::Decimal;

use super::Given;
use super::bill::Bill;
use super::config::{Config, MOST_LANES, PLANNED, Profile};
use super::demand::Demand;
use super::limit::{Kind, Limit};
use super::quotas::limits;
use super::service::WHOLE_MB;
use super::workload::Workload;

/// Events of a submission that are tried when a workload cannot be carried as it is.
const LARGER: [u32; 9] = [2, 5, 10, 20, 50, 100, 200, 300, 500];
/// Beyond this no rate is tried.
const MOST_RATE: f64 = 10_000_000.0;
/// Memory of the alerter in MB, and batches of a shard at a time, that are tried.
const ALERTERS: [(u32, u32); 6] =
    [(256, 1), (512, 1), (1_024, 1), (WHOLE_MB, 1), (WHOLE_MB, 4), (WHOLE_MB, 10)];

/// A configuration, and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) load: Workload,
    pub(crate) config: Config,
    pub(crate) demand: Demand,
    pub(crate) bill: Bill,
    /// The most used first.
    pub(crate) limits: Vec<Limit>,
}

impl Plan {
    pub(crate) fn of(load: &Workload, config: Config) -> Self {
        let demand = Demand::of(load, &config);
        let bill = Bill::of(load, &config, &demand);
        let limits = limits(load, &config, &demand);
        Self { load: *load, config, demand, bill, limits }
    }

    /// What cannot be moved and is passed all the same.
    pub(crate) fn impossible(&self) -> impl Iterator<Item = &Limit> {
        self.limits.iter().filter(|limit| limit.kind != Kind::Quota && limit.used_part() > 1.0)
    }

    /// Whether it can work, once quotas are raised.
    pub(crate) fn works(&self) -> bool {
        self.impossible().next().is_none()
    }

    /// How far beyond what is planned with it is, over all that no request to AWS moves.
    fn excess(&self) -> f64 {
        let own = self.limits.iter().filter(|limit| limit.kind != Kind::Quota && limit.name != "lanes");
        own.map(|limit| (limit.used_part() - PLANNED).max(0.0)).sum()
    }
}

/// The cheapest of those that keep to seven tenths of every limit that no request to AWS moves; or the one that comes
/// nearest to that.
pub(crate) fn choose(load: &Workload, profile: Profile, window_s: u32, given: &Given) -> Plan {
    let first = given.over(Config::of(load, profile, window_s));
    let mut best: Option<Plan> = None;
    for lanes in candidates(&first, given) {
        for memory in [512, 1_024, WHOLE_MB] {
            for (alerter_mb, alerter_parallelization) in ALERTERS {
                let config = Config {
                    aggregator_mb: memory,
                    alerter_mb,
                    alerter_parallelization,
                    ..first.with_lanes(lanes)
                };
                let plan = Plan::of(load, given.over(config));
                let is_enough = plan.demand.alerter_busy < PLANNED;
                if best.as_ref().is_none_or(|best| is_better(&plan, best)) {
                    best = Some(plan);
                }
                if is_enough {
                    break;
                }
            }
        }
    }
    best.unwrap_or_else(|| Plan::of(load, first))
}

/// Whether it is less beyond what is planned; or as much for clearly less, with alerts no later. What is a few percent
/// cheaper is no reason to leave Terraform's defaults, which are tried first.
fn is_better(plan: &Plan, than: &Plan) -> bool {
    let percent = |plan: &Plan| super::numbers::up(plan.excess() * 100.0);
    match percent(plan).cmp(&percent(than)) {
        std::cmp::Ordering::Equal => {
            plan.bill.total() < than.bill.total() * Decimal::new(95, 2)
                && plan.demand.alert_s <= than.demand.alert_s
        }
        order => order.is_lt(),
    }
}

/// Lanes to try: those that the stream needs, and more.
fn candidates(first: &Config, given: &Given) -> Vec<u32> {
    if given.lanes.is_some() {
        return vec![first.lanes];
    }
    let mut lanes = vec![first.lanes.min(MOST_LANES)];
    for more in [2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 224, MOST_LANES]
    {
        if more > first.lanes {
            lanes.push(more);
        }
    }
    lanes
}

/// The largest rate, in events a second, of these agents and submissions that can be carried, to a twentieth.
pub(crate) fn most_rate(load: &Workload, profile: Profile, window_s: u32, given: &Given) -> f64 {
    let works = |rate: f64| choose(&Workload { rate, ..*load }, profile, window_s, given).works();
    let (mut low, mut high) = (0.0, load.rate);
    while high < MOST_RATE && works(high) {
        (low, high) = (high, high * 4.0);
    }
    if low <= 0.0 {
        low = high;
        while low > 0.001 && !works(low) {
            (low, high) = (low / 4.0, low);
        }
    }
    while high > low * 1.05 {
        let middle = (low * high).sqrt();
        if works(middle) { low = middle } else { high = middle }
    }
    low
}

/// The smallest submissions with which it works, if larger ones help.
pub(crate) fn with_larger_submissions(
    load: &Workload,
    profile: Profile,
    window_s: u32,
    given: &Given,
) -> Option<Plan> {
    LARGER
        .into_iter()
        .filter(|batch| *batch > load.batch)
        .map(|batch| choose(&Workload { batch, ..*load }, profile, window_s, given))
        .find(Plan::works)
}

/// The nearest window with which it works.
pub(crate) fn with_other_window(
    load: &Workload,
    profile: Profile,
    window_s: u32,
    given: &Given,
) -> Option<Plan> {
    let mut windows: Vec<u32> =
        [1, 2, 5, 10, 20, 30, 60, 120, 180, 300].into_iter().filter(|w| *w != window_s).collect();
    windows.sort_by_key(|window| window.abs_diff(window_s));
    windows.into_iter().map(|window| choose(load, profile, window, given)).find(Plan::works)
}
