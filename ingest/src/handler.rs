//! HTTP in, HTTP out: `POST /v1/usage` as API Gateway delivers it (payload format 2.0).

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use base64::Engine;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::stream::EventStream;
use uuid::Uuid;

use crate::problem::{Problem, answer};
use crate::{Ingest, MAX_BODY_BYTES, parse, seal};

impl<S: EventStream, C: Clock> Ingest<S, C> {
    /// Answers one request. 200 is a receipt: every event of it is durable.
    pub async fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let request_id =
            request.request_context.request_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
        match self.receive(request).await {
            Ok(receipt) => answer(200, "application/json", &receipt, &request_id),
            Err(problem) => {
                tracing::debug!(request_id, code = problem.code, status = problem.status, "no receipt");
                problem.response(&request_id)
            }
        }
    }

    async fn receive(&self, request: ApiGatewayV2httpRequest) -> Result<Value, Problem> {
        let path = request.raw_path.as_deref().unwrap_or_default();
        if path != "/v1/usage" {
            return Err(Problem::new(
                404,
                "not_found",
                format!("there is no {path}; usage goes to POST /v1/usage"),
            ));
        }
        if request.request_context.http.method != Method::POST {
            return Err(Problem::new(405, "method_not_allowed", "usage is sent by POST"));
        }
        accepted_type(&request.headers)?;
        let body = bytes(request.body.unwrap_or_default(), request.is_base64_encoded)?;
        let now = self.clock.now();
        let submission = parse::submission(&request.headers, &body, now, self.closed_before.get())?;
        let (accepted, ignored) = (submission.drafts.len(), submission.ignored);
        let key = submission.key.clone();
        let sealed = seal::seal(submission)
            .map_err(|e| Problem::new(500, "internal", format!("the submission cannot be encoded: {e}")))?;
        let lane_of =
            key.map_or_else(|| sealed.ids.first().map(ToString::to_string), |k| Some(k.to_string()));
        let ids = self.put(sealed, &lane_of.unwrap_or_default()).await?;
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let mut receipt = json!({"metered": true, "accepted": accepted, "event_ids": ids});
        if ignored > 0 {
            receipt["ignored_fields"] = ignored.into();
        }
        Ok(receipt)
    }
}

/// A missing content type, and curl's default form type, are read as JSON.
fn accepted_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(http::header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" | "application/x-www-form-urlencoded" | "" => Ok(()),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(()),
        _ => Err(Problem::new(415, "unsupported_media_type", "the body has to be application/json")),
    }
}

fn bytes(body: String, is_base64: bool) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        Problem::new(
            413,
            "body_too_large",
            format!("the body is larger than {MAX_BODY_BYTES} bytes; send fewer events at once"),
        )
    };
    if body.len() > MAX_BODY_BYTES / 3 * 4 + 8 {
        return Err(too_large());
    }
    let bytes = if is_base64 {
        base64::engine::general_purpose::STANDARD
            .decode(body)
            .map_err(|_| Problem::new(400, "invalid_body", "the body is marked as base64 and is not"))?
    } else {
        body.into_bytes()
    };
    if bytes.len() > MAX_BODY_BYTES {
        return Err(too_large());
    }
    if bytes.is_empty() {
        return Err(Problem::new(
            400,
            "invalid_json",
            "the body is empty; send one event, or {\"events\": […]}",
        ));
    }
    Ok(bytes)
}
