//! What is well and what is not: bounds, and words.

use jiff::{SignedDuration, Timestamp};
use shared::alert::Alert;
use shared::ledger::{QuarantineState, Quarantined};
use shared::price::BookLine;

use super::Finding;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// How far one source is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Which source.
    pub source: String,
    /// Records that wait.
    pub waiting: u64,
    /// How long the oldest of them has waited; none where nobody knows.
    pub oldest: Option<SignedDuration>,
    /// What hinders its consumer, in words.
    pub trouble: Option<String>,
    /// Whether a consumer runs at all: a directory that nobody serves has none.
    pub is_consumed: bool,
}

/// Streams and their consumers.
pub fn lags(check: &str, lags: &[Lag]) -> Vec<Finding> {
    let judge = |lag: &Lag| {
        let Lag { source, waiting, .. } = lag;
        if let Some(trouble) = &lag.trouble {
            let todo = "nothing is lost while the stream is kept; the log of the server says more";
            return Finding::fail(check, format!("{source} is hindered: {trouble}"), todo);
        }
        if *waiting == 0 {
            return Finding::ok(check, format!("{source}: nothing waits"));
        }
        if !lag.is_consumed {
            let todo =
                "`agentledger up` over this directory counts them, and so does `agentledger replay --apply`";
            return Finding::warn(check, format!("{source}: {waiting} records are not counted"), todo);
        }
        let for_long = lag.oldest.map(|age| format!(", the oldest for {}", words(age))).unwrap_or_default();
        let found = format!("{source}: {waiting} wait{for_long}");
        match lag.oldest.map(|age| age.as_secs()) {
            Some(age) if age > HOUR => {
                Finding::fail(check, found, "see whether its consumer runs, and what the log says of it")
            }
            Some(age) if age > MINUTE => {
                Finding::warn(check, found, "look again in a minute: it should shrink")
            }
            None if *waiting > 10_000 => {
                Finding::warn(check, found, "look again in a minute: it should shrink")
            }
            _ => Finding::ok(check, found),
        }
    };
    lags.iter().map(judge).collect()
}

/// What was put aside; `whole` tells whether that is all of it.
pub fn quarantine(items: &[Quarantined], whole: bool, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "quarantine";
    let (open, stuck): (Vec<&Quarantined>, Vec<&Quarantined>) =
        items.iter().partition(|item| item.state == QuarantineState::Open);
    if items.is_empty() {
        return vec![Finding::ok(CHECK, "nothing was put aside")];
    }
    let or_more = if whole { "" } else { " or more" };
    let mut found = Vec::new();
    if let Some(oldest) = open.iter().map(|item| item.at).min() {
        let what = format!(
            "{}{or_more} not counted and not looked at, the oldest for {}",
            open.len(),
            words(now.duration_since(oldest))
        );
        let todo = "`agentledger redrive list` says why, `redrive retry` tries them again";
        found.push(Finding::warn(CHECK, what, todo));
    }
    if !stuck.is_empty() {
        let what = format!("{}{or_more} tried again in vain", stuck.len());
        let todo = "`agentledger redrive list` says why; mend them with --payload, or `redrive purge` them";
        found.push(Finding::warn(CHECK, what, todo));
    }
    found
}

/// Alerts that are not known to have arrived.
pub fn pending(alerts: &[Alert], now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "alerts";
    let Some(oldest) = alerts.iter().map(|alert| alert.at).min() else {
        return vec![Finding::ok(CHECK, "every alert was delivered")];
    };
    let age = now.duration_since(oldest);
    let found = format!("{} not delivered, the oldest for {}", alerts.len(), words(age));
    let todo = "see `agentledger deliveries` and the receiver; they are sent again every minute";
    vec![match age.as_secs() {
        age if age > HOUR => Finding::fail(CHECK, found, todo),
        age if age > 5 * MINUTE => Finding::warn(CHECK, found, todo),
        _ => Finding::ok(CHECK, found),
    }]
}

