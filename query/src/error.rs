//! What can go wrong in answering.

use auth::{Denied, TokenError};
use edge::{Code, Problem};
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
    /// An event that there is not, or that may not be seen.
    #[error("{0}")]
    NoSuchEvent(String),
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
        let code = match self {
            Self::Parameter { .. } => Code::BadParameter,
            Self::TooManyRows(_) => Code::TooManyRows,
            Self::NoSuchEvent(_) => Code::NoSuchEvent,
            Self::Overflow(_) => Code::Overflow,
            Self::Ledger(LedgerError::Retry(_)) => Code::LedgerUnavailable,
            Self::Ledger(LedgerError::Broken(_)) => Code::LedgerBroken,
            Self::Unauthorized(error) => return error.problem(),
            Self::Denied(denied) => return denied.problem(),
        };
        Problem::new(code, self.to_string())
    }
}
