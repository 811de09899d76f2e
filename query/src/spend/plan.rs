//! Where the answer is read from: the rollups, if there is a kind of scope for exactly the dimensions that
//! the question names, or else the records.

use std::collections::BTreeSet;

use shared::id::{AgentId, ModelId, TaskId, TeamId};
use shared::rollup::ScopeKind;

use super::{By, SpendRequest};
use crate::fold::Share;

/// Which source may be used; the tests compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Rollups where they serve.
    Best,
    /// Records always.
    #[cfg(test)]
    Records,
}

impl Source {
    /// How records are shared out. The tests have few, of which each worker gets some.
    pub(super) fn share(self) -> Share {
        match self {
            Self::Best => Share::default(),
            #[cfg(test)]
            Self::Records => Share { page: 2, alone: 1, workers: 2 },
        }
    }
}

/// How a question is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// From rollups of one kind.
    Rollups(RollupPlan),
    /// From records.
    Scan {
        /// Whether task outcomes count: not where the question names something that no outcome has.
        outcomes: bool,
    },
}

/// Rollups to read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RollupPlan {
    pub(crate) kind: ScopeKind,
    /// One query for each; none stands for any name.
    pub(crate) names: Vec<(Option<String>, Option<String>)>,
    /// Whether the row's name is the second of the pair.
    pub(crate) by_second: bool,
}

impl RollupPlan {
    /// A model by agent; an empty name for calls that name no model. All agents, or these.
    pub(crate) fn agents_of_model(model: &str, agents: &[AgentId]) -> Self {
        let agents: BTreeSet<_> = agents.iter().collect();
        let mut names: Vec<_> = agents.iter().map(|agent| Some(agent.as_str().to_owned())).collect();
        if names.is_empty() {
            names.push(None);
        }
        let names = names.into_iter().map(|agent| (agent, Some(model.to_owned()))).collect();
        Self { kind: ScopeKind::AgentModel, names, by_second: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dimension {
    Team,
    Agent,
    Task,
    Model,
    Provider,
    Session,
}

impl Plan {
    /// Chooses.
    pub(super) fn of(request: &SpendRequest, source: Source) -> Plan {
        use Dimension::{Agent, Model, Provider, Session, Task, Team};
        let filter = &request.filter;
        let by = match request.by {
            By::Agent => Some(Agent),
            By::Team => Some(Team),
            By::Task => Some(Task),
            By::Session => Some(Session),
            By::Model => Some(Model),
            By::Provider => Some(Provider),
            By::Day | By::Hour => None,
        };
        let mut named: BTreeSet<Dimension> = by.into_iter().collect();
        named.extend((!filter.agents.is_empty()).then_some(Agent));
        named.extend(filter.team.is_some().then_some(Team));
        named.extend(filter.task.is_some().then_some(Task));
        named.extend(filter.model.is_some().then_some(Model));
        named.extend(filter.session.is_some().then_some(Session));

        let outcomes = ![Model, Provider, Session].iter().any(|d| named.contains(d));
        #[cfg(test)]
        if source == Source::Records {
            return Plan::Scan { outcomes };
        }
        #[cfg(not(test))]
        let _ = source;
        let named: Vec<Dimension> = named.into_iter().collect();
        let kind = match named.as_slice() {
            [] => ScopeKind::Org,
            [Team] => ScopeKind::Team,
            [Agent] => ScopeKind::Agent,
            [Task] => ScopeKind::Task,
            [Model] => ScopeKind::Model,
            [Provider] => ScopeKind::Provider,
            [Team, Agent] => ScopeKind::TeamAgent,
            [Agent, Task] => ScopeKind::AgentTask,
            [Agent, Model] => ScopeKind::AgentModel,
            _ => return Plan::Scan { outcomes },
        };
        let names_of = |dimension: Option<&Dimension>| -> Vec<Option<String>> {
            let one = |name: Option<&str>| vec![name.map(str::to_owned)];
            match dimension {
                Some(Team) => one(filter.team.as_ref().map(TeamId::as_str)),
                Some(Task) => one(filter.task.as_ref().map(TaskId::as_str)),
                Some(Model) => one(filter.model.as_ref().map(ModelId::as_str)),
                Some(Agent) if !filter.agents.is_empty() => {
                    let agents: BTreeSet<_> = filter.agents.iter().collect();
                    agents.into_iter().map(|n| Some(n.as_str().to_owned())).collect()
                }
                _ => vec![None],
            }
        };
        let seconds = names_of(named.get(1));
        let pairs = names_of(named.first())
            .into_iter()
            .flat_map(|a| seconds.iter().map(move |b| (a.clone(), b.clone())))
            .collect();
        Plan::Rollups(RollupPlan {
            kind,
            names: pairs,
            by_second: by.is_some() && by == named.get(1).copied(),
        })
    }
}
