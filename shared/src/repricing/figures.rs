//! What a repricing changes, in numbers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{AgentId, ModelId};
use crate::money::{Usd, UsdSum};
use crate::totals::Overflow;

/// What a repricing does to a set of calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Calls looked at. One that was voided counts nowhere.
    pub events: u64,
    /// Of those, calls whose prices change. Prices that are the same in another version are no change.
    pub changed: u64,
    /// Known cost before.
    pub cost_before_usd: UsdSum,
    /// Known cost after.
    pub cost_after_usd: UsdSum,
    /// The second less the first.
    pub difference_usd: UsdSum,
    /// Calls whose cost was unknown and is known.
    pub newly_priced: u64,
    /// Calls whose cost was known and is unknown.
    pub newly_unpriced: u64,
}

impl Figures {
    /// Counts one call, with its costs before and after.
    pub(super) fn count(
        &mut self,
        changed: bool,
        before: Option<Usd>,
        after: Option<Usd>,
    ) -> Result<(), Overflow> {
        let sum = |cost: Option<Usd>| cost.map_or(UsdSum::ZERO, UsdSum::from);
        let (cost_before_usd, cost_after_usd) = (sum(before), sum(after));
        self.add(&Figures {
            events: 1,
            changed: u64::from(changed),
            cost_before_usd,
            cost_after_usd,
            difference_usd: cost_after_usd.checked_add(cost_before_usd.negated()).ok_or(MONEY)?,
            newly_priced: u64::from(before.is_none() && after.is_some()),
            newly_unpriced: u64::from(before.is_some() && after.is_none()),
        })
    }

    /// Adds those of other calls. On an error `self` is to be dropped.
    pub fn add(&mut self, other: &Figures) -> Result<(), Overflow> {
        self.events += other.events;
        self.changed += other.changed;
        self.newly_priced += other.newly_priced;
        self.newly_unpriced += other.newly_unpriced;
        for (sum, more) in [
            (&mut self.cost_before_usd, other.cost_before_usd),
            (&mut self.cost_after_usd, other.cost_after_usd),
            (&mut self.difference_usd, other.difference_usd),
        ] {
            *sum = sum.checked_add(more).ok_or(MONEY)?;
        }
        Ok(())
    }
}

const MONEY: Overflow = Overflow("sum of 10^23 US dollars");

/// By agent and model; none where a call states no model.
pub type FiguresBy = BTreeMap<(AgentId, Option<ModelId>), Figures>;
