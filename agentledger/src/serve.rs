//! HTTP for the handlers: a request becomes what API Gateway would deliver, so that one handler serves both.
//!
//! Everything is bounded: connections, the time a request may take to arrive, its size, how many are worked on
//! at a time, and the shutdown.

mod admission;
mod connection;
mod convert;
mod guard;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use edge::Problem;
use http::{HeaderValue, Method, StatusCode, header};
use tokio::net::TcpListener;

pub(crate) use admission::{Admission, IN_FLIGHT};
use admission::{Bodies, Place, SMALL_BODY, announced};
use connection::{Activity, Gate};

/// The most connections at a time.
const MAX_CONNECTIONS: usize = 512;
/// How long in-flight requests may take after a signal.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

type Answer = Pin<Box<dyn Future<Output = ApiGatewayV2httpResponse> + Send>>;

/// Answers one kind of request, so many at a time.
#[derive(Clone)]
pub(crate) struct Handler {
    answer: Arc<dyn Fn(ApiGatewayV2httpRequest, Place) -> Answer + Send + Sync>,
    admission: Admission,
}

impl Handler {
    /// A handler that never blocks its thread.
    pub(crate) fn new<F, A>(answer: F) -> Self
    where
        F: Fn(ApiGatewayV2httpRequest) -> A + Send + Sync + 'static,
        A: Future<Output = ApiGatewayV2httpResponse> + Send + 'static,
    {
        let answer = move |request, place: Place| -> Answer {
            let answer = answer(request);
            Box::pin(async move {
                let _place = place;
                answer.await
            })
        };
        Self { answer: Arc::new(answer), admission: Admission::of_submissions(IN_FLIGHT) }
    }

    /// A handler that reads a disk where it is awaited: it gets a thread that may block.
    ///
    /// The place is the work's, not the connection's: who asks and goes away gets no second one while the first
    /// is busy.
    pub(crate) fn blocking<F, A>(answer: F) -> Self
    where
        F: Fn(ApiGatewayV2httpRequest) -> A + Send + Sync + 'static,
        A: Future<Output = ApiGatewayV2httpResponse> + Send + 'static,
    {
        let answer = Arc::new(answer);
        let answer = move |request: ApiGatewayV2httpRequest, place: Place| -> Answer {
            let answer = Arc::clone(&answer);
            Box::pin(async move {
                let id = request.request_context.request_id.clone();
                let runtime = tokio::runtime::Handle::current();
                let work = tokio::task::spawn_blocking(move || {
                    let _place = place;
                    runtime.block_on(answer(request))
                });
                work.await.unwrap_or_else(|error| {
                    tracing::error!(%error, request_id = id.as_deref(), "a handler panicked");
                    let detail = "an unexpected error; the server's log says more under this request id";
                    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
                        .response(id.as_deref())
                })
            })
        };
        Self { answer: Arc::new(answer), admission: Admission::of_blocking() }
    }

    /// Works on as many at a time as `admission` says.
    pub(crate) fn limited(self, admission: Admission) -> Self {
        Self { admission, ..self }
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
    /// `GET /healthz`, as JSON.
    pub(crate) health: Arc<dyn Fn() -> String + Send + Sync>,
}

/// Resolves `--listen`, which must stay on this machine: there is no authentication.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let addresses: Vec<SocketAddr> = text
        .to_socket_addrs()
        .map_err(|e| format!("--listen {text:?} is no address such as 127.0.0.1:8080: {e}"))?
        .collect();
    if let Some(open) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        return Err(format!(
            "--listen {text}: {} can be reached from other machines, and there is no authentication; listen on \
             127.0.0.1 or [::1]",
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
    let bodies = Bodies::new();
    let app = Router::new().fallback(move |request: Request| {
        let (routes, bodies) = (routes.clone(), bodies.clone());
        async move { answer(&routes, &bodies, request).await }
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

async fn answer(routes: &Routes, bodies: &Bodies, request: Request) -> Response {
    let id = uuid::Uuid::now_v7().to_string();
    let mut response = route(routes, bodies, request, &id).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

/// Who answers a request.
enum Found<'a> {
    Health,
    Handler(&'a Handler),
    Nobody(Problem),
}

fn find<'a>(routes: &'a Routes, method: &Method, path: &str) -> Found<'a> {
    match path {
        "/healthz" if method == Method::GET || method == Method::HEAD => Found::Health,
        "/v1/usage" if method == Method::POST => Found::Handler(&routes.ingest),
        "/healthz" | "/v1/usage" => {
            let wanted = if path == "/healthz" { "GET" } else { "POST" };
            Found::Nobody(Problem::method_not_allowed(wanted, format!("{path} takes {wanted}")))
        }
        path if path.starts_with("/v1/admin/") => Found::Handler(&routes.admin),
        path if path.starts_with("/v1/") => Found::Handler(&routes.query),
        _ => {
            let detail = format!("there is no {path}; see /v1/usage, /v1/spend, /v1/events, /healthz");
            Found::Nobody(Problem::not_found(detail))
        }
    }
}

async fn route(routes: &Routes, bodies: &Bodies, request: Request, id: &str) -> Response {
    let activity = request.extensions().get::<ConnectInfo<Activity>>().map(|info| info.0.clone());
    let refuse = |problem: Problem| convert::response(problem.response(Some(id)));
    if let Err(reason) = guard::check(request.headers(), request.uri()) {
        return refuse(Problem::new(StatusCode::FORBIDDEN, "foreign_request", reason));
    }
    let found = find(routes, request.method(), request.uri().path());
    // Before the body: what is turned away should cost as little as it can.
    let admitted = match &found {
        Found::Handler(handler) => handler.admission.check(),
        _ => Ok(()),
    };
    let _room = match admitted.and_then(|()| bodies.reserve(request.headers())) {
        Ok(room) => room,
        Err(problem) => return turn_away(request, refuse(problem)).await,
    };
    let request = match convert::request(request, id).await {
        Ok(request) => request,
        // The rest of the body was not read, so the connection cannot carry another request.
        Err(problem) => return closing(refuse(problem)),
    };
    let _working = activity.as_ref().map(Activity::begin);
    match found {
        Found::Health => convert::response(edge::json((routes.health)())),
        // The place is taken when the body is there: a slow sender would hold it for as long as it likes.
        Found::Handler(handler) => match handler.admission.enter().await {
            Ok(place) => convert::response((handler.answer)(request, place).await),
            Err(problem) => refuse(problem),
        },
        Found::Nobody(problem) => refuse(problem),
    }
}

/// Answers without having looked at the body.
async fn turn_away(request: Request, answer: Response) -> Response {
    let small = announced(request.headers()) <= SMALL_BODY;
    // A small body mostly is there already; then the connection is kept, since a new one costs more.
    if small && axum::body::to_bytes(request.into_body(), SMALL_BODY).await.is_ok() {
        return answer;
    }
    closing(answer)
}

fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
