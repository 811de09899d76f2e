//! What was spent in a period: rollups over the windows that cover it.

use shared::ledger::{LedgerError, RollupQuery, RollupStore};
use shared::rollup::Scope;
use shared::totals::Totals;
use shared::window::{Range, Segment, WindowKind, cover};

/// The totals of one scope over a range on quarter hours.
pub async fn period_totals<L: RollupStore>(
    ledger: &L,
    scope: &Scope,
    range: Range,
) -> Result<Totals, LedgerError> {
    let mut sum = Totals::default();
    for segment in cover(range, Range::EVER) {
        let pair = scope.kind.is_pair();
        let query = RollupQuery {
            kind: scope.kind,
            a: Some(scope.a.clone()),
            b: pair.then(|| scope.b.clone()),
            window: segment.kind,
            from: segment.from,
            to: segment.to,
        };
        for row in ledger.rollups(&query).await? {
            add_counted(&mut sum, &segment, &row.parts.0)?;
        }
    }
    Ok(sum)
}

/// Adds the subtotals that a segment counts.
pub(crate) fn add_counted(sum: &mut Totals, segment: &Segment, parts: &[Totals]) -> Result<(), LedgerError> {
    for (n, part) in parts.iter().enumerate() {
        if segment.kind != WindowKind::Hour || segment.quarters.get(n) == Some(&true) {
            sum.add(part).map_err(|e| LedgerError::Broken(e.to_string()))?;
        }
    }
    Ok(())
}
