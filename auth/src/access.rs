//! Who a request comes from, and what that caller may do. Every handler asks this itself, so that no host can
//! forget to.

use std::sync::Arc;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use edge::Problem;
use http::{HeaderMap, header};
use shared::id::{AgentId, TeamId};

use crate::claims::Role;
use crate::error::{Denied, TokenError};
use crate::pattern::AgentPattern;
use crate::principal::{Principal, Principals};
use crate::verify::{Verified, Verifier};

/// How callers are known.
#[derive(Clone, Debug)]
pub struct Access(How);

#[derive(Clone, Debug)]
enum How {
    Open,
    Tokens(Arc<Verifier>),
    Principals(Arc<Principals>),
}

impl Access {
    /// Everybody may do everything: for a server that only programs of its own machine reach, and for a
    /// command that has the ledger's files in its hands.
    pub fn open() -> Self {
        Self(How::Open)
    }

    /// By tokens.
    pub fn tokens(verifier: Arc<Verifier>) -> Self {
        Self(How::Tokens(verifier))
    }

    /// As IAM principals, whose signatures API Gateway has verified.
    pub fn principals(principals: Principals) -> Self {
        Self(How::Principals(Arc::new(principals)))
    }

    /// What verifies tokens; none if everybody may do everything.
    pub fn verifier(&self) -> Option<&Arc<Verifier>> {
        match &self.0 {
            How::Tokens(verifier) => Some(verifier),
            How::Open | How::Principals(_) => None,
        }
    }

    /// Who sent a request, as API Gateway delivers it; or the answer to one whose sender is not known.
    pub fn caller_of(&self, request: &ApiGatewayV2httpRequest) -> Result<Caller, Problem> {
        let How::Principals(principals) = &self.0 else {
            return self.caller(&request.headers).map_err(|error| error.problem());
        };
        let authorizer = request.request_context.authorizer.as_ref();
        let arn = authorizer.and_then(|authorizer| authorizer.iam.as_ref()?.user_arn.as_deref());
        let arn = arn.ok_or_else(|| TokenError::Unsigned.problem())?;
        let principal =
            principals.find(arn).ok_or_else(|| Denied::Principal { arn: arn.to_owned() }.problem())?;
        Ok(Caller::Principal(Arc::clone(principal)))
    }

    /// Who sent these headers. Where callers are IAM principals, headers say nothing about them.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Caller, TokenError> {
        let verifier = match &self.0 {
            How::Open => return Ok(Caller::Local),
            How::Tokens(verifier) => verifier,
            How::Principals(_) => return Err(TokenError::Unsigned),
        };
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
    /// An IAM principal.
    Principal(Arc<Principal>),
}

/// What a caller may do.
struct Grant<'a> {
    role: Role,
    agents: &'a [AgentPattern],
    team: Option<&'a TeamId>,
}

impl Caller {
    /// None if everybody may do everything.
    fn grant(&self) -> Option<Grant<'_>> {
        match self {
            Self::Local => None,
            Self::Token(verified) => {
                let claims = &verified.claims;
                Some(Grant { role: claims.role, agents: &claims.agents, team: claims.team.as_ref() })
            }
            Self::Principal(principal) => {
                Some(Grant { role: principal.role, agents: &principal.agents, team: principal.team.as_ref() })
            }
        }
    }

    /// Whether it is known who may do what: then the team comes from the token, or the principal, alone.
    pub fn is_authenticated(&self) -> bool {
        self.grant().is_some()
    }

    /// The team of the token or the principal.
    pub fn team(&self) -> Option<&TeamId> {
        self.grant()?.team
    }

    /// The one agent that it may write for; none if there is a choice.
    pub fn only_agent(&self) -> Option<&AgentId> {
        AgentPattern::only(self.grant()?.agents)
    }

    /// Whether it may write for `agent`.
    pub fn may_write_for(&self, agent: &AgentId) -> bool {
        self.grant().is_none_or(|grant| AgentPattern::any(grant.agents, agent))
    }

    /// Refuses a caller of another role. Who may administer may read, and neither may send usage.
    pub fn demand(&self, needed: Role) -> Result<(), Denied> {
        let Some(has) = self.grant().map(|grant| grant.role) else { return Ok(()) };
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

    /// For the audit: the token's id, or the principal's ARN, and the role.
    pub(crate) fn names(&self) -> (&str, &'static str) {
        match self {
            Self::Local => ("local", "none"),
            Self::Token(verified) => (verified.claims.jti.as_str(), verified.claims.role.as_str()),
            Self::Principal(principal) => (&principal.arn, principal.role.as_str()),
        }
    }
}
