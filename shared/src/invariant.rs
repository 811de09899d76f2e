//! Named laws, and predicates that property tests, the exactly-once suite and `debug_assert!` share.

use std::collections::BTreeMap;

use crate::alert::{Alert, AlertKind, AlertState, ThresholdState, UnpricedOf};
use crate::ledger::Commit;
use crate::usage::Usage;

/// A law with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// Its name, as test failures print it.
    pub name: &'static str,
    /// What it says.
    pub law: &'static str,
}

/// The buckets of a usage add up to the provider's total.
pub const TOKENS_CONSERVED: Invariant =
    Invariant { name: "tokens-conserved", law: "disjoint buckets sum to the provider's total" };
/// Rollups equal the sum over the distinct events accepted.
pub const TOTALS_EXACT: Invariant =
    Invariant { name: "totals-exact", law: "every rollup equals the sum over the distinct events accepted" };
/// Totals recomputed from records are the rollups.
pub const RECOMPUTABLE: Invariant = Invariant {
    name: "recomputable",
    law: "every rollup equals the sum recomputed from the records, to the last digit",
};
/// A commit fits a transaction.
pub const COMMIT_FITS: Invariant = Invariant {
    name: "commit-fits",
    law: "a commit has at most the items that its ledger takes, each of another key",
};
/// One record per crossing.
pub const ONE_ALERT_PER_EPISODE: Invariant = Invariant {
    name: "one-alert-per-episode",
    law: "a threshold's episodes are 1..=n with one alert each, and all but a standing last one have one recovered notice",
};
/// A standing crossing is what the totals say.
pub const STANDING_IS_REACHED: Invariant = Invariant {
    name: "standing-is-reached",
    law: "after evaluation a threshold stands exactly if the totals reach it",
};
/// Alerts arrive.
pub const ALERTS_DELIVERED: Invariant =
    Invariant { name: "alerts-delivered", law: "every alert is delivered at least once, under its id" };

/// Metrics count once.
pub const PUBLISHED_ONCE: Invariant = Invariant {
    name: "published-once",
    law: "where nobody dies, the sum of what is published is what was committed",
};

/// Every law.
pub const ALL: [Invariant; 8] = [
    TOKENS_CONSERVED,
    TOTALS_EXACT,
    RECOMPUTABLE,
    COMMIT_FITS,
    ONE_ALERT_PER_EPISODE,
    STANDING_IS_REACHED,
    ALERTS_DELIVERED,
    PUBLISHED_ONCE,
];

/// [`TOKENS_CONSERVED`].
pub fn tokens_conserved(usage: &Usage, total: u64) -> bool {
    usage.check_total(total).is_ok()
}

/// [`COMMIT_FITS`].
pub fn commit_fits(commit: &Commit, most: usize) -> bool {
    let mut keys: Vec<_> = commit.records.iter().map(|w| (&w.record.agent, &w.record.key)).collect();
    keys.sort_unstable();
    commit.items() <= most && keys.windows(2).all(|pair| pair[0] != pair[1])
}

/// [`ONE_ALERT_PER_EPISODE`], over the alerts of one budget version and period, or the notices of one month.
pub fn one_alert_per_episode(state: &AlertState, alerts: &[Alert]) -> bool {
    let episodes = |percent: u32, kind: AlertKind| {
        let mut found: Vec<u32> = alerts
            .iter()
            .filter(|a| a.threshold_percent == percent && a.kind == kind)
            .map(|a| a.episode)
            .collect();
        found.sort_unstable();
        found
    };
    let of_budget = |alert: &&Alert| alert.kind.is_of_budget();
    let known = alerts.iter().filter(of_budget).all(|a| state.thresholds.contains_key(&a.threshold_percent));
    known
        && one_notice_per_episode(state, alerts)
        && state.thresholds.iter().all(|(percent, threshold)| {
            let ended = threshold.episode - u32::from(threshold.standing);
            episodes(*percent, AlertKind::Threshold) == (1..=threshold.episode).collect::<Vec<_>>()
                && episodes(*percent, AlertKind::Recovered) == (1..=ended).collect::<Vec<_>>()
        })
}

fn one_notice_per_episode(state: &AlertState, alerts: &[Alert]) -> bool {
    let mut found: BTreeMap<(&UnpricedOf, AlertKind), Vec<u32>> = BTreeMap::new();
    for alert in alerts.iter().filter(|alert| !alert.kind.is_of_budget()) {
        let Some(of) = alert.unpriced.as_ref().and_then(|unpriced| unpriced.of.as_ref()) else {
            return false;
        };
        found.entry((of, alert.kind)).or_default().push(alert.episode);
    }
    let standing = |of: &UnpricedOf| match of {
        UnpricedOf::Model(model) => state.unpriced.models.get(model.as_str()).copied(),
        UnpricedOf::NotStated => state.unpriced.models.get("").copied(),
        UnpricedOf::Others => Some(state.unpriced.others),
    };
    let decided = state.unpriced.models.values().chain([&state.unpriced.others]);
    let told: u32 = decided.map(|of| 2 * of.episode - u32::from(of.standing)).sum();
    usize::try_from(told).is_ok_and(|told| told == found.values().map(Vec::len).sum::<usize>())
        && found.iter_mut().all(|((of, kind), episodes)| {
            episodes.sort_unstable();
            let ends = |of: ThresholdState| of.episode - u32::from(of.standing && *kind == AlertKind::Priced);
            standing(of).is_some_and(|of| *episodes == (1..=ends(of)).collect::<Vec<_>>())
        })
}
