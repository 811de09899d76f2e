//! Errors as `application/problem+json` (RFC 9457), naming each bad event by index and field.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

/// One thing that is wrong with one event, or with the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The event's index in the submission; none for the request as a whole.
    pub(crate) index: Option<usize>,
    /// Which field or header.
    pub(crate) field: String,
    /// What is wrong and what would be accepted.
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn of_request(field: &str, reason: impl Into<String>) -> Self {
        Self { index: None, field: field.to_owned(), reason: reason.into() }
    }
}

/// An answer that is no receipt.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: i64,
    /// Stable.
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) faults: Vec<Fault>,
    /// Further members.
    pub(crate) extra: Vec<(&'static str, Value)>,
}

impl Problem {
    pub(crate) fn new(status: i64, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), faults: Vec::new(), extra: Vec::new() }
    }

    pub(crate) fn invalid(faults: Vec<Fault>) -> Self {
        let detail = match faults.first() {
            Some(Fault { index: Some(index), field, reason }) => {
                format!("event {index}, `{field}` {reason}; nothing of the submission was accepted")
            }
            Some(Fault { field, reason, .. }) => format!("`{field}` {reason}; nothing was accepted"),
            None => "nothing was accepted".to_owned(),
        };
        let closed = !faults.is_empty() && faults.iter().all(|f| f.reason.starts_with(CLOSED));
        let code = if closed { "closed_period" } else { "invalid_event" };
        Self { faults, ..Self::new(400, code, detail) }
    }

    pub(crate) fn response(self, request_id: &str) -> ApiGatewayV2httpResponse {
        let mut body = json!({
            "type": format!("urn:agentledger:error:{}", self.code),
            "title": self.code.replace('_', " "),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "request_id": request_id,
        });
        if !self.faults.is_empty() {
            let shown = self
                .faults
                .iter()
                .map(|fault| json!({"index": fault.index, "field": fault.field, "reason": fault.reason}));
            body["errors"] = Value::Array(shown.collect());
        }
        for (name, value) in self.extra {
            body[name] = value;
        }
        let mut response = answer(self.status, "application/problem+json", &body, request_id);
        if self.status == 503 {
            response.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == 405 {
            response.headers.insert(http::header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

/// How a fault of an event from a closed period begins.
pub(crate) const CLOSED: &str = "is before";

pub(crate) fn answer(
    status: i64,
    content_type: &'static str,
    body: &Value,
    request_id: &str,
) -> ApiGatewayV2httpResponse {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", id);
    }
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = status;
    response.headers = headers;
    response.body = Some(Body::Text(body.to_string()));
    response
}
