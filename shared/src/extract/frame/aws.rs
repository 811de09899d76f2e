//! AWS event streams: <https://smithy.io/2.0/aws/amazon-eventstream.html>.
//!
//! A frame is a prelude (its length, that of its headers, and a CRC-32 of both), headers, a payload, and a CRC-32
//! of all before it; numbers are big-endian. The payload goes to the scanner as it comes, and what it gave is
//! handed on once the checksum held. After a wrong prelude nobody knows where the next frame begins; after any
//! other fault the stream goes on with it.
//!
//! Bedrock's `InvokeModelWithResponseStream` wraps the model's own JSON: its `chunk` events are
//! `{"bytes":"BASE64","p":"PADDING"}`.
//! Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_PayloadPart.html>.

use crc32fast::Hasher;
use serde_json::Value;

use super::aws_headers::{Header, Headers};
use super::base64::Decoder;
use super::{Emit, Tally};
use crate::extract::broken::Broken;
use crate::extract::keep::Keep;
use crate::extract::scan::{Scanner, Step};

pub(super) const PRELUDE: usize = 12;
/// The checksum at the end of a frame.
const CHECKSUM: usize = 4;
/// The prelude and the checksum, which the length of a frame contains.
const AROUND: u32 = 16;
/// The event whose payload wraps another document.
const CHUNK: &str = "chunk";
static ENVELOPE: Keep = Keep::Members(&[("bytes", Keep::Presence)]);

/// What a frame says of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prelude {
    headers: u32,
    payload: u32,
}

impl Prelude {
    pub(super) fn read(bytes: &[u8; PRELUDE]) -> Result<Self, Broken> {
        if crc32fast::hash(&bytes[..8]) != number(&bytes[8..]) {
            return Err(Broken::Checksum);
        }
        let headers = number(&bytes[4..]);
        let around = headers.checked_add(AROUND).ok_or(Broken::Frame)?;
        let payload = number(bytes).checked_sub(around).ok_or(Broken::Frame)?;
        Ok(Self { headers, payload })
    }
}

#[derive(Debug)]
pub(super) struct Aws {
    state: State,
    /// The prelude, or the checksum, as far as it is there.
    fixed: [u8; PRELUDE],
    fixed_len: usize,
    payload_len: u32,
    hasher: Hasher,
    headers: Headers,
    content: Content,
    envelope: Scanner,
    decoder: Decoder,
    /// Whether the payload wraps the document.
    wrapped: bool,
    /// Why the frame cannot be believed, besides its checksum.
    fault: Option<Broken>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Prelude,
    /// So many bytes are missing.
    Headers(u32),
    Payload(u32),
    Checksum,
    Lost,
}

