//! Sums from rollups, in reads proportional to the windows asked for.

use jiff::Timestamp;
use shared::ledger::{LedgerError, RollupQuery, RollupRow, RollupStore};
use shared::totals::Totals;
use shared::window::{QUARTER, Range, Segment, WindowKind, Zone, cover};

use super::plan::RollupPlan;
use super::slot::{Calendar, Slot, Sums};
use super::{By, SpendRequest, broken};
use crate::error::QueryError;

/// Hourly rows read at a time.
const RUN: i64 = 31 * 24 * 3600;

/// Sums by row over a range.
pub(super) async fn sum<L: RollupStore>(
    ledger: &L,
    plan: &RollupPlan,
    request: &SpendRequest,
    range: Range,
    extent: Range,
) -> Result<Sums, QueryError> {
    let mut sums = Sums::default();
    let mut calendar = Calendar::of(request.by, &request.zone);
    let mut asked: Vec<(Segment, RollupQuery)> = Vec::new();
    for segment in segments(request, range, extent) {
        for (a, b) in &plan.names {
            let (a, b) = (a.clone(), b.clone());
            let (window, from, to) = (segment.kind, segment.from, segment.to);
            asked.push((segment, RollupQuery { kind: plan.kind, a, b, window, from, to }));
        }
    }
    let queries: Vec<RollupQuery> = asked.iter().map(|(_, query)| query.clone()).collect();
    // What a row is refused for is not the ledger's error.
    let mut refused = None;
    let mut take = |n: usize, row: RollupRow| {
        let Some((segment, _)) = asked.get(n) else { return Ok(()) };
        let added = match &mut calendar {
            Some(calendar) => distribute(&mut sums, calendar, segment, range, &row),
            None => chosen(segment, &row).map_err(|e| broken(&e).into()).and_then(|totals| {
                let name = if plan.by_second { row.scope.b } else { row.scope.a };
                sums.add(Slot::Name(name), &totals)
            }),
        };
        added.map_err(|error| {
            refused = Some(error);
            LedgerError::Broken("a row was refused".to_owned())
        })
    };
    let read = ledger.rollups(&queries, &mut take).await;
    match refused {
        Some(error) => Err(error),
        None => read.map(|()| sums).map_err(QueryError::from),
    }
}

/// The windows to read: as coarse as the rows' own days or hours allow.
fn segments(request: &SpendRequest, range: Range, extent: Range) -> Vec<Segment> {
    let days = match request.by {
        By::Hour => false,
        By::Day => is_utc_all_along(&request.zone, range),
        _ => return cover(range, extent),
    };
    if days {
        let as_days = |segment: Segment| match segment.kind {
            WindowKind::Month => Segment { kind: WindowKind::Day, ..segment },
            _ => segment,
        };
        return cover(range, extent).into_iter().map(as_days).collect();
    }
    let from = WindowKind::Hour.start(range.from.max(extent.from));
    let to = range.to.min(extent.to);
    let mut runs = Vec::new();
    let mut at = from;
    while at < to {
        let last = (at + RUN).min(to);
        let end = WindowKind::Hour.end(WindowKind::Hour.start(last - 1));
        runs.push(Segment { kind: WindowKind::Hour, from: at, to: end, quarters: [true; 4] });
        at = end;
    }
    runs
}

/// Whether local days are UTC days throughout.
fn is_utc_all_along(zone: &Zone, range: Range) -> bool {
    let rules = zone.rules();
    let (Ok(from), Ok(to)) = (Timestamp::from_second(range.from), Timestamp::from_second(range.to)) else {
        return false;
    };
    rules.to_offset(from).seconds() == 0
        && rules.following(from).next().is_none_or(|change| change.timestamp() >= to)
}

fn chosen(segment: &Segment, row: &RollupRow) -> Result<Totals, shared::totals::Overflow> {
    let mut sum = Totals::default();
    for (n, totals) in row.parts.0.iter().enumerate() {
        if segment.kind != WindowKind::Hour || segment.quarters.get(n).copied().unwrap_or(false) {
            sum.add(totals)?;
        }
    }
    Ok(sum)
}

fn distribute(
    sums: &mut Sums,
    calendar: &mut Calendar,
    segment: &Segment,
    range: Range,
    row: &RollupRow,
) -> Result<(), QueryError> {
    if segment.kind != WindowKind::Hour {
        let totals = chosen(segment, row).map_err(|e| broken(&e))?;
        return sums.add(calendar.slot(row.start), &totals);
    }
    let mut at = row.start;
    for totals in &row.parts.0 {
        if range.from <= at && at < range.to {
            sums.add(calendar.slot(at), totals)?;
        }
        at += QUARTER;
    }
    Ok(())
}
