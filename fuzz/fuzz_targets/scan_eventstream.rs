//! Any AWS event stream: bytes as they are, and frames whose checksums are right, since no fuzzer finds one.
//!
//! An input is a stream as it is if its first byte is even. Otherwise it is frames: a byte of kinds, one of the
//! length of the headers, which follow, two of that of the payload, which follows. By its kind a frame is an event
//! `chunk`, its payload wrapped or not, an exception, one of its bits flipped, or as it is written.

#![no_main]

#[path = "../common/frames.rs"]
mod frames;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use shared::extract::frame::Framing;

/// An event without a payload: a stream begins with it.
const FIRST: &[u8] = b"\0\0\0\x10\0\0\0\0\x05\xc2\x48\xeb\x7d\x98\xc8\xff";

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    if first % 2 == 0 {
        frames::check(Some("application/vnd.amazon.eventstream"), rest);
        let end = frames::check(None, &[FIRST, rest].concat());
        assert_eq!(end.framing, Framing::AwsEventStream);
        return;
    }
    let (mut body, mut count, mut flipped) = (FIRST.to_vec(), 0, 0);
    let mut rest = rest;
    while let Some((kind, after)) = rest.split_first() {
        let (headers, after) = part(after, 1);
        let (payload, after) = part(after, 2);
        rest = after;
        let wrapped = format!(r#"{{"bytes":"{}","p":"x"}}"#, STANDARD.encode(payload));
        let mut frame = match kind % 5 {
            0 => frame(&[headers, &chunk("event")].concat(), wrapped.as_bytes()),
            1 => frame(&[headers, &chunk("event")].concat(), payload),
            2 => frame(&[&chunk("exception"), headers].concat(), payload),
            _ => frame(headers, payload),
        };
        if kind % 5 == 4 && flipped == 0 {
            let at = usize::from(kind / 5) % frame.len();
            frame[at] ^= 1 << (kind % 8);
            flipped += 1;
        }
        body.extend(frame);
        count += 1;
    }
    let end = frames::check(None, &body);
    assert_eq!(end.framing, Framing::AwsEventStream);
    assert!(!end.truncated || end.broken > 0, "{end:?}");
    assert!(end.documents <= count && end.broken <= count && end.broken >= flipped, "{end:?}");
});

/// The next bytes, after their length, which is so many bytes long itself; and what comes after them.
fn part(bytes: &[u8], length: usize) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(length.min(bytes.len()));
    let length = length.iter().fold(0, |all, byte| all << 8 | usize::from(*byte));
    rest.split_at(length.min(rest.len()))
}

fn chunk(kind: &str) -> Vec<u8> {
    let header = |name: &str, value: &str| {
        [&[name.len() as u8], name.as_bytes(), &[7, 0, value.len() as u8], value.as_bytes()].concat()
    };
    [header(":event-type", "chunk"), header(":message-type", kind)].concat()
}

fn frame(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = |n: usize| (n as u32).to_be_bytes();
    let mut frame = [length(16 + headers.len() + payload.len()), length(headers.len())].concat();
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(headers);
    frame.extend_from_slice(payload);
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}
