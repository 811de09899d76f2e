//! HTTP in, HTTP out: `POST /v1/usage` as API Gateway delivers it.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use edge::{Code, GatewayRequest, GatewayResponse, Problem, answer_gateway, read_body};
use http::{HeaderValue, Method};
use serde::Serialize;
use shared::clock::Clock;
use shared::id::EventId;
use shared::mint::Mint;
use shared::stream::EventStream;
use uuid::Uuid;

use crate::content_type::Form;
use crate::problem::internal;
use crate::{Ingest, authorise, parse, seal};

impl<S: EventStream, C: Clock, M: Mint> Ingest<S, C, M> {
    /// Answers one request in either payload format of API Gateway.
    pub async fn handle_gateway(&self, request: GatewayRequest) -> GatewayResponse {
        answer_gateway(request, |request| self.handle(request)).await
    }

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
                self.count_rejected();
                tracing::debug!(request_id, code = %problem.code, "no receipt");
                problem.response(Some(&request_id))
            }
        }
    }

    async fn receive(&self, request: ApiGatewayV2httpRequest) -> Result<Receipt, Problem> {
        let caller = self.access.caller_of(&request)?;
        authorise::sender(&caller)?;
        let path = request.raw_path.as_deref().unwrap_or_default();
        if path != "/v1/usage" {
            return Err(Problem::not_found(format!("there is no {path}; usage goes to POST /v1/usage")));
        }
        if request.request_context.http.method != Method::POST {
            return Err(Problem::method_not_allowed("POST", "usage is sent by POST"));
        }
        let form = Form::of(&request.headers)?;
        let body = read_body(request.body, request.is_base64_encoded, &request.headers)?;
        if body.is_empty() {
            let detail = "the body is empty; send one event, or {\"events\": […]}";
            return Err(Problem::new(Code::InvalidJson, detail));
        }
        let now = self.clock.now();
        let (headers, closed_before) = (&request.headers, self.closed_before.get());
        let mut submission =
            parse::submission(headers, form, &body, now, closed_before, caller.only_agent())?;
        authorise::submission(&caller, headers, &mut submission)?;
        let (accepted, ignored) = (submission.drafts.len(), submission.ignored);
        let key = submission.key.clone();
        let sealed = seal::seal(submission, &self.mint).map_err(|e| internal("the submission", &e))?;
        let key = key.map_or_else(|| sealed.ids.first().map(ToString::to_string), |k| Some(k.to_string()));
        let ids = self.put(sealed, &key.unwrap_or_default()).await?;
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
