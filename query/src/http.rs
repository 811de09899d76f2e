//! `GET /v1/…` as API Gateway delivers it, answered the same on AWS and locally.

use std::sync::{Arc, LazyLock};

use auth::{Access, Caller, Role};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use edge::limits::{Limit, LimitReport, MAX_AGENTS_ASKED, MAX_PAGE_ROWS};
use edge::{Code, Problem};
use http::{Method, StatusCode};
use serde::Serialize;
use shared::alert::Delivery;
use shared::budget::BudgetScope;
use shared::clock::Clock;
use shared::delivery::DeliveryStore;
use shared::id::{AgentId, BudgetName, EventId, ModelId, SessionId, TaskId, TeamId};
use shared::ledger::Ledger;
use shared::window::Zone;

use crate::budgets::budgets;
use crate::differences::differences;
use crate::error::QueryError;
use crate::events::{EventRequest, events};
use crate::explain::explain;
use crate::filter::Filter;
use crate::instant::parse_instant;
use crate::lists;
use crate::openapi::openapi;
use crate::page;
use crate::params::Params;
use crate::spend::{By, SpendRequest, spend};
use crate::unpriced::{UnpricedRequest, unpriced};

/// Answers the reading half of the HTTP interface.
#[derive(Debug)]
pub struct Query<L, C> {
    ledger: Arc<L>,
    clock: C,
    host_limits: Vec<Limit>,
    page_rows: usize,
    access: Access,
}

impl<L, C: Clone> Clone for Query<L, C> {
    fn clone(&self) -> Self {
        Self {
            ledger: Arc::clone(&self.ledger),
            clock: self.clock.clone(),
            access: self.access.clone(),
            host_limits: self.host_limits.clone(),
            page_rows: self.page_rows,
        }
    }
}

impl<L: Ledger + DeliveryStore, C: Clock> Query<L, C> {
    /// Reads from `ledger`, for those whom `access` lets in.
    pub fn new(ledger: Arc<L>, clock: C, access: Access) -> Self {
        Self { ledger, clock, access, host_limits: Vec::new(), page_rows: MAX_PAGE_ROWS }
    }

    /// With limits that this host has beside the common ones, for `GET /v1/limits`.
    #[must_use]
    pub fn with_host_limits(self, host_limits: Vec<Limit>) -> Self {
        Self { host_limits, ..self }
    }

    /// With the most rows of a page of `GET /v1/spend`, where no network is between: each page is summed anew.
    #[must_use]
    pub fn with_page_rows(self, page_rows: usize) -> Self {
        Self { page_rows, ..self }
    }

