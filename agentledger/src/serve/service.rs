//! The server as a service of each connection. One route takes everything, so that there is nothing for a
//! router to find, and what is turned away costs no table, no box and no clone for it.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use axum::serve::IncomingStream;
use tower_service::Service;

use super::admission::Bodies;
use super::connection::{Activity, Gate};
use super::{Routes, route};

/// What all connections share.
struct Shared {
    routes: Routes,
    bodies: Bodies,
}

/// Makes the service of each connection.
#[derive(Clone)]
pub(super) struct Services(Arc<Shared>);

impl Services {
    pub(super) fn new(routes: Routes) -> Self {
        Self(Arc::new(Shared { routes, bodies: Bodies::new() }))
    }
}

impl Service<IncomingStream<'_, Gate>> for Services {
    type Response = Answering;
    type Error = Infallible;
    type Future = Ready<Result<Answering, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, Gate>) -> Self::Future {
        ready(Ok(Answering { shared: Arc::clone(&self.0), activity: stream.io().activity() }))
    }
}

/// Answers the requests of one connection.
#[derive(Clone)]
pub(super) struct Answering {
    shared: Arc<Shared>,
    activity: Activity,
}

impl Service<Request> for Answering {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (shared, activity) = (Arc::clone(&self.shared), self.activity.clone());
        Box::pin(async move { Ok(route::answer(&shared.routes, &shared.bodies, &activity, request).await) })
    }
}
