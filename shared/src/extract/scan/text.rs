//! Strings that are kept, and names of members: escapes resolved, checked, and no longer than they may be.

use serde_json::Value;

use super::pass::text_stop;
use super::{Level, Scanner, State, Step};
use crate::extract::broken::Broken;
use crate::extract::keep::Keep;

/// A tapped string is handed out in pieces of at most so many bytes.
const PIECE: usize = 1024;

/// What becomes of a string that is longer than it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Over {
    #[default]
    LeaveOut,
    Break,
}

/// A string that is being read, or the number.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    /// Its bytes as it stands in the document, and the most there may be of them.
    raw: usize,
    limit: usize,
    over: Over,
    /// The first half of a surrogate pair, where the other is still to come.
    high: Option<u16>,
    /// The digits of a `\u` so far.
    code: u16,
}

impl Text {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(super) fn begin(&mut self, limit: usize, over: Over) {
        self.bytes.clear();
        (self.raw, self.limit, self.over, self.high) = (0, limit, over, None);
    }

    /// What comes next is no second half.
    fn end_pair(&mut self) {
        if self.high.take().is_some() {
            self.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn push(&mut self, character: char) {
        self.bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

impl Scanner {
    /// Within a string, not within an escape.
    pub(super) fn text(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<Step>, Broken> {
        let tapped = self.tapped();
        let rest = &bytes[*at..];
        let stop = text_stop(rest);
        if stop == 0 && tapped && !self.text.bytes.is_empty() {
            return Ok(Some(Step::Tapped));
        }
        let room = if tapped { PIECE } else { self.text.limit - self.text.raw };
        let part = &rest[..stop.min(room)];
        // Names that are only compared need not be sound: no name that is asked for has such a character.
        if !tapped && !self.compared() && part.iter().any(|byte| *byte < b' ') {
            return Err(Broken::Text);
        }
        if !part.is_empty() {
            self.text.end_pair();
            self.text.bytes.extend_from_slice(part);
            self.text.raw = self.text.raw.saturating_add(part.len());
            *at += part.len();
        }
        if tapped && !part.is_empty() {
            return Ok(Some(Step::Tapped));
        }
        if part.len() < stop {
            return self.over().map(|()| None);
        }
        match rest.get(stop) {
            None => Ok(None),
            Some(b'"') => {
                *at += 1;
                self.text.end_pair();
                self.end_text()
            }
            Some(b'\\') => {
                if self.full() {
                    return self.over().map(|()| None);
                }
                *at += 1;
                self.text.raw += 1;
                self.state = State::Escape;
                Ok(None)
            }
            Some(_) => Err(Broken::Text),
        }
    }

    /// After a backslash.
    pub(super) fn escape(&mut self, byte: u8, at: &mut usize) -> Result<Option<Step>, Broken> {
        if self.full() {
            self.over()?;
            self.state = State::PassEscape;
            return Ok(None);
        }
        let character = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                *at += 1;
                self.text.raw += 1;
                (self.text.code, self.state) = (0, State::Hex(4));
                return Ok(None);
            }
            _ => return Err(Broken::Text),
        };
        *at += 1;
        self.text.raw += 1;
        self.text.end_pair();
        self.text.push(character);
        self.state = State::Text;
        Ok(self.tapped().then_some(Step::Tapped))
    }

    /// After `\u`, before so many digits.
    pub(super) fn hex(&mut self, left: u8, byte: u8, at: &mut usize) -> Result<Option<Step>, Broken> {
        if self.full() {
            return self.over().map(|()| None);
        }
        let digit = char::from(byte).to_digit(16).and_then(|digit| u16::try_from(digit).ok());
        let digit = digit.ok_or(Broken::Text)?;
        *at += 1;
        self.text.raw += 1;
        self.text.code = self.text.code << 4 | digit;
        if left > 1 {
            self.state = State::Hex(left - 1);
            return Ok(None);
        }
        self.state = State::Text;
        let code = self.text.code;
        match (self.text.high, code) {
            (Some(high), 0xdc00..=0xdfff) => {
                self.text.high = None;
                let pair = char::decode_utf16([high, code]).next().and_then(Result::ok);
                self.text.push(pair.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            (_, 0xd800..=0xdbff) => {
                self.text.end_pair();
                self.text.high = Some(code);
            }
            _ => {
                self.text.end_pair();
                // A second half alone is no character.
                self.text.push(char::from_u32(u32::from(code)).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        Ok(self.tapped().then_some(Step::Tapped))
    }

    fn end_text(&mut self) -> Result<Option<Step>, Broken> {
        if self.naming {
            let text = std::mem::take(&mut self.text.bytes);
            let named = self.named(&text);
            self.text.bytes = text;
            return named.map(|()| None);
        }
        if self.tapped() {
            return Ok(self.end_passed()?.map(Step::Document));
        }
        let text = std::str::from_utf8(&self.text.bytes).map_err(|_| Broken::Text)?.to_owned();
        self.charge(text.len())?;
        Ok(self.end(Some(Value::String(text)))?.map(Step::Document))
    }

    /// The string is longer than it may be.
    fn over(&mut self) -> Result<(), Broken> {
        if self.text.over == Over::Break {
            return Err(Broken::TooMuch);
        }
        (self.depth, self.state) = (0, State::PassText);
        Ok(())
    }

    fn full(&self) -> bool {
        self.text.raw == self.text.limit
    }

    fn tapped(&self) -> bool {
        self.tap && !self.naming && matches!(self.want, Some(Keep::Presence))
    }

    fn compared(&self) -> bool {
        self.naming && matches!(self.stack.last(), Some(Level::Object { members: Some(_), .. }))
    }
}
