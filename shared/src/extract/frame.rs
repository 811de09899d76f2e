//! The framing of a response: which documents its bytes hold, as they come.
//!
//! The bytes themselves decide which framing it is; the content type is asked where they do not say. Memory is
//! bounded, whatever the size of a body, a line or a string, and what comes out does not depend on where the
//! bytes were cut.

use serde_json::Value;

use super::broken::Broken;
use super::document::Document;
use super::keep::Keep;

mod aws;
mod aws_headers;
mod base64;
mod json;
mod recognise;
mod sse;

/// How a body holds its documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One JSON document, several that follow each other, on lines of their own (NDJSON) or not, or a list of them.
    Json,
    /// Server-sent events. Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
    Sse,
    /// Frames of an AWS event stream.
    /// Source: <https://smithy.io/2.0/aws/amazon-eventstream.html>.
    AwsEventStream,
    /// None of these: text, a page, or another binary format. It holds no documents.
    Unknown,
}

/// What a body came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// How it held its documents.
    pub framing: Framing,
    /// Whether there was no byte at all.
    pub empty: bool,
    /// Whether it broke off: within a document, a frame, or an event that has no data yet.
    pub truncated: bool,
    /// Whether it said that it was done: `[DONE]`.
    pub done: bool,
    /// The documents that were handed on.
    pub documents: u64,
    /// The documents that were left out, as they cannot be believed. One that the stream cannot go on after
    /// stands for all after it.
    pub broken: u64,
    /// Why the first of them was left out.
    pub reason: Option<Broken>,
}

/// The documents of one body: bytes in, documents out.
#[derive(Debug)]
pub struct Frames {
    body: Body,
    tally: Tally,
}

#[derive(Debug)]
enum Body {
    Undecided(recognise::Recogniser),
    Json(Box<json::Json>),
    Sse(Box<sse::Sse>),
    Aws(Box<aws::Aws>),
    Unknown,
}

/// What was counted so far.
#[derive(Debug, Default)]
struct Tally {
    empty: bool,
    done: bool,
    documents: u64,
    broken: u64,
    reason: Option<Broken>,
}

/// Who takes the documents.
type Emit<'a> = dyn FnMut(Document<'_>) + 'a;

impl Frames {
    /// For a body of this content type, as far as that is known and right. `keep` says what to keep of each
    /// document.
    pub fn new(content_type: Option<&str>, keep: &'static Keep) -> Self {
        let body = Body::Undecided(recognise::Recogniser::new(content_type, keep));
        Self { body, tally: Tally { empty: true, ..Tally::default() } }
    }

    /// Takes the next bytes of the body, and hands on the documents that end in them.
    pub fn push(&mut self, bytes: &[u8], emit: &mut Emit<'_>) {
        if bytes.is_empty() {
            return;
        }
        self.tally.empty = false;
        if let Body::Undecided(recogniser) = &mut self.body {
            let Some((body, held, looked_at)) = recogniser.push(bytes) else { return };
            self.body = body;
            self.body.push(&held, &mut self.tally, emit);
            self.body.push(&bytes[looked_at..], &mut self.tally, emit);
        } else {
            self.body.push(bytes, &mut self.tally, emit);
        }
    }

    /// The body ended, or broke off: hands on what its end completes.
    pub fn finish(mut self, emit: &mut Emit<'_>) -> End {
        if let Body::Undecided(recogniser) = &mut self.body {
            let (body, held) = recogniser.finish();
            self.body = body;
            self.body.push(&held, &mut self.tally, emit);
        }
        let (framing, truncated) = match &mut self.body {
            Body::Json(json) => (Framing::Json, json.truncated()),
            Body::Sse(sse) => (Framing::Sse, sse.finish(&mut self.tally, emit)),
            Body::Aws(aws) => (Framing::AwsEventStream, aws.truncated()),
            Body::Undecided(_) | Body::Unknown => (Framing::Unknown, false),
        };
        let Tally { empty, done, documents, broken, reason } = self.tally;
        End { framing, empty, truncated, done, documents, broken, reason }
    }
}

impl Body {
    fn push(&mut self, bytes: &[u8], tally: &mut Tally, emit: &mut Emit<'_>) {
        match self {
            Self::Json(json) => json.push(bytes, tally, emit),
            Self::Sse(sse) => sse.push(bytes, tally, emit),
            Self::Aws(aws) => aws.push(bytes, tally, emit),
            Self::Undecided(_) | Self::Unknown => {}
        }
    }
}

impl Tally {
    fn document(&mut self, event: Option<&str>, exception: bool, value: &Value, emit: &mut Emit<'_>) {
        self.documents = self.documents.saturating_add(1);
        emit(Document { event, exception, value });
    }

    fn broken(&mut self, reason: Broken) {
        self.broken = self.broken.saturating_add(1);
        self.reason.get_or_insert(reason);
    }
}
