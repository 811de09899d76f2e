//! `/v1/admin/…`: the changes that an operator makes to a running server.

use std::sync::Arc;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use base64::Engine;
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use query::{BudgetLine, problem};
use shared::clock::Clock;
use shared::id::BudgetName;
use shared::ledger::{BudgetStore, LedgerError};

use crate::budgets::BudgetForm;

/// Answers `PUT` and `DELETE /v1/admin/budgets/{name}`.
#[derive(Debug)]
pub(crate) struct Admin<L, C> {
    ledger: Arc<L>,
    clock: C,
}

impl<L: BudgetStore, C: Clock> Admin<L, C> {
    /// Writes to `ledger`.
    pub(crate) fn new(ledger: Arc<L>, clock: C) -> Self {
        Self { ledger, clock }
    }

    /// Answers a request.
    pub(crate) async fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let id = request.request_context.request_id.as_deref();
        let path = request.raw_path.as_deref().unwrap_or_default();
        let Some(name) = path.strip_prefix("/v1/admin/budgets/").filter(|name| !name.contains('/')) else {
            let detail = format!("there is no {path}; budgets are set at /v1/admin/budgets/NAME");
            return problem(StatusCode::NOT_FOUND, "not_found", &detail, id);
        };
        let name = percent_decode_str(name).decode_utf8_lossy();
        match request.request_context.http.method {
            Method::PUT => self.set(&name, &request).await,
            Method::DELETE => self.remove(&name, id).await,
            _ => {
                let detail = "a budget is set with PUT and removed with DELETE; GET /v1/budgets lists them";
                let mut response = problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail, id);
                response.headers.insert(header::ALLOW, HeaderValue::from_static("PUT, DELETE"));
                response
            }
        }
    }

    async fn set(&self, name: &str, request: &ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let id = request.request_context.request_id.as_deref();
        let bad = |detail: &str| problem(StatusCode::BAD_REQUEST, "bad_budget", detail, id);
        let form: BudgetForm = match serde_json::from_slice(&body(request)) {
            Ok(form) => form,
            Err(error) => return bad(&format!("the body is no budget: {error}")),
        };
        let spec = match form.spec(name) {
            Ok(spec) => spec,
            Err(reason) => return bad(&reason),
        };
        match self.ledger.set_budget(&spec, self.clock.now()).await {
            Ok(budget) => ok(serde_json::to_string(&BudgetLine::from(budget)).unwrap_or_default()),
            Err(error) => failed(&error, id),
        }
    }

    async fn remove(&self, name: &str, id: Option<&str>) -> ApiGatewayV2httpResponse {
        let name = match BudgetName::parse(name) {
            Ok(name) => name,
            Err(e) => return problem(StatusCode::BAD_REQUEST, "bad_budget", &format!("`name` {e}"), id),
        };
        match self.ledger.remove_budget(&name).await {
            Ok(true) => ok(r#"{"removed":true}"#.to_owned()),
            Ok(false) => {
                let detail = format!("there is no budget {name}; GET /v1/budgets lists them");
                problem(StatusCode::NOT_FOUND, "no_such_budget", &detail, id)
            }
            Err(error) => failed(&error, id),
        }
    }
}

fn body(request: &ApiGatewayV2httpRequest) -> Vec<u8> {
    let text = request.body.as_deref().unwrap_or_default();
    if request.is_base64_encoded {
        return base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
    }
    text.as_bytes().to_vec()
}

fn ok(body: String) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = 200;
    response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.body = Some(Body::Text(body));
    response
}

fn failed(error: &LedgerError, id: Option<&str>) -> ApiGatewayV2httpResponse {
    tracing::error!(%error, "a change of a budget failed");
    let (code, status) = query::QueryError::Ledger(error.clone()).code();
    problem(status, code, &error.to_string(), id)
}
