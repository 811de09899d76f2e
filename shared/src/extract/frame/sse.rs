//! Server-sent events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
//!
//! The data of an event goes to the scanner as it comes, so that a line may be of any length. Data that begins
//! neither as an object nor as a list is text, and no document. Unlike in a browser the last event counts also
//! where the empty line after it is missing, as streams do end without it.

use serde_json::Value;

use super::{Emit, Tally};
use crate::extract::broken::Broken;
use crate::extract::keep::Keep;
use crate::extract::scan::{Scanner, Step};

/// The longest field name that means anything here.
const MAX_FIELD: usize = 5;
/// The longest name of an event that is told, in bytes.
const MAX_EVENT: usize = 128;
/// The data that ends the streams of `OpenAI` and of those who answer alike. It is no JSON.
const DONE: &[u8] = b"[DONE]";

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, and not a state")]
pub(super) struct Sse {
    scanner: Scanner,
    line: Line,
    /// The name of the field that is read.
    field: [u8; MAX_FIELD],
    field_len: usize,
    /// The name of the event, as far as it is kept; one that is too long is none.
    event: Vec<u8>,
    event_too_long: bool,
    /// Whether the event has a field besides comments.
    begun: bool,
    data: Data,
    /// The event has a line of data already.
    has_data: bool,
    /// The last document of the event: its name may still come.
    pending: Option<Value>,
    /// A line feed after a carriage return is not another end of a line.
    after_return: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Start,
    Field,
    /// After the colon: one space may follow.
    Colon(Field),
    Value(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Comment,
    Other,
}

/// What the data of the event is, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    Blank,
    /// So many bytes of [`DONE`].
    Done(usize),
    Json,
    Text,
    Broken,
}

