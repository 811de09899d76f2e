//! Numbers that are kept: counts as numbers, all others as their text, so that none passes through a float.

use serde_json::Value;

use super::pass::in_number;
use super::{Scanner, State};
use crate::extract::broken::Broken;
use crate::extract::keep::MAX_TEXT;

impl Scanner {
    pub(super) fn number(&mut self, bytes: &[u8], at: &mut usize) -> Result<Option<Value>, Broken> {
        debug_assert_eq!(self.state, State::Number);
        let rest = &bytes[*at..];
        let end = rest.iter().position(|byte| !in_number(*byte));
        let part = &rest[..end.unwrap_or(rest.len())];
        if self.text.bytes.len() + part.len() > MAX_TEXT {
            return Err(Broken::TooMuch);
        }
        *at += part.len();
        let value = if end.is_some() && self.text.bytes.is_empty() {
            read(part)?
        } else {
            self.text.bytes.extend_from_slice(part);
            if end.is_none() {
                return Ok(None);
            }
            read(&self.text.bytes)?
        };
        if let Value::String(text) = &value {
            self.charge(text.len())?;
        }
        self.end(Some(value))
    }
}

fn read(text: &[u8]) -> Result<Value, Broken> {
    let text = std::str::from_utf8(text).map_err(|_| Broken::Number)?;
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, rest) = digits(unsigned);
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
        return Err(Broken::Number);
    }
    if rest.is_empty()
        && let Ok(number) = text.parse::<u64>()
    {
        return Ok(number.into());
    }
    let rest = match rest.strip_prefix('.').map(digits) {
        Some(("", _)) => return Err(Broken::Number),
        Some((_, rest)) => rest,
        None => rest,
    };
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let (digits, rest) = digits(exponent);
        if digits.is_empty() || !rest.is_empty() {
            return Err(Broken::Number);
        }
    } else if !rest.is_empty() {
        return Err(Broken::Number);
    }
    Ok(Value::String(text.to_owned()))
}

/// The digits at the start, and the rest.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_numbers_and_all_others_their_text() {
        assert_eq!(read(b"18446744073709551615"), Ok(json!(u64::MAX)));
        assert_eq!(read(b"0"), Ok(json!(0)));
        for text in ["18446744073709551616", "-1", "-0", "1.0", "0.00123", "1e-05", "1E+2"] {
            assert_eq!(read(text.as_bytes()), Ok(json!(text)));
        }
    }

    #[test]
    fn what_json_does_not_know_is_no_number() {
        for text in
            ["", "-", "01", "-01", "1.", ".5", "1.e5", "1e", "1e+", "1e5.0", "1-2", "--1", "+1", "1.2.3"]
        {
            assert_eq!(read(text.as_bytes()), Err(Broken::Number), "{text}");
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
    }
}
