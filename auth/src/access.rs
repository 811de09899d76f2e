//! Who a request comes from, and what that caller may do. Every handler asks this itself, so that no host can
//! forget to.

use std::sync::Arc;

use http::{HeaderMap, header};
use shared::id::{AgentId, TeamId};

use crate::claims::Role;
use crate::error::{Denied, TokenError};
use crate::verify::{Verified, Verifier};

/// How callers are known.
#[derive(Clone, Debug)]
pub struct Access(Option<Arc<Verifier>>);

impl Access {
    /// Everybody may do everything: for a server that only programs of its own machine reach, and for a
    /// command that has the ledger's files in its hands.
    pub fn open() -> Self {
        Self(None)
    }

    /// By tokens.
    pub fn tokens(verifier: Arc<Verifier>) -> Self {
        Self(Some(verifier))
    }

    /// What verifies tokens; none if everybody may do everything.
    pub fn verifier(&self) -> Option<&Arc<Verifier>> {
        self.0.as_ref()
    }

    /// Who sent these headers.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, TokenError> {
        let Some(verifier) = &self.0 else { return Ok(Caller::Local) };
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or(TokenError::Missing)?;
        if values.next().is_some() {
            return Err(TokenError::Several);
        }
        let text = value.to_str().map_err(|_| TokenError::NotBearer)?;
        let (scheme, token) = text.split_once(' ').ok_or(TokenError::NotBearer)?;
        let token = token.trim_matches(' ');
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(TokenError::NotBearer);
        }
        verifier.verify(token).map(Caller::Token)
    }
}

/// Who a request comes from.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A program of this machine, where there are no tokens.
    Local,
    /// Who holds this token.
    Token(Arc<Verified>),
}

impl Caller {
    fn token(&self) -> Option<&Verified> {
        match self {
            Self::Local => None,
            Self::Token(verified) => Some(verified),
        }
    }

    /// Whether tokens say who may do what: then the team comes from the token alone.
    pub fn is_authenticated(&self) -> bool {
        self.token().is_some()
    }

    /// The team of the token.
    pub fn team(&self) -> Option<&TeamId> {
        self.token()?.claims.team.as_ref()
    }

    /// The one agent that the token may write for; none if there is a choice.
    pub fn only_agent(&self) -> Option<&AgentId> {
        self.token()?.claims.only_agent()
    }

    /// Whether it may write for `agent`.
    pub fn may_write_for(&self, agent: &AgentId) -> bool {
        self.token().is_none_or(|verified| verified.claims.allows(agent))
    }

    /// Refuses a caller of another role. Who may administer may read, and neither may send usage.
    pub fn demand(&self, needed: Role) -> Result<(), Denied> {
        let Some(has) = self.token().map(|verified| verified.claims.role) else { return Ok(()) };
        let may = match needed {
            Role::Ingest => has == Role::Ingest,
            Role::Read => matches!(has, Role::Read | Role::Admin),
            Role::Admin => has == Role::Admin,
        };
        if may { Ok(()) } else { Err(Denied::Role { needed, has }) }
    }

    /// Refuses a caller that may see one team only, where everybody's work is together.
    pub fn demand_all_teams(&self) -> Result<(), Denied> {
        if self.team().is_some() { Err(Denied::OneTeam) } else { Ok(()) }
    }

    /// The team that a question is about: a token of one team asks about this team, whether it says so or not.
    pub fn team_to_read(&self, asked: Option<TeamId>) -> Result<Option<TeamId>, Denied> {
        match (self.team(), asked) {
            (None, asked) => Ok(asked),
            (Some(own), Some(asked)) if asked != *own => Err(Denied::OtherTeam { own: own.clone() }),
            (Some(own), _) => Ok(Some(own.clone())),
        }
    }

    /// For the audit: the token's id and role.
    pub(crate) fn names(&self) -> (&str, &'static str) {
        match self {
            Self::Local => ("local", "none"),
            Self::Token(verified) => (verified.claims.jti.as_str(), verified.claims.role.as_str()),
        }
    }
}
