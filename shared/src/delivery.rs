//! Attempts to deliver alerts, as they went: for whoever asks why an alert did not arrive.
//!
//! Nothing is decided by them. An alert's own state says whether it has arrived.

use std::fmt;
use std::future::Future;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::LedgerError;

/// How many attempts are kept: the newest ones.
pub const MAX_DELIVERIES: usize = 10_000;

/// Why an attempt got no answer. Stable words, without what the other side said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// It took too long.
    Timeout,
    /// The name has no address.
    NameNotFound,
    /// The address is one that alerts are not sent to.
    RefusedAddress,
    /// No connection, or it broke.
    Connection,
    /// No TLS session: mostly a certificate that is not trusted.
    Tls,
    /// The answer is not HTTP.
    Protocol,
    /// The alert could not be signed or written.
    Internal,
}

impl Failure {
    /// Every class.
    pub const ALL: [Failure; 7] = [
        Failure::Timeout,
        Failure::NameNotFound,
        Failure::RefusedAddress,
        Failure::Connection,
        Failure::Tls,
        Failure::Protocol,
        Failure::Internal,
    ];

    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Failure::Timeout => "timeout",
            Failure::NameNotFound => "name_not_found",
            Failure::RefusedAddress => "refused_address",
            Failure::Connection => "connection",
            Failure::Tls => "tls",
            Failure::Protocol => "protocol",
            Failure::Internal => "internal",
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DeliveryOutcome")]
pub enum Outcome {
    /// With this HTTP status; 200 to 299 is delivered.
    Status(u16),
    /// Without an answer.
    Error(Failure),
}

impl Outcome {
    /// Whether the receiver has the alert.
    pub fn delivered(self) -> bool {
        matches!(self, Outcome::Status(200..=299))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Status(status) => write!(f, "{status}"),
            Outcome::Error(failure) => f.write_str(failure.name()),
        }
    }
}

/// One attempt to deliver an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryAttempt {
    /// Which alert.
    pub alert_id: String,
    /// Where to: scheme, host and port. A path can be a secret of the receiver.
    pub target: String,
    /// When it began.
    #[schemars(with = "crate::schema::Instant")]
    pub at: Timestamp,
    /// Which attempt of this round of delivery, from 1.
    pub attempt: u32,
    /// How long it took.
    pub duration_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// Keeps attempts to deliver.
pub trait DeliveryStore: Send + Sync {
    /// Keeps an attempt. The newest [`MAX_DELIVERIES`] stay; older ones may go.
    fn note_delivery(
        &self,
        attempt: &DeliveryAttempt,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Lists attempts, the last one noted first; of one alert only, if it is given.
    fn deliveries(
        &self,
        alert_id: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DeliveryAttempt>, LedgerError>> + Send;
}

impl<S: DeliveryStore> DeliveryStore for std::sync::Arc<S> {
    fn note_delivery(
        &self,
        attempt: &DeliveryAttempt,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send {
        (**self).note_delivery(attempt)
    }

    fn deliveries(
        &self,
        alert_id: Option<&str>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DeliveryAttempt>, LedgerError>> + Send {
        (**self).deliveries(alert_id, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_written_by_their_names() {
        for failure in Failure::ALL {
            let outcome = Outcome::Error(failure);
            let json = format!(r#"{{"error":"{}"}}"#, failure.name());
            assert_eq!(serde_json::to_string(&outcome).unwrap(), json);
            assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome);
            assert!(!outcome.delivered());
        }
        assert_eq!(serde_json::to_string(&Outcome::Status(204)).unwrap(), r#"{"status":204}"#);
        for (status, delivered) in [(199, false), (200, true), (299, true), (300, false), (410, false)] {
            assert_eq!(Outcome::Status(status).delivered(), delivered, "{status}");
        }
    }
}
