//! Which agents a token may write for: a name, or a pattern in which `*` stands for any run of characters.

use serde::{Deserialize, Serialize};
use shared::id::{AgentId, IdError};

/// A name, or a pattern with `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentPattern(AgentId);

impl AgentPattern {
    /// Parses a pattern: what an agent's name may be, with any number of `*` in it.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        AgentId::parse(text).map(Self)
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The one agent that it names; none if it is a pattern.
    pub fn exact(&self) -> Option<&AgentId> {
        (!self.0.as_str().contains('*')).then_some(&self.0)
    }

    /// The one agent that patterns name together; none if there is a choice.
    pub(crate) fn only(patterns: &[Self]) -> Option<&AgentId> {
        match patterns {
            [one] => one.exact(),
            _ => None,
        }
    }

    /// Whether any of them takes `agent`.
    pub(crate) fn any(patterns: &[Self], agent: &AgentId) -> bool {
        patterns.iter().any(|pattern| pattern.matches(agent))
    }

    /// Whether it takes `agent`.
    pub fn matches(&self, agent: &AgentId) -> bool {
        // The classic two-pointer match: at most length times length steps, whatever the pattern.
        let (pattern, name) = (self.0.as_str().as_bytes(), agent.as_str().as_bytes());
        let (mut p, mut n) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while n < name.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    retry = Some((p, n));
                    p += 1;
                }
                Some(wanted) if name.get(n) == Some(wanted) => {
                    p += 1;
                    n += 1;
                }
                _ => match retry {
                    Some((star, from)) => {
                        retry = Some((star, from + 1));
                        p = star + 1;
                        n = from + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern.iter().skip(p).all(|byte| *byte == b'*')
    }
}

impl std::fmt::Display for AgentPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        AgentPattern::parse(pattern).unwrap().matches(&AgentId::parse(name).unwrap())
    }

    #[test]
    fn a_star_is_any_run_of_characters_and_nothing_else_is_special() {
        for (pattern, name) in [
            ("*", "a"),
            ("a", "a"),
            ("a*", "a"),
            ("team-*", "team-7"),
            ("*-prod", "x-prod"),
            ("a*c*e", "abcde"),
            ("a*b*b", "abbb"),
            ("**", "x"),
            ("a?", "a?"),
            ("[ab]", "[ab]"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a", "ab"),
            ("a", "A"),
            ("team-*", "team"),
            ("team-*", "my-team-7"),
            ("*-prod", "x-prod-2"),
            ("a?", "ab"),
            (".*", "ab"),
            ("[ab]", "a"),
            ("a*b*b", "ab"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_that_backtracks_a_lot_ends() {
        let pattern = "*a".repeat(63);
        assert!(!matches(&pattern, &format!("{}b", "a".repeat(127))));
        assert!(matches(&pattern, &"a".repeat(128)));
    }

    #[test]
    fn only_a_name_without_a_star_is_exact() {
        assert_eq!(AgentPattern::parse("a").unwrap().exact().map(AgentId::as_str), Some("a"));
        assert_eq!(AgentPattern::parse("a*").unwrap().exact(), None);
    }
}
