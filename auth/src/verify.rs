//! Whether a token holds: by the server's own public keys, its audience, the clock and the revocations.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use shared::clock::Clock;
use shared::id::TokenId;
use shared::revocation::{Revocation, RevocationStore};

use crate::cache::{Cache, fingerprint};
use crate::claims::{Claims, DAY, MAX_DAYS};
use crate::error::TokenError;
use crate::key::{KeyId, PublicKey};
use crate::token::{MAX_TOKEN_BYTES, Parts};

/// How far ahead of ours the clock of a token's maker may be, in seconds.
const MAX_AHEAD: i64 = 60;

/// A token whose signature is right.
#[derive(Debug)]
pub struct Verified {
    /// What it says.
    pub claims: Claims,
    kid: KeyId,
}

/// Verifies tokens without asking anybody.
pub struct Verifier {
    keys: RwLock<Arc<Vec<(KeyId, PublicKey)>>>,
    audience: String,
    /// When each revoked token has expired anyway, in Unix seconds.
    revoked: RwLock<HashMap<TokenId, i64>>,
    cache: Mutex<Cache>,
    clock: Arc<dyn Clock>,
    signatures: AtomicU64,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("audience", &self.audience).finish_non_exhaustive()
    }
}

impl Verifier {
    /// A verifier of tokens for `audience`, signed with any of `keys`; nothing is revoked yet.
    pub fn new(keys: Vec<PublicKey>, audience: String, clock: Arc<dyn Clock>) -> Self {
        let verifier = Self {
            keys: RwLock::default(),
            audience,
            revoked: RwLock::default(),
            cache: Mutex::default(),
            clock,
            signatures: AtomicU64::new(0),
        };
        verifier.set_keys(keys);
        verifier
    }

    /// Replaces the keys. A token of a key that is gone holds no longer, also if it was verified before.
    pub fn set_keys(&self, keys: Vec<PublicKey>) {
        let keys = keys.into_iter().map(|key| (key.id(), key)).collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// The names of the keys.
    pub fn key_ids(&self) -> Vec<KeyId> {
        self.keys().iter().map(|(id, _)| id.clone()).collect()
    }

    /// How many signatures were verified so far.
    pub fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::Relaxed)
    }

    /// Takes revocations in. None is ever taken back, so a list that is older than this call does no harm.
    pub fn revoke<'a>(&self, revocations: impl IntoIterator<Item = &'a Revocation>) {
        let now = self.clock.now().as_second();
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        for revocation in revocations {
            let until = revoked.entry(revocation.jti.clone()).or_insert(i64::MIN);
            *until = (*until).max(revocation.until.as_second());
        }
        revoked.retain(|_, until| *until >= now);
    }

    /// Takes in what the ledger knows.
    pub async fn refresh<S: RevocationStore>(&self, store: &S) -> Result<(), shared::ledger::LedgerError> {
        self.revoke(&store.revocations().await?);
        Ok(())
    }

    /// What a token says, if it holds now.
    pub fn verify(&self, token: &str) -> Result<Arc<Verified>, TokenError> {
        // Before any work, hashing too.
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let of = fingerprint(token);
        let keys = self.keys();
        let known = self.cache().get(&of);
        let verified = match known {
            Some(known) if keys.iter().any(|(id, _)| *id == known.kid) => known,
            Some(_) => return Err(TokenError::UnknownKey),
            None => {
                let parts = Parts::read(token)?;
                let (id, key) =
                    keys.iter().find(|(id, _)| id == parts.kid()).ok_or(TokenError::UnknownKey)?;
                self.signatures.fetch_add(1, Ordering::Relaxed);
                let verified = Arc::new(Verified { claims: parts.claims(key)?, kid: id.clone() });
                self.cache().put(of, Arc::clone(&verified));
                verified
            }
        };
        self.holds(&verified.claims)?;
        Ok(verified)
    }

    fn holds(&self, claims: &Claims) -> Result<(), TokenError> {
        let now = self.clock.now().as_second();
        if claims.aud != self.audience {
            return Err(TokenError::Audience);
        }
        let most = i64::from(MAX_DAYS) * DAY;
        if claims.exp.checked_sub(claims.iat).is_none_or(|life| !(1..=most).contains(&life)) {
            return Err(TokenError::Lifetime);
        }
        if claims.iat > now.saturating_add(MAX_AHEAD) {
            return Err(TokenError::Ahead);
        }
        if claims.exp <= now {
            return Err(TokenError::Expired);
        }
        let revoked = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        if revoked.contains_key(&claims.jti) { Err(TokenError::Revoked) } else { Ok(()) }
    }

    fn keys(&self) -> Arc<Vec<(KeyId, PublicKey)>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        // Nothing is left half done by a panic: an entry is there or not.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn cached(&self) -> usize {
        self.cache().len()
    }
}
