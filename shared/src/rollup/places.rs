//! Where events belong, by number: names are compared and hashed once for each event, and not for each of its
//! rollups.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Scope, ScopeKind};
use crate::event::UsageEvent;
use crate::id::{AgentId, ModelId, ProviderId, TaskId, TeamId};
use crate::totals::{Overflow, Totals};
use crate::window::QUARTER;

/// Of [`Places::texts`].
type Name = u32;
/// Of [`Places::scopes`].
pub(super) type ScopeAt = u32;

/// What events of one place and one quarter hour add to each of their rollups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    pub(super) place: u32,
    /// Start of the quarter hour, in Unix seconds.
    pub(super) quarter: i64,
    pub(super) totals: Totals,
}

impl Share {
    /// One event's, at a second of its time.
    pub fn new(place: Place, second: i64, totals: Totals) -> Self {
        Self { place: place.0, quarter: second - second.rem_euclid(QUARTER), totals }
    }

    /// Whether it is of the same place and quarter hour.
    pub fn is_beside(&self, other: &Share) -> bool {
        self.place == other.place && self.quarter == other.quarter
    }

    /// Adds the sums of one of the same place and quarter hour.
    pub fn add(&mut self, other: &Share) -> Result<(), Overflow> {
        self.totals.add(&other.totals)
    }
}

/// The scopes of an event, as [`Places`] numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

/// A model call has all of them; a task's outcome has no model.
const CALL: usize = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Names {
    agent: Name,
    team: Name,
    task: Name,
    /// Model and provider.
    call: Option<(Name, Name)>,
}

/// One scope by the numbers of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Numbers {
    kind: ScopeKind,
    a: Name,
    b: Name,
}

/// The names, scopes and places met so far.
#[derive(Debug, Default)]
pub struct Places {
    names: HashMap<Arc<str>, Name>,
    texts: Vec<Arc<str>>,
    scope_of: HashMap<Numbers, ScopeAt>,
    scopes: Vec<Numbers>,
    place_of: HashMap<Names, u32>,
    scopes_of_place: Vec<([ScopeAt; CALL], usize)>,
}

impl Places {
    /// The place of a model call: the scopes are those of [`Scope::of_call`].
    pub fn of_call(&mut self, agent: &AgentId, event: &UsageEvent) -> Place {
        let team = event.team_id.as_ref().map_or("", TeamId::as_str);
        let task = event.task_id.as_ref().map_or("", TaskId::as_str);
        let model = event.model.as_ref().map_or("", ModelId::as_str);
        let provider = event.provider.as_ref().map_or("", ProviderId::as_str);
        let call = (self.name(model), self.name(provider));
        self.place(agent, team, task, Some(call))
    }

    /// The place of a task's outcome: the scopes are those of [`Scope::of_task`].
    pub fn of_task(&mut self, agent: &AgentId, team: Option<&TeamId>, task: &TaskId) -> Place {
        self.place(agent, team.map_or("", TeamId::as_str), task.as_str(), None)
    }

    fn place(&mut self, agent: &AgentId, team: &str, task: &str, call: Option<(Name, Name)>) -> Place {
        let (agent, team, task) = (self.name(agent.as_str()), self.name(team), self.name(task));
        let names = Names { agent, team, task, call };
        if let Some(known) = self.place_of.get(&names) {
            return Place(*known);
        }
        let none = self.name("");
        let one = |kind, a| Numbers { kind, a, b: none };
        let pair = |kind, a, b| Numbers { kind, a, b };
        let (model, provider) = call.unwrap_or((none, none));
        let all = [
            one(ScopeKind::Org, none),
            one(ScopeKind::Team, team),
            one(ScopeKind::Agent, agent),
            one(ScopeKind::Task, task),
            pair(ScopeKind::TeamAgent, team, agent),
            pair(ScopeKind::AgentTask, agent, task),
            one(ScopeKind::Model, model),
            one(ScopeKind::Provider, provider),
            pair(ScopeKind::AgentModel, agent, model),
        ];
        let len = if call.is_some() { CALL } else { CALL - 3 };
        let mut scopes = [0; CALL];
        for (slot, numbers) in scopes.iter_mut().zip(all).take(len) {
            *slot = self.scope(numbers);
        }
        let place = number(self.scopes_of_place.len());
        self.scopes_of_place.push((scopes, len));
        self.place_of.insert(names, place);
        Place(place)
    }

    fn name(&mut self, text: &str) -> Name {
        if let Some(known) = self.names.get(text) {
            return *known;
        }
        let name = number(self.texts.len());
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.names.insert(text, name);
        name
    }

    fn scope(&mut self, numbers: Numbers) -> ScopeAt {
        let next = number(self.scopes.len());
        let at = *self.scope_of.entry(numbers).or_insert(next);
        if at == next {
            self.scopes.push(numbers);
        }
        at
    }

    pub(super) fn scopes_of(&self, share: &Share) -> &[ScopeAt] {
        self.scopes_of_place
            .get(share.place as usize)
            .and_then(|(scopes, len)| scopes.get(..*len))
            .unwrap_or_default()
    }

    /// Scopes in the order of their keys.
    pub(super) fn key(&self, at: ScopeAt) -> (ScopeKind, &str, &str) {
        let text = |name: Name| self.texts.get(name as usize).map_or("", |text| &**text);
        let none = (ScopeKind::Org, "", "");
        self.scopes.get(at as usize).map_or(none, |scope| (scope.kind, text(scope.a), text(scope.b)))
    }

    pub(super) fn scope_at(&self, at: ScopeAt) -> Scope {
        let (kind, a, b) = self.key(at);
        Scope { kind, a: a.to_owned(), b: b.to_owned() }
    }
}

/// A batch, or a record, has fewer events than this has numbers, and an event fewer than ten names and scopes.
fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
