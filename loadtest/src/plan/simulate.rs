//! The same deployment, played event by event: what the model says in expected values has to come out.
//!
//! Arrivals go through lanes, batches (by their number, their bytes and their window), commits, settlings and the
//! alerter's batches, by the rules of the code, with the model's service times. Who shares a rollup with whom is counted,
//! not computed. The clock is simulated, and one seed is one run.

mod alerters;
mod arrivals;
mod lane;
mod rollups;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::choose::Plan;
use super::config::Config;
use super::cycle::Cycle;
use super::demand::Demand;
use super::numbers::whole;
use super::table::{lines, number};
use super::workload::Workload;
use alerters::Alerters;
use arrivals::Stream;
use lane::{Lane, Rules, Settled};
use rollups::Rollups;

/// What came out.
pub(crate) struct Played {
    pub(crate) seconds: f64,
    pub(crate) events: f64,
    /// The part of their time that writers worked: all, and the one that worked most.
    pub(crate) busy: f64,
    pub(crate) busiest: f64,
    pub(crate) rollups_per_event: f64,
    pub(crate) commits_per_event: f64,
    /// Events that wait, beyond those that a batch gathers, in the middle and at the end.
    pub(crate) backlog: [f64; 2],
    /// By how many events a second that grew.
    pub(crate) growth: f64,
    pub(crate) alerter_busiest: f64,
    /// Milliseconds from receipt: until it is in totals, until rollups are written, until an alert.
    pub(crate) total: Histogram<u64>,
    pub(crate) rollup: Histogram<u64>,
    pub(crate) alert: Histogram<u64>,
}

/// How long is played unless it is said: four settlings, after one that is not measured.
#[expect(clippy::float_arithmetic, reason = "simulated time")]
pub(crate) fn span(cycle: &Cycle) -> f64 {
    (cycle.period_s * f64::from(cycle.batches) * 5.0).clamp(30.0, 1_500.0)
}

/// Plays so many seconds, of which the first fifth is not measured.
#[expect(clippy::float_arithmetic, reason = "simulated time and expected counts; no money")]
pub(crate) fn play(load: &Workload, config: &Config, seconds: f64, seed: u64) -> Played {
    let rules = Rules::of(load, config);
    let mut stream = Stream::of(load, config, seed);
    let mut rollups = Rollups::of(load, stream.slots());
    let warm = seconds / 5.0;
    let mut lanes: Vec<Lane> = (0..stream.writers()).map(|_| Lane::measured_from(warm)).collect();
    let mut settled: Vec<Settled> = Vec::new();
    let middle = f64::midpoint(warm, seconds);
    let mut waiting = [0.0; 2];
    let mut is_past_middle = false;
    while let Some((writer, arrival)) = stream.next().filter(|(_, arrival)| arrival.at < seconds) {
        if !is_past_middle && arrival.at >= middle {
            is_past_middle = true;
            waiting[0] = all_waiting(&mut lanes, middle, &rules, &mut rollups, &mut settled);
        }
        if let Some(lane) = lanes.get_mut(writer) {
            lane.advance(arrival.at, &rules, &mut rollups, &mut settled);
            lane.push(arrival);
        }
    }
    waiting[1] = all_waiting(&mut lanes, seconds, &rules, &mut rollups, &mut settled);
    let demand = Demand::of(load, config);
    let alerters = Alerters::play(config, &demand, &settled, seconds, warm);
    let mut played = Played {
        seconds,
        events: 0.0,
        busy: 0.0,
        busiest: 0.0,
        rollups_per_event: 0.0,
        commits_per_event: 0.0,
        backlog: waiting,
        growth: (waiting[1] - waiting[0]) / (seconds - middle),
        alerter_busiest: alerters.busiest(),
        total: histogram(),
        rollup: histogram(),
        alert: histogram(),
    };
    let (mut updates, mut of_settled, mut commits) = (0.0, 0.0, 0.0);
    for lane in &lanes {
        let busy = lane.worked(seconds) / (seconds - warm);
        played.busy += busy / f64::from(u32::try_from(lanes.len()).unwrap_or(1));
        played.busiest = played.busiest.max(busy);
        played.events += lane.seen.events;
        updates += lane.seen.updates;
        of_settled += lane.seen.settled;
        commits += lane.seen.commits;
        let _ = played.total.add(&lane.total);
        let _ = played.rollup.add(&lane.rollup);
    }
    played.rollups_per_event = updates / f64::max(of_settled, 1.0);
    played.commits_per_event = commits / f64::max(played.events, 1.0);
    for sample in settled.iter().filter(|s| s.begin >= warm).flat_map(Settled::samples) {
        if let Some(seconds) = alerters.from(sample.at, sample.salt) {
            let _ = played.alert.record(milliseconds(sample.after + seconds));
        }
    }
    played
}