impl Aws {
    pub(super) fn new(keep: &'static Keep) -> Self {
        Self {
            state: State::Prelude,
            fixed: [0; PRELUDE],
            fixed_len: 0,
            payload_len: 0,
            hasher: Hasher::new(),
            headers: Headers::default(),
            content: Content { scanner: Scanner::new(keep), kind: Kind::Blank, document: None },
            envelope: Scanner::tapping(&ENVELOPE),
            decoder: Decoder::default(),
            wrapped: false,
            fault: None,
        }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], tally: &mut Tally, emit: &mut Emit<'_>) {
        while !bytes.is_empty() {
            match self.state {
                State::Prelude => {
                    bytes = self.fixed(bytes, PRELUDE);
                    if self.fixed_len == PRELUDE {
                        self.begin(tally);
                    }
                }
                State::Headers(left) => {
                    let (part, rest) = split(bytes, left);
                    self.hasher.update(part);
                    if let Err(fault) = self.headers.push(part) {
                        self.fault.get_or_insert(fault);
                    }
                    bytes = rest;
                    self.state = State::Headers(left - len(part));
                    self.after_headers();
                }
                State::Payload(left) => {
                    let (part, rest) = split(bytes, left);
                    self.hasher.update(part);
                    if self.fault.is_none() {
                        self.fault = self.payload(part).err();
                    }
                    bytes = rest;
                    self.state = State::Payload(left - len(part));
                    self.after_payload();
                }
                State::Checksum => {
                    bytes = self.fixed(bytes, CHECKSUM);
                    if self.fixed_len == CHECKSUM {
                        self.end(tally, emit);
                    }
                }
                State::Lost => return,
            }
        }
    }

    /// Whether the body, if it ends here, broke off within a frame.
    pub(super) fn truncated(&self) -> bool {
        match self.state {
            State::Prelude => self.fixed_len > 0,
            State::Lost => false,
            _ => true,
        }
    }

    /// Reads what has a fixed size. Gives what comes after it.
    fn fixed<'a>(&mut self, bytes: &'a [u8], size: usize) -> &'a [u8] {
        let (part, rest) = bytes.split_at(bytes.len().min(size - self.fixed_len));
        self.fixed[self.fixed_len..self.fixed_len + part.len()].copy_from_slice(part);
        self.fixed_len += part.len();
        rest
    }

    fn begin(&mut self, tally: &mut Tally) {
        self.fixed_len = 0;
        match Prelude::read(&self.fixed) {
            Ok(prelude) => {
                self.hasher.reset();
                self.hasher.update(&self.fixed);
                self.headers.reset();
                self.content.reset();
                self.fault = None;
                self.payload_len = prelude.payload;
                self.state = State::Headers(prelude.headers);
                self.after_headers();
            }
            Err(reason) => {
                tally.broken(reason);
                self.state = State::Lost;
            }
        }
    }

    fn after_headers(&mut self) {
        if self.state != State::Headers(0) {
            return;
        }
        if !self.headers.complete() {
            self.fault.get_or_insert(Broken::Frame);
        }
        self.wrapped = self.headers.get(Header::EventType) == Some(CHUNK) && !self.exception();
        if self.wrapped {
            self.envelope.reset();
            self.decoder.reset();
        }
        self.state = State::Payload(self.payload_len);
        self.after_payload();
    }

    fn after_payload(&mut self) {
        if self.state == State::Payload(0) {
            self.state = State::Checksum;
        }
    }

    fn payload(&mut self, mut part: &[u8]) -> Result<(), Broken> {
        if !self.wrapped {
            return self.content.push(part);
        }
        while !part.is_empty() {
            let (taken, step) = self.envelope.step(part);
            part = &part[taken..];
            match step {
                Step::Tapped => {
                    let Self { envelope, decoder, content, .. } = self;
                    let mut fed = Ok(());
                    let mut decoded = Ok(());
                    envelope.drain(|text| {
                        decoded = decoder.push(text, |bytes| {
                            if fed.is_ok() {
                                fed = content.push(bytes);
                            }
                        });
                    });
                    fed?;
                    decoded.map_err(|_| Broken::Base64)?;
                }
                Step::Document(_) => {
                    let mut fed = Ok(());
                    let decoded = self.decoder.finish(|bytes| fed = self.content.push(bytes));
                    decoded.map_err(|_| Broken::Base64)?;
                    fed?;
                }
                Step::Broken(reason) => return Err(reason),
                Step::More => {}
            }
        }
        Ok(())
    }

    /// The frame is complete.
    fn end(&mut self, tally: &mut Tally, emit: &mut Emit<'_>) {
        (self.state, self.fixed_len) = (State::Prelude, 0);
        if std::mem::take(&mut self.hasher).finalize() != number(&self.fixed) {
            tally.broken(Broken::Checksum);
            return;
        }
        let cut_off = !self.content.ended() || (self.wrapped && !self.envelope.between());
        let fault = self.fault.or(cut_off.then_some(Broken::Syntax));
        if let Some(reason) = fault {
            tally.broken(reason);
        }
        let document = self.content.document.take().filter(|_| fault.is_none());
        if self.exception() {
            let name = self.headers.get(Header::ExceptionType).or(self.headers.get(Header::ErrorCode));
            tally.document(name, true, &document.unwrap_or(Value::Null), emit);
        } else if let Some(value) = document {
            tally.document(self.headers.get(Header::EventType), false, &value, emit);
        }
    }

    fn exception(&self) -> bool {
        matches!(self.headers.get(Header::MessageType), Some("exception" | "error"))
    }
}

/// The document that a frame holds.
#[derive(Debug)]
struct Content {
    scanner: Scanner,
    kind: Kind,
    document: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Blank,
    Json,
    /// Neither an object nor a list: text, or sound.
    Other,
}

impl Content {
    fn reset(&mut self) {
        self.scanner.reset();
        (self.kind, self.document) = (Kind::Blank, None);
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        while let Some(first) = bytes.first() {
            match self.kind {
                Kind::Blank => match first {
                    b' ' | b'\t' | b'\r' | b'\n' => bytes = &bytes[1..],
                    b'{' | b'[' => self.kind = Kind::Json,
                    _ => self.kind = Kind::Other,
                },
                Kind::Json => {
                    let (taken, step) = self.scanner.step(bytes);
                    bytes = &bytes[taken..];
                    match step {
                        Step::Document(value) => {
                            if self.document.replace(value).is_some() {
                                return Err(Broken::Several);
                            }
                        }
                        Step::Broken(reason) => return Err(reason),
                        Step::More | Step::Tapped => {}
                    }
                }
                Kind::Other => return Ok(()),
            }
        }
        Ok(())
    }

    fn ended(&self) -> bool {
        self.scanner.between()
    }
}

/// As much as is there of so many bytes, and what comes after them.
fn split(bytes: &[u8], left: u32) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()))
}

/// The length of a part of what fits in 32 bits.
fn len(part: &[u8]) -> u32 {
    u32::try_from(part.len()).unwrap_or(u32::MAX)
}

/// The number that the first four bytes are.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
