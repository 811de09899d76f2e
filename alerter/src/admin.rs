//! The administrative endpoints of budgets: `PUT` and `DELETE /v1/admin/budgets/{name}`.

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use http::{HeaderMap, HeaderValue, Method};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::budget::{BudgetError, BudgetSpec, Limit};
use shared::clock::Clock;
use shared::id::BudgetName;
use shared::ledger::{AlertStore, BudgetStore, LedgerError, RollupStore};
use shared::money::Usd;
use shared::notifier::Notifier;
use shared::window::{Period, Zone};

use crate::Alerter;

const PREFIX: &str = "/v1/admin/budgets/";

/// A budget as its operator writes it, in JSON and in a configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetRequest {
    /// `org`, `team:NAME`, `agent:NAME`, `task:NAME` or `model:NAME`.
    pub scope: String,
    /// The limit in US dollars, as a decimal string.
    #[serde(default)]
    pub limit_usd: Option<String>,
    /// The limit in tokens.
    #[serde(default)]
    pub limit_tokens: Option<u64>,
    /// `hour`, `day`, `week` or `month`.
    pub period: Period,
    /// An IANA time zone; UTC if it is left out.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Percentages of the limit; 100 if they are left out.
    #[serde(default)]
    pub thresholds: Vec<u32>,
}

impl BudgetRequest {
    /// The budget of that name, checked.
    pub fn spec(self, name: &str) -> Result<BudgetSpec, BudgetError> {
        let bad = |field, reason: String| BudgetError { field, reason };
        let name = BudgetName::parse(name).map_err(|e| bad("name", e.to_string()))?;
        let limit = match (self.limit_usd, self.limit_tokens) {
            (Some(usd), None) => Limit::Usd(usd.parse::<Usd>().map_err(|e| bad("limit_usd", e.to_string()))?),
            (None, Some(tokens)) => Limit::Tokens(tokens),
            _ => return Err(bad("limit_usd", "give either limit_usd or limit_tokens".to_owned())),
        };
        let timezone = match self.timezone {
            Some(zone) => Zone::parse(&zone).map_err(|e| bad("timezone", e.to_string()))?,
            None => Zone::utc(),
        };
        let thresholds = if self.thresholds.is_empty() { vec![100] } else { self.thresholds };
        BudgetSpec { name, scope: self.scope.parse()?, limit, period: self.period, timezone, thresholds }
            .checked()
    }
}

impl<L: RollupStore + BudgetStore + AlertStore, N: Notifier, C: Clock> Alerter<L, N, C> {
    /// Sets a budget and evaluates it at once.
    pub async fn set_budget(&self, spec: &BudgetSpec) -> Result<shared::budget::Budget, LedgerError> {
        let budget = self.ledger.set_budget(spec, self.clock.now()).await?;
        if let Err(error) = self.evaluate_now(&budget).await {
            // It is set; the change feed and the sweep evaluate it again.
            tracing::warn!(%error, budget = %spec.name, "a new budget was not evaluated yet");
        }
        Ok(budget)
    }

    /// Answers an administrative request.
    pub async fn handle_admin(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let path = request.raw_path.as_deref().unwrap_or_default();
        let Some(name) = path.strip_prefix(PREFIX).filter(|name| !name.is_empty()) else {
            return problem(
                404,
                "not_found",
                &format!("{path} is no administrative endpoint; there is {PREFIX}NAME"),
            );
        };
        let method = &request.request_context.http.method;
        if method == Method::PUT {
            let spec = read(request.body.as_deref().unwrap_or_default(), name);
            return match spec {
                Ok(spec) => match self.set_budget(&spec).await {
                    Ok(budget) => answer(200, "application/json", &json!(budget)),
                    Err(error) => problem(503, "ledger_unavailable", &error.to_string()),
                },
                Err(detail) => problem(400, "invalid_budget", &detail),
            };
        }
        if method == Method::DELETE {
            let Ok(name) = BudgetName::parse(name) else {
                return problem(404, "not_found", "there is no such budget");
            };
            return match self.ledger.remove_budget(&name).await {
                Ok(true) => answer(200, "application/json", &json!({"removed": name})),
                Ok(false) => problem(404, "not_found", &format!("there is no budget {name}")),
                Err(error) => problem(503, "ledger_unavailable", &error.to_string()),
            };
        }
        problem(405, "method_not_allowed", "budgets are set by PUT and removed by DELETE")
    }
}

fn read(body: &str, name: &str) -> Result<BudgetSpec, String> {
    let request: BudgetRequest =
        serde_json::from_str(body).map_err(|e| format!("the body is no budget: {e}"))?;
    request.spec(name).map_err(|e| e.to_string())
}

fn problem(status: i64, code: &str, detail: &str) -> ApiGatewayV2httpResponse {
    let body = json!({
        "type": format!("urn:agentledger:error:{code}"),
        "title": code.replace('_', " "),
        "status": status,
        "code": code,
        "detail": detail,
    });
    answer(status, "application/problem+json", &body)
}

fn answer(status: i64, content_type: &'static str, body: &Value) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = status;
    response.headers =
        HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type))]);
    response.body = Some(Body::Text(body.to_string()));
    response
}