/// The price book in force. Its age is in its version where that begins with a date, and else that of its import.
pub fn price_book(current: &str, books: &[BookLine], now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "price book";
    let imported = books.iter().find(|book| book.version == current).and_then(|book| book.at);
    let Some(made) = date_in(current).or(imported) else {
        return vec![Finding::ok(CHECK, format!("{current}; of which day, it does not say"))];
    };
    let age = now.duration_since(made);
    let found = format!("{current}, {} old", words(age));
    let todo = "prices change every few weeks: `agentledger prices import` a newer list, or upgrade; then \
                `agentledger unpriced` shows what has none";
    vec![if age.as_secs() > 60 * DAY { Finding::warn(CHECK, found, todo) } else { Finding::ok(CHECK, found) }]
}

/// The first date in a version.
fn date_in(version: &str) -> Option<Timestamp> {
    let found =
        (0..version.len()).find_map(|at| version.get(at..at + 10)?.parse::<jiff::civil::Date>().ok())?;
    Some(found.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// Keys that verify tokens, with the time at which each was put in place.
pub fn keys(keys: &[(String, Timestamp)], now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "keys";
    if keys.is_empty() {
        return vec![Finding::fail(
            CHECK,
            "there is no public key, so nobody can ask",
            "see `agentledger token keygen`",
        )];
    }
    let judge = |(name, at): &(String, Timestamp)| {
        let age = now.duration_since(*at);
        let found = format!("{name} is {} old", words(age));
        let todo = "mint tokens with a new key, and take this one away once the last of its tokens has ended";
        if age.as_secs() > 365 * DAY { Finding::warn(CHECK, found, todo) } else { Finding::ok(CHECK, found) }
    };
    keys.iter().map(judge).collect()
}

/// How far a clock is ahead of ours. An answer's date has whole seconds, and was written a little before it was read.
pub fn clock(ahead: SignedDuration) -> Vec<Finding> {
    const CHECK: &str = "clock";
    let off = ahead.abs().as_secs();
    let way = if ahead.is_negative() { "behind" } else { "ahead of" };
    let todo = "set both by NTP: events more than 5 minutes ahead are refused, and tokens begin and end by this clock";
    vec![match off {
        off if off > 4 * MINUTE => {
            Finding::fail(CHECK, format!("the server is {} {way} this machine", words(ahead.abs())), todo)
        }
        off if off > 5 => {
            Finding::warn(CHECK, format!("the server is {} {way} this machine", words(ahead.abs())), todo)
        }
        _ => Finding::ok(CHECK, "the server and this machine agree"),
    }]
}

/// The watermark before which nothing is counted any more.
pub fn watermark(closed: Option<Timestamp>, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "watermark";
    let Some(closed) = closed else {
        return vec![Finding::ok(CHECK, "no period is closed")];
    };
    let found = format!("events from before {closed} are not counted");
    let todo = "[retention] late_days is short: events that are sent again after a week without a network are refused";
    vec![match now.duration_since(closed).as_secs() {
        age if age < 0 => {
            let todo = "it is in the future, and never moves back: was a clock wrong? Restore a backup";
            Finding::fail(CHECK, found, todo)
        }
        age if age < 7 * DAY => Finding::warn(CHECK, found, todo),
        _ => Finding::ok(CHECK, found),
    }]
}

/// Room on the disk, in bytes: what is free of how much.
pub fn disk(free: u64, of: u64) -> Vec<Finding> {
    const CHECK: &str = "disk";
    const MIB: u64 = 1 << 20;
    let percent = free.saturating_mul(100).checked_div(of).unwrap_or(0);
    let found = format!("{} MiB free, {percent}%", free / MIB);
    let todo = "make room, or shorten [retention] stream_hours: a full disk refuses submissions";
    vec![if free < 256 * MIB {
        Finding::fail(CHECK, found, todo)
    } else if free < 2048 * MIB || percent < 5 {
        Finding::warn(CHECK, found, todo)
    } else {
        Finding::ok(CHECK, found)
    }]
}

/// A length of time in its largest unit.
fn words(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    let (count, unit) = match seconds {
        s if s >= 2 * DAY => (s / DAY, "days"),
        s if s >= 2 * HOUR => (s / HOUR, "hours"),
        s if s >= 2 * MINUTE => (s / MINUTE, "minutes"),
        s => (s, "seconds"),
    };
    format!("{count} {unit}")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn now() -> Timestamp {
        "2026-11-26T12:00:00Z".parse().unwrap()
    }

    fn verdicts(findings: &[Finding]) -> Vec<Verdict> {
        assert!(findings.iter().all(|f| f.todo.is_some() == (f.verdict != Verdict::Ok)), "{findings:?}");
        findings.iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn a_lag_is_judged_by_its_age_and_by_what_hinders_it() {
        use Verdict::{Fail, Ok, Warn};
        let lag = |waiting, age: Option<i64>, trouble: Option<&str>, is_consumed| Lag {
            source: "s".to_owned(),
            waiting,
            oldest: age.map(SignedDuration::from_secs),
            trouble: trouble.map(str::to_owned),
            is_consumed,
        };
        let cases = [
            lag(0, None, None, true),
            lag(5, Some(3), None, true),
            lag(5, Some(90), None, true),
            lag(5, Some(7200), None, true),
            lag(0, None, Some("disk full"), true),
            lag(5, None, None, false),
            lag(20_000, None, None, true),
        ];
        assert_eq!(verdicts(&lags("stream", &cases)), [Ok, Ok, Warn, Fail, Fail, Warn, Warn]);
    }

    #[test]
    fn what_was_put_aside_is_told_by_whether_it_was_tried() {
        let item = |state| Quarantined {
            id: "i".to_owned(),
            position: "p".to_owned(),
            code: "overflow".to_owned(),
            reason: "r".to_owned(),
            payload: String::new(),
            base64: false,
            at: "2026-11-20T12:00:00Z".parse().unwrap(),
            state,
        };
        let stuck = QuarantineState::Stuck { reason: "r".to_owned(), at: now() };
        assert_eq!(verdicts(&quarantine(&[], true, now())), [Verdict::Ok]);
        let found = quarantine(&[item(QuarantineState::Open), item(stuck)], true, now());
        assert_eq!(verdicts(&found), [Verdict::Warn; 2]);
        assert!(found[0].found.contains("6 days"), "{found:?}");
    }

    #[test]
    fn ages_and_sizes_have_bounds() {
        use Verdict::{Fail, Ok, Warn};
        let secs = SignedDuration::from_secs;
        assert_eq!([1, -4, 60, -600].map(|s| verdicts(&clock(secs(s)))[0]), [Ok, Ok, Warn, Fail]);
        let at = |text: &str| Some(text.parse().unwrap());
        let marks =
            [None, at("2025-10-01T00:00:00Z"), at("2026-11-25T00:00:00Z"), at("2027-01-01T00:00:00Z")];
        assert_eq!(marks.map(|at| verdicts(&watermark(at, now()))[0]), [Ok, Ok, Warn, Fail]);
        let gib = 1 << 30;
        assert_eq!(
            [(100 * gib, 200 * gib), (gib, 2 * gib), (1, gib)].map(|(f, of)| verdicts(&disk(f, of))[0]),
            [Ok, Warn, Fail]
        );
        let books = ["genai-prices-2026-11-20", "x-2026-01-05.1", "own"];
        assert_eq!(books.map(|version| verdicts(&price_book(version, &[], now()))[0]), [Ok, Warn, Ok]);
        let key = |text: &str| ("k".to_owned(), text.parse().unwrap());
        let found = keys(&[key("2026-11-01T00:00:00Z"), key("2025-01-01T00:00:00Z")], now());
        assert_eq!(verdicts(&found), [Ok, Warn]);
        assert_eq!(verdicts(&keys(&[], now())), [Fail]);
    }
}
