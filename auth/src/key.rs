//! Ed25519 keys, in the PEM forms that `openssl` reads and writes: PKCS#8 and SPKI (RFC 8410).
//!
//! For this one algorithm both forms are a fixed prefix and 32 bytes, so that no general ASN.1 reader has to
//! be trusted with what comes from a file.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const SECRET: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";
const SECRET_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const PUBLIC_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM.
    #[error(
        "holds no PEM block; `agentledger token keygen` and `openssl genpkey -algorithm ed25519` make keys"
    )]
    NotPem,
    /// PEM of something else.
    #[error("is not an Ed25519 {0} in PEM (`-----BEGIN {0}-----`)")]
    Other(&'static str),
    /// A secret where a public key belongs.
    #[error("holds a private key; a server has public keys only: move it to where tokens are minted")]
    SecretAmongPublic,
    /// A point that signs anything.
    #[error("is a weak public key, under which anybody could sign; make another pair")]
    Weak,
    /// The operating system gave no random bytes.
    #[error("cannot be made: the operating system gave no random bytes")]
    NoRandomness,
}

/// A key's name: the thumbprint of RFC 7638 over its JWK form (RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// What a token says its key is; it names one of ours or none.
    pub(crate) fn of(text: &str) -> Self {
        Self(text.into())
    }

    /// The thumbprint, in base64url.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Verifies signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Every public key of a PEM text: at least one, and nothing else.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, KeyError> {
        let blocks = blocks(text)?;
        blocks.into_iter().map(|(label, der)| Self::from_block(label, &der)).collect()
    }

    /// The public keys of a variable of an environment: PEM blocks, whose line breaks may have become spaces, or
    /// the base64 in them, with anything but base64 between. At least one, and nothing else.
    pub fn all_from_text(text: &str) -> Result<Vec<Self>, KeyError> {
        if text.contains(SECRET) {
            return Err(KeyError::SecretAmongPublic);
        }
        let marks = [format!("-----BEGIN {PUBLIC}-----"), format!("-----END {PUBLIC}-----")];
        let bare = marks.iter().fold(text.replace("\\n", " "), |bare, mark| bare.replace(mark, " "));
        let blocks = bare.split(|c: char| c.is_whitespace() || c == ',').filter(|block| !block.is_empty());
        let keys = blocks.map(|block| {
            let der = STANDARD.decode(block).map_err(|_| KeyError::Other(PUBLIC))?;
            Self::from_block(PUBLIC, &der)
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(KeyError::NotPem) } else { Ok(keys) }
    }

    fn from_block(label: &str, der: &[u8]) -> Result<Self, KeyError> {
        if label.ends_with(SECRET) {
            return Err(KeyError::SecretAmongPublic);
        }
        let raw = der.strip_prefix(&PUBLIC_PREFIX).filter(|_| label == PUBLIC);
        let raw: [u8; 32] = raw.and_then(|raw| raw.try_into().ok()).ok_or(KeyError::Other(PUBLIC))?;
        let key = VerifyingKey::from_bytes(&raw).map_err(|_| KeyError::Other(PUBLIC))?;
        if key.is_weak() { Err(KeyError::Weak) } else { Ok(Self(key)) }
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        pem(PUBLIC, &[&PUBLIC_PREFIX[..], self.0.as_bytes()].concat())
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        // Members in lexical order, without spaces: RFC 7638 hashes exactly this.
        let x = URL_SAFE_NO_PAD.encode(self.0.as_bytes());
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        KeyId(URL_SAFE_NO_PAD.encode(Sha256::digest(jwk)).into())
    }

    /// The strict check: one message and one key have signatures of one meaning, on every implementation.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }

    #[cfg(test)]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Signs tokens. Forgotten in memory when dropped; its `Debug` form shows the public half.
pub struct SecretKey(SigningKey);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey(of {})", self.public().id())
    }
}

impl SecretKey {
    /// A new key.
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| KeyError::NoRandomness)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// Reads PEM.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let mut blocks = blocks(text)?;
        let (Some((label, der)), true) = (blocks.pop(), blocks.is_empty()) else {
            return Err(KeyError::Other(SECRET));
        };
        let seed = der.strip_prefix(&SECRET_PREFIX).filter(|_| label == SECRET);
        let seed: Option<&[u8; 32]> = seed.and_then(|seed| seed.try_into().ok());
        seed.map(|seed| Self(SigningKey::from_bytes(seed))).ok_or(KeyError::Other(SECRET))
    }

    /// As PEM.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(self.0.to_bytes());
        let der = Zeroizing::new([&SECRET_PREFIX[..], seed.as_slice()].concat());
        Zeroizing::new(pem(SECRET, &der))
    }

    /// The half that servers have.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Both forms are shorter than one line of PEM.
fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// A label, and what stands under it.
type Block<'a> = (&'a str, Zeroizing<Vec<u8>>);

/// The blocks of a PEM text: label and content. Text outside of blocks is a comment (RFC 7468).
fn blocks(text: &str) -> Result<Vec<Block<'_>>, KeyError> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim_end);
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else {
            continue;
        };
        let mut content = Zeroizing::new(String::new());
        loop {
            let line = lines.next().ok_or(KeyError::NotPem)?;
            if line.starts_with("-----END ") {
                break;
            }
            content.push_str(line.trim());
        }
        let der = STANDARD.decode(content.as_bytes()).map_err(|_| KeyError::NotPem)?;
        found.push((label, Zeroizing::new(der)));
    }
    if found.is_empty() { Err(KeyError::NotPem) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.
    const RFC_SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

    fn rfc_key() -> SecretKey {
        let seed: [u8; 32] = URL_SAFE_NO_PAD.decode(RFC_SEED).unwrap().try_into().unwrap();
        SecretKey(SigningKey::from_bytes(&seed))
    }

    #[test]
    fn the_vectors_of_rfc_8037_hold() {
        let key = rfc_key();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(key.public().as_bytes()),
            "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        );
        assert_eq!(key.public().id().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        assert_eq!(
            URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
    }

    #[test]
    fn keys_survive_their_files() {
        let key = SecretKey::generate().unwrap();
        let again = SecretKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(again.public(), key.public());
        assert_eq!(PublicKey::all_from_pem(&key.public().to_pem()).unwrap(), [key.public()]);
        let two = format!("# the old one\n{}{}", key.public().to_pem(), rfc_key().public().to_pem());
        assert_eq!(PublicKey::all_from_pem(&two).unwrap().len(), 2);
        assert_eq!(PublicKey::all_from_pem(&two.replace('\n', "\r\n")).unwrap().len(), 2);
    }

    #[test]
    fn keys_survive_a_variable() {
        let (one, two) = (SecretKey::generate().unwrap().public(), rfc_key().public());
        let pems = format!("{}{}", one.to_pem(), two.to_pem());
        let bare = |key: &PublicKey| key.to_pem().lines().nth(1).unwrap().to_owned();
        for text in [
            pems.clone(),
            pems.replace('\n', " "),
            pems.replace('\n', "\\n"),
            format!("{} {}", bare(&one), bare(&two)),
            format!("{},\n{}", bare(&one), two.to_pem()),
        ] {
            assert_eq!(PublicKey::all_from_text(&text).unwrap(), [one.clone(), two.clone()], "{text}");
        }
        assert_eq!(PublicKey::all_from_text(" "), Err(KeyError::NotPem));
        assert_eq!(PublicKey::all_from_text("AAAA"), Err(KeyError::Other(PUBLIC)));
        assert_eq!(PublicKey::all_from_text(&format!("{pems} and more")), Err(KeyError::Other(PUBLIC)));
        assert_eq!(PublicKey::all_from_text(&rfc_key().to_pem()), Err(KeyError::SecretAmongPublic));
    }

    #[test]
    fn what_is_no_key_says_so() {
        let key = rfc_key();
        let secret = key.to_pem();
        let public = key.public().to_pem();
        assert_eq!(PublicKey::all_from_pem(&secret), Err(KeyError::SecretAmongPublic));
        assert_eq!(PublicKey::all_from_pem("").unwrap_err(), KeyError::NotPem);
        assert_eq!(
            PublicKey::all_from_pem("-----BEGIN PUBLIC KEY-----\nMCow").unwrap_err(),
            KeyError::NotPem
        );
        assert_eq!(SecretKey::from_pem(&public).unwrap_err(), KeyError::Other(SECRET));
        let x25519 = public.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu");
        assert_eq!(PublicKey::all_from_pem(&x25519).unwrap_err(), KeyError::Other(PUBLIC));
        // The neutral element: a signature of zeros would verify for any message.
        let mut neutral = PUBLIC_PREFIX.to_vec();
        neutral.extend([1].into_iter().chain([0; 31]));
        assert_eq!(PublicKey::all_from_pem(&pem(PUBLIC, &neutral)).unwrap_err(), KeyError::Weak);
        let shown = format!("{key:?}");
        assert!(!shown.contains(RFC_SEED) && shown.contains("kPrK"), "{shown}");
    }
}
