//! Passing over what is not kept: only its end is looked for.

use serde_json::Value;

use super::{Scanner, State};
use crate::extract::broken::Broken;

/// What to look at in an object or list that is passed over.
const LOOK: [bool; 256] = {
    let mut look = [false; 256];
    look[b'{' as usize] = true;
    look[b'}' as usize] = true;
    look[b'[' as usize] = true;
    look[b']' as usize] = true;
    look[b'"' as usize] = true;
    look[b'\n' as usize] = true;
    look
};

/// Most strings end this soon, before a search by `memchr` is worth its start.
const NEAR: usize = 16;

/// Where the first quote, backslash or end of a line is; the length if there is none.
///
/// No string holds the end of a line: one that seems to was cut off, and the next line is another document.
pub(super) fn text_stop(bytes: &[u8]) -> usize {
    let near = bytes.len().min(NEAR);
    let is_stop = |byte: &u8| matches!(byte, b'"' | b'\\' | b'\n');
    if let Some(at) = bytes[..near].iter().position(is_stop) {
        return at;
    }
    memchr::memchr3(b'"', b'\\', b'\n', &bytes[near..]).map_or(bytes.len(), |at| near + at)
}

/// Whether a byte may be part of a number.
pub(super) fn in_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

impl Scanner {
    /// Within an object or a list.
    pub(super) fn pass(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<Value>, Broken> {
        loop {
            let rest = &bytes[*at..];
            let Some(skipped) = rest.iter().position(|byte| LOOK[usize::from(*byte)]) else {
                *at = bytes.len();
                return Ok(None);
            };
            *at += skipped + 1;
            match rest[skipped] {
                b'{' | b'[' => self.depth = self.depth.saturating_add(1),
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return self.end_passed();
                    }
                }
                b'"' => {
                    let rest = &bytes[*at..];
                    let stop = text_stop(rest);
                    if rest.get(stop) != Some(&b'"') {
                        self.state = State::PassText;
                        return Ok(None);
                    }
                    *at += stop + 1;
                }
                _ => self.lines = true,
            }
        }
    }

    /// Within a string: one that stands alone, or in an object or list that is passed over.
    pub(super) fn pass_text(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<Value>, Broken> {
        *at += text_stop(&bytes[*at..]);
        match bytes.get(*at) {
            None => return Ok(None),
            Some(b'"') => *at += 1,
            Some(b'\\') => {
                *at += 1;
                self.state = State::PassEscape;
                return Ok(None);
            }
            Some(_) => return Err(Broken::Text),
        }
        if self.depth > 0 {
            self.state = State::Pass;
            return Ok(None);
        }
        if self.naming {
            (self.want, self.state) = (None, State::Colon);
            return Ok(None);
        }
        self.end_passed()
    }

    pub(super) fn pass_number(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<Value>, Broken> {
        match bytes[*at..].iter().position(|byte| !in_number(*byte)) {
            Some(end) => {
                *at += end;
                self.end_passed()
            }
            None => {
                *at = bytes.len();
                Ok(None)
            }
        }
    }
}
