//! Which rollups are touched: counted.
#![expect(clippy::float_arithmetic, reason = "counts, as the model has them")]

use std::collections::HashSet;

use crate::plan::touched::Touched;
use crate::plan::workload::Workload;

/// Calls of one agent that follow each other, in one entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    pub(super) agent: u32,
    pub(super) slot: u32,
    pub(super) first: u32,
    pub(super) count: u32,
}

/// What was last seen of an agent in a lane.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Of which count.
    count: u32,
    /// The number of its last task, and its models.
    task: u32,
    models: u32,
}

/// Counts of different ones.
pub(super) struct Rollups {
    load: Workload,
    seen: Vec<Seen>,
    /// The number of the count that is under way.
    count: u32,
    teams: HashSet<u32>,
    fleet_models: u64,
    fleet_providers: u64,
    touched: Touched,
}

impl Rollups {
    pub(super) fn of(load: &Workload, slots: usize) -> Self {
        Self {
            load: *load,
            seen: vec![Seen::default(); slots],
            count: 0,
            teams: HashSet::new(),
            fleet_models: 0,
            fleet_providers: 0,
            touched: Touched::default(),
        }
    }

    /// Begins anew.
    pub(super) fn begin(&mut self) {
        self.count += 1;
        self.teams.clear();
        self.fleet_models = 0;
        self.fleet_providers = 0;
        self.touched = Touched::default();
    }

    /// What was touched since.
    pub(super) fn touched(&self) -> Touched {
        self.touched
    }

    /// Some calls of an agent.
    pub(super) fn add(&mut self, calls: Calls) {
        let shape = self.load.shape;
        let Some(seen) = usize::try_from(calls.slot).ok().and_then(|slot| self.seen.get_mut(slot)) else {
            return;
        };
        let touched = &mut self.touched;
        touched.org = 1.0;
        let is_new = seen.count != self.count;
        if is_new {
            *seen = Seen { count: self.count, task: 0, models: 0 };
            touched.agents += 1.0;
            if self.teams.insert(calls.agent / shape.team_agents) {
                touched.teams += 1.0;
            }
        }
        // Tasks of an agent follow each other; 0 is none.
        let last = (calls.first + calls.count - 1) / shape.task_calls + 1;
        let first = (calls.first / shape.task_calls + 1).max(seen.task + 1);
        if last >= first {
            touched.tasks += f64::from(last - first + 1);
            seen.task = last;
        }
        for call in calls.first..calls.first + calls.count.min(shape.models_of_agent) {
            let of_agent = call % shape.models_of_agent;
            if seen.models & (1 << of_agent) != 0 {
                continue;
            }
            seen.models |= 1 << of_agent;
            touched.pairs += 1.0;
            let model = (calls.agent + of_agent) % shape.models;
            if self.fleet_models & (1 << model) == 0 {
                self.fleet_models |= 1 << model;
                touched.models += 1.0;
            }
            let provider = model * shape.providers / shape.models;
            if self.fleet_providers & (1 << provider) == 0 {
                self.fleet_providers |= 1 << provider;
                touched.providers += 1.0;
            }
        }
    }
}
