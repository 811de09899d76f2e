//! Attribute values, to and fro.

use std::collections::HashMap;
use std::io::{Read, Write};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::ledger::LedgerError;

use super::keys::Key;

/// An item, or a part of one.
pub(super) type Item = HashMap<String, AttributeValue>;

/// Text shorter than this is stored as it is, so that a console shows it: compressed it would cost as much.
const PLAIN: usize = 700;
/// The most that a value unfolds to.
const MAX_UNFOLDED: u64 = 64 << 20;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

#[expect(clippy::needless_pass_by_value, reason = "numbers, mostly computed where they are given")]
pub(super) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// An item with a key.
pub(super) fn keyed(key: Key) -> Item {
    HashMap::from([("pk".to_owned(), text(key.0)), ("sk".to_owned(), text(key.1))])
}

/// Adds a value.
pub(super) fn with(mut item: Item, name: &str, value: AttributeValue) -> Item {
    item.insert(name.to_owned(), value);
    item
}

/// JSON, as text where it is short, deflated where that is less to pay for.
pub(super) fn json<T: Serialize>(value: &T) -> Result<AttributeValue, LedgerError> {
    pack(serde_json::to_string(value).map_err(unreadable)?)
}

pub(super) fn pack(json: String) -> Result<AttributeValue, LedgerError> {
    if json.len() < PLAIN {
        return Ok(AttributeValue::S(json));
    }
    Ok(AttributeValue::B(Blob::new(deflate(json.as_bytes())?)))
}

pub(super) fn deflate(bytes: &[u8]) -> Result<Vec<u8>, LedgerError> {
    let failed = |e: std::io::Error| LedgerError::Broken(format!("a value cannot be compressed: {e}"));
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(6));
    encoder.write_all(bytes).map_err(failed)?;
    encoder.finish().map_err(failed)
}

pub(super) fn inflate(bytes: &[u8]) -> Result<String, LedgerError> {
    let mut json = String::new();
    DeflateDecoder::new(bytes)
        .take(MAX_UNFOLDED)
        .read_to_string(&mut json)
        .map_err(|e| LedgerError::Broken(format!("a stored value is not readable: {e}")))?;
    Ok(json)
}

/// The JSON of an attribute.
pub(super) fn unpack(item: &Item, name: &str) -> Result<String, LedgerError> {
    match item.get(name) {
        Some(AttributeValue::S(json)) => Ok(json.clone()),
        Some(AttributeValue::B(blob)) => inflate(blob.as_ref()),
        _ => Err(missing(item, name)),
    }
}

/// Reads what [`json`] wrote.
pub(super) fn read<T: DeserializeOwned>(item: &Item, name: &str) -> Result<T, LedgerError> {
    serde_json::from_str(&unpack(item, name)?).map_err(unreadable)
}

pub(super) fn str_of<'a>(item: &'a Item, name: &str) -> Result<&'a str, LedgerError> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(missing(item, name)),
    }
}

/// A whole number; none if there is no such attribute.
pub(super) fn number_of<T: std::str::FromStr>(item: &Item, name: &str) -> Result<Option<T>, LedgerError> {
    match item.get(name) {
        None => Ok(None),
        Some(AttributeValue::N(digits)) => digits.parse().map(Some).map_err(|_| missing(item, name)),
        Some(_) => Err(missing(item, name)),
    }
}

fn missing(item: &Item, name: &str) -> LedgerError {
    let key = |name: &str| item.get(name).and_then(|v| v.as_s().ok()).map_or("?", String::as_str);
    LedgerError::Broken(format!("item {} {}: its attribute {name} is not readable", key("pk"), key("sk")))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
pub(super) fn unreadable(error: serde_json::Error) -> LedgerError {
    LedgerError::Broken(format!(
        "a stored value is not readable: {error}; was it written by a newer version?"
    ))
}
