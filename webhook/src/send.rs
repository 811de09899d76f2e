//! One attempt: a request, and what became of it. Blocks its thread.

use std::time::Duration;

use shared::delivery::{Failure, Outcome};
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::DefaultConnector;

use crate::address::{Checked, Refused};
use crate::target::Target;

/// Headers of an answer beyond this are an error. Its body is not read at all.
const MAX_ANSWER_HEADERS: usize = 16 << 10;

/// What is sent.
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) timestamp: i64,
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
}

/// What became of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// When the receiver asked to be tried again.
    pub(crate) retry_after: Option<Duration>,
}

/// A client that goes to `target` only.
pub(crate) fn agent(target: &Target, timeout: Duration, resolver: impl Resolver) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .https_only(target.https())
        // A redirect would lead where the operator did not say, and a proxy past the check of addresses.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        // Each delivery connects anew, so that the address is checked each time.
        .max_idle_connections(0)
        .max_response_header_size(MAX_ANSWER_HEADERS)
        .timeout_global(Some(timeout))
        .user_agent(concat!("agentledger/", env!("CARGO_PKG_VERSION")))
        .accept("")
        .build();
    ureq::Agent::with_parts(config, DefaultConnector::default(), Checked(resolver))
}

/// Sends, and waits for the answer's head.
pub(crate) fn send(agent: &ureq::Agent, target: &Target, message: &Message) -> Answer {
    let sent = agent
        .post(target.uri())
        .header("content-type", "application/json")
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", message.timestamp.to_string())
        .header("webhook-signature", &message.signature)
        .send(&message.body[..]);
    match sent {
        Ok(response) => {
            let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
            let retry_after = after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
            Answer { outcome: Outcome::Status(response.status().as_u16()), retry_after }
        }
        Err(error) => Answer { outcome: Outcome::Error(failure(&error)), retry_after: None },
    }
}

/// The class of an error. Its words are left out: they can hold what the other side said.
fn failure(error: &ureq::Error) -> Failure {
    use std::io::ErrorKind;
    match error {
        ureq::Error::Timeout(_) => Failure::Timeout,
        ureq::Error::HostNotFound => Failure::NameNotFound,
        ureq::Error::Other(other) if other.is::<Refused>() => Failure::RefusedAddress,
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) | ureq::Error::TlsRequired => {
            Failure::Tls
        }
        ureq::Error::Io(error) => match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Failure::Timeout,
            // How errors of a TLS session come through its stream.
            ErrorKind::InvalidData => Failure::Tls,
            _ => Failure::Connection,
        },
        ureq::Error::ConnectionFailed => Failure::Connection,
        ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => Failure::Protocol,
        _ => Failure::Internal,
    }
}
