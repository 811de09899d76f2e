//! The demo's clock: it shows the simulated day while that is played, and the real time afterwards.
//!
//! What the server dates itself, such as an alert or a provider's response body, so fits to what the agents date.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use shared::clock::{Clock, SystemClock};
use shared::window::Zone;

use super::behaviour::{DAY, HOUR, Millis};
use super::scenario::instant;

/// Where and when the working day is.
#[derive(Clone, Debug)]
pub(super) struct Day {
    /// 9 o'clock in `zone`.
    pub(super) start: Timestamp,
    pub(super) zone: Zone,
}

impl Day {
    /// The last working day that is over at `now`, to the full hour, in the zone where that is from 9 to 17.
    ///
    /// So every event is in the recent past, and no midnight parts a daily budget, whenever the demo is started.
    pub(super) fn before(now: Timestamp) -> Self {
        let hour = i64::try_from(HOUR / 1000).unwrap_or(3600);
        let length = SignedDuration::from_millis(i64::try_from(DAY).unwrap_or(0));
        let earliest = now.checked_sub(length).unwrap_or(now).as_second();
        let start = earliest - earliest.rem_euclid(hour);
        let of_day = start.rem_euclid(24 * hour) / hour;
        // Zones reach from 12 hours behind UTC to 14 ahead.
        let ahead = if 9 - of_day < -12 { 33 - of_day } else { 9 - of_day };
        // The names of these zones count westwards.
        let name = match ahead {
            0 => "UTC".to_owned(),
            1.. => format!("Etc/GMT-{ahead}"),
            _ => format!("Etc/GMT+{}", -ahead),
        };
        let start = Timestamp::from_second(start).unwrap_or(now);
        Self { start, zone: Zone::parse(&name).unwrap_or_else(|_| Zone::utc()) }
    }

    /// The time of day.
    pub(super) fn time(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.rules().clone()).strftime("%H:%M").to_string()
    }
}

/// Tells the day's time.
#[derive(Clone, Debug)]
pub(super) struct DayClock {
    start: Timestamp,
    /// Since the start; beyond the day, it is over.
    at: Arc<AtomicU64>,
}

impl DayClock {
    pub(super) fn new(day: &Day) -> Self {
        Self { start: day.start, at: Arc::default() }
    }

    /// Moves on; never back.
    pub(super) fn advance(&self, to: Millis) {
        self.at.fetch_max(to.min(DAY), Ordering::Relaxed);
    }

    /// From now on it is the real time.
    pub(super) fn end(&self) {
        self.at.store(Millis::MAX, Ordering::Relaxed);
    }
}

impl Clock for DayClock {
    fn now(&self) -> Timestamp {
        match self.at.load(Ordering::Relaxed) {
            at if at <= DAY => instant(self.start, at),
            _ => SystemClock.now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_is_past_and_from_nine_to_five_whenever_it_is_asked_for() {
        for minute in 0..48 * 60 {
            let now = instant("2026-11-30T00:00:00Z".parse().unwrap(), minute * 60_000 + 1);
            let day = Day::before(now);
            let end = instant(day.start, DAY);
            assert!(end <= now && now.duration_since(end) < SignedDuration::from_hours(1), "{now}");
            assert_eq!((day.time(day.start), day.time(end)), ("09:00".into(), "17:00".into()), "{now}");
        }
    }

    #[test]
    fn the_clock_goes_forward_and_ends_in_the_real_time() {
        let day = Day::before("2026-11-24T12:30:00Z".parse().unwrap());
        let clock = DayClock::new(&day);
        clock.advance(HOUR);
        clock.advance(0);
        assert_eq!(clock.now(), "2026-11-24T05:00:00Z".parse().unwrap());
        clock.advance(2 * DAY);
        assert_eq!(clock.now(), "2026-11-24T12:00:00Z".parse().unwrap());
        clock.end();
        assert!(SystemClock.now().duration_since(clock.now()) < SignedDuration::from_secs(60));
    }
}
