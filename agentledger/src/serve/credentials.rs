//! Whom the server lets in, asked before a body is read. Handlers ask again, and what a caller may do is for
//! them to say.

use auth::{Access, Caller, Role, TokenError};
use edge::Problem;
use http::header;
use http::request::Parts;

/// Who is there.
pub(super) enum Visitor {
    /// Nobody that is known: enough to ask whether the server is up.
    Unknown,
    /// Who sent a token, or a program of this machine.
    Known(Caller),
}

impl Visitor {
    /// Whether it may see how the whole pipeline is, which counts everybody's events.
    pub(super) fn sees_everything(&self) -> bool {
        self.may_see_everything().is_ok()
    }

    /// Says why not.
    pub(super) fn may_see_everything(&self) -> Result<(), Problem> {
        match self {
            Self::Unknown => Err(TokenError::Missing.problem()),
            Self::Known(caller) => {
                let may = caller.demand(Role::Read).and_then(|()| caller.demand_all_teams());
                may.map_err(|denied| denied.problem())
            }
        }
    }
}

/// What is no secret, and needed to ask for anything else.
fn is_open(path: &str) -> bool {
    path.starts_with(edge::PAGES) || matches!(path, "/healthz" | "/openapi.json" | "/v1/limits")
}

/// Refuses credentials that do not hold, whatever was asked for.
pub(super) fn admit(access: &Access, head: &Parts, request_id: &str) -> Result<Visitor, Problem> {
    match access.caller(&head.headers) {
        Ok(caller) => Ok(Visitor::Known(caller)),
        Err(TokenError::Missing) if is_open(head.uri.path()) => Ok(Visitor::Unknown),
        Err(error) => {
            let problem = error.problem();
            let sent = head.headers.contains_key(header::AUTHORIZATION);
            tracing::debug!(request_id, code = %problem.code, sent, "credentials do not hold");
            Err(problem)
        }
    }
}
