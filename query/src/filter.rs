//! Which events a report is about.

use serde::Serialize;
use shared::id::{AgentId, ModelId, SessionId, TaskId, TeamId};

/// What an event must be to count; an empty filter takes all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Of one of these agents; of any if there is none.
    pub agents: Vec<AgentId>,
    /// Paid by this team.
    pub team: Option<TeamId>,
    /// Of this task.
    pub task: Option<TaskId>,
    /// Of this conversation or run.
    pub session: Option<SessionId>,
    /// By this model.
    pub model: Option<ModelId>,
}

impl Filter {
    /// Whether a call of `agent` passes.
    pub(crate) fn takes(&self, agent: &AgentId, event: &shared::event::UsageEvent) -> bool {
        self.takes_work(agent, event.team_id.as_ref(), event.task_id.as_ref())
            && same(self.model.as_ref(), event.model.as_ref())
            && same(self.session.as_ref(), event.session_id.as_ref())
    }

    /// Whether work of `agent` passes, as far as agent, team and task go.
    pub(crate) fn takes_work(&self, agent: &AgentId, team: Option<&TeamId>, task: Option<&TaskId>) -> bool {
        (self.agents.is_empty() || self.agents.contains(agent))
            && same(self.team.as_ref(), team)
            && same(self.task.as_ref(), task)
    }
}

fn same<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
    wanted.is_none() || wanted == found
}
