//! What a replay found.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use shared::id::AgentId;
use shared::money::UsdSum;
use shared::totals::Totals;
use shared::wire::Entry;

use super::tally::Sums;
use crate::refusals::Refused;

/// The most things put aside that are listed one by one.
const LISTED: usize = 100;

/// How far a replay is, to go on from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// By shard: the last record that is done.
    pub after: BTreeMap<String, String>,
    /// Shards of which all is done.
    pub done: BTreeSet<String>,
}

/// What one agent's newly counted events add.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRow {
    /// Whose; none in the sum of all.
    pub agent: Option<AgentId>,
    /// Events; fewer than none where a correction takes some away.
    pub events: i64,
    /// Their tokens.
    pub tokens: i128,
    /// Their known cost.
    pub cost_usd: UsdSum,
    /// Events whose cost is unknown.
    pub unpriced_events: i64,
}

impl AgentRow {
    fn new(agent: Option<AgentId>, totals: &Totals) -> Self {
        Self {
            agent,
            events: totals.events,
            tokens: totals.tokens(),
            cost_usd: totals.cost,
            unpriced_events: totals.unpriced_events,
        }
    }
}

/// Something that is put aside, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsideRow {
    /// Its id in the quarantine.
    pub id: String,
    /// Where in the stream it is.
    pub position: String,
    /// Its code.
    pub code: String,
    /// What is wrong.
    pub reason: String,
}

/// What a replay did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whether it was written.
    pub applied: bool,
    /// Whether it went to the end.
    pub complete: bool,
    /// Why it did not.
    pub stopped: Option<String>,
    /// Records of the stream that were read.
    pub records: u64,
    /// What is counted since, by agent.
    pub rows: Vec<AgentRow>,
    /// All of these.
    pub total: AgentRow,
    /// Units (an event, or an agent's part of a sealed submission) that were counted before.
    pub duplicates: u64,
    /// Units that came with other content than what stands, and were not known as that.
    pub conflicts: u64,
    /// How much is put aside that was not.
    pub quarantined: u64,
    /// The first of these.
    pub aside: Vec<AsideRow>,
    /// Events that are too old to be counted, as their period is closed. They are not put aside.
    pub too_old: u64,
    /// Records that cannot be read, where only one agent's were asked for.
    pub unreadable: u64,
    /// How far it is.
    pub position: Position,
}

impl Report {
    /// Whether nothing changes.
    pub fn is_nothing(&self) -> bool {
        self.rows.is_empty() && self.conflicts == 0 && self.quarantined == 0
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) records: u64,
    pub(super) unreadable: u64,
    stopped: Option<String>,
    aside: Vec<AsideRow>,
    quarantined: u64,
    too_old: u64,
}

impl Found {
    pub(super) fn stop(&mut self, why: &str) {
        self.stopped = Some(why.to_owned());
    }

    /// Takes in what the aggregator refused.
    pub(super) fn refused(&mut self, refused: Vec<Refused>) {
        let mut seen = BTreeSet::new();
        for Refused { item, is_new } in refused {
            if item.code == "closed_period" {
                // What failed beside it was given again, and it with that.
                if !seen.insert(item.id) {
                    continue;
                }
                self.too_old += events(&item.payload);
            } else if is_new {
                self.quarantined += 1;
                if self.aside.len() < LISTED {
                    let (id, position) = (item.id, item.position);
                    self.aside.push(AsideRow { id, position, code: item.code, reason: item.reason });
                }
            }
        }
    }

    pub(super) fn report(self, applied: bool, sums: Sums, position: Position) -> Report {
        let mut total = Totals::default();
        let rows = sums.agents.into_iter().filter(|(_, totals)| !totals.is_zero());
        let rows = rows.map(|(agent, totals)| {
            // As in the tally: the ledger has a sum that would not fit.
            let _ = total.add(&totals);
            AgentRow::new(Some(agent), &totals)
        });
        Report {
            applied,
            complete: self.stopped.is_none(),
            stopped: self.stopped,
            records: self.records,
            rows: rows.collect(),
            total: AgentRow::new(None, &total),
            duplicates: sums.duplicates,
            conflicts: sums.conflicts,
            quarantined: self.quarantined,
            aside: self.aside,
            too_old: self.too_old,
            unreadable: self.unreadable,
            position,
        }
    }
}

/// How many events something put aside holds.
fn events(payload: &str) -> u64 {
    match serde_json::from_str(payload) {
        Ok(Entry::Part(part)) => (part.events.len() + part.outcomes.len()) as u64,
        _ => 1,
    }
}
