//! Content hashes: what tells a duplicate from a conflict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The first 128 bits of the SHA-256 of a record's content as its sender gave it, in hexadecimal.
///
/// What the server assigned (ids, times of events that came without one) is left out, so that a retry
/// hashes alike. 128 bits keep accidental collisions out of reach at half the bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ContentHash(Box<str>);

impl ContentHash {
    /// Hashes the canonical JSON of `content`; struct fields serialise in their declared order.
    pub fn of<T: Serialize + ?Sized>(content: &T) -> Result<Self, serde_json::Error> {
        struct Feed(Sha256);
        impl std::io::Write for Feed {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.update(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut feed = std::io::BufWriter::with_capacity(4096, Feed(Sha256::new()));
        serde_json::to_writer(&mut feed, content)?;
        let feed = feed.into_inner().map_err(|e| serde_json::Error::io(e.into_error()))?;
        Ok(Self::hex(&feed.0.finalize()))
    }

    /// Hashes raw bytes, for payloads that could not be read.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::hex(&Sha256::digest(bytes))
    }

    fn hex(digest: &[u8]) -> Self {
        use std::fmt::Write;
        let text = digest.iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self(text.into())
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ContentHash {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}
