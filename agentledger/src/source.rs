//! Where a command reads and writes: a running server over HTTP, or an embedded ledger, which is asked the
//! same requests in process.

mod bearer;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use aws_lambda_events::encodings::Body;
use edge::limits::{MAX_PAGE_ROWS, MAX_REPORT_ROWS};
use http::Method;
use jiff::SignedDuration;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use shared::clock::{Clock, SystemClock};
use shared::price::Books;

use crate::cli::LedgerArgs;
use crate::cloud;
use crate::embedded::Embedded;
use bearer::Bearer;

/// Where `agentledger up` listens unless asked otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// The largest answer read: ten thousand rows are a tenth of it.
const MAX_ANSWER: u64 = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(60);

/// Asked wrongly: the exit code is 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub(crate) String);

/// A ledger to ask.
pub(crate) enum Source {
    Server {
        base: String,
        agent: ureq::Agent,
        token: Option<Bearer>,
    },
    /// Handlers in this process, over whatever ledger.
    InProcess(Box<dyn Asked>),
}

/// Who answers the requests of the HTTP interface in this process.
pub(crate) trait Asked: Send + Sync {
    /// Answers a request.
    fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse;
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// All but what RFC 3986 leaves unreserved.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Escapes a name for a path or a query.
pub(crate) fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

impl Source {
    /// Opens what the arguments name.
    pub(crate) fn open(args: &LedgerArgs) -> anyhow::Result<Self> {
        Self::open_with(args, None)
    }

    /// The same; an embedded ledger is repriced with these books.
    pub(crate) fn open_with(args: &LedgerArgs, books: Option<Books>) -> anyhow::Result<Self> {
        if args.aws {
            return cloud::source(books);
        }
        match &args.data {
            Some(dir) => Self::embedded(dir, books),
            None => {
                let url = args.url.as_deref().unwrap_or(DEFAULT_URL);
                Self::server(url, Bearer::find(args.token_file.as_deref())?)
            }
        }
    }

    fn embedded(dir: &Path, books: Option<Books>) -> anyhow::Result<Self> {
        Ok(Self::InProcess(Box::new(open_dir(dir, books)?)))
    }

    /// How far the clock of a server is ahead of ours; none where there is no server.
    pub(crate) fn clock_ahead(&self) -> anyhow::Result<Option<SignedDuration>> {
        let Self::Server { base, agent, .. } = self else { return Ok(None) };
        let request = http::Request::builder().uri(format!("{base}/healthz")).body(())?;
        let before = SystemClock.now();
        let answer = agent.run(request).with_context(|| format!("{base} does not answer"))?;
        let between = SystemClock.now().duration_since(before) / 2;
        let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date else { bail!("{base} does not say what time it is") };
        let there = jiff::fmt::rfc2822::DateTimeParser::new()
            .parse_timestamp(date)
            .with_context(|| format!("{base} says that it is {date:?}"))?;
        Ok(Some(there.duration_since(before) - between))
    }

    /// The most rows of a report that it answers at once.
    pub(crate) fn report_rows(&self) -> usize {
        match self {
            Self::Server { .. } => MAX_PAGE_ROWS,
            Self::InProcess(_) => MAX_REPORT_ROWS,
        }
    }

    /// A running server.
    pub(crate) fn server(url: &str, token: Option<Bearer>) -> anyhow::Result<Self> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(Misuse(format!("--url {url:?} is no address such as {DEFAULT_URL}")).into());
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            // A redirect would send a change, or spend, somewhere that the operator did not name.
            .max_redirects(0)
            // A proxy of the environment would see the token of an administrator, also on its way to loopback.
            .proxy(None)
            .build();
        let base = url.trim_end_matches('/').to_owned();
        if token.is_some() {
            bearer::warn_of_plaintext(&base);
        }
        Ok(Self::Server { base, agent: config.into(), token })
    }

    /// Reads a path.
    pub(crate) fn get(&self, path: &str, params: &[(&str, String)]) -> anyhow::Result<String> {
        let pairs: Vec<_> = params.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        self.send(Method::GET, path, &pairs.join("&"), None)
    }

    /// Makes a change.
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        query: &str,
        body: Option<String>,
    ) -> anyhow::Result<String> {
        let (status, text) = match self {
            Self::Server { base, agent, token } => {
                let mark = if query.is_empty() { "" } else { "?" };
                let mut request =
                    http::Request::builder().method(method).uri(format!("{base}{path}{mark}{query}"));
                if let Some(token) = token {
                    request = request.header(http::header::AUTHORIZATION, token.header()?);
                }
                over_http(agent, base, request, body)?
            }
            Self::InProcess(asked) => {
                let mut request = ApiGatewayV2httpRequest::default();
                request.raw_path = Some(path.to_owned());
                request.raw_query_string = Some(query.to_owned());
                request.request_context.http.method = method;
                request.body = body;
                let response = asked.handle(request);
                let text = match response.body {
                    Some(Body::Text(text)) => text,
                    _ => String::new(),
                };
                (u16::try_from(response.status_code).unwrap_or(500), text)
            }
        };
        if (200..300).contains(&status) {
            return Ok(text);
        }
        let detail = serde_json::from_str(&text).map_or_else(
            |_| format!("the server answered {status} without saying why; is it AgentLedger?"),
            |problem: Problem| problem.detail,
        );
        if status == 401 {
            bail!("{detail} (a command sends the token in AGENTLEDGER_TOKEN, or in --token-file FILE)");
        }
        if status == 400 {
            return Err(Misuse(detail).into());
        }
        bail!(detail)
    }
}

/// Opens a directory, which has to be there.
pub(crate) fn open_dir(dir: &Path, books: Option<Books>) -> anyhow::Result<Embedded> {
    if !dir.is_dir() {
        let dir = dir.display();
        return Err(
            Misuse(format!("--data {dir}: there is no such directory; `agentledger up` makes it")).into()
        );
    }
    Embedded::open(dir, books)
}

fn over_http(
    agent: &ureq::Agent,
    base: &str,
    request: http::request::Builder,
    body: Option<String>,
) -> anyhow::Result<(u16, String)> {
    let request = request.header(http::header::ACCEPT, "application/json");
    let sent = match body {
        Some(body) => agent.run(request.header(http::header::CONTENT_TYPE, "application/json").body(body)?),
        None => agent.run(request.body(())?),
    };
    let mut response = sent.with_context(|| {
        format!("{base} does not answer; start it with `agentledger up`, or give --url or --data")
    })?;
    let status = response.status().as_u16();
    let text = response
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .read_to_string()
        .with_context(|| format!("the answer of {base} cannot be read"))?;
    Ok((status, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_be_asked_are_misuse() {
        for url in ["ftp://ledger.example", "ledger:8080", ""] {
            let error = Source::server(url, None).err().unwrap();
            assert!(error.is::<Misuse>(), "{url}");
        }
        assert!(Source::server("http://127.0.0.1:1/", None).is_ok());
        assert!(Source::server("https://ledger.example", None).is_ok());
    }

    #[test]
    fn https_is_spoken_to_an_https_address() {
        use std::io::Read;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let first_byte = std::thread::spawn(move || {
            let mut byte = [0];
            listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
            byte[0]
        });
        // The peer hangs up within the handshake.
        assert!(Source::server(&url, None).unwrap().get("/v1/alerts", &[]).is_err());
        assert_eq!(first_byte.join().unwrap(), 22, "a TLS handshake record");
    }

    #[test]
    fn names_are_escaped_for_a_query() {
        assert_eq!(escape("a b&c=d+e/#é"), "a%20b%26c%3Dd%2Be%2F%23%C3%A9");
    }
}