impl Sse {
    pub(super) fn new(keep: &'static Keep) -> Self {
        Self {
            scanner: Scanner::new(keep),
            line: Line::Start,
            field: [0; MAX_FIELD],
            field_len: 0,
            event: Vec::new(),
            event_too_long: false,
            begun: false,
            data: Data::Blank,
            has_data: false,
            pending: None,
            after_return: false,
        }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], tally: &mut Tally, emit: &mut Emit<'_>) {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', bytes);
            self.part_of_line(&bytes[..end.unwrap_or(bytes.len())], tally, emit);
            let Some(end) = end else { return };
            self.end_of_line(tally, emit);
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
        }
    }

    /// The body ended. Whether it broke off.
    pub(super) fn finish(&mut self, tally: &mut Tally, emit: &mut Emit<'_>) -> bool {
        let truncated = match self.data {
            Data::Json => !self.scanner.between(),
            Data::Done(matched) => matched < DONE.len(),
            Data::Blank => match self.line {
                // Data without a byte may be all there is of it.
                Line::Colon(Field::Data) | Line::Value(Field::Data) => false,
                Line::Start | Line::Colon(Field::Comment) | Line::Value(Field::Comment) => {
                    self.begun && !self.has_data
                }
                _ => true,
            },
            Data::Text | Data::Broken => false,
        };
        if truncated {
            self.scanner.reset();
            self.data = Data::Blank;
        }
        self.end_of_event(tally, emit);
        truncated
    }

    fn part_of_line(&mut self, mut part: &[u8], tally: &mut Tally, emit: &mut Emit<'_>) {
        while let Some(first) = part.first() {
            match self.line {
                Line::Start => {
                    // How nearly all lines begin.
                    if let Some(rest) = part.strip_prefix(b"data: ") {
                        self.begin_value(Field::Data, tally, emit);
                        self.line = Line::Value(Field::Data);
                        part = rest;
                        continue;
                    }
                    (self.line, self.field_len) = (Line::Field, 0);
                }
                Line::Field => {
                    if *first == b':' {
                        let field = self.field();
                        self.begin_value(field, tally, emit);
                        self.line = Line::Colon(field);
                    } else {
                        if let Some(slot) = self.field.get_mut(self.field_len) {
                            *slot = *first;
                        }
                        self.field_len = (self.field_len + 1).min(MAX_FIELD + 1);
                    }
                    part = &part[1..];
                }
                Line::Colon(field) => {
                    self.line = Line::Value(field);
                    part = part.strip_prefix(b" ").unwrap_or(part);
                }
                Line::Value(Field::Data) => return self.part_of_data(part, tally, emit),
                Line::Value(Field::Event) => {
                    if self.event.len() + part.len() > MAX_EVENT {
                        self.event_too_long = true;
                    } else {
                        self.event.extend_from_slice(part);
                    }
                    return;
                }
                Line::Value(Field::Comment | Field::Other) => return,
            }
        }
    }

    /// The name of the field that was read.
    fn field(&self) -> Field {
        match self.field.get(..self.field_len) {
            Some(b"data") => Field::Data,
            Some(b"event") => Field::Event,
            Some(b"") => Field::Comment,
            _ => Field::Other,
        }
    }

    fn begin_value(&mut self, field: Field, tally: &mut Tally, emit: &mut Emit<'_>) {
        match field {
            Field::Data => {
                // Lines of data are joined by line feeds.
                if std::mem::replace(&mut self.has_data, true) {
                    self.part_of_data(b"\n", tally, emit);
                }
            }
            Field::Event => {
                self.event.clear();
                self.event_too_long = false;
            }
            Field::Comment => return,
            Field::Other => {}
        }
        self.begun = true;
    }

    fn part_of_data(&mut self, mut part: &[u8], tally: &mut Tally, emit: &mut Emit<'_>) {
        while let Some(first) = part.first() {
            match self.data {
                Data::Blank => match first {
                    b'{' => self.data = Data::Json,
                    b'[' => {
                        self.data = Data::Done(1);
                        part = &part[1..];
                    }
                    b' ' | b'\t' | b'\n' => part = &part[1..],
                    _ => self.data = Data::Text,
                },
                Data::Done(matched) => {
                    let white = matched == DONE.len() && matches!(first, b' ' | b'\t' | b'\n');
                    if DONE.get(matched) == Some(first) {
                        self.data = Data::Done(matched + 1);
                        part = &part[1..];
                    } else if white {
                        part = &part[1..];
                    } else {
                        self.data = Data::Json;
                        self.scan(&DONE[..matched], tally, emit);
                    }
                }
                Data::Json => return self.scan(part, tally, emit),
                Data::Text | Data::Broken => return,
            }
        }
    }

    fn scan(&mut self, mut part: &[u8], tally: &mut Tally, emit: &mut Emit<'_>) {
        while !part.is_empty() {
            let (taken, step) = self.scanner.step(part);
            part = &part[taken..];
            match step {
                Step::Document(value) => {
                    self.emit_pending(tally, emit);
                    self.pending = Some(value);
                }
                Step::Broken(reason) => {
                    tally.broken(reason);
                    self.data = Data::Broken;
                    return;
                }
                Step::More | Step::Tapped => {}
            }
        }
    }

    fn end_of_line(&mut self, tally: &mut Tally, emit: &mut Emit<'_>) {
        match self.line {
            Line::Start => self.end_of_event(tally, emit),
            // A line without a colon is a field without a value.
            Line::Field => {
                let field = if self.field_len == 0 { Field::Other } else { self.field() };
                self.begin_value(field, tally, emit);
            }
            Line::Colon(_) | Line::Value(_) => {}
        }
        self.line = Line::Start;
    }

    fn end_of_event(&mut self, tally: &mut Tally, emit: &mut Emit<'_>) {
        self.emit_pending(tally, emit);
        match self.data {
            Data::Json if !self.scanner.between() => tally.broken(Broken::Syntax),
            Data::Done(matched) if matched == DONE.len() => tally.done = true,
            Data::Done(_) => tally.broken(Broken::Syntax),
            _ => {}
        }
        if matches!(self.data, Data::Json | Data::Broken) {
            self.scanner.reset();
        }
        self.event.clear();
        (self.event_too_long, self.begun, self.has_data) = (false, false, false);
        self.data = Data::Blank;
    }

    fn emit_pending(&mut self, tally: &mut Tally, emit: &mut Emit<'_>) {
        let Some(value) = self.pending.take() else { return };
        let event = if self.event_too_long { None } else { std::str::from_utf8(&self.event).ok() };
        tally.document(event.filter(|event| !event.is_empty()), false, &value, emit);
    }
}
