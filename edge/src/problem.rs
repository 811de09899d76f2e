//! Errors as `application/problem+json` (RFC 9457).

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::answer;
use crate::code::Code;
use crate::limits::MAX_FAULTS;

/// One thing that is wrong with one event, or with the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fault {
    /// The event's index in the submission; none for the request as a whole.
    pub index: Option<usize>,
    /// Which field or header.
    pub field: String,
    /// What is wrong and what would be accepted.
    pub reason: String,
    /// Whether the only thing wrong is that its period is closed.
    #[serde(skip)]
    pub closed: bool,
}

impl Fault {
    /// A fault of one event.
    pub fn of_event(index: usize, field: &str, reason: impl Into<String>) -> Self {
        Self { index: Some(index), ..Self::of_request(field, reason) }
    }

    /// A fault of the request as a whole.
    pub fn of_request(field: &str, reason: impl Into<String>) -> Self {
        Self { index: None, field: field.to_owned(), reason: reason.into(), closed: false }
    }
}

/// What a client is told of authentication (RFC 6750).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// The scheme alone: no credentials were sent.
    Bearer,
    /// Credentials were sent in a wrong way.
    InvalidRequest,
    /// A token does not hold.
    InvalidToken,
    /// A token does not reach so far.
    InsufficientScope,
}

impl Challenge {
    fn header(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::InvalidRequest => "Bearer error=\"invalid_request\"",
            Self::InvalidToken => "Bearer error=\"invalid_token\"",
            Self::InsufficientScope => "Bearer error=\"insufficient_scope\"",
        }
    }
}

/// A request that was not done, and why.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Stable, for programs; it brings the status.
    pub code: Code,
    /// What was wrong and what to do, for people.
    pub detail: String,
    /// What exactly was wrong.
    pub faults: Vec<Fault>,
    /// The methods that would be accepted, for a 405.
    pub allow: Option<&'static str>,
    /// The encodings that would be accepted, for a 415.
    pub accept_encoding: Option<&'static str>,
    /// How to authenticate, for a 401 or a 403.
    pub challenge: Option<Challenge>,
    /// Further members.
    pub extra: Map<String, Value>,
}

/// The members of an error's body.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProblemBody<'a> {
    /// `urn:agentledger:error:` and the code.
    r#type: String,
    /// The code in words.
    title: String,
    /// The status of the answer.
    status: u16,
    /// What was wrong and what to do, for people.
    detail: &'a str,
    /// Stable, for programs.
    code: &'a str,
    /// A page about the code, on the server that answered.
    help: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// What exactly was wrong.
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    #[schemars(default)]
    errors: &'a [Fault],
    #[serde(flatten)]
    #[schemars(skip)]
    extra: &'a Map<String, Value>,
}

impl Problem {
    /// A problem with nothing but its words.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let (faults, extra) = (Vec::new(), Map::new());
        let (allow, accept_encoding, challenge) = (None, None, None);
        Self { code, detail: detail.into(), faults, allow, accept_encoding, challenge, extra }
    }

    /// A submission of which nothing was accepted. Faults past [`MAX_FAULTS`] are counted.
    pub fn of_faults(code: Code, mut faults: Vec<Fault>) -> Self {
        let more = faults.len().saturating_sub(MAX_FAULTS);
        let mut detail = match faults.first() {
            Some(Fault { index: Some(index), field, reason, .. }) => {
                format!("event {index}, `{field}` {reason}; nothing of the submission was accepted")
            }
            Some(Fault { field, reason, .. }) => format!("`{field}` {reason}; nothing was accepted"),
            None => "nothing was accepted".to_owned(),
        };
        if more > 0 {
            detail = format!("{detail}; {more} further faults are not listed");
        }
        faults.truncate(MAX_FAULTS);
        Self { faults, ..Self::new(code, detail) }
    }

    /// A path that is not there.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// A method that a path does not take.
    pub fn method_not_allowed(allow: &'static str, detail: impl Into<String>) -> Self {
        let problem = Self::new(Code::MethodNotAllowed, detail);
        Self { allow: Some(allow), ..problem }
    }

    /// The answer that says so.
    pub fn response(&self, request_id: Option<&str>) -> ApiGatewayV2httpResponse {
        let status = self.code.status();
        let members = ProblemBody {
            r#type: format!("urn:agentledger:error:{}", self.code),
            title: self.code.name().replace('_', " "),
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code.name(),
            help: self.code.page_path(),
            request_id,
            errors: &self.faults,
            extra: &self.extra,
        };
        // Strings and numbers always serialise.
        let body = serde_json::to_string(&members).unwrap_or_default();
        let mut response = answer(status, "application/problem+json", body);
        if let Some(id) = request_id.and_then(|id| HeaderValue::from_str(id).ok()) {
            response.headers.insert("x-request-id", id);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
            response.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(allow) = self.allow {
            response.headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(accepted) = self.accept_encoding {
            response.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        }
        if let Some(challenge) = self.challenge {
            response.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge.header()));
        }
        response
    }
}
