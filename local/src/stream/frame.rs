//! One record as bytes: a length and a checksum, then what they guard.
//!
//! Little-endian: body length u32, CRC-32 of the body u32; body: sequence number u64, first sequence number of
//! its group u64, arrival in ms i64, length of the partition key u16, partition key, data.
//!
//! A group is begun after the one before it is durable. So a whole frame of a later group proves that what is
//! before it was acknowledged: that is how recovery tells damage from a torn tail.

use bytes::{Buf, BufMut, Bytes};

/// The largest data of one record, in bytes.
pub(super) const MAX_DATA: usize = 1 << 20;
/// The longest partition key, in characters, as in Kinesis.
pub(super) const MAX_KEY_CHARS: usize = 256;

const HEADER: usize = 8;
const FIXED: usize = 26;
const MAX_BODY: usize = FIXED + 4 * MAX_KEY_CHARS + MAX_DATA;

/// One record of a shard, as it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its place in the shard: contiguous, from 1.
    pub seq: u64,
    /// When it arrived, in ms since the Unix epoch; never before its predecessor.
    pub arrival_ms: i64,
    /// What chose the shard.
    pub partition_key: String,
    /// What was put.
    pub data: Bytes,
}

impl LogRecord {
    /// The sequence number as consumers see it.
    pub fn sequence_number(&self) -> String {
        sequence_number(self.seq)
    }
}

/// A sequence number as text: 20 digits, so that text and number order alike.
pub fn sequence_number(seq: u64) -> String {
    format!("{seq:020}")
}

/// What the bytes at a position are.
pub(super) enum Decoded {
    /// A frame of `len` bytes.
    Frame { record: LogRecord, group: u64, len: usize },
    /// The beginning of a frame: at least so many bytes are needed.
    Short(usize),
    /// No frame.
    Bad(&'static str),
}

/// Appends a frame of the group that begins with `group` to `out`. The key and the data were checked against
/// their limits.
pub(super) fn encode(out: &mut Vec<u8>, seq: u64, group: u64, arrival_ms: i64, key: &str, data: &[u8]) {
    let start = out.len();
    out.put_slice(&[0; HEADER]);
    out.put_u64_le(seq);
    out.put_u64_le(group);
    out.put_i64_le(arrival_ms);
    debug_assert!(key.len() <= 4 * MAX_KEY_CHARS && data.len() <= MAX_DATA);
    out.put_u16_le(u16::try_from(key.len()).unwrap_or(u16::MAX));
    out.put_slice(key.as_bytes());
    out.put_slice(data);
    let body = out.len() - start - HEADER;
    let crc = crc32fast::hash(&out[start + HEADER..]);
    out[start..start + 4].copy_from_slice(&u32::try_from(body).unwrap_or(u32::MAX).to_le_bytes());
    out[start + 4..start + HEADER].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the frame at the beginning of `buf`. The data shares the memory of `buf`.
pub(super) fn decode(buf: &Bytes) -> Decoded {
    if buf.len() < HEADER {
        return Decoded::Short(HEADER);
    }
    let mut rest: &[u8] = buf;
    let Ok(body_len) = usize::try_from(rest.get_u32_le()) else {
        return Decoded::Bad("its length is impossible");
    };
    let crc = rest.get_u32_le();
    if !(FIXED..=MAX_BODY).contains(&body_len) {
        return Decoded::Bad("its length is impossible");
    }
    let Some(mut body) = rest.get(..body_len) else { return Decoded::Short(HEADER + body_len) };
    if crc32fast::hash(body) != crc {
        return Decoded::Bad("its checksum does not match");
    }
    let seq = body.get_u64_le();
    let group = body.get_u64_le();
    let arrival_ms = body.get_i64_le();
    let key_len = usize::from(body.get_u16_le());
    let Some(key) = body.get(..key_len) else { return Decoded::Bad("its key is longer than the frame") };
    let Ok(partition_key) = String::from_utf8(key.to_vec()) else {
        return Decoded::Bad("its key is not text");
    };
    let len = HEADER + body_len;
    let data = buf.slice(HEADER + FIXED + key_len..len);
    Decoded::Frame { record: LogRecord { seq, arrival_ms, partition_key, data }, group, len }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, 7, 5, 1_700_000_000_123, "lane-ü", b"payload");
        out
    }

    #[test]
    fn a_frame_reads_back_as_it_was_written() {
        let bytes = frame();
        let total = bytes.len();
        let Decoded::Frame { record, group, len } = decode(&bytes.into()) else { panic!("no frame") };
        assert_eq!(len, total);
        assert_eq!((record.seq, group), (7, 5));
        assert_eq!(record.arrival_ms, 1_700_000_000_123);
        assert_eq!(record.partition_key, "lane-ü");
        assert_eq!(record.data, Bytes::from_static(b"payload"));
    }

    #[test]
    fn any_changed_bit_and_any_cut_is_noticed() {
        let good = frame();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(decode(&bytes.into()), Decoded::Frame { .. }), "bit {bit}");
        }
        for cut in 0..good.len() {
            assert!(
                matches!(decode(&good[..cut].to_vec().into()), Decoded::Short(need) if need > cut),
                "cut {cut}"
            );
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        assert!(matches!(decode(&vec![0; 4096].into()), Decoded::Bad(_)));
    }
}
