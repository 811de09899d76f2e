//! Who answers what of a ledger, the same for a server and for a command that opened the files itself.

use std::sync::Arc;

use aggregator::prices::Prices;
use alerter::admin::Admin;
use auth::{Access, Revocations};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use edge::limits::Limit;
use local::ledger::SqliteLedger;
use query::Query;
use shared::clock::Clock;
use shared::price::Books;

/// All but ingest.
pub(crate) struct Handlers<C> {
    query: Query<SqliteLedger, C>,
    admin: Admin<SqliteLedger, C>,
    revocations: Revocations<SqliteLedger, C>,
    prices: Prices<SqliteLedger, C>,
}

impl<C: Clock + Clone> Handlers<C> {
    /// Over `ledger`, for those whom `access` lets in.
    pub(crate) fn new(ledger: &Arc<SqliteLedger>, clock: C, access: &Access) -> Self {
        Self {
            query: Query::new(Arc::clone(ledger), clock.clone(), access.clone()),
            admin: Admin::new(Arc::clone(ledger), clock.clone(), access.clone()),
            prices: Prices::new(Arc::clone(ledger), clock.clone(), access.clone()),
            revocations: Revocations::new(Arc::clone(ledger), clock, access.clone()),
        }
    }

    /// With limits that this host has beside the common ones, for `GET /v1/limits`.
    pub(crate) fn with_host_limits(self, limits: Vec<Limit>) -> Self {
        Self { query: self.query.with_host_limits(limits), ..self }
    }

    /// With the books that price events here, so that an import is in force at once.
    pub(crate) fn with_books(self, books: Books) -> Self {
        Self { prices: self.prices.with_books(books), ..self }
    }

    /// Answers a request.
    pub(crate) async fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let path = request.raw_path.as_deref().unwrap_or_default();
        if Revocations::<SqliteLedger, C>::answers(path) {
            self.revocations.handle(request).await
        } else if Prices::<SqliteLedger, C>::answers(path) {
            self.prices.handle(request).await
        } else if path.starts_with("/v1/admin/") {
            self.admin.handle(request).await
        } else {
            self.query.handle(request).await
        }
    }
}

#[cfg(test)]
mod tests {
    use auth::{AUDIENCE, AgentPattern, Claims, Role, SecretKey, Verifier, sign};
    use http::{Method, header};
    use shared::clock::SystemClock;

    use super::*;

    fn ask(
        handlers: &Handlers<SystemClock>,
        method: &Method,
        path: &str,
        token: Option<&str>,
    ) -> (i64, bool) {
        let mut request = ApiGatewayV2httpRequest::default();
        request.raw_path = Some(path.to_owned());
        request.request_context.http.method = method.clone();
        if let Some(token) = token {
            request.headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(handlers.handle(request));
        (answer.status_code, answer.headers.contains_key(header::WWW_AUTHENTICATE))
    }

    /// The server asks too; on AWS nothing stands before the handlers.
    #[test]
    fn each_handler_asks_for_a_token_by_itself() {
        let key = SecretKey::generate().unwrap();
        let verifier = Verifier::new(vec![key.public()], AUDIENCE.to_owned(), Arc::new(SystemClock));
        let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
        let guarded = Handlers::new(&ledger, SystemClock, &Access::tokens(Arc::new(verifier)));
        let open = Handlers::new(&ledger, SystemClock, &Access::open());
        let token = |role, agents: &[&str]| {
            let agents = agents.iter().map(|agent| AgentPattern::parse(agent).unwrap()).collect();
            sign(&Claims::new(role, agents, None, AUDIENCE, SystemClock.now(), 1).unwrap(), &key).unwrap()
        };
        let (ingest, admin) = (token(Role::Ingest, &["*"]), token(Role::Admin, &[]));
        for (method, path, done) in [
            (Method::GET, "/v1/spend", 400),
            (Method::GET, "/v1/events", 200),
            (Method::GET, "/v1/alerts", 200),
            (Method::GET, "/v1/budgets", 200),
            (Method::GET, "/v1/conflicts", 200),
            (Method::GET, "/v1/quarantine", 200),
            (Method::GET, "/v1/corrections", 200),
            (Method::GET, "/v1/revocations", 200),
            (Method::PUT, "/v1/admin/budgets/b", 400),
            (Method::DELETE, "/v1/admin/budgets/b", 404),
            (Method::GET, "/v1/prices", 200),
            (Method::GET, "/v1/prices/x", 404),
            (Method::POST, "/v1/admin/prices", 400),
            (Method::PUT, "/v1/admin/revocations/x", 200),
            (Method::DELETE, "/v1/admin/revocations/x", 405),
            (Method::GET, "/v1/nothing", 404),
        ] {
            assert_eq!(ask(&guarded, &method, path, None), (401, true), "{method} {path}");
            assert_eq!(ask(&guarded, &method, path, Some("x")), (401, true), "{method} {path}");
            assert_eq!(ask(&guarded, &method, path, Some(&ingest)), (403, true), "{method} {path}");
            assert_eq!(ask(&guarded, &method, path, Some(&admin)), (done, false), "{method} {path}");
            assert_eq!(ask(&open, &method, path, None), (done, false), "{method} {path}");
        }
    }
}
