//! HTTP for the handlers: a request becomes what API Gateway would deliver, so that one handler serves both.
//!
//! Everything is bounded: connections, the time a request may take to arrive, its size, how many are worked on
//! at a time, and the shutdown.

mod admission;
mod connection;
mod convert;
mod credentials;
mod guard;
mod pressure;
mod route;
mod service;
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
use edge::limits::Limit;
use edge::{Code, Problem};
use tokio::net::TcpListener;

pub(crate) use admission::{Admission, IN_FLIGHT};
use admission::{BLOCKING, Place};
use connection::{Gate, PATIENCE};
use service::Services;

pub(crate) use traffic::Traffic;

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
                    Problem::new(Code::Internal, detail).response(id.as_deref())
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

/// What this server limits beside what all hosts do, for `GET /v1/limits`.
pub(crate) fn limits(in_flight: u32) -> Vec<Limit> {
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let limit = |name, value, unit, about, code| Limit { name, value, unit, about, code };
    let (overloaded, connections) = (Some(Code::Overloaded), Some(Code::TooManyConnections));
    vec![
        limit(
            "connections",
            wide(MAX_CONNECTIONS),
            "connections",
            "connections to this server at a time",
            connections,
        ),
        limit(
            "request_seconds",
            PATIENCE.as_secs(),
            "seconds",
            "how long a request to this server may take to arrive",
            None,
        ),
        limit(
            "in_flight",
            u64::from(in_flight),
            "submissions",
            "submissions that this server works on at a time",
            overloaded,
        ),
        limit(
            "reports_at_a_time",
            wide(BLOCKING),
            "reports",
            "reports that this server works on at a time",
            overloaded,
        ),
    ]
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
    let (stopped, mut stopping) = tokio::sync::watch::channel(false);
    let signal = async move {
        shutdown.await;
        // The receiver lives as long as the server.
        let _ = stopped.send(true);
    };
    let gate = Gate::new(listener, MAX_CONNECTIONS);
    let server = axum::serve(gate, Services::new(routes)).with_graceful_shutdown(signal);
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
