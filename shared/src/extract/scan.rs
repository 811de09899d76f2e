//! A scanner of JSON that takes its bytes as they come: of each document it builds what [`Keep`] keeps, and finds
//! the end of all else without storing any of it.
//!
//! Documents may follow each other; the elements of a list at the top are documents too. What a document gives
//! does not depend on where its bytes were cut.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::broken::Broken;
use super::keep::{CONTAINER_COST, Keep, MAX_DEPTH, MAX_ELEMENTS, MAX_KEPT, MAX_NAME, MAX_TEXT, VALUE_COST};

mod names;
mod number;
mod pass;
#[cfg(test)]
mod tests;
mod text;

use names::Names;
use text::{Over, Text};

static ALL: Keep = Keep::All;

/// What [`Scanner::step`] came to.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// All bytes are taken.
    More,
    /// A document ended: what is kept of it.
    Document(Value),
    /// A piece of a tapped string is there to be drained ([`Scanner::drain`]).
    Tapped,
    /// The byte that comes next cannot be. Nothing is taken any more until [`Scanner::reset`].
    Broken(Broken),
}

/// The scanner; see the module.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own, and not a state")]
pub(super) struct Scanner {
    keep: &'static Keep,
    /// The members at the top that are asked for.
    names: Arc<Names>,
    /// Strings at a place of [`Keep::Presence`] are handed out piece by piece.
    tap: bool,
    state: State,
    /// The objects and lists that are kept and open.
    stack: Vec<Level>,
    /// What to keep of the value that comes next, or is being read.
    want: Option<&'static Keep>,
    /// Whether a list at the top is open.
    outer: bool,
    /// Whether what stands at the top is a document: an object or a list.
    document: bool,
    /// Whether a line ended within the document.
    lines: bool,
    /// The open objects and lists that are passed over.
    depth: u64,
    /// Whether the string that is read is a member's name.
    naming: bool,
    text: Text,
    kept: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Top,
    ElementOrEnd,
    Element,
    AfterElement,
    ValueOrEnd,
    Value,
    NameOrEnd,
    Name,
    Colon,
    AfterValue,
    Text,
    Escape,
    /// So many digits are missing.
    Hex(u8),
    Number,
    /// So many of its bytes were read.
    Literal(Literal, usize),
    Pass,
    PassText,
    PassEscape,
    PassNumber,
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Literal {
    True,
    False,
    Null,
}

#[derive(Debug)]
enum Level {
    Object {
        /// Which members to keep; all if none.
        members: Option<&'static [(&'static str, Keep)]>,
        /// Which of them were there: a bit each.
        seen: u128,
        name: Cow<'static, str>,
        map: Map<String, Value>,
    },
    List {
        keep: &'static Keep,
        items: Vec<Value>,
    },
}

impl Scanner {
    pub(super) fn new(keep: &'static Keep) -> Self {
        debug_assert!(keep.is_sound(), "something that is asked for could not be found");
        Self {
            keep,
            names: Names::of(keep),
            tap: false,
            state: State::Top,
            stack: Vec::new(),
            want: None,
            outer: false,
            document: false,
            lines: false,
            depth: 0,
            naming: false,
            text: Text::default(),
            kept: 0,
        }
    }

    /// One that hands out the strings at places of [`Keep::Presence`], of any length.
    pub(super) fn tapping(keep: &'static Keep) -> Self {
        Self { tap: true, ..Self::new(keep) }
    }

    /// Ready for another document, whatever the last one came to.
    pub(super) fn reset(&mut self) {
        self.stack.clear();
        self.text.clear();
        (self.state, self.want, self.outer, self.kept) = (State::Top, None, false, 0);
    }

    /// Whether no document, and no list of them, has begun and not ended.
    pub(super) fn between(&self) -> bool {
        self.state == State::Top
    }

    /// Whether what is open or broken stands on one line, and not in a list of documents.
    pub(super) fn on_one_line(&self) -> bool {
        !self.lines && !self.outer
    }

    /// The piece of a tapped string, its escapes resolved.
    pub(super) fn drain(&mut self, with: impl FnOnce(&[u8])) {
        with(&self.text.bytes);
        self.text.bytes.clear();
    }

    /// Takes bytes up to the end of a document, or all: how many, and what came of it.
    pub(super) fn step(&mut self, bytes: &[u8]) -> (usize, Step) {
        let mut at = 0;
        loop {
            match self.advance(bytes, &mut at) {
                Ok(Some(step)) => return (at, step),
                Ok(None) => {}
                Err(broken) => {
                    self.state = State::Stopped;
                    self.stack.clear();
                    return (at, Step::Broken(broken));
                }
            }
        }
    }

