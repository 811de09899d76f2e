//! HTTP for the handlers: a request becomes what API Gateway would deliver, so that one handler serves both.
//!
//! Everything is bounded: connections, the time a request may take to arrive, its size, and the shutdown.

mod connection;
mod convert;
mod credentials;
mod guard;
#[cfg(test)]
mod tests;
mod traffic;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use auth::Access;
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use edge::{Code, Problem};
use http::{HeaderValue, Method, header};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use connection::{Activity, Gate};

pub(crate) use traffic::Traffic;

/// The most connections at a time; a thread of the blocking pool serves each report.
const MAX_CONNECTIONS: usize = 512;
/// The most reports, and apart from them changes, at a time: each has a thread and a database connection.
const MAX_BLOCKING: usize = 16;
/// How long in-flight requests may take after a signal.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

type Answer = Pin<Box<dyn Future<Output = ApiGatewayV2httpResponse> + Send>>;

/// Answers one kind of request.
#[derive(Clone)]
pub(crate) struct Handler(Arc<dyn Fn(ApiGatewayV2httpRequest) -> Answer + Send + Sync>);

impl Handler {
    /// A handler that never blocks its thread.
    pub(crate) fn new<F, A>(answer: F) -> Self
    where
        F: Fn(ApiGatewayV2httpRequest) -> A + Send + Sync + 'static,
        A: Future<Output = ApiGatewayV2httpResponse> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(answer(request))))
    }

    /// A handler that reads a disk where it is awaited: it gets a thread that may block.
    ///
    /// At most [`MAX_BLOCKING`] work at a time. The place is the work's, not the connection's: who asks and goes
    /// away gets no second one while the first is busy.
    pub(crate) fn blocking<F, A>(answer: F) -> Self
    where
        F: Fn(ApiGatewayV2httpRequest) -> A + Send + Sync + 'static,
        A: Future<Output = ApiGatewayV2httpResponse> + Send + 'static,
    {
        let (answer, room) = (Arc::new(answer), Arc::new(Semaphore::new(MAX_BLOCKING)));
        Self::new(move |request| {
            let (answer, room) = (Arc::clone(&answer), Arc::clone(&room));
            async move {
                let id = request.request_context.request_id.clone();
                let runtime = tokio::runtime::Handle::current();
                // The semaphore is never closed.
                let place = room.acquire_owned().await.ok();
                let work = tokio::task::spawn_blocking(move || {
                    let _place = place;
                    runtime.block_on(answer(request))
                });
                work.await.unwrap_or_else(|error| {
                    tracing::error!(%error, request_id = id.as_deref(), "a handler panicked");
                    let detail = "an unexpected error; the server's log says more under this request id";
                    Problem::new(Code::Internal, detail).response(id.as_deref())
                })
            }
        })
    }
}

/// Who answers what.
#[derive(Clone)]
pub(crate) struct Routes {
    /// `POST /v1/usage`.
    pub(crate) ingest: Handler,
    /// `GET /v1/…`.
    pub(crate) query: Handler,
    /// `/v1/admin/…`.
    pub(crate) admin: Handler,
    /// `GET /healthz`, as JSON: all of it, or for those who may not see it, the one word.
    pub(crate) health: Arc<dyn Fn(bool) -> String + Send + Sync>,
    /// Who is let in.
    pub(crate) access: Access,
    /// What `Host` may say beside the names of this machine.
    pub(crate) hosts: Arc<[String]>,
    /// Told of each submission that is refused before its handler sees it.
    pub(crate) refused: Arc<dyn Fn() + Send + Sync>,
    /// `GET /metrics`.
    pub(crate) metrics: Handler,
    /// Counts what is asked and answered.
    pub(crate) traffic: Arc<Traffic>,
}

/// Resolves `--listen`, which must stay on this machine unless callers are `authenticated`.
pub(crate) fn listen_address(text: &str, authenticated: bool) -> Result<SocketAddr, String> {
    let addresses: Vec<SocketAddr> = text
        .to_socket_addrs()
        .map_err(|e| format!("--listen {text:?} is no address such as 127.0.0.1:8080: {e}"))?
        .collect();
    let open = addresses.iter().find(|address| !address.ip().is_loopback());
    if let Some(open) = open.filter(|_| !authenticated) {
        return Err(format!(
            "--listen {text}: {} can be reached from other machines, and there is no authentication; listen on \
             127.0.0.1 or [::1], or set [auth] public_keys in --config FILE",
            open.ip()
        ));
    }
    addresses.first().copied().ok_or_else(|| format!("--listen {text:?} names no address"))
}

