//! What the records of a slice add up to, and what that is more than what is stored.

use shared::ledger::{LedgerError, RecordCursor, RecordQuery, RecordStore, RollupQuery, RollupStore};
use shared::rollup::{Additions, Parts, RollupKey, Scope, ScopeKind};

use super::slices::Slice;
use super::{Report, Shadow, ShadowError};

/// One of several shares of all scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// How many there are: a power of two, so that each falls into two of twice as many.
    pub(super) of: u32,
    /// Which.
    pub(super) number: u32,
}

impl Share {
    fn holds(self, scope: &Scope) -> bool {
        // FNV: any function does that is the same in each pass. From its upper bits, so that a share of twice as many
        // is a half of one of these.
        let bytes = [&[scope.kind as u8], scope.a.as_bytes(), &[0], scope.b.as_bytes()].concat();
        let hash = bytes
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
        let mixed = hash.wrapping_mul(0x9e37_79b1);
        (u64::from(mixed) * u64::from(self.of)) >> 32 == u64::from(self.number)
    }
}

impl<L: RecordStore + RollupStore> Shadow<L> {
    /// What has to be added to what is stored; none if it is too much for one pass.
    pub(super) async fn compare(
        &self,
        slice: &Slice,
        share: Share,
        report: &mut Report,
    ) -> Result<Option<Additions>, ShadowError> {
        let Some(mut shadow) = self.recompute(slice, share, report).await? else { return Ok(None) };
        let queries: Vec<RollupQuery> = slice
            .windows
            .iter()
            .flat_map(|(window, range)| {
                ScopeKind::ALL.map(|kind| {
                    let (window, from, to) = (*window, range.from, range.to);
                    RollupQuery { kind, a: None, b: None, window, from, to }
                })
            })
            .collect();
        let mut missing = Additions::default();
        let mut fault = None;
        let mut is_full = false;
        let mut take = |n: usize, row: shared::ledger::RollupRow| {
            let Some(query) = queries.get(n) else { return Ok(()) };
            if is_full || fault.is_some() || !share.holds(&row.scope) {
                return Ok(());
            }
            let key = RollupKey { scope: row.scope, window: query.window, start: row.start };
            let wanted = shadow.take(&key).unwrap_or_else(|| Parts::empty(key.window));
            report.rollups += 1;
            let mut more = wanted.clone();
            if let Err(overflow) = more.add(&row.parts.negated()) {
                fault = Some(overflow);
            } else if !more.is_zero() {
                report.note(&key, &row.parts, &wanted);
                missing.insert(key, more);
                is_full = missing.len() > self.most;
            }
            Ok::<(), LedgerError>(())
        };
        self.ledger.rollups(&queries, &mut take).await?;
        if let Some(overflow) = fault {
            return Err(overflow.into());
        }
        if is_full {
            return Ok(None);
        }
        for (key, wanted) in shadow.without_zeros().iter() {
            report.rollups += 1;
            report.note(key, &Parts::empty(key.window), wanted);
            missing.insert(key.clone(), wanted.clone());
        }
        Ok(Some(missing))
    }

    /// Adds the stored records up; none if that is too much for one pass.
    async fn recompute(
        &self,
        slice: &Slice,
        share: Share,
        report: &mut Report,
    ) -> Result<Option<Additions>, ShadowError> {
        let mut sum = Additions::default();
        let mut after = None;
        loop {
            let query =
                RecordQuery { agent: None, range: Some(slice.range), after: after.take(), limit: self.page };
            let page = self.ledger.records(&query).await?;
            let is_last = page.len() < self.page;
            for record in &page {
                report.records += 1;
                // A record that is not finished is finished by whoever delivers it again: until then, what is missing
                // of it is missing rightly.
                let Some(made) = record.data.made_additions(&record.agent)? else {
                    let which = format!("record {} {}", record.agent, record.key);
                    let why = "it is not readable how many of its additions are made";
                    return Err(LedgerError::Broken(format!("{which}: {why}")).into());
                };
                let mut of_slice = Additions::default();
                for (key, parts) in made.iter() {
                    if slice.holds(key.window, key.start) && share.holds(&key.scope) {
                        of_slice.insert(key.clone(), parts.clone());
                    }
                }
                sum.merge(&of_slice)?;
                if sum.len() > self.most {
                    return Ok(None);
                }
            }
            after = page.last().and_then(|record| {
                let (_, latest) = record.data.span()?;
                Some(RecordCursor { latest, agent: record.agent.clone(), key: record.key.clone() })
            });
            if is_last || after.is_none() {
                return Ok(Some(sum));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_is_in_one_share_and_in_one_of_its_halves() {
        for n in 0..500 {
            let scope = Scope::one(ScopeKind::Agent, &format!("agent-{n}"));
            for of in [1, 2, 4, 8, 64] {
                let holding: Vec<u32> =
                    (0..of).filter(|number| Share { of, number: *number }.holds(&scope)).collect();
                let halves: Vec<u32> = (0..of * 2)
                    .filter(|number| Share { of: of * 2, number: *number }.holds(&scope))
                    .collect();
                assert_eq!((holding.len(), halves.len()), (1, 1));
                assert_eq!(halves[0] / 2, holding[0]);
            }
        }
    }
}
