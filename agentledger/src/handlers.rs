//! Who answers what of a ledger, the same for a server and for a command that opened the files itself.

use std::sync::Arc;

use aggregator::Repricer;
use aggregator::admin::Admin as Repricings;
use aggregator::prices::Prices;
use alerter::admin::Admin;
use auth::{Access, Revocations};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use edge::limits::{Limit, MAX_REPORT_ROWS};
use operate::redrive::Redriver;
use operate::redrive::admin::Admin as Redrive;
use query::Query;
use shared::clock::Clock;
use shared::delivery::DeliveryStore;
use shared::ledger::Ledger;
use shared::metrics::Metrics;
use shared::price::{BookStore, Books};
use shared::revocation::RevocationStore;

/// A ledger with all that is kept in one.
pub(crate) trait WholeLedger: Ledger + BookStore + RevocationStore + DeliveryStore {}

impl<L: Ledger + BookStore + RevocationStore + DeliveryStore> WholeLedger for L {}

/// All but ingest.
pub(crate) struct Handlers<L, M, C> {
    query: Query<L, C>,
    admin: Admin<L, C>,
    revocations: Revocations<L, C>,
    prices: Prices<L, C>,
    redrive: Redrive<L, M, C>,
    repricings: Option<Repricings<Arc<L>, Arc<M>, C>>,
}

/// What handlers work on.
pub(crate) struct Parts<L, M> {
    pub(crate) ledger: Arc<L>,
    /// Told of what is committed.
    pub(crate) counters: Arc<M>,
    /// Price books: what is imported is in force there at once, and repricings and retries go by them. Without them
    /// there are none.
    pub(crate) books: Option<Books>,
}

impl<L, M> Clone for Parts<L, M> {
    fn clone(&self) -> Self {
        let (ledger, counters) = (Arc::clone(&self.ledger), Arc::clone(&self.counters));
        Self { ledger, counters, books: self.books.clone() }
    }
}

impl<L: WholeLedger, M: Metrics, C: Clock + Clone> Handlers<L, M, C> {
    /// Over these parts, for those whom `access` lets in.
    pub(crate) fn new(parts: Parts<L, M>, clock: C, access: &Access) -> Self {
        let Parts { ledger, counters, books } = parts;
        let redriver = books
            .clone()
            .map(|books| Redriver::new(Arc::clone(&ledger), Arc::clone(&counters), clock.clone(), books));
        let repricer = Repricer::new(Arc::clone(&ledger), counters, clock.clone());
        let prices = Prices::new(Arc::clone(&ledger), clock.clone(), access.clone());
        Self {
            repricings: books.clone().map(|books| Repricings::new(repricer, books, access.clone())),
            query: Query::new(Arc::clone(&ledger), clock.clone(), access.clone()),
            admin: Admin::new(Arc::clone(&ledger), clock.clone(), access.clone()),
            redrive: Redrive::new(Arc::clone(&ledger), redriver, access.clone()),
            prices: match books {
                Some(books) => prices.with_books(books),
                None => prices,
            },
            revocations: Revocations::new(ledger, clock, access.clone()),
        }
    }

    /// With limits that this host has beside the common ones, for `GET /v1/limits`.
    pub(crate) fn with_host_limits(self, limits: Vec<Limit>) -> Self {
        Self { query: self.query.with_host_limits(limits), ..self }
    }

    /// For a command in the same process, which reads a whole report at once.
    pub(crate) fn for_command(self) -> Self {
        Self { query: self.query.with_page_rows(MAX_REPORT_ROWS), ..self }
    }

    /// Answers a request.
    pub(crate) async fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let path = request.raw_path.as_deref().unwrap_or_default();
        if Revocations::<L, C>::answers(path) {
            self.revocations.handle(request).await
        } else if Prices::<L, C>::answers(path) {
            self.prices.handle(request).await
        } else if Redrive::<L, M, C>::answers(path) {
            Box::pin(self.redrive.handle(request)).await
        } else if let Some(repricings) = &self.repricings
            && Repricings::<Arc<L>, Arc<M>, C>::answers(path)
        {
            // The largest of them by far, and the rarest.
            Box::pin(repricings.handle(request)).await
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
    use local::host::Counters;
    use local::ledger::SqliteLedger;
    use shared::clock::SystemClock;

    use super::*;

    fn ask(
        handlers: &Handlers<SqliteLedger, Counters, SystemClock>,
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
        let book = Arc::new(shared::price::PriceBook::embedded().unwrap());
        let parts = Parts {
            ledger: Arc::new(SqliteLedger::in_memory().unwrap()),
            counters: Arc::<Counters>::default(),
            books: Some(Books::new(book)),
        };
        let guarded = Handlers::new(parts.clone(), SystemClock, &Access::tokens(Arc::new(verifier)));
        let open = Handlers::new(parts, SystemClock, &Access::open());
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
            (Method::GET, "/v1/explain", 400),
            (Method::GET, "/v1/differences", 200),
            (Method::GET, "/v1/repricings", 200),
            (Method::POST, "/v1/admin/reprice", 400),
            (Method::PUT, "/v1/admin/budgets/b", 400),
            (Method::DELETE, "/v1/admin/budgets/b", 404),
            (Method::GET, "/v1/prices", 200),
            (Method::GET, "/v1/prices/x", 404),
            (Method::POST, "/v1/admin/prices", 400),
            (Method::PUT, "/v1/admin/revocations/x", 200),
            (Method::DELETE, "/v1/admin/revocations/x", 405),
            (Method::GET, "/v1/quarantine/x", 404),
            (Method::POST, "/v1/admin/quarantine/x/retry", 404),
            (Method::DELETE, "/v1/admin/quarantine/x", 404),
            (Method::PUT, "/v1/admin/quarantine/x", 405),
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
