//! One HTTP connection, spoken byte by byte: what the generator spends on HTTP is taken from the server it measures.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// The largest answer that is read.
const MOST: usize = 4 << 20;

/// Where to send, taken apart once.
#[derive(Clone)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    host: String,
    /// What the paths of requests begin with.
    prefix: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Endpoint {
    /// Takes `http://HOST[:PORT][/PREFIX]` apart, or `https://…`, and looks the host up.
    pub(crate) async fn new(url: &str) -> anyhow::Result<Self> {
        let (secure, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => bail!("`{url}` is no address of a server: it begins with http:// or https://"),
        };
        let (host, prefix) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let with_port = if name.len() == host.len() {
            format!("{host}:{}", if secure { 443 } else { 80 })
        } else {
            host.to_owned()
        };
        let address =
            lookup_host(&with_port).await.with_context(|| format!("cannot look up {with_port}"))?.next();
        let tls = if secure {
            let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Some((TlsConnector::from(Arc::new(config)), ServerName::try_from(name.to_owned())?))
        } else {
            None
        };
        Ok(Self {
            address: address.with_context(|| format!("{with_port} has no address"))?,
            host: host.to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
            tls,
        })
    }

    /// Writes a POST to `path` with these further lines of the head.
    pub(crate) fn post(&self, out: &mut Vec<u8>, path: &str, headers: &str, body: &[u8]) {
        out.clear();
        let length = body.len();
        let head = format!(
            "POST {}{path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {length}\r\n{headers}\r\n",
            self.prefix, self.host
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(body);
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection that is opened again when it is gone.
pub(crate) struct Connection {
    endpoint: Endpoint,
    stream: Option<Box<dyn Stream>>,
    buffer: Vec<u8>,
    /// How often it was opened.
    pub(crate) opened: u64,
}

impl Connection {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, stream: None, buffer: Vec::new(), opened: 0 }
    }

    /// Where it goes.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Opens it, ahead of the first request.
    pub(crate) async fn connect(&mut self) -> anyhow::Result<()> {
        if self.stream.is_some() {
            return Ok(());
        }
        let tcp = TcpStream::connect(self.endpoint.address).await.context("cannot connect")?;
        tcp.set_nodelay(true)?;
        self.stream = Some(match &self.endpoint.tls {
            None => Box::new(tcp),
            Some((tls, name)) => Box::new(tls.connect(name.clone(), tcp).await.context("no TLS")?),
        });
        self.opened += 1;
        Ok(())
    }

    /// Sends a request, and reads what comes back. After an error the next one opens the connection again.
    pub(crate) async fn send(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let answer = self.exchange(&[request], None).await;
        if answer.as_ref().is_ok_and(|answer| !answer.head.contains("\r\nconnection: close")) {
            return answer;
        }
        self.stream = None;
        answer
    }

    /// As [`Connection::send`], in pieces with a pause before each but the first.
    pub(crate) async fn send_slowly(
        &mut self,
        pieces: &[&[u8]],
        pause: std::time::Duration,
    ) -> anyhow::Result<Answer> {
        let answer = self.exchange(pieces, Some(pause)).await;
        self.stream = None;
        answer
    }

    async fn exchange(
        &mut self,
        pieces: &[&[u8]],
        pause: Option<std::time::Duration>,
    ) -> anyhow::Result<Answer> {
        self.connect().await?;
        let Some(stream) = &mut self.stream else { bail!("there is no connection") };
        for (n, piece) in pieces.iter().enumerate() {
            if let Some(pause) = pause.filter(|_| n > 0) {
                tokio::time::sleep(pause).await;
            }
            stream.write_all(piece).await.context("cannot write")?;
            stream.flush().await.context("cannot write")?;
        }
        self.buffer.clear();
        let mut searched = 0;
        let (head, length) = loop {
            let found = self
                .buffer
                .get(searched..)
                .and_then(|rest| rest.windows(4).position(|four| four == b"\r\n\r\n"));
            if let Some(at) = found {
                let head = searched + at;
                let text =
                    std::str::from_utf8(self.buffer.get(..head).unwrap_or_default())?.to_ascii_lowercase();
                let length = content_length(&text)?;
                ensure!(length <= MOST, "an answer of {length} bytes");
                break (text, head + 4 + length);
            }
            searched = self.buffer.len().saturating_sub(3);
            ensure!(searched < MOST, "a head without an end");
            ensure!(stream.read_buf(&mut self.buffer).await.context("cannot read")? > 0, "closed");
        };
        while self.buffer.len() < length {
            ensure!(stream.read_buf(&mut self.buffer).await.context("cannot read")? > 0, "cut off");
        }
        let status =
            head.get(9..12).and_then(|status| status.parse().ok()).context("an answer without a status")?;
        let body =
            String::from_utf8_lossy(self.buffer.get(head.len() + 4..length).unwrap_or_default()).into_owned();
        Ok(Answer { status, head, body })
    }
}

fn content_length(head: &str) -> anyhow::Result<usize> {
    let of = |line: &str| {
        let (name, value) = line.split_once(':')?;
        if name == "content-length" { value.trim().parse().ok() } else { None }
    };
    head.lines().find_map(of).context("an answer without content-length")
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn served(answer: &'static [u8]) -> anyhow::Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/stage/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 1024];
            let n = stream.read(&mut asked).await.unwrap();
            for piece in answer.chunks(7) {
                stream.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            asked.truncate(n);
            asked
        });
        let mut connection = Connection::new(Endpoint::new(&url).await.unwrap());
        let mut request = Vec::new();
        connection.endpoint().post(&mut request, "/v1/usage", "x-agent-id: a\r\n", b"{}");
        let answer = connection.send(&request).await;
        let asked = String::from_utf8(server.await.unwrap()).unwrap();
        assert!(asked.starts_with("POST /stage/v1/usage HTTP/1.1\r\nhost: 127.0.0.1:"), "{asked}");
        assert!(asked.ends_with("content-length: 2\r\nx-agent-id: a\r\n\r\n{}"), "{asked}");
        answer
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_end_however_it_arrives() {
        let answer =
            served(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 5\r\n\r\nlater")
                .await
                .unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "later"));
        assert!(answer.head.contains("\r\nretry-after: 1"));
    }

    #[tokio::test]
    async fn half_an_answer_is_none() {
        served(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhalf").await.unwrap_err();
        served(b"HTTP/1.1 200").await.unwrap_err();
        served(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap_err();
    }
}
