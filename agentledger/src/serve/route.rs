//! One request: who may ask, whether there is room, and who answers.
//!
//! In the order of what it costs: what is refused is refused as early, and as cheaply, as can be.

use std::sync::OnceLock;

use auth::{Caller, audit, object_of};
use axum::extract::Request;
use axum::response::Response;
use edge::{Code, Problem};
use http::{HeaderValue, Method, header};

use super::admission::{Bodies, SMALL_BODY, TurnedAway, announced};
use super::connection::Activity;
use super::credentials::{self, Visitor};
use super::{Handler, Routes, convert, guard};

/// Answers a request, under an id that the log repeats.
pub(super) async fn answer(
    routes: &Routes,
    bodies: &Bodies,
    activity: &Activity,
    request: Request,
) -> Response {
    let mut buffer = uuid::Uuid::encode_buffer();
    let id: &str = uuid::Uuid::now_v7().as_hyphenated().encode_lower(&mut buffer);
    let flight = routes.traffic.begin(request.uri().path());
    let is_last = guard::is_last(request.headers());
    let mut response = route(routes, bodies, activity, request, id).await;
    flight.answered(&response);
    if is_last {
        response = closing(response);
    }
    if let Ok(id) = HeaderValue::from_str(id) {
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

fn find<'a>(routes: &'a Routes, visitor: &Visitor, method: &Method, path: &str) -> Found<'a> {
    let is_read = method == Method::GET || method == Method::HEAD;
    match path {
        "/healthz" if is_read => Found::Health,
        "/metrics" if is_read => match visitor.may_see_everything() {
            Ok(()) => Found::Handler(&routes.metrics),
            Err(problem) => Found::Nobody(problem),
        },
        "/v1/usage" if method == Method::POST => Found::Handler(&routes.ingest),
        "/healthz" | "/metrics" | "/v1/usage" => {
            let wanted = if path == "/v1/usage" { "POST" } else { "GET" };
            Found::Nobody(Problem::method_not_allowed(wanted, format!("{path} takes {wanted}")))
        }
        path if path.starts_with("/v1/admin/") => Found::Handler(&routes.admin),
        path if path.starts_with("/v1/") || path.starts_with(edge::PAGES) || path == "/openapi.json" => {
            Found::Handler(&routes.query)
        }
        _ => {
            let detail = format!("there is no {path}; /openapi.json describes what there is");
            Found::Nobody(Problem::not_found(detail))
        }
    }
}

async fn route(
    routes: &Routes,
    bodies: &Bodies,
    activity: &Activity,
    request: Request,
    id: &str,
) -> Response {
    let is_submission = request.uri().path() == "/v1/usage" && request.method() == Method::POST;
    let change = Change::of(&request);
    let note = |code: Code| {
        if is_submission {
            (routes.refused)();
        }
        if let Some(change) = &change {
            change.refused(id, code);
        }
    };
    let refuse = |problem: Problem| {
        note(problem.code);
        convert::response(problem.response(Some(id)))
    };
    let refuse_at_once = |turned: TurnedAway| {
        note(Code::Overloaded);
        turned.response(id)
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
        // Whoever has no token gets no work done, not even the reading of a body.
        Err(problem) => return closing(refuse(problem)),
    };
    if let (Some(change), Visitor::Known(caller)) = (&change, &visitor) {
        // It is set once, here.
        let _ = change.caller.set(caller.clone());
    }
    let found = find(routes, &visitor, &head.method, head.uri.path());
    let request = Request::from_parts(head, body);
    // Before the body: what is turned away should cost as little as it can.
    if let Found::Handler(handler) = &found
        && let Err(turned) = handler.admission.check()
    {
        return turn_away(request, refuse_at_once(turned)).await;
    }
    let _room = match bodies.reserve(request.headers()) {
        Ok(room) => room,
        Err(problem) => return turn_away(request, refuse(problem)).await,
    };
    let request = match convert::request(request, id).await {
        Ok(request) => request,
        // The rest of the body was not read, so the connection cannot carry another request.
        Err(problem) => return closing(refuse(problem)),
    };
    let _working = activity.begin();
    match found {
        Found::Health => convert::response(edge::json((routes.health)(visitor.sees_everything()))),
        // The place is taken when the body is there: a slow sender would hold it for as long as it likes.
        Found::Handler(handler) => match handler.admission.enter().await {
            Ok(place) => convert::response((handler.answer)(request, place).await),
            Err(turned) => refuse_at_once(turned),
        },
        Found::Nobody(problem) => refuse(problem),
    }
}

/// An administrative change, for the audit of one that does not reach its handler.
struct Change {
    method: Method,
    object: String,
    /// Who wants it, once that is known.
    caller: OnceLock<Caller>,
}

impl Change {
    fn of(request: &Request) -> Option<Self> {
        let path = request.uri().path();
        let change =
            || Self { method: request.method().clone(), object: object_of(path), caller: OnceLock::new() };
        path.starts_with("/v1/admin/").then(change)
    }

    fn refused(&self, request_id: &str, code: Code) {
        audit(self.caller.get(), &self.method, &self.object, Some(request_id), code.name());
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
