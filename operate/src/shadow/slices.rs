//! A range as slices of time.

use jiff::Timestamp;
use shared::window::{Range, WindowKind};

use super::Uncovered;

/// Windows that are compared together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// Records with an event in it have a part in these windows.
    pub(super) range: Range,
    /// Runs of windows.
    pub(super) windows: Vec<(WindowKind, Range)>,
}

impl Slice {
    /// Whether a rollup is one of those.
    pub(super) fn holds(&self, window: WindowKind, start: i64) -> bool {
        self.windows.iter().any(|(kind, range)| *kind == window && (range.from..range.to).contains(&start))
    }
}

/// Each UTC day with its hours in the range, and the day itself if all of it is; then each month all of which is. What
/// is only partly in it is named.
pub(super) fn slices(range: Range) -> (Vec<Slice>, Vec<Uncovered>) {
    let (mut slices, mut uncovered) = (Vec::new(), Vec::new());
    let mut leave = |window, from: i64, to: i64| {
        let at = |second| Timestamp::from_second(second).unwrap_or_default();
        uncovered.push(Uncovered { window, from: at(from), to: at(to) });
    };
    let mut from = WindowKind::Day.start(range.from);
    while from < range.to {
        let to = WindowKind::Day.end(from);
        let hours = Range { from: from.max(range.from), to: to.min(range.to) };
        let mut windows = vec![(WindowKind::Hour, hours)];
        if hours == (Range { from, to }) {
            windows.push((WindowKind::Day, hours));
        } else {
            leave(WindowKind::Day, from, to);
        }
        slices.push(Slice { range: hours, windows });
        from = to;
    }
    let mut from = WindowKind::Month.start(range.from);
    while from < range.to {
        let month = Range { from, to: WindowKind::Month.end(from) };
        if month.from >= range.from && month.to <= range.to {
            slices.push(Slice { range: month, windows: vec![(WindowKind::Month, month)] });
        } else {
            leave(WindowKind::Month, month.from, month.to);
        }
        from = month.to;
    }
    (slices, uncovered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn days_and_months_are_compared_where_all_of_them_is_asked_for() {
        let range = Range { from: second("2026-02-27T22:00:00Z"), to: second("2026-04-01T00:00:00Z") };
        let (slices, uncovered) = slices(range);
        let of = |kind| slices.iter().flat_map(|s| &s.windows).filter(|(k, _)| *k == kind).count();
        assert_eq!((slices.len(), of(WindowKind::Hour), of(WindowKind::Day)), (34, 33, 32));
        assert_eq!(of(WindowKind::Month), 1);
        let hours: i64 = slices
            .iter()
            .flat_map(|s| &s.windows)
            .filter(|(kind, _)| *kind == WindowKind::Hour)
            .map(|(_, r)| (r.to - r.from) / 3600)
            .sum();
        assert_eq!(hours, 2 + 32 * 24);
        let named: Vec<_> = uncovered.iter().map(|u| (u.window, u.from.to_string())).collect();
        let wanted = [(WindowKind::Day, "2026-02-27T00:00:00Z"), (WindowKind::Month, "2026-02-01T00:00:00Z")];
        assert_eq!(named, wanted.map(|(window, from)| (window, from.to_owned())));
    }
}
