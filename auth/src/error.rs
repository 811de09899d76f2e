//! Why a request is refused: one variant for each cause, and the answer to each. Nothing of a token is
//! repeated in any of them.

use edge::{Challenge, Code, Fault, Problem};
use shared::id::{AgentId, TeamId};

use crate::claims::{ClaimsError, MAX_DAYS, Role};
use crate::token::MAX_TOKEN_BYTES;

/// Credentials that do not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// None were sent.
    #[error("send a token: `authorization: Bearer TOKEN`; `agentledger token mint` makes one")]
    Missing,
    /// Not signed by an IAM principal, where callers are known as such.
    #[error("sign the request with AWS Signature Version 4: this API knows its callers as IAM principals")]
    Unsigned,
    /// More than one header.
    #[error("the header `authorization` comes more than once; send it once")]
    Several,
    /// Another scheme, or no token after it.
    #[error("the header `authorization` is not `Bearer TOKEN`")]
    NotBearer,
    /// Longer than any token.
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes; it is none of `agentledger token mint`")]
    TooLong,
    /// Not three parts of base64url.
    #[error(
        "the token is not three parts of base64url with dots between; send it whole, as it was printed by \
         `agentledger token mint`"
    )]
    Malformed,
    /// A header that is no header of ours.
    #[error("the token's header is not that of an AgentLedger token; mint one with `agentledger token mint`")]
    Header,
    /// Signed with anything but Ed25519, or not at all.
    #[error("the token's algorithm is not EdDSA, the only one that is accepted")]
    Algorithm,
    /// No key of that id.
    #[error(
        "the token was signed with a key that this server does not know; mint one with a key whose public half \
         is in [auth] public_keys"
    )]
    UnknownKey,
    /// The signature is not of that key over that content.
    #[error("the token's signature is wrong; send it whole, as it was printed by `agentledger token mint`")]
    Signature,
    /// Signed, and yet not what a token says.
    #[error(
        "the token does not say what a token of this version says; mint one with `agentledger token mint`"
    )]
    Unreadable,
    /// Signed, and contradicts itself.
    #[error("the token contradicts itself: {0}")]
    Contradiction(#[from] ClaimsError),
    /// For another installation.
    #[error("the token is for another audience; mint one with the --audience of this server")]
    Audience,
    /// Would live too long.
    #[error("the token holds for longer than {MAX_DAYS} days, or ends before it begins; mint a shorter one")]
    Lifetime,
    /// Made later than now.
    #[error(
        "the token was made in the future; compare the clocks of the machine that made it and of the server"
    )]
    Ahead,
    /// Over.
    #[error("the token has expired; mint a new one with `agentledger token mint`")]
    Expired,
    /// Taken back.
    #[error("the token was revoked; ask an administrator for a new one")]
    Revoked,
}

impl TokenError {
    /// The answer: 401, with the challenge of RFC 6750.
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::Missing | Self::Unsigned | Self::Several | Self::NotBearer => Code::Unauthorized,
            Self::Expired => Code::TokenExpired,
            Self::Revoked => Code::TokenRevoked,
            _ => Code::InvalidToken,
        };
        let challenge = match self {
            // Who sent no credentials is told the scheme alone.
            Self::Missing => Challenge::Bearer,
            Self::Several | Self::NotBearer => Challenge::InvalidRequest,
            _ => Challenge::InvalidToken,
        };
        let problem = Problem::new(code, self.to_string());
        // There is no registered scheme to challenge a signature with.
        let challenge = (*self != Self::Unsigned).then_some(challenge);
        Problem { challenge, ..problem }
    }
}

/// Something that a caller may not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Of another role.
    #[error("this takes a token of the role {needed}; the one sent has the role {has}")]
    Role {
        /// The least role that may.
        needed: Role,
        /// What was sent.
        has: Role,
    },
    /// An IAM principal that is none of those configured.
    #[error(
        "the IAM principal {arn} may do nothing here; an administrator adds it to the principals of this installation"
    )]
    Principal {
        /// Who.
        arn: String,
    },
    /// What everybody's work is in, asked for by a token of one team.
    #[error("a token of one team sees that team's spend, events, budgets and alerts only")]
    OneTeam,
    /// Another team's numbers.
    #[error("the token sees the team {own} only; leave the parameter out, or name this team")]
    OtherTeam {
        /// The token's own.
        own: TeamId,
    },
    /// Agents that the token may not write for.
    #[error("the token may not write for an agent of the submission")]
    Agents(Vec<Fault>),
    /// Teams that the token may not charge.
    #[error("the token may not charge a team of the submission")]
    Teams(Vec<Fault>),
}

impl Denied {
    /// Why an agent's name is refused.
    pub fn agent_reason(agent: &AgentId) -> String {
        format!("is {agent}, which the token may not write for; use a token of this agent")
    }

    /// Why a team's name is refused.
    pub fn team_reason(own: Option<&TeamId>) -> String {
        match own {
            Some(own) => format!("names another team than the token's, {own}; leave it out"),
            None => {
                "names a team, and the token has none; leave it out, or use a token of that team".to_owned()
            }
        }
    }

    /// The answer: 403, naming what is refused by index and field.
    pub fn problem(&self) -> Problem {
        let problem = match self {
            // No other token would help.
            Self::Principal { .. } => return Problem::new(Code::Forbidden, self.to_string()),
            Self::Role { .. } | Self::OneTeam => Problem::new(Code::Forbidden, self.to_string()),
            Self::OtherTeam { .. } => Problem::new(Code::TeamNotAllowed, self.to_string()),
            Self::Agents(faults) => Problem::of_faults(Code::AgentNotAllowed, faults.clone()),
            Self::Teams(faults) => Problem::of_faults(Code::TeamNotAllowed, faults.clone()),
        };
        Problem { challenge: Some(Challenge::InsufficientScope), ..problem }
    }
}