    /// One token, or what there is of it.
    fn advance(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<Step>, Broken> {
        let Some(&byte) = bytes.get(*at) else { return Ok(Some(Step::More)) };
        match self.state {
            State::Pass => return Ok(self.pass(bytes, at)?.map(Step::Document)),
            State::PassText => return Ok(self.pass_text(bytes, at)?.map(Step::Document)),
            State::PassEscape => {
                *at += 1;
                self.state = State::PassText;
                return Ok(None);
            }
            State::PassNumber => return Ok(self.pass_number(bytes, at)?.map(Step::Document)),
            State::Text => return self.text(bytes, at),
            State::Escape => return self.escape(byte, at),
            State::Hex(left) => return self.hex(left, byte, at),
            State::Number => return Ok(self.number(bytes, at)?.map(Step::Document)),
            State::Literal(literal, read) => {
                return Ok(self.literal(literal, read, byte, at)?.map(Step::Document));
            }
            State::Stopped => {
                *at = bytes.len();
                return Ok(Some(Step::More));
            }
            _ => {}
        }
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            self.lines |= byte == b'\n';
            *at += 1;
            return Ok(None);
        }
        match (self.state, byte) {
            (State::Top, b'[') => {
                (self.outer, self.lines, self.state) = (true, false, State::ElementOrEnd);
                *at += 1;
            }
            (State::Top, b'{') => {
                self.lines = false;
                self.begin_document(byte, at)?;
            }
            (State::ElementOrEnd | State::AfterElement, b']') => {
                (self.outer, self.state) = (false, State::Top);
                *at += 1;
            }
            (State::AfterElement, b',') => {
                self.state = State::Element;
                *at += 1;
            }
            (State::Element | State::ElementOrEnd, _) => self.begin_document(byte, at)?,
            (State::ValueOrEnd, b']') | (State::NameOrEnd, b'}') => return self.close(at),
            (State::Value | State::ValueOrEnd, _) => self.begin(byte, at)?,
            (State::Name | State::NameOrEnd, b'"') => self.name(bytes, at)?,
            (State::Colon, b':') => {
                self.state = State::Value;
                *at += 1;
            }
            (State::AfterValue, b',') => {
                self.state = match self.stack.last() {
                    Some(Level::List { keep, items }) => {
                        let full = matches!(keep, Keep::Members(_)) && items.len() == MAX_ELEMENTS;
                        self.want = (!full).then_some(*keep);
                        State::Value
                    }
                    _ => State::Name,
                };
                *at += 1;
            }
            (State::AfterValue, b'}') if matches!(self.stack.last(), Some(Level::Object { .. })) => {
                return self.close(at);
            }
            (State::AfterValue, b']') if matches!(self.stack.last(), Some(Level::List { .. })) => {
                return self.close(at);
            }
            _ => return Err(Broken::Syntax),
        }
        Ok(None)
    }

    fn begin_document(&mut self, byte: u8, at: &mut usize) -> Result<(), Broken> {
        (self.want, self.document) = (Some(self.keep), matches!(byte, b'{' | b'['));
        self.begin(byte, at)
    }

    fn begin(&mut self, byte: u8, at: &mut usize) -> Result<(), Broken> {
        self.naming = false;
        let kept = matches!(self.want, Some(Keep::Scalar | Keep::All | Keep::Members(_)));
        match (byte, self.want) {
            (b'{', Some(Keep::Members(members))) => self.enter(Level::object(Some(members)))?,
            (b'{', Some(Keep::All)) => {
                self.charge(CONTAINER_COST)?;
                self.enter(Level::object(None))?;
            }
            (b'[', Some(keep @ (Keep::Members(_) | Keep::All))) => {
                if matches!(keep, Keep::All) {
                    self.charge(CONTAINER_COST)?;
                }
                self.enter(Level::List { keep, items: Vec::new() })?;
            }
            (b'{' | b'[', _) => (self.depth, self.state) = (1, State::Pass),
            (b'"', Some(Keep::Scalar | Keep::Members(_))) => self.begin_text(MAX_TEXT, Over::LeaveOut),
            (b'"', Some(Keep::All)) => self.begin_text(MAX_KEPT - self.kept, Over::Break),
            (b'"', Some(Keep::Presence)) if self.tap => self.begin_text(usize::MAX, Over::Break),
            (b'"', _) => (self.depth, self.state) = (0, State::PassText),
            (b'-' | b'0'..=b'9', _) => {
                self.text.clear();
                self.state = if kept { State::Number } else { State::PassNumber };
                return Ok(());
            }
            (b't', _) => self.state = State::Literal(Literal::True, 1),
            (b'f', _) => self.state = State::Literal(Literal::False, 1),
            (b'n', _) => self.state = State::Literal(Literal::Null, 1),
            _ => return Err(Broken::Syntax),
        }
        *at += 1;
        Ok(())
    }

    fn begin_text(&mut self, limit: usize, over: Over) {
        self.text.begin(limit, over);
        self.state = State::Text;
    }

    fn enter(&mut self, level: Level) -> Result<(), Broken> {
        if self.stack.len() == MAX_DEPTH {
            return Err(Broken::TooDeep);
        }
        self.state = match &level {
            Level::Object { .. } => State::NameOrEnd,
            Level::List { keep, .. } => {
                self.want = Some(keep);
                State::ValueOrEnd
            }
        };
        self.stack.push(level);
        Ok(())
    }

