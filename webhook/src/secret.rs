//! The secrets that deliveries are signed with, and signing, as the Standard Webhooks specification says.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Secrets at a time: the new one, and the old one while receivers move on.
const MAX_SECRETS: usize = 2;
/// Bytes of a secret: what the specification asks for.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The largest file read: two secrets are a twentieth of it.
const MAX_FILE: u64 = 4_096;

/// Keys to sign with. Never shown.
#[derive(Clone)]
struct Secrets(Vec<Vec<u8>>);

/// A file of secrets that cannot be used. It does not repeat them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct SecretError {
    file: String,
    reason: String,
}

impl Secrets {
    fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (n, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let key = line.trim().strip_prefix("whsec_").and_then(|encoded| STANDARD.decode(encoded).ok());
            let key = key.filter(|key| SECRET_BYTES.contains(&key.len())).ok_or_else(|| {
                let (least, most) = (SECRET_BYTES.start(), SECRET_BYTES.end());
                format!(
                    "line {n} is no secret: write whsec_ and {least} to {most} random bytes in base64, such as \
                     `echo whsec_$(openssl rand -base64 32)` prints"
                )
            })?;
            keys.push(key);
        }
        match keys.len() {
            0 => Err("holds no secret; `echo whsec_$(openssl rand -base64 32)` prints one".to_owned()),
            1..=MAX_SECRETS => Ok(Self(keys)),
            n => Err(format!("holds {n} secrets; at most {MAX_SECRETS} sign, the new one and the old one")),
        }
    }

    /// The value of `webhook-signature`.
    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        // The specification would rather have no dots in ids. Ours hold some, and a part of one cannot be taken
        // for another message: what follows a dot in them is no instant of these years.
        let head = format!("{id}.{timestamp}.");
        let signatures = self.0.iter().filter_map(|key| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
            mac.update(head.as_bytes());
            mac.update(body);
            Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

/// A file with one secret, or with two of which both sign. It is read again for each delivery, so that a
/// secret is replaced without a restart.
#[derive(Clone)]
pub struct SecretFile {
    path: PathBuf,
    last: Arc<Mutex<Secrets>>,
}

impl SecretFile {
    /// Reads the file.
    pub fn open(path: &Path) -> Result<Self, SecretError> {
        let secrets = read(path)?;
        Ok(Self { path: path.to_owned(), last: Arc::new(Mutex::new(secrets)) })
    }

    /// The value of `webhook-signature`, by the secrets in the file now, or by the last ones that could be read.
    pub(crate) fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match read(&self.path) {
            Ok(secrets) => *last = secrets,
            Err(error) => tracing::warn!(%error, "signing with the secrets read before"),
        }
        last.sign(id, timestamp, body)
    }
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFile({})", self.path.display())
    }
}

fn read(path: &Path) -> Result<Secrets, SecretError> {
    use std::io::Read;
    let refused = |reason: String| SecretError { file: path.display().to_string(), reason };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
        .map_err(|error| refused(format!("cannot be read: {error}")))?;
    Secrets::parse(&text).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        // The key and message that the specification's own libraries are tested with.
        let secrets = Secrets::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signed = secrets.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_says_which_line_and_does_not_repeat_it() {
        let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for (text, words) in [
            (String::new(), "holds no secret"),
            ("\n \n".to_owned(), "holds no secret"),
            (format!("{good}\nSECRET"), "line 2 is no secret"),
            ("whsec_SECRET".to_owned(), "line 1 is no secret"),
            (format!("whsec_{}", STANDARD.encode([7; 23])), "line 1 is no secret"),
            (format!("whsec_{}", STANDARD.encode([7; 65])), "line 1 is no secret"),
            (format!("{good}\n").repeat(3), "holds 3 secrets"),
        ] {
            let error = Secrets::parse(&text).err().unwrap();
            assert!(error.contains(words), "{error}");
            assert!(!error.contains("SECRET") && !error.contains("MfKQ"), "{error}");
        }
    }

    #[test]
    fn a_file_is_read_again_and_its_last_secrets_stay_when_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let secret = |byte: u8| format!("whsec_{}\n", STANDARD.encode([byte; 32]));
        std::fs::write(&path, secret(1)).unwrap();
        let file = SecretFile::open(&path).unwrap();
        let old = file.sign("id", 1, b"{}");
        std::fs::write(&path, format!("{}{}", secret(2), secret(1))).unwrap();
        let both = file.sign("id", 1, b"{}");
        assert!(both.ends_with(&format!(" {old}")), "{both}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.sign("id", 1, b"{}"), both);
        assert!(SecretFile::open(&path).is_err());
        assert!(!format!("{file:?}").contains("whsec"));
    }
}
