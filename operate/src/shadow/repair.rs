//! The repair of rollups: what their records add up to and they do not hold is added, without a record.
//!
//! An addition without a record has no condition of its own, and a commit without an answer may have happened. So each
//! commit also moves a mark in the ledger, from the version that was read before the rollups were. Whatever was
//! committed since then, by a commit thought lost or by somebody else who repairs, refuses the next one, and the
//! difference is worked out anew. Breaking it off at any point leaves a smaller difference.

use shared::id::{AgentId, RecordKey, SealKey};
use shared::ledger::{
    Commit, CommitError, LedgerError, OPERATOR_LANE, RecordStore, RecordWrite, RollupStore,
};
use shared::record::{Record, RecordData};
use shared::rollup::{Additions, RollupKey};

use super::compare::Share;
use super::slices::Slice;
use super::{Report, Shadow, ShadowError};

/// How often the difference is worked out anew.
const ATTEMPTS: u32 = 8;

/// Where the mark is: in a part that no submission has, so that nothing sent can take its place.
fn mark() -> Result<(AgentId, RecordKey), LedgerError> {
    let broken = |error: &dyn std::fmt::Display| LedgerError::Broken(error.to_string());
    let agent = AgentId::parse("agentledger").map_err(|e| broken(&e))?;
    let key = SealKey::parse("repair").map_err(|e| broken(&e))?;
    Ok((agent, RecordKey::Part(key, u32::MAX)))
}

impl<L: RecordStore + RollupStore> Shadow<L> {
    /// Repairs one share of a slice; false if it is too much for one pass.
    pub(super) async fn repair(
        &self,
        slice: &Slice,
        share: Share,
        report: &mut Report,
    ) -> Result<bool, ShadowError> {
        let place = mark()?;
        for attempt in 0..ATTEMPTS {
            let read = self.ledger.get(std::slice::from_ref(&place)).await?;
            let version = read.into_iter().next().flatten().map(|record| record.version);
            // What is found is told as it was at first.
            let mut again = Report::default();
            let seen = if attempt == 0 { &mut *report } else { &mut again };
            let Some(missing) = self.compare(slice, share, seen).await? else { return Ok(false) };
            if missing.is_empty() {
                return Ok(true);
            }
            self.add(&place, version, &missing, report).await?;
        }
        Err(ShadowError::Busy(ATTEMPTS))
    }

    /// Adds as much as is taken. What is not, or may not have been, is found by the next comparison.
    async fn add(
        &self,
        (agent, key): &(AgentId, RecordKey),
        mut expected: Option<u64>,
        missing: &Additions,
        report: &mut Report,
    ) -> Result<(), ShadowError> {
        let room = self.ledger.max_commit_items().saturating_sub(1).max(1);
        let mut last: Option<RollupKey> = None;
        loop {
            let (additions, is_last) = missing.after(last.as_ref(), room);
            last = additions.last().cloned();
            let count = additions.len() as u64;
            let version = expected.unwrap_or(0) + 1;
            let (agent, key) = (agent.clone(), key.clone());
            let record = Record { agent, key, version, data: RecordData::awaited() };
            let records = vec![RecordWrite { expected, record }];
            match self.ledger.commit(Commit { records, additions, lane: OPERATOR_LANE }).await {
                Ok(()) => report.repaired += count,
                Err(CommitError::Refused(_) | CommitError::Ledger(LedgerError::Retry(_))) => return Ok(()),
                Err(CommitError::Overflow(overflow)) => return Err(overflow.into()),
                Err(CommitError::Ledger(error)) => return Err(error.into()),
            }
            expected = Some(version);
            if is_last {
                return Ok(());
            }
        }
    }
}