/// Events that wait at that time in all lanes.
fn all_waiting(
    lanes: &mut [Lane],
    at: f64,
    rules: &Rules,
    rollups: &mut Rollups,
    settled: &mut Vec<Settled>,
) -> f64 {
    lanes
        .iter_mut()
        .map(|lane| {
            lane.advance(at, rules, rollups, settled);
            lane.waiting(rules)
        })
        .sum()
}

/// In milliseconds, with three digits.
#[expect(clippy::expect_used, reason = "it refuses only more than five digits")]
fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are fine")
}

#[expect(clippy::float_arithmetic, reason = "simulated time")]
fn milliseconds(seconds: f64) -> u64 {
    u64::from(whole(seconds * 1_000.0)).max(1)
}

impl Played {
    fn quantiles(histogram: &Histogram<u64>) -> [u64; 4] {
        [0.5, 0.9, 0.99, 1.0].map(|quantile| histogram.value_at_quantile(quantile))
    }

    /// What was played beside what was computed.
    #[expect(clippy::float_arithmetic, reason = "for reading")]
    pub(crate) fn text(&self, plan: &Plan) -> Vec<String> {
        let d = &plan.demand;
        let mut rows = vec![vec![String::new(), "simulated".to_owned(), "computed".to_owned()]];
        let mut row = |what: &str, played: String, computed: String| {
            rows.push(vec![what.to_owned(), played, computed]);
        };
        let computed = expected_growth(plan);
        row("rollups written per event", number(self.rollups_per_event), number(d.rollups_per_event));
        row("busiest aggregator, %", number(self.busiest * 100.0), number(d.busy.min(1.0) * 100.0));
        row(
            "busiest alerter, %",
            number(self.alerter_busiest * 100.0),
            number(d.alerter_busy.min(1.0) * 100.0),
        );
        row("backlog grows by, events/s", number(self.growth), number(computed));
        let mut text =
            vec![format!("Simulated {} s, {} events measured", number(self.seconds), number(self.events))];
        text.extend(lines(&rows));
        let mut rows =
            vec![["seconds from receipt", "p50", "p90", "p99", "max", "at most"].map(str::to_owned).to_vec()];
        for (what, histogram, most) in [
            ("in totals", &self.total, d.total_s),
            ("rollups written", &self.rollup, d.rollup_s),
            ("alert sent", &self.alert, d.alert_s),
        ] {
            let mut row = vec![what.to_owned()];
            row.extend(
                Self::quantiles(histogram)
                    .map(|ms| number(f64::from(u32::try_from(ms).unwrap_or(0)) / 1_000.0)),
            );
            row.push(number(most));
            rows.push(row);
        }
        text.extend(lines(&rows));
        text
    }

    pub(crate) fn json(&self) -> Value {
        let quantiles = |histogram| {
            let [p50, p90, p99, max] = Self::quantiles(histogram);
            json!({ "p50": p50, "p90": p90, "p99": p99, "max": max })
        };
        json!({
            "seconds": self.seconds, "events": self.events, "busy": self.busy, "busiest": self.busiest,
            "rollups_per_event": self.rollups_per_event, "commits_per_event": self.commits_per_event,
            "backlog_events": self.backlog, "backlog_grows_events_per_second": self.growth,
            "alerter_busiest": self.alerter_busiest,
            "milliseconds": {
                "total": quantiles(&self.total), "rollup": quantiles(&self.rollup), "alert": quantiles(&self.alert),
            },
        })
    }
}

/// By how many events a second the model says that the backlog grows.
#[expect(clippy::float_arithmetic, reason = "rates")]
pub(crate) fn expected_growth(plan: &Plan) -> f64 {
    let behind = |writer: &super::lanes::Writer| {
        let busy = Cycle::steady(&plan.load, &plan.config, writer).busy();
        let rate = plan.load.rate * writer.share * f64::from(writer.count);
        rate * (1.0 - 1.0 / busy.max(1.0))
    };
    super::lanes::writers(&plan.load, &plan.config).iter().map(behind).sum()
}
