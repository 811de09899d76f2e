//! What is asked and answered, counted by route: for metrics.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::response::Response;
use local::histogram::{Histogram, Measured};

/// The routes that have series of their own; all else is `other`. A path with a name in it is one route.
const ROUTES: [&str; 29] = [
    "/v1/usage",
    "/v1/spend",
    "/v1/events",
    "/v1/unpriced",
    "/v1/alerts",
    "/v1/deliveries",
    "/v1/conflicts",
    "/v1/quarantine",
    QUARANTINED,
    RETRY,
    PURGE,
    "/v1/corrections",
    "/v1/budgets",
    BUDGET,
    ERROR_PAGE,
    REVOCATION,
    "/v1/revocations",
    "/v1/prices",
    PRICE_BOOK,
    "/v1/admin/prices",
    "/v1/completeness",
    "/v1/explain",
    "/v1/differences",
    "/v1/repricings",
    "/v1/admin/reprice",
    "/v1/limits",
    "/openapi.json",
    "/healthz",
    "/metrics",
];
const BUDGET: &str = "/v1/admin/budgets/{name}";
const REVOCATION: &str = "/v1/admin/revocations/{jti}";
const PRICE_BOOK: &str = "/v1/prices/{version}";
const QUARANTINED: &str = "/v1/quarantine/{id}";
const RETRY: &str = "/v1/admin/quarantine/{id}/retry";
const PURGE: &str = "/v1/admin/quarantine/{id}";
const ERROR_PAGE: &str = "/errors/{code}";
const OTHER: &str = "other";

/// Bounds of the time to answer, in microseconds: from half a millisecond to thirty seconds.
const BOUNDS: [u64; 12] =
    [500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 30_000_000];

/// Codes of problems that have series of their own. They are our own words, so this bound is for mistakes.
const MAX_CODES: usize = 64;

/// The code of the problem that an answer holds.
#[derive(Clone, Debug)]
pub(crate) struct ProblemCode(pub(crate) Cow<'static, str>);

/// Requests since the start of the process.
#[derive(Debug)]
pub(crate) struct Traffic {
    in_flight: AtomicU64,
    routes: BTreeMap<&'static str, Route>,
    problems: Mutex<BTreeMap<String, u64>>,
}

#[derive(Debug)]
struct Route {
    /// By the first digit of the status.
    classes: [AtomicU64; 6],
    durations: Histogram,
}

impl Default for Traffic {
    fn default() -> Self {
        let route = || Route { classes: Default::default(), durations: Histogram::new(&BOUNDS) };
        let routes = ROUTES.into_iter().chain([OTHER]).map(|name| (name, route())).collect();
        Self { in_flight: AtomicU64::new(0), routes, problems: Mutex::default() }
    }
}

/// What one route answered.
#[derive(Clone, Debug)]
pub(crate) struct RouteCount {
    pub(crate) route: &'static str,
    /// By the class of the status, such as `2xx`; those that came at all.
    pub(crate) classes: Vec<(&'static str, u64)>,
    pub(crate) durations: Measured,
}

impl Traffic {
    /// A request for `path` has come.
    pub(super) fn begin(self: &Arc<Self>, path: &str) -> Flight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Flight { traffic: Arc::clone(self), route: route(path), began: Instant::now() }
    }

    /// A request answered so; no code is none.
    #[cfg(test)]
    pub(crate) fn count_for_test(self: &Arc<Self>, path: &str, status: u16, code: &str) {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        if !code.is_empty() {
            response.extensions_mut().insert(ProblemCode(code.to_owned().into()));
        }
        self.begin(path).answered(&response);
    }

    /// Requests that are not answered yet.
    pub(crate) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// What was answered.
    pub(crate) fn routes(&self) -> Vec<RouteCount> {
        let classes = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];
        let count = |(route, counted): (&&'static str, &Route)| {
            let counts = counted.classes.iter().map(|n| n.load(Ordering::Relaxed));
            let classes = classes.into_iter().zip(counts).filter(|(_, n)| *n > 0).collect();
            RouteCount { route, classes, durations: counted.durations.measured() }
        };
        self.routes.iter().map(count).collect()
    }

    /// Problems answered, by their code.
    pub(crate) fn problems(&self) -> BTreeMap<String, u64> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A request that is not answered yet, or whose peer has gone.
pub(super) struct Flight {
    traffic: Arc<Traffic>,
    route: &'static str,
    began: Instant,
}

impl Flight {
    /// It is answered.
    pub(super) fn answered(self, response: &Response) {
        let Some(counted) = self.traffic.routes.get(self.route) else { return };
        let class = usize::from(response.status().as_u16() / 100);
        if let Some(count) = counted.classes.get(class).or(counted.classes.first()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        counted.durations.observe(self.began.elapsed());
        if let Some(ProblemCode(code)) = response.extensions().get() {
            let mut problems = self.traffic.problems.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = problems.get_mut(&**code) {
                *count += 1;
                return;
            }
            let code = if problems.len() < MAX_CODES { code } else { OTHER };
            *problems.entry(code.to_owned()).or_default() += 1;
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.traffic.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn route(path: &str) -> &'static str {
    if path.starts_with("/v1/admin/budgets/") {
        return BUDGET;
    }
    if path.starts_with("/v1/admin/revocations/") {
        return REVOCATION;
    }
    if path.starts_with("/v1/quarantine/") {
        return QUARANTINED;
    }
    if path.starts_with("/v1/admin/quarantine/") {
        return if path.ends_with("/retry") { RETRY } else { PURGE };
    }
    if path.starts_with("/v1/prices/") {
        return PRICE_BOOK;
    }
    if path.starts_with(edge::PAGES) {
        return ERROR_PAGE;
    }
    ROUTES.into_iter().find(|route| *route == path).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_is_counted_by_its_name() {
        let document = query::openapi();
        for path in document["paths"].as_object().unwrap().keys() {
            assert!(ROUTES.contains(&path.as_str()), "{path} would be counted as other");
        }
    }

    #[test]
    fn no_path_makes_a_series() {
        for n in 0..1_000 {
            assert_eq!(route(&format!("/v1/admin/budgets/b{n}")), BUDGET);
            assert_eq!(route(&format!("/v1/spend/{n}")), OTHER);
        }
        assert_eq!(route("/v1/admin/quarantine/x%20y/retry"), RETRY);
        assert_eq!(route("/v1/admin/quarantine/x%20y"), PURGE);
        assert_eq!(route("/v1/spend"), "/v1/spend");
        assert_eq!(Traffic::default().routes().len(), ROUTES.len() + 1);
    }

    #[test]
    fn codes_have_a_bound_and_flights_end() {
        let traffic = Arc::new(Traffic::default());
        for n in 0..100 {
            let mut response = Response::new(axum::body::Body::empty());
            response.extensions_mut().insert(ProblemCode(format!("code_{n}").into()));
            let flight = traffic.begin("/v1/usage");
            assert_eq!(traffic.in_flight(), 1);
            flight.answered(&response);
        }
        drop(traffic.begin("/v1/usage"));
        assert_eq!((traffic.in_flight(), traffic.problems().len()), (0, MAX_CODES + 1));
        assert_eq!(traffic.problems()[OTHER], 36);
    }
}
