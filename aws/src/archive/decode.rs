//! From an object's bytes to records.

use std::io::Read;
use std::ops::Range;

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Object;
use crate::read::ReadBack;

/// Bytes of an object that are no JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Where, in the inflated object.
    pub bytes: Range<usize>,
    /// What is wrong with them.
    pub why: String,
}

/// The bytes, inflated if they are gzip. Firehose may write several members, one after the other.
pub(super) fn inflate(stored: Vec<u8>, limit: u64) -> Result<Vec<u8>, String> {
    if !stored.starts_with(&[0x1f, 0x8b]) {
        return Ok(stored);
    }
    let mut bytes = Vec::new();
    let read = MultiGzDecoder::new(&*stored).take(limit.saturating_add(1)).read_to_end(&mut bytes);
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(format!("is larger than {limit} bytes when inflated"));
    }
    match read {
        Ok(_) => Ok(bytes),
        // What came before the damage is as good as ever; the rest is reported as a stretch that is no JSON.
        Err(_) if !bytes.is_empty() => {
            bytes.extend_from_slice(b"\n(the gzip data is damaged from here on)");
            Ok(bytes)
        }
        Err(error) => Err(format!("is no readable gzip: {error}")),
    }
}

/// What is read of a record to tell when it was received.
#[derive(Deserialize)]
struct Head {
    received: Option<Timestamp>,
}

/// The records that were received from `from` and before `to`. One that does not say when is among them.
pub(super) fn object(name: String, bytes: &[u8], from: Timestamp, to: Timestamp, lanes: u32) -> Object {
    let (mut records, mut unreadable) = (Vec::new(), Vec::new());
    let mut lane = 0_u32;
    for found in values(bytes) {
        let (range, why) = match found {
            Ok(range) => (range, None),
            Err(Stretch { bytes, why }) => (bytes, Some(why)),
        };
        if let Some(why) = why {
            unreadable.push(Stretch { bytes: range, why });
            continue;
        }
        let Some(data) = bytes.get(range.clone()) else { continue };
        let received = serde_json::from_slice::<Head>(data).ok().and_then(|head| head.received);
        if received.is_some_and(|at| at < from || at >= to) {
            continue;
        }
        let read = ReadBack {
            event_id: format!("archive:{name}:{}", range.start),
            partition_key: lane.to_string(),
            sequence_number: format!("{name}@{}", range.start),
            arrived: received,
            data: data.to_owned(),
        };
        records.push(read.into_record());
        lane = (lane + 1) % lanes;
    }
    Object { name, records, unreadable }
}

/// Where each JSON value is, and each stretch that is none.
fn values(bytes: &[u8]) -> Vec<Result<Range<usize>, Stretch>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..) {
        let blank = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let Some(rest) = rest.get(blank..).filter(|rest| !rest.is_empty()) else { break };
        let start = at + blank;
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        match stream.next() {
            // Only objects are records: a bare number or word is what is left of one.
            Some(Ok(_)) if rest.starts_with(b"{") => {
                at = start + stream.byte_offset();
                found.push(Ok(start..at));
            }
            Some(result) => {
                let why = match result {
                    Ok(_) => "is JSON, but no object".to_owned(),
                    Err(error) => error.to_string(),
                };
                at = start + resume(rest);
                match found.last_mut() {
                    // One stretch, however often reading resumed in it.
                    Some(Err(Stretch { bytes, .. })) if bytes.end == start => bytes.end = at,
                    _ => found.push(Err(Stretch { bytes: start..at, why })),
                }
            }
            None => break,
        }
    }
    found
}

/// Where reading can go on behind what is no value: at the next thing that looks like the beginning of a record.
fn resume(rest: &[u8]) -> usize {
    let begins = |at: &usize| {
        let Some(here) = rest.get(*at..) else { return false };
        let follows_line = *at > 0 && rest.get(at - 1).is_some_and(|b| *b == b'\n');
        here.starts_with(b"{\"v\":") || (follows_line && here.starts_with(b"{"))
    };
    (1..rest.len()).find(begins).unwrap_or(rest.len())
}
