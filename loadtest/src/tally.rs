//! The generator's own ledger: what the totals have to be, per agent.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;

/// US dollars per input and per output token of the model that the load names.
const PRICES: [Decimal; 2] =
    [Decimal::from_parts(15, 0, 0, false, 8), Decimal::from_parts(60, 0, 0, false, 8)];
/// The model that the load names.
pub(crate) const MODEL: &str = "gpt-4o-mini";

/// Sums of one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) events: i64,
    pub(crate) tokens: i64,
    pub(crate) cost: Decimal,
}

/// Sums by agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally(pub(crate) BTreeMap<String, Sums>);

impl Tally {
    /// Counts an event, or with `times` of -1 takes it back.
    pub(crate) fn add(&mut self, agent: &str, input: u32, output: u32, times: i64) {
        let sums = self.0.entry(agent.to_owned()).or_default();
        sums.events += times;
        sums.tokens += times * (i64::from(input) + i64::from(output));
        let cost = PRICES[0] * Decimal::from(input) + PRICES[1] * Decimal::from(output);
        sums.cost = (sums.cost + cost * Decimal::from(times)).normalize();
    }

    pub(crate) fn merge(&mut self, other: &Tally) {
        for (agent, more) in &other.0 {
            let sums = self.0.entry(agent.clone()).or_default();
            sums.events += more.events;
            sums.tokens += more.tokens;
            sums.cost = (sums.cost + more.cost).normalize();
        }
    }

    /// Events of all agents.
    pub(crate) fn events(&self) -> i64 {
        self.0.values().map(|sums| sums.events).sum()
    }

    /// Tokens of all agents.
    pub(crate) fn tokens(&self) -> i64 {
        self.0.values().map(|sums| sums.tokens).sum()
    }

    /// What a report by agent says.
    pub(crate) fn of_report(report: &Value) -> Self {
        let mut tally = Self::default();
        for row in report["rows"].as_array().into_iter().flatten() {
            let sums = Sums {
                events: row["events"].as_i64().unwrap_or(-1),
                tokens: row["tokens"].as_i64().unwrap_or(-1),
                cost: row["cost_usd"]
                    .as_str()
                    .and_then(|c| c.parse::<Decimal>().ok())
                    .unwrap_or_default()
                    .normalize(),
            };
            tally.0.insert(row["key"]["agent"].as_str().unwrap_or_default().to_owned(), sums);
        }
        tally
    }

    /// The first agent whose sums differ.
    pub(crate) fn difference(&self, reported: &Tally) -> Option<String> {
        let agents = self.0.keys().chain(reported.0.keys());
        agents.into_iter().find(|agent| self.0.get(*agent) != reported.0.get(*agent)).map(|agent| {
            format!("{agent}: sent {:?}, reported {:?}", self.0.get(agent), reported.0.get(agent))
        })
    }
}
