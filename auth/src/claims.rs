//! What a token says: whose it is, what it may do, and for how long.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::id::{AgentId, TeamId, TokenId};

use crate::pattern::AgentPattern;

/// The audience of a token, and of a server, that states none.
pub const AUDIENCE: &str = "agentledger";
/// The longest audience, in bytes.
pub const MAX_AUDIENCE_LEN: usize = 128;
/// The longest life of a token, in days.
pub const MAX_DAYS: u32 = 90;
/// The most agents and patterns of a token.
pub const MAX_AGENTS: usize = 16;

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Send usage for its agents; read nothing.
    Ingest,
    /// Read reports and lists; change nothing.
    Read,
    /// Change budgets and revocations, and read; send no usage.
    Admin,
}

impl Role {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a token says. A member that is not known is refused: it could be a limit of a later version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The token's own id.
    pub jti: TokenId,
    /// For which installation.
    pub aud: String,
    /// What it may do.
    pub role: Role,
    /// The agents that an ingest token may write for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentPattern>,
    /// The team that pays for what it sends, or whose spend it may see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamId>,
    /// When it was made, in Unix seconds.
    pub iat: i64,
    /// When it ends, in Unix seconds.
    pub exp: i64,
}

/// Claims that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// An ingest token for nobody.
    #[error("an ingest token names the agents that it may write for; give at least one")]
    NoAgents,
    /// More than fit.
    #[error("names more than {MAX_AGENTS} agents; use a pattern with *")]
    TooManyAgents,
    /// Agents where they mean nothing.
    #[error("only an ingest token names agents; limit what a read token sees by its team")]
    AgentsOfReader,
    /// A team where it means nothing.
    #[error("an admin token has no team, as budgets belong to everybody")]
    TeamOfAdmin,
    /// No audience, or one that cannot be shown.
    #[error("the audience has 1 to {MAX_AUDIENCE_LEN} visible ASCII characters")]
    Audience,
}

impl Claims {
    /// The claims of a token that is made at `now` and holds for `days`.
    pub fn new(
        role: Role,
        agents: Vec<AgentPattern>,
        team: Option<TeamId>,
        audience: &str,
        now: Timestamp,
        days: u32,
    ) -> Result<Self, ClaimsError> {
        let mut buffer = uuid::Uuid::encode_buffer();
        let jti: &str = uuid::Uuid::now_v7().as_hyphenated().encode_lower(&mut buffer);
        let Ok(jti) = TokenId::parse(jti) else {
            // A UUID is 36 visible ASCII characters without a '#'.
            unreachable!("a UUID is an id")
        };
        let (aud, iat) = (audience.to_owned(), now.as_second());
        let exp = iat.saturating_add(i64::from(days) * DAY);
        let claims = Self { jti, aud, role, agents, team, iat, exp };
        claims.check()?;
        Ok(claims)
    }

    /// Refuses claims that contradict each other: a limit that would be ignored is a mistake.
    pub(crate) fn check(&self) -> Result<(), ClaimsError> {
        let visible = self.aud.bytes().all(|b| (0x21..=0x7e).contains(&b));
        if self.aud.is_empty() || self.aud.len() > MAX_AUDIENCE_LEN || !visible {
            return Err(ClaimsError::Audience);
        }
        if self.agents.len() > MAX_AGENTS {
            return Err(ClaimsError::TooManyAgents);
        }
        match (self.role, self.agents.is_empty(), &self.team) {
            (Role::Ingest, true, _) => Err(ClaimsError::NoAgents),
            (Role::Read | Role::Admin, false, _) => Err(ClaimsError::AgentsOfReader),
            (Role::Admin, _, Some(_)) => Err(ClaimsError::TeamOfAdmin),
            _ => Ok(()),
        }
    }

    /// Whether it may write for `agent`.
    pub fn allows(&self, agent: &AgentId) -> bool {
        AgentPattern::any(&self.agents, agent)
    }

    /// The one agent that it may write for; none if there is a choice.
    pub fn only_agent(&self) -> Option<&AgentId> {
        AgentPattern::only(&self.agents)
    }
}

pub(crate) const DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(role: Role, agents: &[&str], team: Option<&str>) -> Result<Claims, ClaimsError> {
        let agents = agents.iter().map(|agent| AgentPattern::parse(agent).unwrap()).collect();
        let team = team.map(|team| TeamId::parse(team).unwrap());
        Claims::new(role, agents, team, AUDIENCE, Timestamp::UNIX_EPOCH, 30)
    }

    #[test]
    fn a_limit_that_would_be_ignored_is_refused() {
        for (role, agents, team, expected) in [
            (Role::Ingest, &["a", "b*"][..], Some("t"), None),
            (Role::Ingest, &["a"], None, None),
            (Role::Read, &[], Some("t"), None),
            (Role::Read, &[], None, None),
            (Role::Admin, &[], None, None),
            (Role::Ingest, &[], None, Some(ClaimsError::NoAgents)),
            (Role::Ingest, &["a"; 17], None, Some(ClaimsError::TooManyAgents)),
            (Role::Read, &["a"], None, Some(ClaimsError::AgentsOfReader)),
            (Role::Admin, &["a"], None, Some(ClaimsError::AgentsOfReader)),
            (Role::Admin, &[], Some("t"), Some(ClaimsError::TeamOfAdmin)),
        ] {
            assert_eq!(claims(role, agents, team).err(), expected, "{role} {agents:?} {team:?}");
        }
        for audience in ["", "a b", &"x".repeat(129)] {
            let made = Claims::new(Role::Read, Vec::new(), None, audience, Timestamp::UNIX_EPOCH, 30);
            assert_eq!(made.err(), Some(ClaimsError::Audience), "{audience:?}");
        }
    }

    #[test]
    fn one_agent_without_a_star_is_the_only_one() {
        let only = |agents: &[&str]| claims(Role::Ingest, agents, None).unwrap().only_agent().cloned();
        assert_eq!(only(&["a"]).map(String::from), Some("a".to_owned()));
        assert_eq!(only(&["a*"]), None);
        assert_eq!(only(&["a", "b"]), None);
    }
}
