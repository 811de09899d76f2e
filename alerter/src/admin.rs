//! The administrative endpoints of budgets: `PUT` and `DELETE /v1/admin/budgets/{name}`.
//!
//! A change is news to the alerter, which evaluates the new version at once.

use std::sync::Arc;

use auth::{Access, Caller, Role, audit, object_of};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use edge::{Code, Problem, read_body};
use http::Method;
use percent_encoding::percent_decode_str;
use shared::budget::{BudgetError, BudgetForm};
use shared::clock::Clock;
use shared::id::BudgetName;
use shared::ledger::{BudgetStore, LedgerError};

/// Sets and removes budgets.
#[derive(Debug)]
pub struct Admin<L, C> {
    ledger: Arc<L>,
    clock: C,
    access: Access,
}

impl<L: BudgetStore, C: Clock> Admin<L, C> {
    /// Writes to `ledger`, for those whom `access` lets in.
    pub fn new(ledger: Arc<L>, clock: C, access: Access) -> Self {
        Self { ledger, clock, access }
    }

    /// Answers a request.
    pub async fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let id = request.request_context.request_id.clone();
        let object = object_of(request.raw_path.as_deref().unwrap_or_default());
        let method = request.request_context.http.method.clone();
        let caller = self.access.caller(&request.headers);
        let known = caller.as_ref().ok().cloned();
        let answer = match caller {
            Ok(caller) => self.change(&caller, request).await,
            Err(error) => Err(error.problem()),
        };
        let outcome = answer.as_ref().map_or_else(|problem| problem.code.name(), |_| "done");
        audit(known.as_ref(), &method, &object, id.as_deref(), outcome);
        match answer {
            Ok(body) => edge::json(body),
            Err(problem) => problem.response(id.as_deref()),
        }
    }

    async fn change(&self, caller: &Caller, request: ApiGatewayV2httpRequest) -> Result<String, Problem> {
        caller.demand(Role::Admin).map_err(|denied| denied.problem())?;
        let path = request.raw_path.as_deref().unwrap_or_default();
        let Some(name) = path.strip_prefix("/v1/admin/budgets/").filter(|name| !name.contains('/')) else {
            let detail = format!("there is no {path}; budgets are set at /v1/admin/budgets/NAME");
            return Err(Problem::not_found(detail));
        };
        let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
        match request.request_context.http.method {
            Method::PUT => {
                let body = read_body(request.body, request.is_base64_encoded, &request.headers)?;
                let form: BudgetForm =
                    edge::read_object(&body).map_err(|e| bad(format!("the body is no budget: {e}")))?;
                let spec = form.spec(&name).map_err(|e: BudgetError| bad(e.to_string()))?;
                let budget = self.ledger.set_budget(&spec, self.clock.now()).await.map_err(|e| failed(&e))?;
                serde_json::to_string(&budget)
                    .map_err(|e| failed(&LedgerError::Broken(format!("the budget cannot be shown: {e}"))))
            }
            Method::DELETE => {
                let name = BudgetName::parse(&name).map_err(|e| bad(format!("`name` {e}")))?;
                if self.ledger.remove_budget(&name).await.map_err(|e| failed(&e))? {
                    return Ok(r#"{"removed":true}"#.to_owned());
                }
                let detail = format!("there is no budget {name}; GET /v1/budgets lists them");
                Err(Problem::new(Code::NoSuchBudget, detail))
            }
            _ => {
                let detail = "a budget is set with PUT and removed with DELETE; GET /v1/budgets lists them";
                Err(Problem::method_not_allowed("PUT, DELETE", detail))
            }
        }
    }
}

fn bad(detail: String) -> Problem {
    Problem::new(Code::InvalidBudget, detail)
}

fn failed(error: &LedgerError) -> Problem {
    tracing::error!(%error, "a change of a budget failed");
    let code = match error {
        LedgerError::Retry(_) => Code::LedgerUnavailable,
        LedgerError::Broken(_) => Code::LedgerBroken,
    };
    Problem::new(code, error.to_string())
}
