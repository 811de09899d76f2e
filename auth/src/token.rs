//! The form of a token: a compact JWS with exactly one kind of header.
//!
//! Nothing in a token chooses how it is verified. The header is compared with what it has to be, and what it
//! says of a key only picks one of the server's own.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::claims::{Claims, ClaimsError};
use crate::error::TokenError;
use crate::key::{KeyId, PublicKey, SecretKey};

/// The longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;

const ALGORITHM: &str = "EdDSA";
const TYPE: &str = "JWT";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

/// Only to tell another algorithm apart from what is no token at all.
#[derive(Deserialize)]
struct Algorithm<'a> {
    alg: &'a str,
}

/// A token that was taken apart, of which nothing is trusted yet.
pub(crate) struct Parts<'a> {
    kid: KeyId,
    /// What is signed: header and payload as they were sent.
    signed: &'a [u8],
    payload: &'a str,
    signature: [u8; 64],
}

impl<'a> Parts<'a> {
    pub(crate) fn read(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        if payload.contains('.') {
            return Err(TokenError::Malformed);
        }
        let header = decode(header)?;
        let algorithm: Algorithm<'_> = serde_json::from_slice(&header).map_err(|_| TokenError::Header)?;
        if algorithm.alg != ALGORITHM {
            return Err(TokenError::Algorithm);
        }
        let header: Header<'_> = serde_json::from_slice(&header).map_err(|_| TokenError::Header)?;
        if header.typ != TYPE {
            return Err(TokenError::Header);
        }
        let kid = KeyId::of(header.kid);
        let signature = decode(signature)?.try_into().map_err(|_| TokenError::Signature)?;
        Ok(Self { kid, signed: signed.as_bytes(), payload, signature })
    }

    pub(crate) fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// What the token says, once its signature is known to be `key`'s.
    pub(crate) fn claims(&self, key: &PublicKey) -> Result<Claims, TokenError> {
        if !key.verifies(self.signed, &self.signature) {
            return Err(TokenError::Signature);
        }
        let payload = decode(self.payload)?;
        let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Unreadable)?;
        claims.check()?;
        Ok(claims)
    }
}

/// Each value has one spelling: padding, other alphabets and left-over bits are refused.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}

/// Signs claims.
pub fn sign(claims: &Claims, key: &SecretKey) -> Result<String, ClaimsError> {
    claims.check()?;
    let kid = key.public().id();
    let header = Header { alg: ALGORITHM, kid: kid.as_str(), typ: TYPE };
    let part = |json: Result<Vec<u8>, serde_json::Error>| {
        // Strings and numbers always serialise.
        URL_SAFE_NO_PAD.encode(json.unwrap_or_default())
    };
    let signed = format!("{}.{}", part(serde_json::to_vec(&header)), part(serde_json::to_vec(claims)));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    Ok(format!("{signed}.{signature}"))
}
