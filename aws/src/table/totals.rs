//! Totals as number attributes: exact decimals of at most 38 digits, which DynamoDB adds up itself.

use shared::ledger::LedgerError;
use shared::money::UsdSum;
use shared::rollup::Parts;
use shared::totals::Totals;
use shared::usage::Bucket;
use shared::window::WindowKind;

use super::value::{Item, number_of};

/// DynamoDB keeps 38 digits of a number.
pub(super) const MOST: i128 = 10_i128.pow(38) - 1;

/// The attributes of some parts that are not zero: name, and decimal.
pub(super) fn attributes(parts: &Parts) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (n, totals) in parts.0.iter().enumerate() {
        let mut put = |name: &str, value: String| {
            if value != "0" {
                found.push((format!("{name}_{n}"), value));
            }
        };
        put("events", totals.events.to_string());
        put("unpriced_events", totals.unpriced_events.to_string());
        put("unpriced_tokens", totals.unpriced_tokens.to_string());
        put("usd", totals.cost.to_string());
        put("task_value", totals.task_value.to_string());
        for (name, count) in TASKS.iter().zip(totals.tasks) {
            put(name, count.to_string());
        }
        for bucket in Bucket::ALL {
            put(bucket.name(), totals.usage[bucket as usize].to_string());
        }
    }
    found
}

const TASKS: [&str; 3] = ["task_success", "task_failure", "task_abandoned"];

/// Reads what was added up.
pub(super) fn read(item: &Item, window: WindowKind) -> Result<Parts, LedgerError> {
    let mut parts = Parts::empty(window);
    for (n, totals) in parts.0.iter_mut().enumerate() {
        let name = |name: &str| format!("{name}_{n}");
        totals.events = number_of(item, &name("events"))?.unwrap_or_default();
        totals.unpriced_events = number_of(item, &name("unpriced_events"))?.unwrap_or_default();
        totals.unpriced_tokens = number_of(item, &name("unpriced_tokens"))?.unwrap_or_default();
        totals.cost = number_of::<UsdSum>(item, &name("usd"))?.unwrap_or_default();
        totals.task_value = number_of::<UsdSum>(item, &name("task_value"))?.unwrap_or_default();
        for (slot, task) in totals.tasks.iter_mut().zip(TASKS) {
            *slot = number_of(item, &name(task))?.unwrap_or_default();
        }
        for bucket in Bucket::ALL {
            totals.usage[bucket as usize] = number_of(item, &name(bucket.name()))?.unwrap_or_default();
        }
    }
    Ok(parts)
}

/// No sum over these can change by more than this, in the smallest units of what they hold.
pub(super) fn most_changed<'a>(parts: impl Iterator<Item = &'a Parts>) -> i128 {
    let of = |totals: &Totals| {
        let counts = totals.usage.iter().copied().chain([totals.unpriced_tokens]);
        let money = [totals.cost.units(), totals.task_value.units()];
        counts.chain(money).chain([i128::from(totals.events)]).map(i128::saturating_abs).max()
    };
    parts.flat_map(|parts| parts.0.iter()).filter_map(of).max().unwrap_or(0)
}
