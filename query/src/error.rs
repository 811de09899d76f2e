//! What can go wrong in answering.

use auth::{Denied, TokenError};
use edge::Problem;
use http::StatusCode;
use shared::ledger::LedgerError;
use shared::totals::Overflow;

/// A question that has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A parameter that cannot be used.
    #[error("parameter `{name}` {reason}")]
    Parameter {
        /// Its name.
        name: String,
        /// What is wrong and what would be accepted.
        reason: String,
    },
    /// More distinct rows than are kept in memory.
    #[error("the report has more than {0} rows; narrow it with from, to, agent, team, task or model")]
    TooManyRows(usize),
    /// A sum that would not be exact.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Nobody knows who asks.
    #[error(transparent)]
    Unauthorized(#[from] TokenError),
    /// Who asks may not see it.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl QueryError {
    /// A parameter that cannot be used.
    pub fn parameter(name: &str, reason: impl Into<String>) -> Self {
        Self::Parameter { name: name.to_owned(), reason: reason.into() }
    }

    /// As an answer says it.
    pub fn problem(&self) -> Problem {
        let (code, status) = match self {
            Self::Parameter { .. } => ("bad_parameter", StatusCode::BAD_REQUEST),
            Self::TooManyRows(_) => ("too_many_rows", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Overflow(_) => ("overflow", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Ledger(LedgerError::Retry(_)) => ("ledger_unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::Ledger(LedgerError::Broken(_)) => ("ledger_broken", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unauthorized(error) => return error.problem(),
            Self::Denied(denied) => return denied.problem(),
        };
        Problem::new(status, code, self.to_string())
    }
}
