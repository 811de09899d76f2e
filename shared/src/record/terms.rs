//! What a record says of its calls beside the calls themselves, and so how much of each counts and what it costs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Correction;
use crate::id::EventIndex;
use crate::money::Usd;
use crate::price::AppliedPrice;
use crate::repricing::Adjustment;
use crate::usage::Usage;

/// The prices and the corrections of a record.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) prices: &'a [Arc<AppliedPrice>],
    pub(crate) adjustments: &'a [Adjustment],
    pub(crate) corrections: &'a BTreeMap<EventIndex, Correction>,
}

impl<'a> Terms<'a> {
    /// The counts of a call that hold; none if it was voided, for good.
    pub(crate) fn usage(&self, index: EventIndex, sent: Usage) -> Option<Usage> {
        match self.corrections.get(&index) {
            Some(Correction { void: Some(_), .. }) => None,
            Some(Correction { amend: Some(amend), .. }) => Some(amend.usage),
            _ => Some(sent),
        }
    }

    /// Places of the prices that a call may have now: those of the last adjustment, or the `first` ones.
    pub(crate) fn places(&self, index: EventIndex, first: &'a [usize]) -> &'a [usize] {
        let adjusted = self.adjustments.iter().rev().find_map(|adjustment| adjustment.prices.get(&index));
        adjusted.map_or(first, Vec::as_slice)
    }

    /// The first of these prices that has one for everything used, and what that costs.
    pub(crate) fn apply(&self, places: &[usize], usage: &Usage) -> Option<(&'a AppliedPrice, Usd)> {
        let mut candidates = places.iter().filter_map(|at| self.prices.get(*at));
        candidates.find_map(|price| Some((&**price, price.cost(usage)?)))
    }
}
