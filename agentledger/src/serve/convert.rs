//! Between HTTP and the types of API Gateway's payload format 2.0.

use std::collections::HashMap;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body as EventBody;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use edge::limits::MAX_BODY_BYTES;
use edge::{Code, Problem, too_large};
use http::{StatusCode, header};
use http_body_util::LengthLimitError;
use percent_encoding::percent_decode_str;

use super::traffic::ProblemCode;

/// Reads a request to its end.
pub(super) async fn request(request: Request, id: &str) -> Result<ApiGatewayV2httpRequest, Problem> {
    let (parts, body) = request.into_parts();
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(too_large());
    }
    let bytes = match to_bytes(body, MAX_BODY_BYTES).await {
        Ok(bytes) => bytes,
        Err(error)
            if std::error::Error::source(&error)
                .is_some_and(<dyn std::error::Error>::is::<LengthLimitError>) =>
        {
            return Err(too_large());
        }
        Err(error) => {
            let detail = format!("the body did not arrive: {error}");
            return Err(Problem::new(Code::BodyIncomplete, detail));
        }
    };
    let mut event = ApiGatewayV2httpRequest::default();
    event.version = Some("2.0".to_owned());
    event.raw_path = Some(parts.uri.path().to_owned());
    let query = parts.uri.query().unwrap_or_default();
    event.raw_query_string = Some(query.to_owned());
    event.query_string_parameters = params(query).into();
    event.headers = parts.headers;
    event.request_context.request_id = Some(id.to_owned());
    event.request_context.http.method = parts.method;
    event.request_context.http.path = Some(parts.uri.path().to_owned());
    match std::str::from_utf8(&bytes) {
        Ok("") => {}
        Ok(text) => event.body = Some(text.to_owned()),
        Err(_) => {
            event.body = Some(STANDARD.encode(&bytes));
            event.is_base64_encoded = true;
        }
    }
    Ok(event)
}

fn params(query: &str) -> HashMap<String, Vec<String>> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut params: HashMap<String, Vec<String>> = HashMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        params.entry(decode(name)).or_default().push(decode(value));
    }
    params
}

/// Writes a handler's answer.
pub(super) fn response(event: ApiGatewayV2httpResponse) -> Response {
    let code = problem_code(&event);
    let body = match event.body {
        Some(EventBody::Text(text)) if event.is_base64_encoded => match STANDARD.decode(&text) {
            Ok(bytes) => Body::from(bytes),
            Err(_) => Body::from(text),
        },
        Some(EventBody::Text(text)) => Body::from(text),
        Some(EventBody::Binary(bytes)) => Body::from(bytes),
        // No body, an empty one, or a kind that a later version of the types adds.
        _ => Body::empty(),
    };
    let mut response = Response::new(body);
    let status = u16::try_from(event.status_code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = event.headers;
    if let Some(code) = code {
        response.extensions_mut().insert(code);
    }
    for (name, value) in &event.multi_value_headers {
        response.headers_mut().append(name, value.clone());
    }
    response
}

/// The code of a problem, for whoever counts them: handlers answer in text, as Lambda's do.
fn problem_code(event: &ApiGatewayV2httpResponse) -> Option<ProblemCode> {
    #[derive(serde::Deserialize)]
    struct Coded {
        code: String,
    }
    match &event.body {
        Some(EventBody::Text(text)) if event.status_code >= 400 => {
            serde_json::from_str::<Coded>(text).ok().map(|problem| ProblemCode(problem.code.into()))
        }
        _ => None,
    }
}