    /// Answers a request; a path that is not known is a 404.
    pub async fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let path = request.raw_path.as_deref().unwrap_or_default();
        let id = request.request_context.request_id.as_deref();
        // What is no secret, and needed to ask for anything else.
        if let Some(open) = self.open(path, &request) {
            return open;
        }
        let caller = match self.caller(&request) {
            Ok(caller) => caller,
            Err(refused) => return refused.problem().response(id),
        };
        let known = ROUTES.contains(&path);
        if known && request.request_context.http.method != Method::GET {
            return Problem::method_not_allowed("GET", format!("{path} is read with GET")).response(id);
        }
        let answer = match path {
            "/v1/spend" => self.spend(&request, &caller).await,
            "/v1/events" => self.events(&request, &caller).await,
            "/v1/unpriced" => self.unpriced(&request, &caller).await,
            "/v1/alerts" => self.alerts(&request, &caller).await,
            "/v1/explain" => self.explain(&request, &caller).await,
            "/v1/differences" => self.differences(&request, &caller).await,
            "/v1/deliveries" | "/v1/completeness" | "/v1/conflicts" | "/v1/quarantine"
            | "/v1/corrections" | "/v1/repricings" => self.of_everybody(path, &request, &caller).await,
            "/v1/budgets" => self.budgets(&request, &caller).await,
            _ => {
                let detail = format!("there is no {path}; reports are at {}", ROUTES.join(", "));
                return Problem::not_found(detail).response(id);
            }
        };
        match answer {
            Ok(body) => edge::json(body),
            Err(error) => {
                let problem = error.problem();
                if problem.code.status().is_server_error() {
                    tracing::error!(%error, path, "a report failed");
                }
                problem.response(id)
            }
        }
    }

    fn caller(&self, request: &ApiGatewayV2httpRequest) -> Result<Caller, QueryError> {
        let caller = self.access.caller(&request.headers)?;
        caller.demand(Role::Read)?;
        Ok(caller)
    }

    async fn spend(&self, request: &ApiGatewayV2httpRequest, caller: &Caller) -> Result<String, QueryError> {
        let params = Params::read(
            request,
            &["by", "from", "to", "agent", "team", "task", "session", "model", "tz", "limit", "next"],
        )?;
        let zone = params.parsed("tz", |text| Zone::parse(text).map_err(|e| format!("is wrong: {e}")))?;
        let zone = zone.unwrap_or_else(Zone::utc);
        let names = || By::ALL.map(By::name).join(", ");
        let by = params.parsed("by", |text| {
            By::from_name(text).ok_or_else(|| format!("is {text:?}; give one of {}", names()))
        })?;
        let missing = || QueryError::parameter("by", format!("is missing; give one of {}", names()));
        let question = SpendRequest {
            by: by.ok_or_else(missing)?,
            filter: filter(&params, caller)?,
            from: instant(&params, "from", &zone)?,
            to: instant(&params, "to", &zone)?,
            zone,
            limit: params.limit_up_to(page::DEFAULT_LIMIT, self.page_rows)?,
            next: params.one("next")?.map(str::to_owned),
        };
        json(&spend(&*self.ledger, &question, self.clock.now()).await?)
    }

    async fn events(&self, request: &ApiGatewayV2httpRequest, caller: &Caller) -> Result<String, QueryError> {
        let params = Params::read(
            request,
            &["agent", "team", "task", "session", "model", "from", "to", "tz", "unpriced", "limit", "next"],
        )?;
        let zone = params.parsed("tz", |text| Zone::parse(text).map_err(|e| format!("is wrong: {e}")))?;
        let zone = zone.unwrap_or_else(Zone::utc);
        let unpriced = params.parsed("unpriced", |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("is {text:?}; give true or false")),
        })?;
        let question = EventRequest {
            filter: filter(&params, caller)?,
            unpriced: unpriced.unwrap_or(false),
            from: instant(&params, "from", &zone)?,
            to: instant(&params, "to", &zone)?,
            limit: params.limit(EventRequest::default().limit)?,
            next: params.one("next")?.map(str::to_owned),
        };
        json(&events(&*self.ledger, &question).await?)
    }

    async fn unpriced(
        &self,
        request: &ApiGatewayV2httpRequest,
        caller: &Caller,
    ) -> Result<String, QueryError> {
        let known = ["from", "to", "agent", "team", "task", "session", "model", "tz", "limit", "next"];
        let params = Params::read(request, &known)?;
        let zone = params.parsed("tz", |text| Zone::parse(text).map_err(|e| format!("is wrong: {e}")))?;
        let zone = zone.unwrap_or_else(Zone::utc);
        let question = UnpricedRequest {
            filter: filter(&params, caller)?,
            from: instant(&params, "from", &zone)?,
            to: instant(&params, "to", &zone)?,
            zone,
            limit: params.limit(page::DEFAULT_LIMIT)?,
            next: params.one("next")?.map(str::to_owned),
        };
        json(&unpriced(&*self.ledger, &question, self.clock.now()).await?)
    }

    async fn explain(
        &self,
        request: &ApiGatewayV2httpRequest,
        caller: &Caller,
    ) -> Result<String, QueryError> {
        let params = Params::read(request, &["agent", "event"])?;
        let missing = |name: &str| QueryError::parameter(name, "is missing; give `agent` and `event`");
        let agent = params.parsed("agent", AgentId::parse)?.ok_or_else(|| missing("agent"))?;
        let event = params.parsed("event", EventId::parse)?.ok_or_else(|| missing("event"))?;
        json(&explain(&*self.ledger, &agent, &event, caller.team()).await?)
    }

    async fn differences(
        &self,
        request: &ApiGatewayV2httpRequest,
        caller: &Caller,
    ) -> Result<String, QueryError> {
        let known = ["agent", "team", "task", "session", "model", "from", "to", "tz"];
        let params = Params::read(request, &known)?;
        let zone = params.parsed("tz", |text| Zone::parse(text).map_err(|e| format!("is wrong: {e}")))?;
        let zone = zone.unwrap_or_else(Zone::utc);
        let question = EventRequest {
            filter: filter(&params, caller)?,
            from: instant(&params, "from", &zone)?,
            to: instant(&params, "to", &zone)?,
            ..EventRequest::default()
        };
        json(&differences(&*self.ledger, &question).await?)
    }

    async fn alerts(&self, request: &ApiGatewayV2httpRequest, caller: &Caller) -> Result<String, QueryError> {
        let params = Params::read(request, &["budget", "state", "limit", "next"])?;
        let budget = params.parsed("budget", BudgetName::parse)?;
        let state = params.parsed("state", |text| match text {
            "pending" => Ok(Delivery::Pending),
            "delivered" => Ok(Delivery::Delivered),
            _ => Err(format!("is {text:?}; give pending or delivered")),
        })?;
        let limit = params.limit(page::DEFAULT_LIMIT)?;
        let next = params.one("next")?;
        json(&lists::alerts(&*self.ledger, budget, state, limit, next, scope_of(caller).as_ref()).await?)
    }

    /// Lists in which everybody's work is together: for those who may see all teams.
    async fn of_everybody(
        &self,
        path: &str,
        request: &ApiGatewayV2httpRequest,
        caller: &Caller,
    ) -> Result<String, QueryError> {
        caller.demand_all_teams()?;
        let known: &[_] = match path {
            "/v1/deliveries" => &["alert", "limit"],
            "/v1/completeness" => &["limit", "next"],
            _ => &["limit"],
        };
        let params = Params::read(request, known)?;
        let (ledger, limit) = (&*self.ledger, params.limit(page::DEFAULT_LIMIT)?);
        match path {
            "/v1/deliveries" => json(&lists::deliveries(ledger, params.one("alert")?, limit).await?),
            "/v1/completeness" => json(&lists::completeness(ledger, limit, params.one("next")?).await?),
            "/v1/conflicts" => json(&lists::conflicts(ledger, limit).await?),
            "/v1/quarantine" => json(&lists::quarantine(ledger, limit).await?),
            "/v1/repricings" => json(&lists::repricings(ledger, limit).await?),
            _ => json(&lists::awaited(ledger, limit).await?),
        }
    }

    /// What is answered to anybody.
    fn open(&self, path: &str, request: &ApiGatewayV2httpRequest) -> Option<ApiGatewayV2httpResponse> {
        let page = path.strip_prefix(edge::PAGES);
        if page.is_none() && path != "/openapi.json" && path != "/v1/limits" {
            return None;
        }
        let id = request.request_context.request_id.as_deref();
        if request.request_context.http.method != Method::GET {
            return Some(Problem::method_not_allowed("GET", format!("{path} is read with GET")).response(id));
        }
        Some(match page {
            Some(code) => error_page(code, id),
            None if path == "/openapi.json" => edge::json(DOCUMENT.clone()),
            None => self.limits(request).map_or_else(|error| error.problem().response(id), edge::json),
        })
    }

    fn limits(&self, request: &ApiGatewayV2httpRequest) -> Result<String, QueryError> {
        Params::read(request, &[])?;
        let limits = edge::limits::common().into_iter().chain(self.host_limits.iter().cloned()).collect();
        json(&LimitReport { limits, next: None })
    }

    async fn budgets(
        &self,
        request: &ApiGatewayV2httpRequest,
        caller: &Caller,
    ) -> Result<String, QueryError> {
        Params::read(request, &[])?;
        json(&budgets(&*self.ledger, scope_of(caller).as_ref(), self.clock.now()).await?)
    }
}

