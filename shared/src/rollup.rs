//! Rollups: which totals an event belongs to, and the additions that a commit makes to them.

mod places;
mod sums;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::event::UsageEvent;
use crate::id::{AgentId, TaskId, TeamId};
use crate::totals::{Overflow, Totals};
use crate::window::{WindowKind, quarter_of_hour};
pub use places::{Place, Places, Share};
pub use sums::Sums;

/// The dimensions that totals are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ScopeKind {
    /// Everything.
    Org = 0,
    /// By team.
    Team = 1,
    /// By agent.
    Agent = 2,
    /// By task.
    Task = 3,
    /// By model.
    Model = 4,
    /// By provider.
    Provider = 5,
    /// By agent within a team.
    TeamAgent = 6,
    /// By task within an agent.
    AgentTask = 7,
    /// By model within an agent.
    AgentModel = 8,
}

impl ScopeKind {
    /// Every kind.
    pub const ALL: [ScopeKind; 9] = [
        Self::Org,
        Self::Team,
        Self::Agent,
        Self::Task,
        Self::Model,
        Self::Provider,
        Self::TeamAgent,
        Self::AgentTask,
        Self::AgentModel,
    ];

    /// Its name in keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Org => "org",
            Self::Team => "team",
            Self::Agent => "agent",
            Self::Task => "task",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::TeamAgent => "team_agent",
            Self::AgentTask => "agent_task",
            Self::AgentModel => "agent_model",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it is a dimension of its own, that a budget can be set on, and no pair.
    pub fn is_pair(self) -> bool {
        matches!(self, Self::TeamAgent | Self::AgentTask | Self::AgentModel)
    }
}

/// One row of one dimension. An empty name stands for "not stated": ids are never empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The dimension.
    pub kind: ScopeKind,
    /// The name, or the first of a pair; empty for the organisation.
    pub a: String,
    /// The second of a pair.
    pub b: String,
}

impl Scope {
    /// The whole organisation.
    pub fn org() -> Self {
        Self { kind: ScopeKind::Org, a: String::new(), b: String::new() }
    }

    /// A single dimension's row.
    pub fn one(kind: ScopeKind, name: &str) -> Self {
        Self { kind, a: name.to_owned(), b: String::new() }
    }

    fn pair(kind: ScopeKind, a: &str, b: &str) -> Self {
        Self { kind, a: a.to_owned(), b: b.to_owned() }
    }

    /// The scopes of a model call.
    pub fn of_call(agent: &AgentId, event: &UsageEvent) -> [Scope; 9] {
        let agent = agent.as_str();
        let team = event.team_id.as_ref().map_or("", TeamId::as_str);
        let task = event.task_id.as_ref().map_or("", TaskId::as_str);
        let model = event.model.as_ref().map_or("", |m| m.as_str());
        let provider = event.provider.as_ref().map_or("", |p| p.as_str());
        [
            Self::org(),
            Self::one(ScopeKind::Team, team),
            Self::one(ScopeKind::Agent, agent),
            Self::one(ScopeKind::Task, task),
            Self::one(ScopeKind::Model, model),
            Self::one(ScopeKind::Provider, provider),
            Self::pair(ScopeKind::TeamAgent, team, agent),
            Self::pair(ScopeKind::AgentTask, agent, task),
            Self::pair(ScopeKind::AgentModel, agent, model),
        ]
    }

    /// The scopes of a task's outcome: no model has done it.
    pub fn of_task(agent: &AgentId, team: Option<&TeamId>, task: &TaskId) -> [Scope; 6] {
        let team = team.map_or("", TeamId::as_str);
        [
            Self::org(),
            Self::one(ScopeKind::Team, team),
            Self::one(ScopeKind::Agent, agent.as_str()),
            Self::one(ScopeKind::Task, task.as_str()),
            Self::pair(ScopeKind::TeamAgent, team, agent.as_str()),
            Self::pair(ScopeKind::AgentTask, agent.as_str(), task.as_str()),
        ]
    }
}

/// A rollup's identity, its lane aside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RollupKey {
    /// Of what.
    pub scope: Scope,
    /// In windows of which kind.
    pub window: WindowKind,
    /// The window's start in Unix seconds.
    pub start: i64,
}

/// `%`, `#` and everything invisible: what would make a key's parts ambiguous.
const KEY_ESCAPES: &AsciiSet = &CONTROLS.add(b'%').add(b'#');

impl RollupKey {
    /// The item key in a table: partition key and sort key, without the lane.
    pub fn item_key(&self) -> (String, String) {
        let window = match self.window {
            WindowKind::Hour => 'H',
            WindowKind::Day => 'D',
            WindowKind::Month => 'M',
        };
        let a = utf8_percent_encode(&self.scope.a, KEY_ESCAPES);
        let b = utf8_percent_encode(&self.scope.b, KEY_ESCAPES);
        (format!("R#{}#{a}#{b}", self.scope.kind.name()), format!("{window}#{:012}", self.start))
    }

