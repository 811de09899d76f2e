//! What was spent in a period: rollups over the windows that cover it, as of one instant.

use shared::ledger::{LedgerError, RollupQuery, RollupRow, RollupStore};
use shared::rollup::{Scope, ScopeKind};
use shared::totals::Totals;
use shared::window::{Range, WindowKind, cover};

/// The totals of one scope over a range on quarter hours.
pub async fn period_totals<L: RollupStore>(
    ledger: &L,
    scope: &Scope,
    range: Range,
) -> Result<Totals, LedgerError> {
    let mut sum = Totals::default();
    let b = scope.kind.is_pair().then(|| scope.b.clone());
    each(ledger, scope.kind, Some(scope.a.clone()), b, range, |_, totals| add(&mut sum, totals)).await?;
    Ok(sum)
}

/// Adds, or says that the stored sums are not what they can be.
pub(crate) fn add(sum: &mut Totals, more: &Totals) -> Result<(), LedgerError> {
    sum.add(more).map_err(|e| LedgerError::Broken(e.to_string()))
}

/// Gives every subtotal of a range, with its scope.
pub(crate) async fn each<L: RollupStore>(
    ledger: &L,
    kind: ScopeKind,
    a: Option<String>,
    b: Option<String>,
    range: Range,
    mut take: impl FnMut(&Scope, &Totals) -> Result<(), LedgerError> + Send,
) -> Result<(), LedgerError> {
    let segments = cover(range, Range::EVER);
    let query = |segment: &shared::window::Segment| RollupQuery {
        kind,
        a: a.clone(),
        b: b.clone(),
        window: segment.kind,
        from: segment.from,
        to: segment.to,
    };
    let queries: Vec<RollupQuery> = segments.iter().map(query).collect();
    let mut counted = |n: usize, row: RollupRow| {
        let Some(segment) = segments.get(n) else { return Ok(()) };
        for (quarter, totals) in row.parts.0.iter().enumerate() {
            if segment.kind != WindowKind::Hour || segment.quarters.get(quarter) == Some(&true) {
                take(&row.scope, totals)?;
            }
        }
        Ok(())
    };
    ledger.rollups(&queries, &mut counted).await
}