/// Serves until `shutdown`, then finishes the requests in flight, for at most ten seconds.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Routes,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = Router::new().fallback(move |request: Request| {
        let routes = routes.clone();
        async move { answer(&routes, request).await }
    });
    let (stopped, mut stopping) = tokio::sync::watch::channel(false);
    let signal = async move {
        shutdown.await;
        // The receiver lives as long as the server.
        let _ = stopped.send(true);
    };
    let gate = Gate::new(listener, MAX_CONNECTIONS);
    let service = app.into_make_service_with_connect_info::<Activity>();
    let server = axum::serve(gate, service).with_graceful_shutdown(signal);
    let deadline = async {
        // An error means that the server is gone, and its own branch ends.
        if stopping.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        done = async { server.await } => done,
        () = deadline => {
            tracing::warn!(seconds = DRAIN.as_secs(), "requests were cut off: they took too long after the signal");
            Ok(())
        }
    }
}

async fn answer(routes: &Routes, request: Request) -> Response {
    let id = uuid::Uuid::now_v7().to_string();
    let flight = routes.traffic.begin(request.uri().path());
    let is_last = guard::is_last(request.headers());
    let mut response = route(routes, request, &id).await;
    flight.answered(&response);
    if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

async fn route(routes: &Routes, request: Request, id: &str) -> Response {
    let activity = request.extensions().get::<ConnectInfo<Activity>>().map(|info| info.0.clone());
    let is_submission = request.uri().path() == "/v1/usage";
    let refuse = |problem: Problem| {
        if is_submission {
            (routes.refused)();
        }
        convert::response(problem.response(Some(id)))
    };
    let refuse_and_close = |problem: Problem| {
        let mut response = refuse(problem);
        // The rest of the body was not read, so the connection cannot carry another request.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    };
    if let Err(reason) = guard::check(request.headers(), request.uri(), &routes.access, &routes.hosts) {
        return refuse(Problem::new(Code::ForeignRequest, reason));
    }
    if let Err(problem) = guard::transfer(request.headers()) {
        return refuse(problem);
    }
    let (head, body) = request.into_parts();
    let visitor = match credentials::admit(&routes.access, &head, id) {
        Ok(visitor) => visitor,
        Err(problem) => return refuse_and_close(problem),
    };
    let request = match convert::request(Request::from_parts(head, body), id).await {
        Ok(request) => request,
        Err(problem) => return refuse_and_close(problem),
    };
    let _working = activity.as_ref().map(Activity::begin);
    let method = request.request_context.http.method.clone();
    let path = request.raw_path.clone().unwrap_or_default();
    let handler = match path.as_str() {
        "/healthz" if method == Method::GET || method == Method::HEAD => {
            return convert::response(edge::json((routes.health)(visitor.sees_everything())));
        }
        "/metrics" if method == Method::GET || method == Method::HEAD => match visitor.may_see_everything() {
            Ok(()) => &routes.metrics,
            Err(problem) => return refuse(problem),
        },
        "/v1/usage" if method == Method::POST => &routes.ingest,
        "/healthz" | "/metrics" | "/v1/usage" => {
            let wanted = if path == "/v1/usage" { "POST" } else { "GET" };
            return refuse(Problem::method_not_allowed(wanted, format!("{path} takes {wanted}")));
        }
        path if path.starts_with("/v1/admin/") => &routes.admin,
        path if path.starts_with("/v1/") || path.starts_with(edge::PAGES) || path == "/openapi.json" => {
            &routes.query
        }
        _ => {
            let detail =
                format!("there is no {path}; see /v1/usage, /v1/spend, /v1/events, /healthz, /metrics");
            return refuse(Problem::not_found(detail));
        }
    };
    convert::response((handler.0)(request).await)
}
