//! Instants as people write them: RFC 3339, or a date in the report's zone.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use shared::window::Zone;

/// Reads RFC 3339 with an offset, or a date, which stands for its first instant in `zone`.
pub fn parse_instant(text: &str, zone: &Zone) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    // A `+` that was not percent-encoded arrives as a space.
    if let Ok(at) = text.replace(' ', "+").parse::<Timestamp>()
        && text.contains('T')
    {
        return Some(at);
    }
    // Ten characters: jiff would also take the date of a longer text and drop its time.
    if text.len() != 10 {
        return None;
    }
    let date: Date = text.parse().ok()?;
    Some(date.to_zoned_datetime(zone.rules().clone()).ok()?.timestamp())
}

/// Writes an instant with the offset that holds in `zone`, or with `Z`.
pub fn show_instant(second: i64, zone: &Zone) -> String {
    let Ok(at) = Timestamp::from_second(second) else { return second.to_string() };
    if *zone.rules() == TimeZone::UTC || zone.name() == "UTC" {
        return at.to_string();
    }
    at.to_zoned_datetime(zone.rules().clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
