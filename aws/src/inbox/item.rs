//! The form of an inbox item.

use std::collections::HashMap;
use std::io::{Read, Write};

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;
use shared::stream::PutRecord;

use super::{MAX_RECORD_BYTES, SPREAD};

pub(super) const PK: &str = "pk";
pub(super) const SK: &str = "sk";
pub(super) const LANE: &str = "lane";
pub(super) const DATA: &str = "data";
pub(super) const TTL: &str = "ttl";
/// How `data` is packed; absent where it is as it came.
pub(super) const PACKED: &str = "packed";
pub(super) const DEFLATE: &str = "deflate";

/// The prefix of an inbox item's partition key.
pub(super) const PREFIX: &str = "I#";

/// A write unit is 1 KB: what fits one with its keys is not worth the work of packing.
const PACK_ABOVE: usize = 880;

/// The lane that a stream record's partition key names, read as the aggregator reads it.
pub(super) fn lane(partition_key: &str) -> u32 {
    partition_key.parse().unwrap_or(0)
}

pub(super) fn partition_key(lane: u32, spread: u32) -> String {
    format!("{PREFIX}{lane:04}#{spread:02}")
}

pub(super) fn sort_key(at: Timestamp, id: &str) -> String {
    format!("{:014}#{id}", at.as_millisecond().max(0))
}

/// When an item arrived, by its sort key.
pub(super) fn arrived(sk: &str) -> Option<Timestamp> {
    let (millis, _) = sk.split_once('#')?;
    Timestamp::from_millisecond(millis.parse().ok()?).ok()
}

/// Where an item stands, the same whenever and from wherever it is read.
pub(super) fn event_id(pk: &str, sk: &str) -> String {
    format!("inbox:{pk}:{sk}")
}

/// The item of a stream record.
pub(super) fn of(record: PutRecord, sk: String, ttl: i64) -> HashMap<String, AttributeValue> {
    let (lane, spread) = (lane(&record.partition_key), record.spread % SPREAD);
    let (data, is_deflated) = pack(record.data);
    let mut item = HashMap::from([
        (PK.to_owned(), AttributeValue::S(partition_key(lane, spread))),
        (SK.to_owned(), AttributeValue::S(sk)),
        (LANE.to_owned(), AttributeValue::N(lane.to_string())),
        (DATA.to_owned(), AttributeValue::B(data.into())),
        (TTL.to_owned(), AttributeValue::N(ttl.to_string())),
    ]);
    if is_deflated {
        item.insert(PACKED.to_owned(), AttributeValue::S(DEFLATE.to_owned()));
    }
    item
}

/// The data as it is stored, and whether that is deflated.
pub(super) fn pack(data: Bytes) -> (Vec<u8>, bool) {
    if data.len() > PACK_ABOVE {
        // The fastest level: a request waits for it, and JSON of many events shrinks to a tenth at any.
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(data.len() / 4), Compression::fast());
        let packed = encoder.write_all(&data).and_then(|()| encoder.finish());
        if let Ok(packed) = packed
            && packed.len() < data.len()
        {
            return (packed, true);
        }
    }
    (data.into(), false)
}

/// The data as it came; none if it cannot be read, or would be larger than anything that was put.
pub(super) fn unpack(data: &[u8], packed: Option<&str>) -> Option<Vec<u8>> {
    match packed {
        None => Some(data.to_owned()),
        Some(DEFLATE) => {
            let mut unpacked = Vec::new();
            let bound = u64::try_from(MAX_RECORD_BYTES).unwrap_or(u64::MAX) + 1;
            DeflateDecoder::new(data).take(bound).read_to_end(&mut unpacked).ok()?;
            (unpacked.len() <= MAX_RECORD_BYTES).then_some(unpacked)
        }
        Some(_) => None,
    }
}
