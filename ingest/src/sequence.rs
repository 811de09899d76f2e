//! The number of a submission, from the headers of a sender that numbers them.

use edge::Fault;
use http::HeaderMap;
use shared::id::SenderId;
use shared::sequence::{MAX_SEQUENCE, SenderKey, SequenceMark};

use crate::parse::header;

/// The headers' number; none without `x-sequence`.
pub(crate) fn mark(headers: &HeaderMap, faults: &mut Vec<Fault>) -> Option<SequenceMark> {
    let sender = header(headers, "x-sender-id", faults, SenderId::parse);
    let sequence = header(headers, "x-sequence", faults, |text| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|n| digits && *n <= MAX_SEQUENCE);
        number.ok_or("is no whole number from 0 to 2^53; number submissions from 1")
    })?;
    if sender.is_none() && !headers.contains_key("x-sender-id") {
        faults.push(Fault::of_request("x-sender-id", "is missing beside x-sequence; say who numbers"));
    }
    Some(SequenceMark { sender: SenderKey { team: None, sender: sender? }, sequence })
}
