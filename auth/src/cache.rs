//! Tokens whose signature was verified, so that it is verified once and not for every request.
//!
//! What is kept is what the signature says of the content, which never changes. Whether a token holds *now*
//! (its end, its revocation, its key) is asked every time.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::verify::Verified;

/// The most tokens kept: twice this many.
const GENERATION: usize = 4096;

/// The SHA-256 of a token: the token itself is not kept.
pub(crate) type Fingerprint = [u8; 32];

pub(crate) fn fingerprint(token: &str) -> Fingerprint {
    Sha256::digest(token).into()
}

/// Two generations: when the young one is full, the old one is forgotten. What is in use moves on.
#[derive(Default)]
pub(crate) struct Cache {
    young: HashMap<Fingerprint, Arc<Verified>>,
    old: HashMap<Fingerprint, Arc<Verified>>,
}

impl Cache {
    pub(crate) fn get(&mut self, of: &Fingerprint) -> Option<Arc<Verified>> {
        if let Some(found) = self.young.get(of) {
            return Some(Arc::clone(found));
        }
        let found = self.old.remove(of)?;
        self.put(*of, Arc::clone(&found));
        Some(found)
    }

    pub(crate) fn put(&mut self, of: Fingerprint, verified: Arc<Verified>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(of, verified);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}
