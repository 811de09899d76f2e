//! More requests than places: who is turned away, with which words, and that nothing of theirs was done.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::*;
use crate::serve::admission::{Admission, Bodies, SMALL_BODY, TurnedAway};

/// A handler whose work lasts until the test says otherwise.
struct Slow {
    begun: Receiver<String>,
    finish: Sender<()>,
    calls: Arc<AtomicUsize>,
}

fn slow(admission: Admission) -> (Handler, Slow) {
    let (begin, begun) = channel();
    let (finish, finished) = channel::<()>();
    let finished = Arc::new(Mutex::new(finished));
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = Handler::blocking(move |request: ApiGatewayV2httpRequest| {
        counted.fetch_add(1, Ordering::Relaxed);
        let (begin, finished) = (begin.clone(), Arc::clone(&finished));
        async move {
            begin.send(request.body.unwrap_or_default()).unwrap();
            finished.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap();
            let mut response = ApiGatewayV2httpResponse::default();
            response.status_code = 200;
            response.body = Some(Body::Text("done".to_owned()));
            response
        }
    });
    (handler.limited(admission), Slow { begun, finish, calls })
}

fn without_queue(places: usize) -> Admission {
    Admission::with_queue("requests", places, 0, Duration::ZERO)
}

/// A connection that is kept.
struct Kept(TcpStream);

impl Kept {
    fn new(server: &Server) -> Self {
        Self(TcpStream::connect(server.address).unwrap())
    }

    fn post(&mut self, body: &str) {
        let head = format!(
            "POST /v1/usage HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.write_all(head.as_bytes()).unwrap();
    }

    /// One answer, of which the connection may go on.
    fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") {
            assert_eq!(self.0.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&answer));
            answer.extend(byte);
        }
        let mut head = String::from_utf8(answer).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        head.push_str(std::str::from_utf8(&body).unwrap());
        head
    }
}

