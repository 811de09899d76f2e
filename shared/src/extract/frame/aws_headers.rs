//! The headers of a frame of an AWS event stream, as they come.
//!
//! A header is the length of its name (1 byte), the name, its type (1 byte) and its value: none for true (0) and
//! false (1); 1, 2, 4 or 8 bytes for whole numbers (2 to 5) and 8 for a time (8); 16 for a UUID (9); and two bytes
//! of length before bytes (6) and strings (7). Of a name there is one header at most.
//! Source: <https://smithy.io/2.0/aws/amazon-eventstream.html>.

use crate::extract::broken::Broken;

const STRING: u8 = 7;
/// The longest name that means anything here.
const MAX_NAME: usize = 15;
/// The longest value that is told, in bytes.
const MAX_VALUE: usize = 128;

/// A header that means something here. All are strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// `event`, `exception` or `error`.
    MessageType,
    EventType,
    ExceptionType,
    ErrorCode,
}

const ALL: [(Header, &[u8]); 4] = [
    (Header::MessageType, b":message-type"),
    (Header::EventType, b":event-type"),
    (Header::ExceptionType, b":exception-type"),
    (Header::ErrorCode, b":error-code"),
];

#[derive(Debug, Default)]
pub(super) struct Headers {
    state: State,
    name: [u8; MAX_NAME],
    name_len: usize,
    wanted: Option<Header>,
    values: [Text; ALL.len()],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    NameLength,
    Name(u8),
    Type,
    LengthHigh,
    LengthLow(u8),
    Value(u16),
    Broken,
}

#[derive(Debug, Default)]
struct Text {
    there: bool,
    too_long: bool,
    bytes: Vec<u8>,
}

impl Headers {
    pub(super) fn reset(&mut self) {
        self.state = State::NameLength;
        for value in &mut self.values {
            (value.there, value.too_long) = (false, false);
            value.bytes.clear();
        }
    }

    /// The value of a header; none also where it is too long to mean anything, or is no UTF-8.
    pub(super) fn get(&self, header: Header) -> Option<&str> {
        let value = &self.values[header as usize];
        (value.there && !value.too_long).then(|| std::str::from_utf8(&value.bytes).ok()).flatten()
    }

    /// Whether no header is begun, and none was wrong.
    pub(super) fn complete(&self) -> bool {
        self.state == State::NameLength
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        while let Some(&byte) = bytes.first() {
            let mut taken = 1;
            self.state = match self.state {
                State::NameLength => {
                    self.name_len = 0;
                    if byte == 0 { State::Broken } else { State::Name(byte) }
                }
                State::Name(left) => {
                    if let Some(slot) = self.name.get_mut(self.name_len) {
                        *slot = byte;
                    }
                    self.name_len += 1;
                    if left > 1 { State::Name(left - 1) } else { State::Type }
                }
                State::Type => self.typed(byte),
                State::LengthHigh => State::LengthLow(byte),
                State::LengthLow(high) => value(u16::from_be_bytes([high, byte])),
                State::Value(left) => {
                    taken = bytes.len().min(usize::from(left));
                    if let Some(wanted) = self.wanted {
                        let text = &mut self.values[wanted as usize];
                        text.too_long |= text.bytes.len() + taken > MAX_VALUE;
                        if !text.too_long {
                            text.bytes.extend_from_slice(&bytes[..taken]);
                        }
                    }
                    value(left - u16::try_from(taken).unwrap_or(left))
                }
                State::Broken => return Err(Broken::Frame),
            };
            bytes = &bytes[taken..];
        }
        if self.state == State::Broken { Err(Broken::Frame) } else { Ok(()) }
    }

    /// The name is known, and this is the type.
    fn typed(&mut self, byte: u8) -> State {
        let name = self.name.get(..self.name_len).unwrap_or_default();
        self.wanted = ALL.iter().find(|(_, wanted)| *wanted == name).map(|(header, _)| *header);
        if let Some(wanted) = self.wanted {
            let text = &mut self.values[wanted as usize];
            if byte != STRING || std::mem::replace(&mut text.there, true) {
                return State::Broken;
            }
        }
        match byte {
            0 | 1 => State::NameLength,
            2 => State::Value(1),
            3 => State::Value(2),
            4 => State::Value(4),
            5 | 8 => State::Value(8),
            6 | STRING => State::LengthHigh,
            9 => State::Value(16),
            _ => State::Broken,
        }
    }
}

fn value(left: u16) -> State {
    if left == 0 { State::NameLength } else { State::Value(left) }
}