    /// Reads an item key back; `None` if it is no rollup's. A lane after the window is ignored.
    pub fn from_item_key(pk: &str, sk: &str) -> Option<Self> {
        let mut parts = pk.strip_prefix("R#")?.split('#');
        let kind = ScopeKind::from_name(parts.next()?)?;
        let mut name = || Some(percent_decode_str(parts.next()?).decode_utf8().ok()?.into_owned());
        let scope = Scope { kind, a: name()?, b: name()? };
        let mut parts = sk.split('#');
        let window = match parts.next()? {
            "H" => WindowKind::Hour,
            "D" => WindowKind::Day,
            "M" => WindowKind::Month,
            _ => return None,
        };
        Some(Self { scope, window, start: parts.next()?.parse().ok()? })
    }
}

impl fmt::Display for RollupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pk, sk) = self.item_key();
        write!(f, "{pk} {sk}")
    }
}

/// Subtotals of one rollup: four quarters for an hour, one otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts(pub Vec<Totals>);

impl Parts {
    /// Nothing yet.
    pub fn empty(window: WindowKind) -> Self {
        Self(vec![Totals::default(); window.parts()])
    }

    /// The same sums with the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self(self.0.iter().map(Totals::negated).collect())
    }

    /// Whether adding them would change nothing.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(Totals::is_zero)
    }

    /// Adds part by part.
    pub fn add(&mut self, other: &Parts) -> Result<(), Overflow> {
        let mut sum = self.clone();
        for (slot, more) in sum.0.iter_mut().zip(&other.0) {
            slot.add(more)?;
        }
        *self = sum;
        Ok(())
    }
}

/// Additions to rollups, merged by key. Ordered, so that two builders of the same additions agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions(BTreeMap<RollupKey, Parts>);

impl Additions {
    /// Adds `totals`, booked at `time`, to every window of every scope.
    pub fn add(&mut self, scopes: &[Scope], time: Timestamp, totals: &Totals) -> Result<(), Overflow> {
        let at = time.as_second();
        for scope in scopes {
            for window in WindowKind::ALL {
                let key = RollupKey { scope: scope.clone(), window, start: window.start(at) };
                let part = if window == WindowKind::Hour { quarter_of_hour(at) } else { 0 };
                let parts = self.0.entry(key).or_insert_with(|| Parts::empty(window));
                if let Some(slot) = parts.0.get_mut(part) {
                    slot.add(totals)?;
                }
            }
        }
        Ok(())
    }

    /// Puts one rollup's addition in the place of what was there.
    pub fn insert(&mut self, key: RollupKey, parts: Parts) {
        self.0.insert(key, parts);
    }

    /// Takes one rollup's addition out.
    pub fn take(&mut self, key: &RollupKey) -> Option<Parts> {
        self.0.remove(key)
    }

    /// Adds all of `other`; on an error, `self` may hold a part of it and is to be dropped.
    pub fn merge(&mut self, other: &Additions) -> Result<(), Overflow> {
        for (key, parts) in &other.0 {
            match self.0.get_mut(key) {
                Some(sum) => sum.add(parts)?,
                None => {
                    self.0.insert(key.clone(), parts.clone());
                }
            }
        }
        Ok(())
    }

    /// How many rollups there would be with those of `other`.
    pub fn len_with(&self, other: &Additions) -> usize {
        self.0.len() + other.0.keys().filter(|key| !self.0.contains_key(*key)).count()
    }

    /// How many rollups.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops additions of nothing: what a correction left as it was.
    #[must_use]
    pub fn without_zeros(mut self) -> Self {
        self.0.retain(|_, parts| !parts.is_zero());
        self
    }

    /// By key.
    pub fn iter(&self) -> impl Iterator<Item = (&RollupKey, &Parts)> {
        self.0.iter()
    }

    /// At most `len` of them that come after `last` in key order, and whether these are all.
    pub fn after(&self, last: Option<&RollupKey>, len: usize) -> (Additions, bool) {
        use std::ops::Bound::{Excluded, Unbounded};
        let mut rest = self.0.range((last.map_or(Unbounded, Excluded), Unbounded));
        let some = rest.by_ref().take(len).map(|(key, parts)| (key.clone(), parts.clone())).collect();
        (Self(some), rest.next().is_none())
    }

    /// The last of them in key order.
    pub fn last(&self) -> Option<&RollupKey> {
        self.0.last_key_value().map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_keys_are_unambiguous_and_come_back() {
        for (a, b) in [("a#b", "c"), ("a", "b#c"), ("", ""), ("100%", "#")] {
            let scope = Scope { kind: ScopeKind::AgentTask, a: a.into(), b: b.into() };
            let key = RollupKey { scope, window: WindowKind::Hour, start: 1_795_000_000 };
            let (pk, sk) = key.item_key();
            assert_eq!(RollupKey::from_item_key(&pk, &sk), Some(key.clone()));
            assert_eq!(RollupKey::from_item_key(&pk, &format!("{sk}#3")), Some(key));
        }
        assert_eq!(RollupKey::from_item_key("A#x", "E#y"), None);
    }
}
