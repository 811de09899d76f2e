use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(zone: &str, instant: &str) -> (String, String) {
    let range = Period::Day.containing(at(instant), &Zone::parse(zone).unwrap());
    let show = |s| Timestamp::from_second(s).unwrap().to_string();
    (show(range.from), show(range.to))
}

#[test]
fn days_start_at_local_midnight() {
    let is = |zone, instant, from: &str, to: &str| {
        assert_eq!(day(zone, instant), (from.to_owned(), to.to_owned()), "{zone} {instant}");
    };
    is("Asia/Tokyo", "2026-11-24T14:59:59Z", "2026-11-23T15:00:00Z", "2026-11-24T15:00:00Z");
    is("Asia/Tokyo", "2026-11-24T15:00:00Z", "2026-11-24T15:00:00Z", "2026-11-25T15:00:00Z");
    is("Asia/Kathmandu", "2026-11-24T18:14:59.999Z", "2026-11-23T18:15:00Z", "2026-11-24T18:15:00Z");
    is("Asia/Kathmandu", "2026-11-24T18:15:00Z", "2026-11-24T18:15:00Z", "2026-11-25T18:15:00Z");
}

#[test]
fn days_of_new_york_across_both_changes() {
    let is = |instant, from: &str, to: &str| {
        assert_eq!(day("America/New_York", instant), (from.to_owned(), to.to_owned()), "{instant}");
    };
    // Clocks go forward on 8 March 2026 (23 hours) and back on 1 November 2026 (25 hours).
    is("2026-03-08T04:59:59Z", "2026-03-07T05:00:00Z", "2026-03-08T05:00:00Z");
    is("2026-03-08T05:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z");
    is("2026-03-09T03:59:59Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z");
    is("2026-03-09T04:00:00Z", "2026-03-09T04:00:00Z", "2026-03-10T04:00:00Z");
    is("2026-11-01T03:59:59Z", "2026-10-31T04:00:00Z", "2026-11-01T04:00:00Z");
    is("2026-11-01T04:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z");
    is("2026-11-02T04:59:59Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z");
    is("2026-11-02T05:00:00Z", "2026-11-02T05:00:00Z", "2026-11-03T05:00:00Z");
}

#[test]
fn a_day_whose_midnight_is_skipped_starts_later() {
    // Havana goes from 00:00 to 01:00 on 8 March 2026.
    let range = Period::Day.containing(at("2026-03-08T12:00:00Z"), &Zone::parse("America/Havana").unwrap());
    assert_eq!(Timestamp::from_second(range.from).unwrap().to_string(), "2026-03-08T05:00:00Z");
}

const ZONES: [&str; 10] = [
    "UTC",
    "Asia/Tokyo",
    "Asia/Kathmandu",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
    "Europe/London",
    "Pacific/Chatham",
    "Africa/Cairo",
    "America/St_Johns",
];

proptest! {
    #[test]
    fn periods_partition_time_on_quarter_hours(
        second in 1_700_000_000_i64..1_900_000_000,
        zone in prop::sample::select(&ZONES[..]),
        period in prop::sample::select(&[Period::Hour, Period::Day, Period::Week, Period::Month][..]),
    ) {
        let zone = Zone::parse(zone).unwrap();
        let instant = Timestamp::from_second(second).unwrap();
        let range = period.containing(instant, &zone);
        prop_assert!(range.holds(instant));
        prop_assert_eq!(range.from % QUARTER, 0);
        prop_assert_eq!(range.to % QUARTER, 0);
        for inside in [range.from, range.to - 1] {
            prop_assert_eq!(period.containing(Timestamp::from_second(inside).unwrap(), &zone), range);
        }
        let next = period.containing(Timestamp::from_second(range.to).unwrap(), &zone);
        prop_assert_eq!(next.from, range.to);
    }

    #[test]
    fn a_cover_counts_every_quarter_with_data_exactly_once(
        from in 1_780_000_i64..1_800_000, len in 1_i64..12_000,
        data_from in 1_780_000_i64..1_800_000, data_len in 1_i64..12_000,
    ) {
        let range = Range { from: from * QUARTER, to: (from + len) * QUARTER };
        let extent = Range { from: data_from * QUARTER, to: (data_from + data_len) * QUARTER };
        let segments = cover(range, extent);
        let mut counted = std::collections::BTreeMap::new();
        for segment in &segments {
            let mut at = segment.from;
            while at < segment.to {
                if segment.kind != WindowKind::Hour || segment.quarters[quarter_of_hour(at)] {
                    *counted.entry(at).or_insert(0) += 1;
                }
                at += QUARTER;
            }
        }
        for at in (extent.from..extent.to).step_by(900) {
            let wanted = i32::from(range.from <= at && at < range.to);
            prop_assert_eq!(counted.get(&at).copied().unwrap_or(0), wanted, "quarter {}", at);
        }
        prop_assert!(segments.len() <= 9, "{:?}", segments);
    }
}
