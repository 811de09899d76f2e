//! What can go wrong in answering, and the `application/problem+json` (RFC 9457) that says so.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
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
}

impl QueryError {
    /// A parameter that cannot be used.
    pub fn parameter(name: &str, reason: impl Into<String>) -> Self {
        Self::Parameter { name: name.to_owned(), reason: reason.into() }
    }

    /// Its stable code, and the status it answers with.
    pub fn code(&self) -> (&'static str, StatusCode) {
        match self {
            Self::Parameter { .. } => ("bad_parameter", StatusCode::BAD_REQUEST),
            Self::TooManyRows(_) => ("too_many_rows", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Overflow(_) => ("overflow", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Ledger(LedgerError::Retry(_)) => ("ledger_unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::Ledger(LedgerError::Broken(_)) => ("ledger_broken", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// An `application/problem+json` answer.
pub fn problem(
    status: StatusCode,
    code: &str,
    detail: &str,
    request_id: Option<&str>,
) -> ApiGatewayV2httpResponse {
    let problem = Problem {
        r#type: format!("urn:agentledger:error:{code}"),
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
        code,
        request_id,
    };
    // A struct of strings and numbers always serialises.
    let body = serde_json::to_string(&problem).unwrap_or_default();
    respond(status, "application/problem+json", body)
}

pub(crate) fn respond(status: StatusCode, kind: &'static str, body: String) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(status.as_u16());
    response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    // Spend changes by the second, and a shared cache would show one reader's numbers to another.
    response.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.body = Some(Body::Text(body));
    response
}
