//! The server over real sockets, spoken to byte by byte.

mod overload;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use auth::Access;
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::connection::Gate;
use super::{Handler, Routes, listen_address, serve};

/// Says which handler was asked, and what it saw.
fn echo(name: &'static str) -> Handler {
    Handler::blocking(move |request: ApiGatewayV2httpRequest| async move {
        let header = request.headers.get("x-agent-id").and_then(|v| v.to_str().ok()).unwrap_or("-");
        let mut response = ApiGatewayV2httpResponse::default();
        response.status_code = 200;
        response.body = Some(Body::Text(format!(
            "{name} {} {} ?{} agent={header} base64={} {}",
            request.request_context.http.method,
            request.raw_path.unwrap_or_default(),
            request.raw_query_string.unwrap_or_default(),
            request.is_base64_encoded,
            request.body.unwrap_or_default(),
        )));
        response
    })
}

struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<std::io::Result<()>>>,
}

impl Server {
    fn start(query: Handler) -> Self {
        Self::start_with(echo("ingest"), query)
    }

    fn start_with(ingest: Handler, query: Handler) -> Self {
        let routes = Routes {
            ingest,
            query,
            admin: echo("admin"),
            health: Arc::new(|_| r#"{"status":"ok"}"#.to_owned()),
            access: Access::open(),
            hosts: Arc::new([]),
            refused: Arc::new(|| {}),
            metrics: echo("metrics"),
            traffic: Arc::default(),
        };
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                serve(listener, routes, async { drop(stopped.await) }).await
            })
        });
        Self { address: told.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    fn say(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // A server that closes early may reset the connection after its answer.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    }

    fn ask(&self, line: &str, headers: &str, body: &[u8]) -> String {
        let length = body.len();
        let head = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n"
        );
        let mut bytes = format!("{head}{headers}\r\n").into_bytes();
        bytes.extend(body);
        self.say(&bytes)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap().unwrap();
            }
        }
    }
}

#[test]
fn requests_reach_their_handler_as_they_came() {
    let server = Server::start(echo("query"));
    for (line, body, seen) in [
        ("POST /v1/usage?a=1", "{}", "ingest POST /v1/usage ?a=1 agent=me base64=false {}"),
        ("GET /v1/spend?by=agent&x=%20", "", "query GET /v1/spend ?by=agent&x=%20 agent=me base64=false "),
        ("DELETE /v1/admin/budgets/a%2Fb", "", "admin DELETE /v1/admin/budgets/a%2Fb ? agent=me"),
        ("GET /healthz", "", r#"{"status":"ok"}"#),
    ] {
        let answer = server.ask(line, "x-agent-id: me\r\n", body.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains(seen), "{answer}");
    }
    let answer = server.ask("POST /v1/usage", "", &[0xff, 0xfe]);
    assert!(answer.ends_with("base64=true //4="), "{answer}");
}

#[test]
fn what_is_refused_says_why() {
    let server = Server::start(echo("query"));
    for (line, headers, status, code) in [
        ("GET /v1/usage", "", 405, "method_not_allowed"),
        ("GET /nothing", "", 404, "not_found"),
        ("GET /v1/spend", "origin: http://evil.example\r\n", 403, "foreign_request"),
        ("GET /v1/spend", "host: evil.example\r\n", 403, "foreign_request"),
    ] {
        let answer = server.ask(line, headers, b"");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(&format!("urn:agentledger:error:{code}")), "{answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
    let answer = server.say(b"GET /v1/spend HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[test]
fn a_body_of_a_mebibyte_passes_and_one_byte_more_does_not() {
    let server = Server::start(echo("query"));
    let body = vec![b'x'; 1 << 20];
    assert!(server.ask("POST /v1/usage", "", &body).starts_with("HTTP/1.1 200 "));
    let head = "POST /v1/usage HTTP/1.1\r\nhost: localhost\r\n";
    let answer = server.say(format!("{head}content-length: 1048577\r\n\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n100001\r\n").into_bytes();
    chunked.extend(vec![b'x'; (1 << 20) + 1]);
    chunked.extend(b"\r\n0\r\n\r\n");
    let answer = server.say(&chunked);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[test]
fn a_body_that_breaks_off_is_not_told_to_be_smaller() {
    let server = Server::start(echo("query"));
    let head = "POST /v1/usage HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = server.say(format!("{head}ZZ\r\n{{}}\r\n0\r\n\r\n").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("body_incomplete"), "{answer}");
}

#[test]
fn a_handler_that_panics_is_an_answer() {
    let server = Server::start(Handler::blocking(|_| async { panic!("as the test wants") }));
    let answer = server.ask("GET /v1/spend", "", b"");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("urn:agentledger:error:internal"), "{answer}");
}

#[test]
fn a_request_in_flight_is_finished_after_the_signal() {
    let (started, has_started) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(std::sync::Mutex::new(released));
    let mut server = Server::start(Handler::blocking(move |_| {
        let (started, released) = (started.clone(), Arc::clone(&released));
        async move {
            started.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
            let mut response = ApiGatewayV2httpResponse::default();
            response.status_code = 200;
            response.body = Some(Body::Text("finished".to_owned()));
            response
        }
    }));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"GET /v1/spend HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    has_started.recv().unwrap();
    drop(server.stop.take());
    // The listener is closed before in-flight requests are waited for.
    while TcpStream::connect(server.address).is_ok() {
        std::thread::yield_now();
    }
    release.send(()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("finished"), "{answer}");
}

#[test]
fn connections_beyond_the_cap_are_told_to_come_back() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let accepting = runtime.spawn(async move {
        let mut gate = Gate::new(TcpListener::bind("127.0.0.1:0").await.unwrap(), 1);
        tell.send(gate.local_addr().unwrap()).unwrap();
        let first = gate.accept().await;
        tell.send(first.1).unwrap();
        // Turns others away for as long as the first one is there.
        gate.accept().await;
        drop(first);
    });
    let address = told.recv().unwrap();
    let first = TcpStream::connect(address).unwrap();
    assert_eq!(told.recv().unwrap(), first.local_addr().unwrap());
    let mut second = TcpStream::connect(address).unwrap();
    second.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut head = [0; 1024];
    let mut answer = String::new();
    while !answer.ends_with('}') {
        let n = second.read(&mut head).unwrap();
        assert!(n > 0, "{answer}");
        answer.push_str(std::str::from_utf8(&head[..n]).unwrap());
    }
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head} {}", body.len());
    accepting.abort();
}

#[test]
fn the_page_lists_the_limits_of_this_server() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/limits.md");
    let page = std::fs::read_to_string(path).unwrap();
    for edge::limits::Limit { name, value, unit, about, code } in super::limits(super::IN_FLIGHT) {
        let code = code.map_or_else(String::new, |code| format!("[`{code}`](errors/{code}.md)"));
        let row = format!("| `{name}` | {value} {unit} | {about} | {code} |").replace("  ", " ");
        assert!(page.contains(&row), "docs/limits.md lacks: {row}");
    }
}

#[test]
fn only_this_machine_can_be_listened_on() {
    assert!(listen_address("127.0.0.1:0", false).is_ok());
    assert!(listen_address("[::1]:8080", false).is_ok());
    for open in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80"] {
        assert!(listen_address(open, false).unwrap_err().contains("there is no authentication"), "{open}");
        assert!(listen_address(open, true).is_ok(), "{open}");
    }
    assert!(listen_address("8080", true).is_err());
}
