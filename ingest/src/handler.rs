//! HTTP in, HTTP out: `POST /v1/usage` as API Gateway delivers it (payload format 2.0).

use std::sync::atomic::Ordering;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use edge::{Problem, read_body};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Serialize;
use shared::clock::Clock;
use shared::id::EventId;
use shared::mint::Mint;
use shared::stream::EventStream;
use uuid::Uuid;

use crate::problem::internal;
use crate::{Ingest, parse, seal};

impl<S: EventStream, C: Clock, M: Mint> Ingest<S, C, M> {
    /// Answers one request. 200 is a receipt: every event of it is durable.
    pub async fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let request_id =
            request.request_context.request_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
        let receipt = self
            .receive(request)
            .await
            .and_then(|receipt| serde_json::to_string(&receipt).map_err(|e| internal("the receipt", &e)));
        match receipt {
            Ok(receipt) => {
                let mut response = edge::json(receipt);
                if let Ok(id) = HeaderValue::from_str(&request_id) {
                    response.headers.insert("x-request-id", id);
                }
                response
            }
            Err(problem) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(request_id, code = problem.code, status = %problem.status, "no receipt");
                problem.response(Some(&request_id))
            }
        }
    }

    async fn receive(&self, request: ApiGatewayV2httpRequest) -> Result<Receipt, Problem> {
        let path = request.raw_path.as_deref().unwrap_or_default();
        if path != "/v1/usage" {
            return Err(Problem::not_found(format!("there is no {path}; usage goes to POST /v1/usage")));
        }
        if request.request_context.http.method != Method::POST {
            return Err(Problem::method_not_allowed("POST", "usage is sent by POST"));
        }
        accepted_type(&request.headers)?;
        let body = read_body(request.body, request.is_base64_encoded)?;
        if body.is_empty() {
            let detail = "the body is empty; send one event, or {\"events\": […]}";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail));
        }
        let now = self.clock.now();
        let submission = parse::submission(&request.headers, &body, now, self.closed_before.get())?;
        let (accepted, ignored) = (submission.drafts.len(), submission.ignored);
        let key = submission.key.clone();
        let sealed = seal::seal(submission, &self.mint).map_err(|e| internal("the submission", &e))?;
        let lane_of =
            key.map_or_else(|| sealed.ids.first().map(ToString::to_string), |k| Some(k.to_string()));
        let ids = self.put(sealed, &lane_of.unwrap_or_default()).await?;
        Ok(Receipt { metered: true, accepted, event_ids: ids, ignored_fields: ignored })
    }
}

/// What a submission got back: every event of it is durable.
#[derive(Serialize)]
struct Receipt {
    metered: bool,
    accepted: usize,
    /// In the order of the events.
    event_ids: Vec<EventId>,
    /// Top-level fields that nobody knows.
    #[serde(skip_serializing_if = "is_zero")]
    ignored_fields: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// A missing content type, and curl's default form type, are read as JSON.
fn accepted_type(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(value) = headers.get(http::header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" | "application/x-www-form-urlencoded" | "" => Ok(()),
        other if other.starts_with("application/") && other.ends_with("+json") => Ok(()),
        _ => {
            let detail = "the body has to be application/json";
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
        }
    }
}
