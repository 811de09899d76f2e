//! The edge: HTTP as API Gateway delivers it, shared by every handler that answers it.
//!
//! A body is read within its limit, and an error is `application/problem+json` (RFC 9457) with a stable code.

mod body;
mod code;
mod gateway;
pub mod limits;
mod problem;

pub use body::{read_body, read_object, too_large};
pub use code::{Code, PAGES};
pub use gateway::{GatewayRequest, GatewayResponse, answer_gateway};
pub use problem::{Challenge, Fault, Problem, ProblemBody};

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// An answer with a body of that content type.
pub fn answer(status: StatusCode, content_type: &'static str, body: String) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(status.as_u16());
    response.headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        // Answers change by the second, and a shared cache would show one reader's numbers to another.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]);
    response.body = Some(Body::Text(body));
    response
}

/// A JSON answer.
pub fn json(body: String) -> ApiGatewayV2httpResponse {
    answer(StatusCode::OK, "application/json", body)
}