    fn close(&mut self, at: &mut usize) -> Result<Option<Step>, Broken> {
        *at += 1;
        let looked_through =
            |level: Option<&Level>| matches!(level, Some(Level::List { keep: Keep::Members(_), .. }));
        let (asked, value) = match self.stack.pop() {
            Some(Level::Object { members: Some(_), map, .. })
                if map.is_empty() && looked_through(self.stack.last()) =>
            {
                return Ok(self.end(None)?.map(Step::Document));
            }
            Some(Level::Object { members, map, .. }) => (members.is_some(), Value::Object(map)),
            Some(Level::List { keep, items }) => (matches!(keep, Keep::Members(_)), Value::Array(items)),
            None => return Err(Broken::Syntax),
        };
        // Where all is kept it counted when it began.
        if asked {
            self.charge(CONTAINER_COST)?;
        }
        Ok(self.end(Some(value))?.map(Step::Document))
    }

    /// A value ended, of which so much is kept. Gives the document that ended with it.
    fn end(&mut self, value: Option<Value>) -> Result<Option<Value>, Broken> {
        let Some(level) = self.stack.last_mut() else {
            self.state = if self.outer { State::AfterElement } else { State::Top };
            self.kept = 0;
            return Ok(self.document.then(|| value.unwrap_or(Value::Null)));
        };
        self.state = State::AfterValue;
        let Some(value) = value else { return Ok(None) };
        let name = match level {
            Level::Object { name, map, .. } => {
                let name = std::mem::take(name);
                // Any other was counted when it was read.
                let cost = if let Cow::Borrowed(name) = name { name.len() } else { 0 };
                if map.insert(name.into_owned(), value).is_some() {
                    return Err(Broken::Repeated);
                }
                cost
            }
            Level::List { items, .. } => {
                items.push(value);
                0
            }
        };
        self.charge(VALUE_COST + name)?;
        Ok(None)
    }

    /// A value that is passed over ended.
    fn end_passed(&mut self) -> Result<Option<Value>, Broken> {
        let present = matches!(self.want, Some(Keep::Presence | Keep::Members(_)));
        self.end(present.then_some(Value::Bool(true)))
    }

    fn charge(&mut self, cost: usize) -> Result<(), Broken> {
        self.kept += cost;
        if self.kept > MAX_KEPT { Err(Broken::TooMuch) } else { Ok(()) }
    }

    /// A member's name: its quote comes next.
    fn name(&mut self, bytes: &[u8], at: &mut usize) -> Result<(), Broken> {
        *at += 1;
        self.naming = true;
        let all = matches!(self.stack.last(), Some(Level::Object { members: None, .. }));
        if all {
            self.begin_text(MAX_KEPT - self.kept, Over::Break);
            return Ok(());
        }
        let rest = &bytes[*at..];
        let end = pass::text_stop(rest);
        if end <= MAX_NAME && rest.get(end) == Some(&b'"') {
            *at += end + 1;
            return self.named(&rest[..end]);
        }
        self.begin_text(MAX_NAME, Over::LeaveOut);
        Ok(())
    }

    /// A member's name is known.
    fn named(&mut self, text: &[u8]) -> Result<(), Broken> {
        self.state = State::Colon;
        let Some(Level::Object { members, seen, name, .. }) = self.stack.last_mut() else {
            return Err(Broken::Syntax);
        };
        let Some(members) = members else {
            *name = Cow::Owned(std::str::from_utf8(text).map_err(|_| Broken::Text)?.to_owned());
            self.want = Some(&ALL);
            return self.charge(text.len());
        };
        self.want = None;
        let found = self.names.find(members, text);
        if let Some(index) = found {
            let bit = u32::try_from(index).ok().and_then(|index| 1_u128.checked_shl(index)).unwrap_or(0);
            if *seen & bit != 0 {
                return Err(Broken::Repeated);
            }
            *seen |= bit;
            let (wanted, keep) = &members[index];
            *name = Cow::Borrowed(wanted);
            self.want = Some(keep);
        }
        Ok(())
    }

    fn literal(
        &mut self,
        literal: Literal,
        read: usize,
        byte: u8,
        at: &mut usize,
    ) -> Result<Option<Value>, Broken> {
        let (word, value) = match literal {
            Literal::True => (&b"true"[..], Value::Bool(true)),
            Literal::False => (&b"false"[..], Value::Bool(false)),
            Literal::Null => (&b"null"[..], Value::Null),
        };
        if word.get(read) != Some(&byte) {
            return Err(Broken::Syntax);
        }
        *at += 1;
        if read + 1 < word.len() {
            self.state = State::Literal(literal, read + 1);
            return Ok(None);
        }
        match (self.want, literal) {
            (None, _) => self.end(None),
            (Some(Keep::Presence), Literal::True | Literal::False) => self.end_passed(),
            _ => self.end(Some(value)),
        }
    }
}

impl Level {
    fn object(members: Option<&'static [(&'static str, Keep)]>) -> Self {
        Self::Object { members, seen: 0, name: Cow::Borrowed(""), map: Map::new() }
    }
}
