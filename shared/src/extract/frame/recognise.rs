//! Which framing a body has, by its first bytes.

use super::aws::{PRELUDE, Prelude};
use super::{Body, aws, json, sse};
use crate::extract::keep::Keep;

const BOM: &[u8] = b"\xef\xbb\xbf";
/// The fields of server-sent events; a comment has no name.
const FIELDS: [&[u8]; 5] = [b"data", b"event", b"id", b"retry", b""];

/// Bytes until the framing is known: few, as white space is not held.
#[derive(Debug)]
pub(super) struct Recogniser {
    keep: &'static Keep,
    hint: Hint,
    /// The bytes of what cannot be white space.
    held: Vec<u8>,
    /// How much of a byte order mark was there.
    mark: usize,
    /// Whether blanks came first, which no field begins with.
    indented: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    Sse,
    Aws,
    None,
}

enum Guess {
    Json,
    Sse,
    Aws,
    Unknown,
    More,
}

impl Recogniser {
    pub(super) fn new(content_type: Option<&str>, keep: &'static Keep) -> Self {
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let hint = if essence.eq_ignore_ascii_case("text/event-stream") {
            Hint::Sse
        } else if essence.eq_ignore_ascii_case("application/vnd.amazon.eventstream") {
            Hint::Aws
        } else {
            Hint::None
        };
        Self { keep, hint, held: Vec::new(), mark: 0, indented: false }
    }

    /// Once the framing is known: it, the bytes that were held, and how many of these were looked at.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Option<(Body, Vec<u8>, usize)> {
        for (at, byte) in bytes.iter().enumerate() {
            if self.held.is_empty() && self.before(*byte) {
                continue;
            }
            self.held.push(*byte);
            let body = match self.guess() {
                Guess::More => continue,
                Guess::Json => Body::Json(Box::new(json::Json::new(self.keep))),
                Guess::Sse => Body::Sse(Box::new(sse::Sse::new(self.keep))),
                Guess::Aws => Body::Aws(Box::new(aws::Aws::new(self.keep))),
                Guess::Unknown => self.by_hint(),
            };
            return Some((body, std::mem::take(&mut self.held), at + 1));
        }
        None
    }

    /// What the body is if it ends here, and the bytes that were held.
    pub(super) fn finish(&mut self) -> (Body, Vec<u8>) {
        let body = if self.held.is_empty() { Body::Unknown } else { self.by_hint() };
        (body, std::mem::take(&mut self.held))
    }

    fn by_hint(&self) -> Body {
        match self.hint {
            Hint::Sse => Body::Sse(Box::new(sse::Sse::new(self.keep))),
            Hint::Aws => Body::Aws(Box::new(aws::Aws::new(self.keep))),
            Hint::None => Body::Unknown,
        }
    }

    /// Whether a byte only stands before what counts: a byte order mark, or white space.
    fn before(&mut self, byte: u8) -> bool {
        if BOM.get(self.mark) == Some(&byte) {
            self.mark += 1;
            return true;
        }
        self.mark = BOM.len();
        match byte {
            b'\n' | b'\r' => self.indented = false,
            b' ' | b'\t' => self.indented = true,
            _ => return false,
        }
        true
    }

    fn guess(&self) -> Guess {
        let Some(first) = self.held.first() else { return Guess::More };
        match first {
            b'{' | b'[' => Guess::Json,
            // No text begins so, and each frame does: it is shorter than 128 MiB.
            0..=8 => match <[u8; PRELUDE]>::try_from(self.held.as_slice()) {
                Err(_) => Guess::More,
                Ok(bytes) if Prelude::read(&bytes).is_ok() => Guess::Aws,
                Ok(_) => Guess::Unknown,
            },
            _ if self.indented => Guess::Unknown,
            _ => {
                let held = self.held.as_slice();
                for field in FIELDS {
                    match held.strip_prefix(field) {
                        Some([b':' | b'\n' | b'\r', ..]) => return Guess::Sse,
                        Some([]) => return Guess::More,
                        None if field.starts_with(held) => return Guess::More,
                        _ => {}
                    }
                }
                Guess::Unknown
            }
        }
    }
}
