//! What agents send.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use super::numbers::common_divisor;

/// How submissions of agents follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arrivals {
    /// Agents take turns, all begin a task at the beginning, and one ingest process takes all: as `docs/cost.md`
    /// counts them.
    InTurn,
    /// Each agent by itself, at random times, in whatever part of its task, through as many processes as it takes.
    Random,
}

/// What is sent, and by whom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Workload {
    pub(crate) agents: u32,
    /// Events a second of all agents together.
    pub(crate) rate: f64,
    /// Events of a submission, sealed and of one agent.
    pub(crate) batch: u32,
    /// The part of all events that the busiest agent sends; the others share the rest evenly.
    pub(crate) busiest: f64,
    pub(crate) arrivals: Arrivals,
    pub(crate) shape: Shape,
}

/// What calls have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Calls of one task.
    pub(crate) task_calls: u32,
    /// Agents of one team.
    pub(crate) team_agents: u32,
    /// Models in use, and how many of them an agent uses in turn.
    pub(crate) models: u32,
    pub(crate) models_of_agent: u32,
    pub(crate) providers: u32,
    /// Budgets that every change concerns, none of them crossed.
    pub(crate) budgets: u32,
}

impl Default for Shape {
    /// As in `docs/cost.md`.
    fn default() -> Self {
        Self { task_calls: 50, team_agents: 10, models: 6, models_of_agent: 2, providers: 3, budgets: 5 }
    }
}

impl Workload {
    /// Agents alike, each by itself.
    pub(crate) fn of(agents: u32, rate: f64, batch: u32) -> Self {
        let busiest = 1.0 / f64::from(agents.max(1));
        Self { agents, rate, batch, busiest, arrivals: Arrivals::Random, shape: Shape::default() }
    }

    /// Submissions a second.
    pub(crate) fn submissions(&self) -> f64 {
        self.rate / f64::from(self.batch)
    }

    pub(crate) fn teams(&self) -> f64 {
        (f64::from(self.agents) / f64::from(self.shape.team_agents)).max(1.0)
    }

    /// Calls from one submission's place in a task to the next possible one.
    pub(crate) fn stride(&self) -> u32 {
        common_divisor(self.batch, self.shape.task_calls)
    }
}
