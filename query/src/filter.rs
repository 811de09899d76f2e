//! Which events a report is about.

use serde::Serialize;
use shared::id::{AgentId, ModelId, SessionId, TaskId, TeamId};
use shared::record::Call;

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
        let team = event.team_id.as_ref().map(TeamId::as_str);
        self.takes_work(agent, team, event.task_id.as_ref().map(TaskId::as_str))
            && same(self.model.as_ref().map(ModelId::as_str), event.model.as_ref().map(ModelId::as_str))
            && same(
                self.session.as_ref().map(SessionId::as_str),
                event.session_id.as_ref().map(SessionId::as_str),
            )
    }

    /// The same of a call in a listing.
    pub(crate) fn takes_call(&self, agent: &AgentId, call: &Call<'_>) -> bool {
        self.takes_work(agent, call.team, call.task)
            && same(self.model.as_ref().map(ModelId::as_str), call.model)
            && same(self.session.as_ref().map(SessionId::as_str), call.session)
    }

    /// Whether work of `agent` passes, as far as agent, team and task go.
    pub(crate) fn takes_work(&self, agent: &AgentId, team: Option<&str>, task: Option<&str>) -> bool {
        (self.agents.is_empty() || self.agents.contains(agent))
            && same(self.team.as_ref().map(TeamId::as_str), team)
            && same(self.task.as_ref().map(TaskId::as_str), task)
    }
}

fn same(wanted: Option<&str>, found: Option<&str>) -> bool {
    wanted.is_none() || wanted == found
}
