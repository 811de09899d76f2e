//! A run from its plan to its figures.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::ensure;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::check::check;
use super::expected::expected;
use super::fresh::{Watch, set_budgets, to_rollup};
use super::outcome::{Moment, Outcome, Quantiles};
use super::play::{Run, Target};
use super::progress::Progress;
use super::reader::Reader;
use super::scenario::Scenario;
use super::seen::{Seen, micros};
use super::submission::Submissions;
use crate::client::Client;
use crate::wire::Endpoint;

/// How long alerts are waited for once the totals stand.
const ALERTS: Duration = Duration::from_secs(30);

/// What to do, and where.
pub(crate) struct Setup<'a> {
    pub(crate) name: &'a str,
    pub(crate) scenario: Scenario,
    pub(crate) span: Duration,
    pub(crate) seed: u64,
    /// Where to send.
    pub(crate) url: &'a str,
    pub(crate) token: Option<&'a str>,
    /// What to show when reading.
    pub(crate) read_token: Option<&'a str>,
    pub(crate) reader: Reader,
    /// What recorded responses there are, if they are to be sent.
    pub(crate) bodies: Vec<super::bodies::Body>,
    /// What the names of this run begin with.
    pub(crate) run: String,
}

/// Names of a run: short, and none like another's.
pub(crate) fn name_of_a_run() -> String {
    format!("load{:06x}", fastrand::u32(..1 << 24))
}

/// Plays it, waits until everything is counted, and compares. `begun` is called when it begins.
pub(crate) fn conduct(setup: Setup<'_>, begun: impl FnOnce(Instant, &Arc<Run>)) -> anyhow::Result<Outcome> {
    // One thread: what the generator burns is bounded, and the rest of the machine is the server's.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    #[expect(clippy::disallowed_methods, reason = "the load is of now, on the clock that the server has")]
    let now = Timestamp::now();
    let first = now.to_zoned_datetime(TimeZone::UTC).date().first_of_month();
    let second =
        |date: jiff::civil::Date| anyhow::Ok(date.to_zoned_datetime(TimeZone::UTC)?.timestamp().as_second());
    let month = second(first)?..second(first.checked_add(1.month())?)?;
    let all = Submissions {
        run: setup.run,
        own_team: setup.token.is_none(),
        scenario: setup.scenario,
        seed: setup.seed,
        began: now,
        bodies: setup.bodies,
    };
    let all = Arc::new(all);
    let endpoint = runtime.block_on(Endpoint::new(setup.url))?;
    let authorization =
        setup.token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
    let run = Arc::new(Run {
        all: Arc::clone(&all),
        target: Target { endpoint, authorization },
        month: month.clone(),
        seen: Arc::new(Mutex::new(Seen::new(setup.span)?)),
        span: setup.span,
    });
    let http = match &setup.reader {
        Reader::Http { url, .. } => Some(url.clone()),
        Reader::Aws { .. } => None,
    };
    let thresholds = match &http {
        // With tokens, the run has no team of its own that a budget could be for.
        Some(url) if all.own_team => set_budgets(&Client::new(), url, &all.run, run.tokens())?,
        _ => Vec::new(),
    };
    let (mut watch, mut progress) = (None, None);
    let begin = runtime.block_on(Arc::clone(&run).play(|begin| {
        watch = http.as_ref().map(|url| Watch::start(url, setup.read_token, &all, month.start, begin));
        progress = Some(Progress::start(Arc::clone(&run), begin));
        begun(begin, &run);
    }));
    if let Some(progress) = progress.transpose()? {
        progress.end();
    }
    let begin = begin?;
    let took = begin.elapsed();
    let seen = std::mem::replace(&mut *run.seen(), Seen::new(Duration::ZERO)?);
    let accepted: u64 = seen.receipts.iter().filter_map(|receipt| u64::try_from(receipt.events).ok()).sum();
    let expected = expected(&all, &seen.numbers);
    let events = expected.sums.values().map(|sums| sums.events).sum();
    let drained = took + setup.reader.drain(&all.scope(), events)?;
    let compared = check(&setup.reader, &all, &expected, &seen.numbers)?;
    let (mut rollup, mut alert, mut crossed) = (None, None, 0);
    if let Some(watch) = watch.transpose()? {
        let alerts = watch.await_alerts(&seen.receipts, &thresholds, ALERTS)?;
        let watched = watch.end()?;
        ensure!(
            alerts.missing.is_empty(),
            "thresholds without an alert {ALERTS:?} after the totals stood: {:?}",
            alerts.missing
        );
        // Only what is taken back can bring a sum below a threshold and over it again.
        let twice =
            watched.alerts.iter().find(|(_, (_, times))| *times > 1 && all.scenario.void_percent == 0);
        ensure!(twice.is_none(), "a threshold was alerted more than once: {twice:?}");
        let seen_in_rollups = Quantiles::from(&to_rollup(&seen.receipts, &watched.visible)?);
        // What is taken back can keep the totals below a sum that the order of receipts had.
        let least = if all.scenario.void_percent == 0 { accepted } else { accepted * 9 / 10 };
        ensure!(
            seen_in_rollups.count >= least,
            "{} of {accepted} events were seen in the totals while they were watched",
            seen_in_rollups.count
        );
        rollup = Some(seen_in_rollups);
        alert = (alerts.crossed > 0).then(|| Quantiles::from(&alerts.latency));
        crossed = alerts.crossed;
    }
    let per_second = |count: u64, took: Duration| {
        count * 1_000 / u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1)
    };
    let submissions: u64 = seen.slices.iter().map(|slice| slice.arrived).sum();
    let over_time = (0..).zip(&seen.slices).map(|(n, slice)| Moment {
        second: n * seen.slice.as_secs(),
        submissions_arrived: slice.arrived,
        events_accepted: slice.events,
        latency_us: Quantiles::from(&slice.latency),
    });
    Ok(Outcome {
        scenario: setup.name.to_owned(),
        plan: all.scenario.clone(),
        seed: setup.seed,
        at: now.to_string(),
        seconds: setup.span.as_secs(),
        events_sent: submissions * u64::from(all.scenario.events),
        events_accepted: accepted,
        accepted_per_second: per_second(accepted, took),
        committed_per_second: per_second(accepted, drained),
        submissions_per_second: per_second(submissions, took),
        repeated: seen.repeated,
        refused: seen.refused,
        retries: seen.retries,
        connections_opened: seen.opened,
        slow_accepted: seen.slow[0],
        slow_ended: seen.slow[1],
        over_time: over_time.collect(),
        answers: seen.answers,
        ingest_us: Quantiles::from(&seen.accepted),
        served_us: Quantiles::from(&seen.served),
        rollup_us: rollup,
        alert_us: alert,
        thresholds_crossed: crossed,
        fsync_us: None,
        drained_us: micros(drained.saturating_sub(took)),
        restart_us: None,
        compared_keys: compared.keys,
        compared_events: compared.events,
        compared_tokens: compared.tokens,
        memory_mb: None,
        processor_ms: None,
        disk_bytes: None,
    })
}
