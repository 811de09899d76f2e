//! How many rollups so many events touch: expected counts of different agents, tasks, models and their pairs.
//!
//! An event adds to 27 rollups, 9 scopes in 3 windows. Of `N` submissions of `a` agents, `x = N / a` come of one agent.
//! With arrivals in turn `min(1, x)` of the agents have any, with random ones `1 - e^-x`, as they are Poisson. The calls
//! of an agent follow each other, so `m` calls touch `1 + (m - g) / P` tasks of `P` calls, `g` being the calls between
//! places in a task where a submission can begin.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use super::workload::{Arrivals, Workload};

/// Windows that each scope is rolled up in.
pub(super) const WINDOWS: f64 = 3.0;

/// Different ones of each scope.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Touched {
    pub(super) org: f64,
    pub(super) teams: f64,
    pub(super) agents: f64,
    pub(super) tasks: f64,
    pub(super) models: f64,
    pub(super) providers: f64,
    /// Agent and model.
    pub(super) pairs: f64,
}

impl Touched {
    /// By so many submissions of so many agents.
    pub(super) fn by(load: &Workload, agents: f64, submissions: f64) -> Self {
        let shape = load.shape;
        let x = submissions / agents.max(1e-9);
        let beyond = |n: u32| agents * at_least(load.arrivals, x, n + 1);
        let active = beyond(0);
        let pairs = (0..shape.models_of_agent).map(|n| beyond(n / load.batch)).sum();
        let (models, providers) = models(load, active, pairs);
        let share = (active / f64::from(load.agents)).min(1.0);
        let in_team = f64::from(shape.team_agents.min(load.agents));
        Self {
            org: submissions.min(1.0),
            teams: load.teams() * (1.0 - (1.0 - share).powf(in_team)),
            agents: active,
            tasks: tasks(load, agents, x, active),
            models,
            providers,
            pairs,
        }
    }

    /// By a part of a commit, or of a batch: so many agents, neighbours by name, with so many calls each.
    pub(super) fn by_neighbours(load: &Workload, agents: f64, calls: f64, lanes: u32) -> Self {
        let shape = load.shape;
        let of_agent = f64::from(shape.models_of_agent).min(calls);
        let pairs = agents * of_agent;
        let (models, providers) = models(load, agents, pairs);
        // Neighbours are of one team, but those of other lanes are not in here.
        let (lanes, team) = (f64::from(lanes), f64::from(shape.team_agents));
        let new_team = (lanes / team * (1.0 - (1.0 - 1.0 / lanes).powf(team))).min(1.0);
        let tasks = match load.arrivals {
            Arrivals::InTurn => (calls / f64::from(shape.task_calls)).max(1.0),
            Arrivals::Random => {
                1.0 + (calls - f64::from(load.stride())).max(0.0) / f64::from(shape.task_calls)
            }
        };
        Self {
            org: 1.0,
            teams: load.teams().min(1.0 + (agents - 1.0).max(0.0) * new_team),
            agents,
            tasks: agents * tasks,
            models,
            providers,
            pairs,
        }
    }

    /// A part of it, as if agents were cut in two lists.
    pub(super) fn part(self, part: f64) -> Self {
        let Self { org, teams, agents, tasks, models, providers, pairs } = self;
        Self {
            org,
            teams: teams * part,
            agents: agents * part,
            tasks: tasks * part,
            models,
            providers,
            pairs: pairs * part,
        }
    }

    /// With others, each of which is counted again.
    pub(super) fn with(self, other: Self) -> Self {
        Self {
            org: self.org + other.org,
            teams: self.teams + other.teams,
            agents: self.agents + other.agents,
            tasks: self.tasks + other.tasks,
            models: self.models + other.models,
            providers: self.providers + other.providers,
            pairs: self.pairs + other.pairs,
        }
    }

    /// All rollups: agents and tasks are scopes of their own and in pairs.
    pub(super) fn rollups(&self) -> f64 {
        WINDOWS * (self.singles() + self.agents + self.tasks + self.pairs)
    }

    /// Those that the alerter is called for: of an hour, of one dimension.
    pub(super) fn singles(&self) -> f64 {
        self.org + self.teams + self.agents + self.tasks + self.models + self.providers
    }

    /// Different sums in an entry: where an agent has one call, or one model, its rollups add the same.
    pub(super) fn sums(&self) -> f64 {
        let of_agent = self.pairs / self.agents.max(1.0);
        let of_pairs = if of_agent > 1.0 { self.pairs } else { 0.0 };
        let of_tasks = if self.tasks > self.agents * 1.5 { self.tasks } else { 0.0 };
        self.agents + of_pairs + of_tasks + self.teams + self.models + self.providers + 1.0
    }
}

/// The part of agents that have at least so many submissions, where the mean is `x`.
fn at_least(arrivals: Arrivals, x: f64, n: u32) -> f64 {
    match arrivals {
        Arrivals::InTurn => (x - f64::from(n) + 1.0).clamp(0.0, 1.0),
        Arrivals::Random => {
            let mut fewer = 0.0;
            let mut exactly = (-x).exp();
            for k in 1..=n {
                fewer += exactly;
                exactly *= x / f64::from(k);
            }
            (1.0 - fewer).max(0.0)
        }
    }
}

fn tasks(load: &Workload, agents: f64, x: f64, active: f64) -> f64 {
    let calls = f64::from(load.shape.task_calls);
    let batch = f64::from(load.batch);
    match load.arrivals {
        // All began one at the beginning.
        Arrivals::InTurn => {
            let more = x - x.floor();
            let of = |submissions: f64| (submissions * batch / calls).ceil();
            agents * ((1.0 - more) * of(x.floor()) + more * of(x.floor() + 1.0))
        }
        Arrivals::Random => active * (1.0 - f64::from(load.stride()) / calls) + agents * x * batch / calls,
    }
}

/// Models and providers of so many agents. An agent's models are next to each other, and so of one provider or two.
fn models(load: &Workload, agents: f64, pairs: f64) -> (f64, f64) {
    let shape = load.shape;
    let of_agent = pairs / agents.max(1e-9);
    let agents = agents.max(1.0);
    let per_provider = f64::from(shape.models) / f64::from(shape.providers);
    let providers = if of_agent > 1.0 { 1.0 + (of_agent - 1.0) / per_provider } else { of_agent };
    let of = |all: u32, each: f64| {
        let all = f64::from(all);
        all * (1.0 - (1.0 - each.min(all) / all).powf(agents))
    };
    (of(shape.models, of_agent), of(shape.providers, providers))
}
