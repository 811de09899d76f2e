//! Who works in the demo: the models, the roles, and fifty agents in five teams.

/// In whose shape a provider answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    OpenAi,
    Anthropic,
    /// No provider whose responses are read: only native events.
    Other,
}

/// A model as its provider names it in a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) provider: &'static str,
    pub(super) name: &'static str,
    pub(super) family: Family,
    /// Whether it thinks before it answers.
    pub(super) reasons: bool,
}

const fn openai(name: &'static str, reasons: bool) -> Model {
    Model { provider: "openai", name, family: Family::OpenAi, reasons }
}

const fn anthropic(name: &'static str, reasons: bool) -> Model {
    Model { provider: "anthropic", name, family: Family::Anthropic, reasons }
}

const GPT_4O: Model = openai("gpt-4o-2024-08-06", false);
const GPT_4O_MINI: Model = openai("gpt-4o-mini-2024-07-18", false);
const GPT_41_MINI: Model = openai("gpt-4.1-mini-2025-04-14", false);
const GPT_41_NANO: Model = openai("gpt-4.1-nano-2025-04-14", false);
const GPT_5: Model = openai("gpt-5-2025-08-07", true);
const GPT_5_MINI: Model = openai("gpt-5-mini-2025-08-07", true);
const O3: Model = openai("o3-2025-04-16", true);
const O4_MINI: Model = openai("o4-mini-2025-04-16", true);
const HAIKU: Model = anthropic("claude-haiku-4-5-20251001", false);
const SONNET: Model = anthropic("claude-sonnet-4-0", true);
const OPUS: Model = anthropic("claude-opus-4-5-20251101", true);
/// A model that no price book has: what it costs is unknown, and has to be seen.
const HOUSE: Model = Model { provider: "in-house", name: "house-7b", family: Family::Other, reasons: false };

/// How an agent sends what it used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// A native event for each call.
    Native,
    /// So many native events in a submission.
    Batch(usize),
    /// The provider's response body as it came.
    Response,
}

/// What an agent does all day.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: &'static str,
    pub(super) team: &'static str,
    pub(super) agents: usize,
    pub(super) models: &'static [Model],
    pub(super) wire: Wire,
    /// Tasks of one agent in a day; none for those that are only given work by others.
    pub(super) tasks: u64,
    /// Calls of one task.
    pub(super) turns: (u64, u64),
    /// Tokens of the instructions and tools that each conversation starts with.
    pub(super) system: u64,
    /// Tokens that a turn brings in: a question, a file, a tool's result.
    pub(super) brings: (u64, u64),
    /// Tokens of an answer.
    pub(super) answers: (u64, u64),
    /// To which role a task's parts are given, and how many.
    pub(super) delegates: Option<(&'static str, u64, u64)>,
}

const PLAIN: Role = Role {
    name: "",
    team: "",
    agents: 0,
    models: &[],
    wire: Wire::Native,
    tasks: 0,
    turns: (1, 1),
    system: 0,
    brings: (0, 0),
    answers: (0, 0),
    delegates: None,
};

/// The team of the agent that gets stuck.
pub(super) const RUNAWAY_TEAM: &str = "platform";
/// The agent that gets stuck.
pub(super) const RUNAWAY: &str = "migrator-1";
/// The model on which it does.
pub(super) const RUNAWAY_MODEL: &Model = &OPUS;

