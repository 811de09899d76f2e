//! The quarantine over HTTP: `GET /v1/quarantine/{id}`, `POST /v1/admin/quarantine/{id}/retry` and
//! `DELETE /v1/admin/quarantine/{id}`.

use std::sync::Arc;

use auth::{Access, Caller, Role, audit, object_of};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use edge::{Code, Problem, read_body};
use http::Method;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use shared::clock::Clock;
use shared::ledger::{LedgerError, RecordStore, SequenceStore};
use shared::metrics::Metrics;
use shared::quarantine::RetryForm;

use super::Redriver;

const SHOW: &str = "/v1/quarantine/";
const CHANGE: &str = "/v1/admin/quarantine/";
const RETRY: &str = "/retry";

/// Shows what was put aside, tries it again, and purges it.
pub struct Admin<L, M, C> {
    ledger: Arc<L>,
    /// None where nothing is counted.
    redriver: Option<Redriver<L, M, C>>,
    access: Access,
}

impl<L: RecordStore + SequenceStore, M: Metrics, C: Clock + Clone> Admin<L, M, C> {
    /// For those whom `access` lets in.
    pub fn new(ledger: Arc<L>, redriver: Option<Redriver<L, M, C>>, access: Access) -> Self {
        Self { ledger, redriver, access }
    }

    /// Whether a path is answered here.
    pub fn answers(path: &str) -> bool {
        path.starts_with(SHOW) || path.starts_with(CHANGE)
    }

    /// Answers a request.
    pub async fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let id = request.request_context.request_id.clone();
        let path = request.raw_path.clone().unwrap_or_default();
        let method = request.request_context.http.method.clone();
        let caller = self.access.caller(&request.headers);
        let known = caller.as_ref().ok().cloned();
        let answer = match (caller, path.strip_prefix(SHOW)) {
            (Err(error), _) => Err(error.problem()),
            (Ok(caller), Some(name)) => self.show(&caller, &method, name).await,
            (Ok(caller), None) => self.change(&caller, &path, request).await,
        };
        if path.starts_with(CHANGE) {
            let outcome = answer.as_ref().map_or_else(|problem| problem.code.name(), |answer| answer.outcome);
            audit(known.as_ref(), &method, &object_of(&path), id.as_deref(), outcome);
        }
        match answer {
            Ok(answer) => edge::json(answer.body),
            Err(problem) => problem.response(id.as_deref()),
        }
    }

    async fn show(&self, caller: &Caller, method: &Method, name: &str) -> Result<Answer, Problem> {
        caller.demand(Role::Read).map_err(|denied| denied.problem())?;
        caller.demand_all_teams().map_err(|denied| denied.problem())?;
        if *method != Method::GET {
            let detail =
                "what was put aside is shown by GET; POST and DELETE are under /v1/admin/quarantine/";
            return Err(Problem::method_not_allowed("GET", detail));
        }
        let id = decoded(name);
        let item = self.ledger.quarantined_item(&id).await.map_err(|e| failed(&e))?;
        json("done", &item.ok_or_else(|| no_such(&id))?)
    }

    async fn change(
        &self,
        caller: &Caller,
        path: &str,
        request: ApiGatewayV2httpRequest,
    ) -> Result<Answer, Problem> {
        caller.demand(Role::Admin).map_err(|denied| denied.problem())?;
        let name = path.strip_prefix(CHANGE).unwrap_or_default();
        match (request.request_context.http.method.clone(), name.strip_suffix(RETRY), &self.redriver) {
            (Method::POST, Some(name), Some(redriver)) => {
                let body = read_body(request.body, request.is_base64_encoded, &request.headers)?;
                let form: RetryForm = if body.is_empty() {
                    RetryForm::default()
                } else {
                    edge::read_object(&body).map_err(|e| {
                        let detail = format!("the body is no retry such as {{\"payload\":{{…}}}}: {e}");
                        Problem::new(Code::InvalidRedrive, detail)
                    })?
                };
                let payload = form.payload.map(|payload| payload.to_string());
                let id = decoded(name);
                let tried = redriver.retry(&id, payload.as_deref().map(str::as_bytes)).await;
                let answer = tried.map_err(|e| failed(&e))?.ok_or_else(|| no_such(&id))?;
                let outcome = if answer.reason.is_some() { "stuck" } else { "redriven" };
                json(outcome, &answer)
            }
            (Method::DELETE, None, _) => {
                let id = decoded(name);
                if !self.ledger.remove_quarantined(&id).await.map_err(|e| failed(&e))? {
                    return Err(no_such(&id));
                }
                Ok(Answer { outcome: "purged", body: r#"{"removed":true}"#.to_owned() })
            }
            (_, Some(_), _) => Err(Problem::method_not_allowed("POST", "it is tried again with POST")),
            (_, None, _) => {
                let detail = "it is removed with DELETE, tried again with POST at …/retry, and shown at \
                              GET /v1/quarantine/ID";
                Err(Problem::method_not_allowed("DELETE", detail))
            }
        }
    }
}

struct Answer {
    /// For the audit.
    outcome: &'static str,
    body: String,
}

fn json<T: Serialize>(outcome: &'static str, value: &T) -> Result<Answer, Problem> {
    let body = serde_json::to_string(value)
        .map_err(|e| failed(&LedgerError::Broken(format!("the answer cannot be shown: {e}"))))?;
    Ok(Answer { outcome, body })
}

fn decoded(name: &str) -> String {
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

fn no_such(id: &str) -> Problem {
    let detail = format!("nothing is in the quarantine as {id:?}; GET /v1/quarantine lists what is");
    Problem::new(Code::NoSuchQuarantined, detail)
}

fn failed(error: &LedgerError) -> Problem {
    tracing::error!(%error, "a change of the quarantine failed");
    let code = match error {
        LedgerError::Retry(_) => Code::LedgerUnavailable,
        LedgerError::Broken(_) => Code::LedgerBroken,
    };
    Problem::new(code, error.to_string())
}