pub(crate) const ROUTES: [&str; 14] = [
    "/v1/spend",
    "/v1/events",
    "/v1/unpriced",
    "/v1/alerts",
    "/v1/deliveries",
    "/v1/conflicts",
    "/v1/quarantine",
    "/v1/corrections",
    "/v1/budgets",
    "/v1/completeness",
    "/v1/explain",
    "/v1/differences",
    "/v1/repricings",
    "/v1/limits",
];

/// The description of the interface, which never changes while a process runs.
static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi().to_string());

/// What an error code means, from the answer's `help`.
fn error_page(code: &str, id: Option<&str>) -> ApiGatewayV2httpResponse {
    match Code::from_name(code) {
        Some(code) => edge::answer(StatusCode::OK, "text/markdown; charset=utf-8", code.page().to_owned()),
        None => Problem::not_found(format!("there is no error code {code:?}")).response(id),
    }
}

/// The budgets that a caller may see: all, or those of the token's team.
fn scope_of(caller: &Caller) -> Option<BudgetScope> {
    caller.team().cloned().map(BudgetScope::Team)
}

fn filter(params: &Params, caller: &Caller) -> Result<Filter, QueryError> {
    let agent = |text| AgentId::parse(text).map_err(|e| QueryError::parameter("agent", e.to_string()));
    let agents = params.all("agent").map(agent).collect::<Result<Vec<_>, _>>()?;
    if agents.len() > MAX_AGENTS_ASKED {
        return Err(QueryError::parameter("agent", format!("is given more than {MAX_AGENTS_ASKED} times")));
    }
    Ok(Filter {
        agents,
        team: caller.team_to_read(params.parsed("team", TeamId::parse)?)?,
        task: params.parsed("task", TaskId::parse)?,
        session: params.parsed("session", SessionId::parse)?,
        model: params.parsed("model", ModelId::parse)?,
    })
}

fn instant(params: &Params, name: &str, zone: &Zone) -> Result<Option<jiff::Timestamp>, QueryError> {
    params.parsed(name, |text| {
        parse_instant(text, zone).ok_or_else(|| {
            format!(
                "is {text:?}; give a date such as 2026-11-24, or RFC 3339 with an offset such as \
                 2026-11-24T09:30:00Z (a + written as %2B)"
            )
        })
    })
}

fn json<T: Serialize>(report: &T) -> Result<String, QueryError> {
    serde_json::to_string(report)
        .map_err(|e| QueryError::Ledger(shared::ledger::LedgerError::Broken(e.to_string())))
}
