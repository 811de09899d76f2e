//! Freshness: from the receipt of an event until the rollups have it, and from the receipt that crosses a threshold until
//! its alert is sent. Both by asking again and again, as a reader would: what is asked for anew every few milliseconds is
//! late by no more than that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::reader::Reader;
use super::seen::{Receipt, histogram, micros};
use super::submission::Submissions;
use crate::client::Client;

/// How often the rollups are asked.
pub(crate) const EVERY: Duration = Duration::from_millis(10);
/// Budgets of a run; each has [`THRESHOLDS`] thresholds.
const BUDGETS: u32 = 10;
const THRESHOLDS: std::ops::RangeInclusive<i64> = 1..=20;

/// A threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Threshold {
    budget: String,
    percent: i64,
    /// Tokens of this month that cross it.
    pub(crate) tokens: i64,
}

/// What was seen while the run went on, in microseconds since it began.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Events in the rollups, whenever there were others than before.
    pub(crate) visible: Vec<(u64, i64)>,
    /// Alerts of this run, by budget and percentage: when each was first seen as sent, and how many there were.
    pub(crate) alerts: BTreeMap<(String, i64), (u64, u32)>,
}

/// Sets the budgets of a run: their thresholds are spread over its tokens.
pub(crate) fn set_budgets(
    client: &Client,
    url: &str,
    team: &str,
    tokens: i64,
) -> anyhow::Result<Vec<Threshold>> {
    let mut thresholds = Vec::new();
    for n in 1..=BUDGETS {
        let name = format!("{team}-{n}");
        // Thresholds of all together are evenly apart, and the last is at nine tenths.
        let limit = (tokens * 9 / 10 / i64::from(BUDGETS) * i64::from(n) / 20).max(1) * 20;
        let percents: Vec<_> = THRESHOLDS.map(|step| step * 5).collect();
        let body = json!({"scope": format!("team:{team}"), "limit_tokens": limit, "period": "month", "thresholds": percents});
        client.set_budget(url, &name, &body)?;
        thresholds.extend(percents.iter().map(|percent| Threshold {
            budget: name.clone(),
            percent: *percent,
            tokens: limit * percent / 100,
        }));
    }
    Ok(thresholds)
}

/// Asks until it is told to stop.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    /// Whether the newest alerts are not enough.
    all_alerts: Arc<AtomicBool>,
    watched: Arc<Mutex<Watched>>,
    asking: JoinHandle<()>,
}

