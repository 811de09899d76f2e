//! JSON: one document, several after each other, or a list of them.
//!
//! After a broken line the next one counts, if it can only be a document: its predecessor was one line, and it
//! begins as a document does. Otherwise what follows may be the inside of the broken one, and nothing counts.

use super::{Emit, Tally};
use crate::extract::keep::Keep;
use crate::extract::scan::{Scanner, Step};

#[derive(Debug)]
pub(super) struct Json {
    scanner: Scanner,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Scanning,
    /// To the end of the line.
    Passing,
    /// At the start of a line after a broken one.
    LineStart,
    Lost,
}

impl Json {
    pub(super) fn new(keep: &'static Keep) -> Self {
        Self { scanner: Scanner::new(keep), state: State::Scanning }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], tally: &mut Tally, emit: &mut Emit<'_>) {
        while let Some(first) = bytes.first() {
            let taken = match self.state {
                State::Scanning => {
                    let (taken, step) = self.scanner.step(bytes);
                    match step {
                        Step::Document(value) => tally.document(None, false, &value, emit),
                        Step::Broken(reason) => {
                            tally.broken(reason);
                            self.state =
                                if self.scanner.on_one_line() { State::Passing } else { State::Lost };
                        }
                        Step::More | Step::Tapped => {}
                    }
                    taken
                }
                State::Passing => match memchr::memchr(b'\n', bytes) {
                    Some(end) => {
                        self.state = State::LineStart;
                        end + 1
                    }
                    None => bytes.len(),
                },
                State::LineStart => match first {
                    b'\r' | b'\n' => 1,
                    b'{' | b'[' => {
                        self.scanner.reset();
                        self.state = State::Scanning;
                        0
                    }
                    _ => {
                        self.state = State::Lost;
                        0
                    }
                },
                State::Lost => return,
            };
            bytes = &bytes[taken..];
        }
    }

    /// Whether the body, if it ends here, broke off within a document or a list.
    pub(super) fn truncated(&self) -> bool {
        self.state == State::Scanning && !self.scanner.between()
    }
}