fn assert_turned_away(answer: &str) {
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    for words in
        ["retry-after: 1\r\n", "application/problem+json", r#""code":"overloaded""#, "x-request-id: "]
    {
        assert!(answer.contains(words), "{words}: {answer}");
    }
}

#[test]
fn beyond_its_places_ingest_turns_away_at_once_and_takes_again_after() {
    let (handler, work) = slow(without_queue(2));
    let server = Server::start_with(handler, echo("query"));
    let mut clients = [Kept::new(&server), Kept::new(&server), Kept::new(&server)];
    for (client, body) in clients.iter_mut().zip(["first", "second"]) {
        client.post(body);
        assert_eq!(work.begun.recv().unwrap(), body);
    }
    let [first, second, third] = &mut clients;
    // However often it comes, and always on the same connection.
    for _ in 0..3 {
        third.post("third");
        let answer = third.answer();
        assert_turned_away(&answer);
        assert!(!answer.contains("connection: close"), "{answer}");
    }
    assert_eq!(work.calls.load(Ordering::Relaxed), 2, "what is turned away reaches no handler");
    // Others are not concerned.
    assert!(server.ask("GET /v1/spend", "", b"").starts_with("HTTP/1.1 200 "));
    assert!(server.ask("GET /healthz", "", b"").starts_with("HTTP/1.1 200 "));
    work.finish.send(()).unwrap();
    work.finish.send(()).unwrap();
    for client in [first, second] {
        assert!(client.answer().ends_with("done"));
    }
    third.post("third again");
    assert_eq!(work.begun.recv().unwrap(), "third again");
    work.finish.send(()).unwrap();
    assert!(third.answer().ends_with("done"));
}

#[test]
fn a_large_body_is_turned_away_before_it_is_sent() {
    let (handler, work) = slow(without_queue(1));
    let server = Server::start_with(handler, echo("query"));
    let mut busy = Kept::new(&server);
    busy.post("busy");
    work.begun.recv().unwrap();
    let mut large = Kept::new(&server);
    let head = "POST /v1/usage HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n";
    large.0.write_all(head.as_bytes()).unwrap();
    let answer = large.answer();
    assert_turned_away(&answer);
    assert!(answer.contains("connection: close"), "{answer}");
    work.finish.send(()).unwrap();
    assert!(busy.answer().ends_with("done"));
}

#[test]
fn who_goes_away_leaves_the_place_to_the_work() {
    let (handler, work) = slow(without_queue(1));
    let server = Server::start_with(handler, echo("query"));
    let mut gone = Kept::new(&server);
    gone.post("gone");
    work.begun.recv().unwrap();
    drop(gone);
    let mut next = Kept::new(&server);
    next.post("next");
    assert_turned_away(&next.answer());
    work.finish.send(()).unwrap();
}

#[tokio::test]
async fn the_prepared_answer_is_that_of_any_other_problem() {
    let none = Admission::with_queue("submissions", 0, 0, Duration::ZERO);
    let answer = none.check().unwrap_err().response("id-1");
    let detail = "0 submissions are being worked on already; nothing of this request was accepted, send it again \
                  after `retry-after`";
    let expected = edge::Problem::new(edge::Code::Overloaded, detail).response(Some("id-1"));
    assert_eq!(i64::from(answer.status().as_u16()), expected.status_code);
    let (head, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let Some(Body::Text(text)) = expected.body else { panic!("a problem has a body") };
    assert_eq!(body, text.as_bytes());
    for (name, value) in expected.headers.iter().filter(|(name, _)| *name != "x-request-id") {
        assert_eq!(head.headers.get(name), Some(value), "{name}");
    }
}

#[test]
fn nobody_waits_while_many_are_refused() {
    let admission = Admission::with_queue("submissions", 0, 1, Duration::from_secs(3600));
    let waits = |admission: &Admission| admission.check().is_ok();
    assert!(waits(&admission), "there is room to wait");
    let until = std::time::Instant::now() + Duration::from_secs(60);
    // A load that stays, most of which is refused.
    while waits(&admission) {
        admission.refuse_for_test();
        assert!(std::time::Instant::now() < until, "it never noticed");
        std::thread::sleep(Duration::from_micros(200));
    }
    std::thread::sleep(Duration::from_millis(250));
    assert!(waits(&admission), "it is over");
}

fn code(turned: &TurnedAway) -> u16 {
    turned.response("r").status().as_u16()
}

#[tokio::test]
async fn a_queue_has_an_end_and_so_has_patience() {
    let patient = Admission::with_queue("questions", 1, 1, Duration::from_secs(3600));
    let place = patient.enter().await.unwrap();
    let mut waiting = Box::pin(patient.enter());
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    assert_eq!(code(&patient.check().unwrap_err()), 503);
    assert_eq!(code(&patient.enter().await.unwrap_err()), 503);
    drop(place);
    let place = waiting.await.unwrap();
    patient.check().unwrap();
    drop(place);
    assert_eq!(patient.refused(), 2);

    let hasty = Admission::with_queue("questions", 1, 1, Duration::ZERO);
    let _place = hasty.enter().await.unwrap();
    assert_eq!(code(&hasty.enter().await.unwrap_err()), 503);
}

#[test]
fn large_bodies_share_their_memory_and_small_ones_need_none() {
    let bodies = Bodies::new();
    let length = |bytes: usize| http::HeaderMap::from_iter([(http::header::CONTENT_LENGTH, bytes.into())]);
    let full: Vec<_> = (0..64).map(|_| bodies.reserve(&length(1 << 20)).unwrap().unwrap()).collect();
    assert_eq!(bodies.reserve(&length(SMALL_BODY + 1)).unwrap_err().code, edge::Code::Overloaded);
    let chunked = [(http::header::TRANSFER_ENCODING, "chunked".parse().unwrap())];
    assert!(bodies.reserve(&http::HeaderMap::from_iter(chunked)).is_err());
    assert!(bodies.reserve(&length(SMALL_BODY)).unwrap().is_none());
    assert!(bodies.reserve(&http::HeaderMap::new()).unwrap().is_none());
    drop(full);
    assert!(bodies.reserve(&length(1 << 20)).unwrap().is_some());
}