/// Forty-nine agents; the fiftieth is [`RUNAWAY`].
pub(super) const ROLES: &[Role] = &[
    Role {
        name: "campaign-writer",
        team: "growth",
        agents: 4,
        models: &[GPT_4O, GPT_41_MINI],
        wire: Wire::Response,
        tasks: 8,
        turns: (3, 7),
        system: 1_800,
        brings: (150, 900),
        answers: (300, 1_200),
        ..PLAIN
    },
    Role {
        name: "lead-researcher",
        team: "growth",
        agents: 3,
        models: &[GPT_5, GPT_4O],
        tasks: 5,
        turns: (4, 8),
        system: 2_600,
        brings: (400, 2_500),
        answers: (200, 900),
        delegates: Some(("web-reader", 2, 4)),
        ..PLAIN
    },
    Role {
        name: "web-reader",
        team: "growth",
        agents: 4,
        models: &[GPT_41_NANO, GPT_5_MINI],
        turns: (2, 4),
        system: 900,
        brings: (2_000, 9_000),
        answers: (150, 500),
        ..PLAIN
    },
    Role {
        name: "planner",
        team: "platform",
        agents: 2,
        models: &[OPUS],
        wire: Wire::Response,
        tasks: 7,
        turns: (3, 6),
        system: 6_500,
        brings: (600, 3_000),
        answers: (500, 1_500),
        delegates: Some(("code-fixer", 2, 4)),
    },
    Role {
        name: "code-fixer",
        team: "platform",
        agents: 6,
        models: &[SONNET, SONNET, GPT_5],
        turns: (8, 20),
        system: 9_000,
        brings: (700, 4_500),
        answers: (200, 1_400),
        ..PLAIN
    },
    Role {
        name: "code-reviewer",
        team: "platform",
        agents: 4,
        models: &[HAIKU],
        wire: Wire::Response,
        tasks: 10,
        turns: (2, 5),
        system: 3_500,
        brings: (1_500, 8_000),
        answers: (200, 900),
        ..PLAIN
    },
    Role {
        name: "ticket-triage",
        team: "support",
        agents: 4,
        models: &[GPT_41_NANO],
        wire: Wire::Batch(6),
        tasks: 36,
        system: 1_300,
        brings: (150, 1_200),
        answers: (20, 60),
        ..PLAIN
    },
    Role {
        name: "ticket-answerer",
        team: "support",
        agents: 8,
        models: &[HAIKU, GPT_41_MINI],
        tasks: 13,
        turns: (3, 8),
        system: 4_200,
        brings: (80, 700),
        answers: (120, 500),
        ..PLAIN
    },
    Role {
        name: "analyst",
        team: "research",
        agents: 4,
        models: &[O3, O4_MINI, GPT_5],
        wire: Wire::Response,
        tasks: 7,
        turns: (4, 9),
        system: 2_200,
        brings: (500, 5_000),
        answers: (300, 1_500),
        ..PLAIN
    },
    Role {
        name: "summariser",
        team: "research",
        agents: 4,
        models: &[HOUSE],
        wire: Wire::Batch(4),
        tasks: 16,
        turns: (1, 2),
        system: 400,
        brings: (1_500, 6_000),
        answers: (200, 600),
        ..PLAIN
    },
    Role {
        name: "invoice-reader",
        team: "finance",
        agents: 4,
        models: &[GPT_4O_MINI],
        wire: Wire::Batch(10),
        tasks: 40,
        system: 1_100,
        brings: (600, 2_800),
        answers: (80, 250),
        ..PLAIN
    },
    Role {
        name: "reconciler",
        team: "finance",
        agents: 2,
        models: &[O4_MINI],
        tasks: 6,
        turns: (5, 10),
        system: 2_900,
        brings: (400, 3_000),
        answers: (100, 500),
        ..PLAIN
    },
];

/// The agents of a role.
pub(super) fn agents(role: &Role) -> impl Iterator<Item = String> {
    (1..=role.agents).map(|n| format!("{}-{n}", role.name))
}

/// The role of that name.
pub(super) fn role(name: &str) -> Option<&'static Role> {
    ROLES.iter().find(|role| role.name == name)
}

/// Everybody.
pub(super) fn everybody() -> Vec<String> {
    ROLES.iter().flat_map(agents).chain([RUNAWAY.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn fifty_agents_each_of_a_name_of_its_own_and_work_for_each() {
        let names: BTreeSet<_> = everybody().into_iter().collect();
        assert_eq!(names.len(), 50);
        let given: Vec<_> = ROLES.iter().filter_map(|r| r.delegates).collect();
        for role in ROLES {
            assert!(!role.models.is_empty() && role.answers.0 > 0, "{}", role.name);
            assert!(role.tasks > 0 || given.iter().any(|(to, ..)| *to == role.name), "{}", role.name);
        }
        assert!(given.iter().all(|(to, ..)| super::role(to).is_some()));
    }
}
