//! Writes frames of AWS event streams: <https://smithy.io/2.0/aws/amazon-eventstream.html>.

#![allow(clippy::expect_used, reason = "what is written here is short")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A frame of these headers, each of them encoded.
pub(crate) fn frame(headers: &[Vec<u8>], payload: &[u8]) -> Vec<u8> {
    let headers = headers.concat();
    let length = |n: usize| u32::try_from(n).expect("frames are short").to_be_bytes();
    let mut frame = [length(16 + headers.len() + payload.len()), length(headers.len())].concat();
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend_from_slice(payload);
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}

/// A header that is a string.
pub(crate) fn string(name: &str, value: &str) -> Vec<u8> {
    let mut header = vec![u8::try_from(name.len()).expect("names are short")];
    header.extend_from_slice(name.as_bytes());
    header.push(7);
    header.extend(u16::try_from(value.len()).expect("values are short").to_be_bytes());
    header.extend_from_slice(value.as_bytes());
    header
}

/// An event of this type.
pub(crate) fn event(kind: &str, payload: &str) -> Vec<u8> {
    let headers = [
        string(":event-type", kind),
        string(":content-type", "application/json"),
        string(":message-type", "event"),
    ];
    frame(&headers, payload.as_bytes())
}

/// A `chunk` of `InvokeModelWithResponseStream`, which wraps a document.
pub(crate) fn chunk(document: &str, padding: &str) -> Vec<u8> {
    event("chunk", &format!(r#"{{"bytes":"{}","p":"{padding}"}}"#, STANDARD.encode(document)))
}
