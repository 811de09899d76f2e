//! The revocation port: tokens that no longer hold, whatever their signature says.

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::TokenId;
use crate::ledger::LedgerError;

/// The most revocations that stand at a time: every server keeps them in memory. Beyond, a new signing key
/// does what so many revocations were to do.
pub const MAX_REVOCATIONS: usize = 10_000;
/// The longest reason, in bytes.
pub const MAX_REASON_BYTES: usize = 256;

/// A token that no longer holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revocation {
    /// Which token.
    pub jti: TokenId,
    /// When it has expired anyway, so that this need not be kept.
    #[schemars(with = "crate::schema::Instant")]
    pub until: Timestamp,
    /// When it was revoked.
    #[schemars(with = "crate::schema::Instant")]
    pub at: Timestamp,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Revoked tokens.
pub trait RevocationStore: Send + Sync {
    /// Keeps a revocation, durably. The first of a token stands, and lasts until the later of both ends. What
    /// had ended before `revocation.at` is dropped.
    fn revoke(&self, revocation: &Revocation)
    -> impl Future<Output = Result<Revocation, LedgerError>> + Send;

    /// All of them, newest first, then by id.
    fn revocations(&self) -> impl Future<Output = Result<Vec<Revocation>, LedgerError>> + Send;
}

impl<S: RevocationStore> RevocationStore for Arc<S> {
    fn revoke(
        &self,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<Revocation, LedgerError>> + Send {
        (**self).revoke(revocation)
    }

    fn revocations(&self) -> impl Future<Output = Result<Vec<Revocation>, LedgerError>> + Send {
        (**self).revocations()
    }
}
