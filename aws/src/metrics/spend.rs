//! What was spent in the UTC month so far, as an absolute value: whatever deltas were lost, this is right again a
//! minute later.

use std::sync::PoisonError;

use aws_sdk_cloudwatch::types::StandardUnit;
use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::ledger::{LedgerError, RollupQuery, RollupStore};
use shared::money::UsdSum;
use shared::rollup::ScopeKind;
use shared::totals::Totals;
use shared::window::WindowKind;

use super::CloudWatch;
use super::data::Data;
use super::series::{Dimension, OTHER, SeriesStore};

/// How often it is published at most, by one process.
const EVERY: SignedDuration = SignedDuration::from_mins(1);

impl<S: SeriesStore, C: Clock> CloudWatch<S, C> {
    /// Publishes `SpendToDate`, unless this process did so within the last minute; answers whether it did.
    ///
    /// An unknown cost is no zero: an agent of whose calls none is priced has no value.
    pub async fn publish_spend<L: RollupStore>(
        &self,
        ledger: &L,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        {
            let mut last = self.spend_at.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| now.duration_since(last) < EVERY) {
                return Ok(false);
            }
            // Before it is done: a ledger that is slow is not asked by the next batch as well.
            *last = Some(now);
        }
        let series = self.series(now).await;
        let agents: Vec<&str> = series.names(Dimension::Agent).collect();
        let from = WindowKind::Month.start(now.as_second());
        let to = WindowKind::Month.end(from);
        let of = |kind, a: Option<&str>| {
            let a = a.map(str::to_owned);
            RollupQuery { kind, a, b: None, window: WindowKind::Month, from, to }
        };
        let mut queries = vec![of(ScopeKind::Org, None)];
        queries.extend(agents.iter().map(|agent| of(ScopeKind::Agent, Some(agent))));
        let mut sums = vec![Totals::default(); queries.len()];
        let mut take = |n: usize, row: shared::ledger::RollupRow| {
            for part in &row.parts.0 {
                if let Some(sum) = sums.get_mut(n) {
                    sum.add(part).map_err(|e| LedgerError::Broken(e.to_string()))?;
                }
            }
            Ok(())
        };
        ledger.rollups(&queries, &mut take).await?;
        let (org, by_agent) = (sums.first().cloned().unwrap_or_default(), sums.get(1..).unwrap_or_default());
        let mut data = Data::new(now);
        let mut publish = |of, totals: &Totals| {
            if let Some(spent) = spent(totals) {
                data.number("SpendToDate", of, StandardUnit::None, &spent);
            }
        };
        publish(None, &org);
        let mut other = org;
        for (agent, totals) in agents.iter().zip(by_agent) {
            publish(Some((Dimension::Agent, agent)), totals);
            // It was added to the organisation's sum, so it can be taken away.
            let _ = other.add(&totals.negated());
        }
        publish(Some((Dimension::Agent, OTHER)), &other);
        self.put(data.into_inner()).await;
        Ok(true)
    }
}

/// What is known to be spent: nothing where nothing was done, none where no price is known.
fn spent(totals: &Totals) -> Option<UsdSum> {
    totals.known_cost().or((totals.events <= 0).then_some(UsdSum::ZERO))
}
