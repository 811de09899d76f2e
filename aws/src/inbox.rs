//! The stream's stand-in of the `direct` profile: items in the table that expire, and that the table's stream
//! brings to the aggregator. Nothing here costs anything while nothing is sent.
//!
//! An item is put without a condition under a key of its own, so that a put costs its size and nothing else;
//! what makes an event count once is the ledger's commit, as with any stream. Key: `I#LANE#SPREAD`, where
//! SPREAD is one of [`SPREAD`], so that one busy lane is no hot partition: which, ingest says, so that an agent's
//! items are together; and the arrival in milliseconds with a version 7 UUID, so that a replay reads a span of time in
//! order.

mod event;
mod item;
mod read;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::StreamExt;
use jiff::Timestamp;
use shared::clock::Clock;
use shared::mint::{Mint, UuidMint};
use shared::stream::{EventStream, PutError, PutRecord};

use crate::failure::{self, Failure};

pub use event::{to_dynamodb, to_kinesis};
pub use read::{InboxPages, Partition, Reader};

/// The most bytes of a stream record: an item has 400 KB, keys and names included.
pub const MAX_RECORD_BYTES: usize = 390 << 10;
/// Over how many partition keys a lane's items are spread.
pub const SPREAD: u32 = 4;
/// How many items are put at a time.
const AT_A_TIME: usize = 16;

const ACTION: &str = "dynamodb:PutItem";

/// The inbox of a table.
#[derive(Clone, Debug)]
pub struct Inbox<C> {
    client: Client,
    table: String,
    keep: Duration,
    clock: C,
}

impl<C: Clock> Inbox<C> {
    /// The inbox of the table of that name, whose items can be replayed for `keep`.
    pub fn new(client: Client, table: impl Into<String>, keep: Duration, clock: C) -> Self {
        Self { client, table: table.into(), keep, clock }
    }

    async fn put_one(&self, record: PutRecord) -> Result<String, PutError> {
        let size = record.data.len();
        if size > MAX_RECORD_BYTES {
            let why = format!("{size} bytes; the inbox takes at most {MAX_RECORD_BYTES} of a record");
            return Err(PutError::Refused(why));
        }
        let now = self.clock.now();
        let sk = item::sort_key(now, UuidMint.mint().as_str());
        let item = item::of(record, sk.clone(), self.expires(now));
        let call = self.client.put_item().table_name(&self.table).set_item(Some(item));
        // A repeat of a put whose answer was lost writes the same item again, which makes no stream record.
        match call.send().await {
            Ok(_) => Ok(sk),
            Err(error) => Err(match failure::of(ACTION, &format!("table {}", self.table), &error) {
                Failure::Retry(why) => PutError::Retry(why),
                Failure::Refused(why) => PutError::Refused(why),
            }),
        }
    }

    fn expires(&self, now: Timestamp) -> i64 {
        now.as_second().saturating_add(i64::try_from(self.keep.as_secs()).unwrap_or(i64::MAX))
    }
}

/// The item of a record that arrives at an instant, for telling what it weighs.
pub fn item_of(record: PutRecord, at: Timestamp) -> HashMap<String, AttributeValue> {
    item::of(record, item::sort_key(at, UuidMint.mint().as_str()), at.as_second())
}

impl<C: Clock> EventStream for Inbox<C> {
    /// Answers with the items' sort keys.
    async fn put(&self, records: Vec<PutRecord>) -> Vec<Result<String, PutError>> {
        futures_util::stream::iter(records.into_iter().map(|record| self.put_one(record)))
            .buffered(AT_A_TIME)
            .collect()
            .await
    }

    fn max_record_bytes(&self) -> usize {
        MAX_RECORD_BYTES
    }

    fn spread(&self) -> u32 {
        SPREAD
    }
}
