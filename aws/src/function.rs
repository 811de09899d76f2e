//! What the functions share: the log, the time that is left of an invocation, and what is looked at again from
//! time to time.

use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use lambda_runtime::Context;
use shared::clock::Clock;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::env::{self, EnvError};

/// What an invocation keeps to answer in, before Lambda ends the process.
const SPARE: Duration = Duration::from_millis(400);

/// Writes the log as JSON, a line for each event, with the request's id in its span.
pub fn start_log() -> Result<(), EnvError> {
    let shown = shown(env::parsed(env::LOG, Level::INFO)?);
    let lines =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false).with_target(false);
    // It is started once; where it was before, as in a test, that one stays.
    let _ = tracing_subscriber::registry().with(shown).with(lines).try_init();
    Ok(())
}

/// What is logged at a level. The SDKs' own lines stay at info and above: below, they hold what is sent, payloads and
/// signatures too. The request's id is in a span of the runtime's, which is kept whatever is logged.
fn shown(level: Level) -> Targets {
    const OWN: [&str; 8] =
        ["agentledger", "aggregator", "alerter", "auth", "aws::", "edge", "ingest", "shared"];
    let others = Targets::new().with_default(level.min(Level::INFO));
    others.with_targets(OWN.map(|target| (target, level))).with_target("lambda_runtime::layers", Level::INFO)
}

/// What is left of an invocation, less what it takes to answer.
pub fn left(context: &Context, clock: &impl Clock) -> Duration {
    let deadline = i64::try_from(context.deadline).unwrap_or(i64::MAX);
    let millis = deadline.saturating_sub(clock.now().as_millisecond());
    Duration::from_millis(u64::try_from(millis).unwrap_or(0)).saturating_sub(SPARE)
}

/// Does something in what is left of an invocation; none if it was not done by then. What was begun may have
/// happened.
pub async fn within<T>(context: &Context, clock: &impl Clock, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(left(context, clock), work).await.ok()
}

/// When something is to be looked at again: a function has no time of its own between its invocations.
#[derive(Debug)]
pub struct Again {
    every: Duration,
    after_failure: Duration,
    /// In Unix milliseconds.
    due: AtomicI64,
}

impl Again {
    /// Every so often, and sooner after a failure; at once for the first time.
    pub fn new(every: Duration, after_failure: Duration) -> Self {
        Self { every, after_failure, due: AtomicI64::new(i64::MIN) }
    }

    /// Whether it is time.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now.as_millisecond() >= self.due.load(Ordering::Relaxed)
    }

    /// Notes that it was looked at, and whether that succeeded.
    pub fn looked(&self, now: Timestamp, succeeded: bool) {
        let pause = if succeeded { self.every } else { self.after_failure };
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        self.due.store(now.as_millisecond().saturating_add(pause), Ordering::Relaxed);
    }
}

/// So long before now; the beginning of time if that is none.
pub fn ago(now: Timestamp, age: Duration) -> Timestamp {
    let age = jiff::SignedDuration::try_from(age).ok();
    age.and_then(|age| now.checked_sub(age).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// How late events may be, and for how long the stream, or the inbox, can bring one again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    /// Ingest refuses what is older.
    pub late: Duration,
    /// The ledger refuses what is older than both together: what was accepted may have waited so long.
    pub replay: Duration,
}

impl Lateness {
    /// As the environment says; 400 days and 24 hours if it does not.
    pub fn from_env() -> Result<Self, EnvError> {
        let days: u32 = env::parsed(env::LATE_DAYS, 400)?;
        let hours: u32 = env::parsed(env::REPLAY_HOURS, 24)?;
        let hour = |n: u64| Duration::from_secs(n * 3_600);
        Ok(Self { late: hour(u64::from(days) * 24), replay: hour(u64::from(hours)) })
    }

    /// The oldest that ingest takes, where the ledger's watermark is `closed`.
    pub fn oldest(&self, now: Timestamp, closed: Option<Timestamp>) -> Timestamp {
        ago(now, self.late).max(closed.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// Where the ledger's watermark belongs.
    pub fn watermark(&self, now: Timestamp) -> Timestamp {
        ago(ago(now, self.late), self.replay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(&'static str);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0.parse().unwrap()
        }
    }

    const NOON: At = At("2026-11-26T12:00:00Z");

    fn due_in(millis: i64) -> Context {
        let mut context = Context::default();
        context.deadline = u64::try_from(NOON.now().as_millisecond() + millis).unwrap();
        context
    }

    #[test]
    fn what_is_sent_is_not_logged_at_any_level() {
        for level in [Level::TRACE, Level::DEBUG, Level::INFO, Level::ERROR] {
            let shown = shown(level);
            for other in ["aws_smithy_runtime::client", "aws_sigv4", "hyper::client", "lambda_runtime"] {
                assert!(!shown.would_enable(other, &Level::DEBUG), "{other} at {level}");
            }
            for own in ["aws::table::commit", "ingest_lambda", "ingest::handler", "agentledger::audit"] {
                assert!(shown.would_enable(own, &level), "{own} at {level}");
            }
            assert!(shown.would_enable("lambda_runtime::layers::trace", &Level::INFO));
        }
        assert!(!shown(Level::ERROR).would_enable("ingest::handler", &Level::WARN));
        assert!(!shown(Level::ERROR).would_enable("aws_sigv4", &Level::WARN));
    }

    #[tokio::test]
    async fn work_ends_before_the_process_does() {
        assert_eq!(left(&due_in(3_000), &NOON), Duration::from_millis(2_600));
        assert_eq!(left(&due_in(100), &NOON), Duration::ZERO);
        assert_eq!(left(&due_in(-9_000), &NOON), Duration::ZERO);
        assert_eq!(within(&due_in(3_000), &NOON, async { 7 }).await, Some(7));
        let began = std::time::Instant::now();
        assert_eq!(within(&due_in(450), &NOON, std::future::pending::<()>()).await, None);
        assert!(began.elapsed() < Duration::from_millis(400));
    }

    #[test]
    fn what_failed_is_looked_at_again_sooner() {
        let again = Again::new(Duration::from_secs(60), Duration::from_secs(5));
        let now = NOON.now();
        let in_secs = |n: u64| now + Duration::from_secs(n);
        assert!(again.is_due(now));
        again.looked(now, true);
        assert!(!again.is_due(in_secs(59)) && again.is_due(in_secs(60)));
        again.looked(in_secs(60), false);
        assert!(!again.is_due(in_secs(64)) && again.is_due(in_secs(65)));
    }

    #[test]
    fn what_ingest_takes_is_not_refused_for_having_waited() {
        let lateness = Lateness { late: Duration::from_secs(10), replay: Duration::from_secs(5) };
        let now = NOON.now();
        assert_eq!(lateness.oldest(now, None).to_string(), "2026-11-26T11:59:50Z");
        assert_eq!(lateness.watermark(now).to_string(), "2026-11-26T11:59:45Z");
        // A limit that was raised does not open again what was closed.
        let closed = "2026-11-26T11:59:59Z".parse().unwrap();
        assert_eq!(lateness.oldest(now, Some(closed)), closed);
    }
}
