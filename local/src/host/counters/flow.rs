//! What was added and what was taken back, apart: two sums of which neither ever falls.

use std::collections::BTreeMap;

use shared::metrics::AgentDelta;
use shared::money::UsdSum;
use shared::totals::Totals;

/// How many agents have sums of their own. The first ones, for as long as the process runs: an agent that came
/// and went from a list would leave holes in its series.
pub const MAX_AGENT_SERIES: usize = 100;

/// The name under which all further agents are summed. An agent of this name is among them.
pub const OTHER_AGENTS: &str = "other";

/// Added, and taken back by corrections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Never falls.
    pub added: Totals,
    /// What was taken back: never falls either, and is not negative.
    pub reversed: Totals,
}

impl Flow {
    /// Adds a delta, whose every part is of one sign or the other.
    pub(super) fn take(&mut self, delta: &Totals) {
        let (up, down) = (positive(delta), positive(&delta.negated()));
        // A sum that would not fit is left out: the ledger has the exact one.
        let _ = self.added.add(&up);
        let _ = self.reversed.add(&down);
    }
}

/// The parts above zero.
fn positive(delta: &Totals) -> Totals {
    Totals {
        events: delta.events.max(0),
        unpriced_events: delta.unpriced_events.max(0),
        unpriced_tokens: delta.unpriced_tokens.max(0),
        usage: delta.usage.clone().map(|n| n.max(0)),
        cost: delta.cost.max(UsdSum::ZERO),
        tasks: delta.tasks.map(|n| n.max(0)),
        task_value: delta.task_value.max(UsdSum::ZERO),
    }
}

/// The flows of all, and of each of the first agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// Of all agents.
    pub all: Flow,
    /// By agent; the rest under [`OTHER_AGENTS`].
    pub agents: BTreeMap<String, Flow>,
}

impl Flows {
    pub(super) fn take(&mut self, delta: &AgentDelta) {
        let name = delta.agent.as_str();
        let own = self.agents.contains_key(name);
        let has_room = self.agents.keys().filter(|name| *name != OTHER_AGENTS).count() < MAX_AGENT_SERIES;
        let name = if own || has_room { name } else { OTHER_AGENTS };
        self.agents.entry(name.to_owned()).or_default().take(&delta.totals);
        // The sum of the same steps, so that it equals the sum over the agents.
        self.all.take(&delta.totals);
    }
}

#[cfg(test)]
mod tests {
    use shared::id::AgentId;
    use shared::usage::{Bucket, Usage};

    use super::*;

    fn delta(agent: &str, tokens: u64, usd: &str) -> AgentDelta {
        let usage = Usage::new([(Bucket::Input, tokens)]).unwrap();
        let totals = Totals::of_call(&usage, Some(usd.parse().unwrap()));
        AgentDelta { agent: AgentId::parse(agent).unwrap(), totals }
    }

    #[test]
    fn what_is_taken_back_is_counted_apart() {
        let mut flow = Flow::default();
        let call = delta("a", 7, "0.5").totals;
        flow.take(&call);
        flow.take(&call.negated());
        assert_eq!((&flow.added, &flow.reversed), (&call, &call));
        // An amend of fewer tokens and more dollars.
        let mut amend = Totals { cost: "0.25".parse().unwrap(), ..Totals::default() };
        amend.usage[Bucket::Input as usize] = -3;
        flow.take(&amend);
        assert_eq!((flow.added.cost.to_string(), flow.added.tokens()), ("0.75".to_owned(), 7));
        assert_eq!((flow.reversed.cost.to_string(), flow.reversed.tokens()), ("0.5".to_owned(), 10));
    }

    #[test]
    fn the_first_agents_keep_their_sums_and_the_rest_are_one() {
        let mut flows = Flows::default();
        flows.take(&delta(OTHER_AGENTS, 1, "1"));
        for round in 0..2 {
            for n in 0..MAX_AGENT_SERIES + 50 {
                flows.take(&delta(&format!("agent-{n}"), 10, "0.1"));
                if round == 0 && n == 0 {
                    flows.take(&AgentDelta {
                        totals: delta("x", 4, "2").totals.negated(),
                        ..delta("agent-0", 1, "1")
                    });
                }
            }
        }
        assert_eq!(flows.agents.len(), MAX_AGENT_SERIES + 1);
        assert_eq!(flows.agents["agent-99"].added.tokens(), 20);
        assert_eq!(flows.agents[OTHER_AGENTS].added.tokens(), 1 + 50 * 20);
        let mut sum = Flow::default();
        for flow in flows.agents.values() {
            sum.added.add(&flow.added).unwrap();
            sum.reversed.add(&flow.reversed).unwrap();
        }
        assert_eq!(sum, flows.all, "the sum over the agents is the total");
    }
}
