//! How much is worked on at a time, and what everybody else is told: early, and before anything was done.
//!
//! Who waits behind many others waits longer than it would take to come again, holds memory meanwhile, and
//! then perhaps is gone. So work in flight has a limit, and what may wait for a place is short or nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lambda_events::encodings::Body;
use axum::response::Response;
use edge::limits::MAX_BODY_BYTES;
use edge::{Code, Problem};
use http::{HeaderMap, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pressure::Pressure;
use super::traffic::ProblemCode;

/// Submissions in flight unless configured. They wait for the disk together and share its syncs, so more of
/// them are more throughput up to a point, and beyond it nothing but latency.
pub(crate) const IN_FLIGHT: u32 = 16;
/// As many more may wait, so that a burst is no overload; but no longer than an overload may add to an answer.
const PATIENCE: Duration = Duration::from_millis(20);
/// Reports, and apart from them changes, at a time: each has a thread and a database connection.
pub(super) const BLOCKING: usize = 16;
/// How many more of them may wait, and for how long.
const BLOCKING_QUEUE: usize = 48;
const BLOCKING_PATIENCE: Duration = Duration::from_secs(5);

/// Bodies up to this size are read also to be thrown away: opening the connection anew would cost more.
pub(super) const SMALL_BODY: usize = 16 << 10;
/// What larger bodies may take together while they arrive and are worked on.
const LARGE_BODIES: usize = 64 << 20;

/// A limit of the work at a time, shared by all who do it.
#[derive(Clone, Debug)]
pub(crate) struct Admission(Arc<State>);

#[derive(Debug)]
struct State {
    /// What is limited, in the plural.
    what: &'static str,
    places: usize,
    room: Arc<Semaphore>,
    queue: Semaphore,
    patience: Duration,
    pressure: Pressure,
    refused: AtomicU64,
    refusal: Prepared,
}

/// A place, for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "kept to be dropped")] OwnedSemaphorePermit);

impl Admission {
    /// So many at a time, and so many more that wait for so long at most.
    pub(crate) fn with_queue(what: &'static str, places: usize, queue: usize, patience: Duration) -> Self {
        let (room, queue) = (Arc::new(Semaphore::new(places)), Semaphore::new(queue));
        let (pressure, refused) = (Pressure::new(), AtomicU64::new(0));
        let refusal = Prepared::new(&overloaded(&format!("{places} {what} are being worked on already")));
        Self(Arc::new(State { what, places, room, queue, patience, pressure, refused, refusal }))
    }

    /// The limit of submissions.
    pub(crate) fn of_submissions(in_flight: u32) -> Self {
        let places = usize::try_from(in_flight).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self::with_queue("submissions", places, places, PATIENCE)
    }

    /// The limit of what takes a thread of its own.
    pub(super) fn of_blocking() -> Self {
        Self::with_queue("questions", BLOCKING, BLOCKING_QUEUE, BLOCKING_PATIENCE)
    }

    /// Refuses if a request that came now would be refused: to be asked before its body is read.
    ///
    /// While many are refused anyway nobody waits: the places are never empty for long, and whoever waited
    /// for one would only be late.
    pub(super) fn check(&self) -> Result<(), TurnedAway> {
        let State { room, queue, pressure, .. } = &*self.0;
        let high = pressure.ask(Instant::now());
        let full = room.available_permits() == 0 && (high || queue.available_permits() == 0);
        if full { Err(self.refuse()) } else { Ok(()) }
    }

    /// Takes a place, perhaps after a wait.
    pub(super) async fn enter(&self) -> Result<Place, TurnedAway> {
        let State { room, queue, patience, .. } = &*self.0;
        if let Ok(place) = Arc::clone(room).try_acquire_owned() {
            return Ok(Place(place));
        }
        let Ok(_waiting) = queue.try_acquire() else { return Err(self.refuse()) };
        let place = tokio::time::timeout(*patience, Arc::clone(room).acquire_owned()).await;
        // The semaphore is never closed.
        place.ok().and_then(Result::ok).map(Place).ok_or_else(|| self.refuse())
    }

    #[cfg(test)]
    pub(crate) fn refuse_for_test(&self) {
        drop(self.refuse());
    }

    /// How many were refused so far.
    pub(crate) fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    fn refuse(&self) -> TurnedAway {
        let State { what, places, pressure, refused, .. } = &*self.0;
        pressure.refuse();
        let before = refused.fetch_add(1, Ordering::Relaxed);
        // The first of an overload has to be seen; a line for each would be a load of its own.
        if (before + 1).is_power_of_two() {
            tracing::warn!(
                refused = before + 1,
                limit = places,
                "{what} are turned away: too many at a time"
            );
        }
        TurnedAway(Arc::clone(&self.0))
    }
}

/// Somebody for whom there was no place.
#[derive(Debug)]
pub(super) struct TurnedAway(Arc<State>);

impl TurnedAway {
    /// The answer, under the request's id.
    pub(super) fn response(&self, request_id: &str) -> Response {
        self.0.refusal.response(request_id)
    }
}

/// The answer to whoever is turned away, written once but for the id: an overload is mostly of these.
#[derive(Debug)]
struct Prepared {
    headers: HeaderMap,
    before: String,
    after: String,
}

impl Prepared {
    fn new(problem: &Problem) -> Self {
        // A place for the id, which no other text of the answer has.
        const MARK: &str = "00000000-0000-0000-0000-000000000000";
        let answer = problem.response(Some(MARK));
        let body = match &answer.body {
            Some(Body::Text(text)) => text.as_str(),
            _ => "",
        };
        let (before, after) = body.split_once(MARK).unwrap_or((body, ""));
        Self { headers: answer.headers, before: before.to_owned(), after: after.to_owned() }
    }

    fn response(&self, request_id: &str) -> Response {
        let Self { headers, before, after } = self;
        let mut response = Response::new([before, request_id, after].concat().into());
        *response.status_mut() = Code::Overloaded.status();
        response.headers_mut().clone_from(headers);
        response.extensions_mut().insert(ProblemCode(Code::Overloaded.name().into()));
        response
    }
}

/// Nothing of the request was done.
fn overloaded(why: &str) -> Problem {
    let detail = format!("{why}; nothing of this request was accepted, send it again after `retry-after`");
    Problem::new(Code::Overloaded, detail)
}

/// Memory for large bodies, shared by all connections. A slow sender of a large one keeps out others like it,
/// and no small one.
#[derive(Clone, Debug)]
pub(super) struct Bodies(Arc<Semaphore>);

impl Bodies {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_BODIES >> 10)))
    }

    /// Room for the body that these headers announce; none is needed for a small one.
    pub(super) fn reserve(&self, headers: &HeaderMap) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        let bytes = announced(headers).min(MAX_BODY_BYTES);
        if bytes <= SMALL_BODY {
            return Ok(None);
        }
        // At most 1024: a body is at most a mebibyte.
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0).try_acquire_many_owned(kib);
        room.map(Some)
            .map_err(|_| overloaded("the bodies of other requests take all memory that there is for them"))
    }
}

/// How long the body will be, as far as its sender says: without a word it could be of any length.
pub(super) fn announced(headers: &HeaderMap) -> usize {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return usize::MAX;
    }
    let Some(length) = headers.get(header::CONTENT_LENGTH) else { return 0 };
    length.to_str().ok().and_then(|length| length.parse().ok()).unwrap_or(usize::MAX)
}
