//! Who may do what: tokens signed with Ed25519, verified without a network call by public keys alone.
//!
//! A token is a compact JWS of one fixed algorithm. It has a role, the agents that it may write for, and a
//! team. Handlers ask an [`Access`] who a request comes from, and refuse what that caller may not do. The one
//! I/O here is reading and writing key files.

mod access;
mod audit;
mod cache;
mod claims;
mod error;
mod files;
mod key;
mod pattern;
mod principal;
mod revocations;
#[cfg(test)]
mod tests;
mod token;
mod verify;

pub use access::{Access, Caller};
pub use audit::{audit, object_of};
pub use claims::{AUDIENCE, Claims, ClaimsError, MAX_AGENTS, MAX_AUDIENCE_LEN, MAX_DAYS, Role};
pub use error::{Denied, TokenError};
pub use files::{KeyFileError, MAX_KEYS, read_public_keys, read_secret_key, write_key_pair};
pub use key::{KeyError, KeyId, PublicKey, SecretKey};
pub use pattern::AgentPattern;
pub use principal::{MAX_PRINCIPALS, Principal, Principals, PrincipalsError};
pub use revocations::{RevocationReport, Revocations};
pub use token::{MAX_TOKEN_BYTES, sign};
pub use verify::{Verified, Verifier};
