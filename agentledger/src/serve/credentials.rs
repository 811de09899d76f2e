//! Whom the server lets in, asked before a body is read. Handlers ask again, and what a caller may do is for
//! them to say.

use auth::{Access, Caller, Role, TokenError, audit, object_of};
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
        match self {
            Self::Unknown => false,
            Self::Known(caller) => caller.demand(Role::Read).is_ok() && caller.demand_all_teams().is_ok(),
        }
    }
}

/// Refuses credentials that do not hold, whatever was asked for.
pub(super) fn admit(access: &Access, head: &Parts, request_id: &str) -> Result<Visitor, Problem> {
    match access.caller(&head.headers) {
        Ok(caller) => Ok(Visitor::Known(caller)),
        Err(TokenError::Missing) if head.uri.path() == "/healthz" => Ok(Visitor::Unknown),
        Err(error) => {
            let (path, problem) = (head.uri.path(), error.problem());
            if path.starts_with("/v1/admin/") {
                audit(None, &head.method, &object_of(path), Some(request_id), problem.code);
            }
            let sent = head.headers.contains_key(header::AUTHORIZATION);
            tracing::debug!(request_id, code = problem.code, sent, "credentials do not hold");
            Err(problem)
        }
    }
}