impl Watch {
    /// Begins to ask.
    pub(crate) fn start(
        url: &str,
        token: Option<&str>,
        all: &Submissions,
        month: i64,
        begin: Instant,
    ) -> std::io::Result<Self> {
        let flag = || Arc::new(AtomicBool::new(false));
        let (stop, all_alerts, watched) = (flag(), flag(), Arc::new(Mutex::new(Watched::default())));
        let alerts = Alerted {
            client: Client::with(token),
            url: format!("{url}/v1/alerts?state=delivered"),
            of: format!("{}-", all.run),
            month,
            everything: Arc::clone(&all_alerts),
            known: BTreeSet::new(),
        };
        let reader = Reader::Http { client: Client::with(token), url: url.to_owned() };
        let (stopped, into, scope) = (Arc::clone(&stop), Arc::clone(&watched), all.scope());
        let asking = std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
            let mut alerts = alerts;
            for n in 0_u64.. {
                let asked = Instant::now();
                // Read before the last look, so that it comes after all that was waited for.
                let last = stopped.load(Ordering::Relaxed);
                // A server that is being started again has no answer, which is what it looks like to a reader.
                if let Ok(events) = reader.events_of(&scope) {
                    let mut watched = lock(&into);
                    if watched.visible.last().is_none_or(|(_, last)| *last != events) {
                        watched.visible.push((micros(begin.elapsed()), events));
                    }
                }
                if n % 2 == 0 || last {
                    alerts.ask(begin, &into);
                }
                if last {
                    break;
                }
                std::thread::sleep(EVERY.saturating_sub(asked.elapsed()));
            }
        })?;
        Ok(Self { stop, all_alerts, watched, asking })
    }

    /// Waits until no threshold that was crossed is without its alert, or for so long.
    pub(crate) fn await_alerts(
        &self,
        receipts: &[Receipt],
        thresholds: &[Threshold],
        most: Duration,
    ) -> anyhow::Result<Alerts> {
        let begun = Instant::now();
        self.all_alerts.store(true, Ordering::Relaxed);
        loop {
            let alerts = to_alert(receipts, thresholds, &lock(&self.watched))?;
            if alerts.missing.is_empty() || begun.elapsed() > most {
                return Ok(alerts);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it saw.
    pub(crate) fn end(self) -> anyhow::Result<Watched> {
        self.stop.store(true, Ordering::Relaxed);
        self.asking.join().map_err(|_| anyhow::anyhow!("the thread that watches panicked"))?;
        let mut watched = lock(&self.watched);
        Ok(std::mem::take(&mut *watched))
    }
}

/// How many alerts are asked for first, and how many if none of these was known: listing them takes time of the server
/// that is measured.
const FEW: usize = 10;
const ALL: usize = 1_000;

/// Alerts of this run that were sent.
struct Alerted {
    client: Client,
    url: String,
    /// What the names of the run's budgets begin with.
    of: String,
    /// The first second of the month whose tokens are counted: late calls cross thresholds of others.
    month: i64,
    everything: Arc<AtomicBool>,
    /// Those that were seen, of other runs and kinds, too.
    known: BTreeSet<String>,
}

impl Alerted {
    /// Asks for the newest few, and for all if none of these was known: then there may be more.
    fn ask(&mut self, begin: Instant, into: &Mutex<Watched>) {
        let everything = self.everything.load(Ordering::Relaxed);
        for limit in if everything { [ALL].as_slice() } else { &[FEW, ALL] } {
            let Ok(listed) = self.client.get(&format!("{}&limit={limit}", self.url)) else { return };
            let at = micros(begin.elapsed());
            let Some(alerts) = listed["alerts"].as_array() else { return };
            let new = alerts.iter().filter(|alert| self.note(alert, at, into)).count();
            if new < *limit {
                return;
            }
        }
    }

    /// Notes an alert; true if it was not known.
    fn note(&mut self, alert: &Value, at: u64, into: &Mutex<Watched>) -> bool {
        let (Some(id), Some(budget)) = (alert["id"].as_str(), alert["budget"].as_str()) else { return false };
        if !self.known.insert(id.to_owned()) {
            return false;
        }
        let period = alert["period_start"].as_str().and_then(|start| start.parse::<Timestamp>().ok());
        let of_the_run = budget.starts_with(&self.of) && period.is_some_and(|p| p.as_second() == self.month);
        if let Some(percent) = alert["threshold_percent"].as_i64()
            && of_the_run
            && alert["kind"] == "threshold"
        {
            lock(into).alerts.entry((budget.to_owned(), percent)).or_insert((at, 0)).1 += 1;
        }
        true
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    // The thread that watches holds it for single steps, each of which leaves it whole.
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From each event's receipt until the rollups had it. The kth event with a receipt is taken to be the kth in the rollups;
/// what is taken back counts as one less in both.
pub(crate) fn to_rollup(receipts: &[Receipt], visible: &[(u64, i64)]) -> anyhow::Result<Histogram<u64>> {
    let mut histogram = histogram()?;
    let (mut sent, mut next, mut most) = (0, visible.iter().peekable(), (0, 0));
    for receipt in receipts {
        sent += i64::from(receipt.events);
        if receipt.events <= 0 {
            continue;
        }
        while most.1 < sent {
            let Some(seen) = next.next() else { break };
            if seen.1 > most.1 {
                most = *seen;
            }
        }
        if most.1 < sent {
            // Taken back before it was seen, or not seen at all, which the count tells.
            continue;
        }
        let count = u64::try_from(receipt.events).unwrap_or(0);
        histogram.saturating_record_n(most.0.saturating_sub(receipt.at).max(1), count);
    }
    Ok(histogram)
}

/// What became of the thresholds.
pub(crate) struct Alerts {
    /// From the receipt that crossed until the alert was seen as sent.
    pub(crate) latency: Histogram<u64>,
    pub(crate) crossed: u64,
    /// Crossed, and without an alert.
    pub(crate) missing: Vec<Threshold>,
}

/// From the receipts that crossed thresholds until their alerts.
pub(crate) fn to_alert(
    receipts: &[Receipt],
    thresholds: &[Threshold],
    watched: &Watched,
) -> anyhow::Result<Alerts> {
    let mut sums = Vec::with_capacity(receipts.len());
    let mut sum = 0;
    let mut most = i64::MIN;
    for receipt in receipts {
        sum += receipt.tokens;
        if sum > most {
            most = sum;
            sums.push((sum, receipt.at));
        }
    }
    let mut alerts = Alerts { latency: histogram()?, crossed: 0, missing: Vec::new() };
    for threshold in thresholds {
        // What is taken back can keep a sum below a threshold that it crossed in the order of receipts.
        if threshold.tokens > sum {
            continue;
        }
        let Some((_, at)) = sums.get(sums.partition_point(|(sum, _)| *sum < threshold.tokens)) else {
            continue;
        };
        alerts.crossed += 1;
        match watched.alerts.get(&(threshold.budget.clone(), threshold.percent)) {
            Some((seen, _)) => alerts.latency.saturating_record(seen.saturating_sub(*at).max(1)),
            None => alerts.missing.push(threshold.clone()),
        }
    }
    Ok(alerts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(at: u64, events: i32, tokens: i64) -> Receipt {
        Receipt { at, events, tokens }
    }

    #[test]
    fn each_event_is_matched_with_the_first_look_that_has_it() {
        let receipts =
            [receipt(1_000, 10, 0), receipt(2_000, 5, 0), receipt(3_000, -1, 0), receipt(4_000, 2, 0)];
        let seen =
            to_rollup(&receipts, &[(1_500, 4), (2_500, 10), (6_000, 15), (7_000, 14), (9_000, 16)]).unwrap();
        // Ten after 1.5 ms, five after 4 ms, two after 5 ms.
        assert_eq!(seen.len(), 17);
        assert_eq!(seen.count_between(1_490, 1_510), 10);
        assert_eq!(seen.count_between(3_990, 4_010), 5);
        assert_eq!(seen.count_between(4_990, 5_010), 2);
    }

    #[test]
    fn a_crossing_is_timed_from_the_receipt_that_crossed() {
        let threshold = |percent, tokens| Threshold { budget: "t-1".to_owned(), percent, tokens };
        let thresholds = [threshold(5, 100), threshold(10, 200), threshold(15, 1_000)];
        let mut watched = Watched::default();
        watched.alerts.insert(("t-1".to_owned(), 5), (5_000, 1));
        let receipts = [receipt(1_000, 1, 99), receipt(2_000, 1, 1), receipt(3_000, 1, 500)];
        let alerts = to_alert(&receipts, &thresholds, &watched).unwrap();
        assert_eq!((alerts.crossed, alerts.latency.len()), (2, 1));
        assert_eq!(alerts.missing, [thresholds[1].clone()]);
        assert!((2_990..3_010).contains(&alerts.latency.max()));
    }
}
