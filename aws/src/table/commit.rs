//! The transaction: records under their conditions, and the next entry of the lane's journal.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use futures_util::future::try_join;
use jiff::Timestamp;
use shared::ledger::{Commit, CommitError, LedgerError, RecordWrite, Refusal};
use shared::totals::Overflow;

use super::call::{RACES, failed, pause};
use super::keys::{self, HEAD};
use super::records::{self, Written};
use super::value::{Item, keyed, number, number_of, text, with};
use super::{Table, journal, totals};

/// Records of one transaction: with the head and the pieces of the entry they are at most 100 items.
pub(super) const MAX_RECORDS: usize = 90;
/// Rollups of one transaction.
pub(super) const MAX_ITEMS: usize = 1_000;
/// Bytes of a transaction's records, before they are compressed; the whole may have 4 MB.
pub(super) const MAX_BYTES: usize = 2 << 20;
/// Bytes of one piece of an entry; an item may have 400 KB.
const PIECE: usize = 380_000;
/// How long an entry is kept after it was written: as long as anybody may still bring it in. It is told apart from
/// one that never was, so a longer standstill loses nothing but time: see the runbook.
const KEEP_SECONDS: i64 = 14 * 24 * 3600;

const TOO_LARGE: Overflow = Overflow("sum of 38 digits, the most that a table's number has");

/// What a transaction came to.
enum Outcome {
    Done,
    /// Try again with what is known now.
    Again,
    Refused(Vec<Refusal>),
    Overflow,
}

impl Table {
    pub(super) async fn transact(&self, commit: Commit) -> Result<(), CommitError> {
        let written = self.look(&commit.records).await?;
        let refused = refused_early(&commit.records, &written);
        if !refused.is_empty() {
            return Err(CommitError::Refused(refused));
        }
        let mut needs: BTreeMap<u32, u64> = BTreeMap::new();
        for place in written.values().filter_map(|written| written.place) {
            let newest = needs.entry(place.0).or_default();
            *newest = (*newest).max(place.1);
        }
        needs.remove(&commit.lane);
        let needs: Vec<_> = needs.into_iter().collect();
        let entry = if commit.additions.is_empty() {
            None
        } else {
            Some(journal::encode(&commit.additions, &needs)?)
        };
        let change = totals::most_changed(commit.additions.iter().map(|(_, parts)| parts));
        if change > totals::MOST {
            return Err(CommitError::Overflow(TOO_LARGE));
        }
        // Before the records: what is listed may never come to be, but what came to be is listed.
        try_join(self.note(&commit), self.put_pages(&commit, &written)).await?;
        for attempt in 0..RACES {
            let next = match &entry {
                None => None,
                Some(_) => Some(self.head(commit.lane).await? + 1),
            };
            let items = self.transaction(&commit, &written, entry.as_deref(), next, change)?;
            let records_at = items.len() - commit.records.len();
            let sent = self.client().transact_write_items().set_transact_items(Some(items)).send().await;
            let outcome = match sent {
                Ok(_) => Outcome::Done,
                Err(e) => match e.as_service_error() {
                    Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                        self.cancelled(cancelled.cancellation_reasons(), &commit, records_at, next)?
                    }
                    _ => {
                        // It may have happened: what is known of the head is not known any more.
                        self.heads().remove(&commit.lane);
                        return Err(failed("committing", &e).into());
                    }
                },
            };
            match outcome {
                Outcome::Done => {
                    if let Some(next) = next {
                        self.heads().insert(commit.lane, next);
                    }
                    return Ok(());
                }
                Outcome::Refused(refusals) => return Err(CommitError::Refused(refusals)),
                Outcome::Overflow => {
                    return Err(CommitError::Overflow(TOO_LARGE));
                }
                Outcome::Again => pause(attempt).await,
            }
        }
        Err(LedgerError::Retry(format!("lane {} was in use by others for long", commit.lane)).into())
    }

    /// The number that a lane's journal has come to; 0 before its first entry.
    async fn head(&self, lane: u32) -> Result<u64, LedgerError> {
        if let Some(known) = self.heads().get(&lane) {
            return Ok(*known);
        }
        let item = self.item((keys::journal(lane), HEAD.to_owned())).await?;
        let head = item.map(|item| number_of(&item, "n")).transpose()?.flatten().unwrap_or(0);
        self.heads().insert(lane, head);
        Ok(head)
    }

    /// What is stored of the records that are to be rewritten.
    async fn look(&self, writes: &[RecordWrite]) -> Result<BTreeMap<usize, Written>, LedgerError> {
        let rewritten: Vec<(usize, keys::Key)> = writes
            .iter()
            .enumerate()
            .filter(|(_, write)| write.expected.is_some())
            .map(|(n, write)| (n, keys::record(&write.record.agent, &write.record.key)))
            .collect();
        if rewritten.is_empty() {
            return Ok(BTreeMap::new());
        }
        let items = self.items(rewritten.iter().map(|(_, key)| key.clone()).collect()).await?;
        rewritten.into_iter().map(|(n, key)| Ok((n, Written::of(items.get(&key))?))).collect()
    }

    fn transaction(
        &self,
        commit: &Commit,
        written: &BTreeMap<usize, Written>,
        entry: Option<&[u8]>,
        next: Option<u64>,
        change: i128,
    ) -> Result<Vec<TransactWriteItem>, LedgerError> {
        let mut items = Vec::new();
        if let (Some(entry), Some(next)) = (entry, next) {
            items.push(self.move_head(commit.lane, next, change)?);
            for item in entry_items(commit.lane, next, entry, now()) {
                items.push(self.put(item, "attribute_not_exists(pk)", None)?);
            }
        }
        for (n, write) in commit.records.iter().enumerate() {
            let before = written.get(&n).and_then(|written| written.place);
            let place = next.map(|next| (commit.lane, next)).or(before);
            let item = records::item(&write.record, place)?;
            items.push(match write.expected {
                None => self.put(item, "attribute_not_exists(pk)", None)?,
                Some(expected) => self.put(item, "v = :v", Some(expected))?,
            });
        }
        Ok(items)
    }

    /// The head is moved under the condition that nobody moved it, and that no sum of the lane can pass what a
    /// number holds: the sum of all changes is the most that any of them can be.
    fn move_head(&self, lane: u32, next: u64, change: i128) -> Result<TransactWriteItem, LedgerError> {
        let mut update = Update::builder()
            .table_name(self.name())
            .key("pk", text(keys::journal(lane)))
            .key("sk", text(HEAD))
            .expression_attribute_names("#n", "n")
            .expression_attribute_names("#c", "changed")
            .expression_attribute_values(":next", number(next))
            .expression_attribute_values(":change", number(change))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        update = if next == 1 {
            update
                .update_expression("SET #n = :next, #c = :change")
                .condition_expression("attribute_not_exists(#n)")
        } else {
            update
                .update_expression("SET #n = :next, #c = #c + :change")
                .condition_expression("#n = :last AND #c <= :room")
                .expression_attribute_values(":last", number(next - 1))
                .expression_attribute_values(":room", number((totals::MOST - change).max(0)))
        };
        let update = update.build().map_err(|e| LedgerError::Broken(e.to_string()))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    fn put(
        &self,
        item: Item,
        condition: &str,
        version: Option<u64>,
    ) -> Result<TransactWriteItem, LedgerError> {
        let put = Put::builder()
            .table_name(self.name())
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_values(version.map(|v| Item::from([(":v".to_owned(), number(v))])))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|e| LedgerError::Broken(e.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Why nothing happened.
    fn cancelled(
        &self,
        reasons: &[CancellationReason],
        commit: &Commit,
        records_at: usize,
        next: Option<u64>,
    ) -> Result<Outcome, LedgerError> {
        let is_refused = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
        let mut refused = Vec::new();
        for (index, reason) in reasons.iter().skip(records_at).enumerate().filter(|(_, r)| is_refused(r)) {
            let item = reason.item().filter(|item| !item.is_empty());
            refused.push(Refusal { index, existing: item.map(records::record).transpose()? });
        }
        if !refused.is_empty() {
            return Ok(Outcome::Refused(refused));
        }
        if let (Some(head), Some(next)) = (reasons.first().filter(|r| is_refused(r)), next) {
            let known: Option<u64> = head.item().map(|item| number_of(item, "n")).transpose()?.flatten();
            if known == Some(next - 1) {
                return Ok(Outcome::Overflow);
            }
            match known {
                Some(known) => self.heads().insert(commit.lane, known),
                None => self.heads().remove(&commit.lane),
            };
            return Ok(Outcome::Again);
        }
        if let Some(lasting) = reasons
            .iter()
            .find(|r| matches!(r.code(), Some("ValidationError" | "ItemCollectionSizeLimitExceeded")))
        {
            let message = lasting.message().unwrap_or_default();
            return Err(LedgerError::Broken(format!("committing: {message}")));
        }
        // Of the entry's condition, too: then the head was read before others moved it.
        if reasons.iter().take(records_at).any(is_refused) {
            self.heads().remove(&commit.lane);
        }
        Ok(Outcome::Again)
    }
}

/// The items of an entry.
pub(super) fn entry_items(lane: u32, n: u64, entry: &[u8], at: Timestamp) -> Vec<Item> {
    let pieces = entry.chunks(PIECE).enumerate();
    let item = |(part, piece)| {
        let item = keyed((keys::journal(lane), keys::entry(n, part)));
        let item = with(item, "data", AttributeValue::B(Blob::new(piece)));
        with(item, "ttl", number(at.as_second() + KEEP_SECONDS))
    };
    pieces.map(item).collect()
}

/// Conditions that do not hold already.
fn refused_early(writes: &[RecordWrite], written: &BTreeMap<usize, Written>) -> Vec<Refusal> {
    let differs = |(index, found): (&usize, &Written)| {
        let expected = writes.get(*index).and_then(|write| write.expected);
        let existing = found.record.clone();
        let version = existing.as_ref().map(|record| record.version);
        (version != expected).then_some(Refusal { index: *index, existing })
    };
    written.iter().filter_map(differs).collect()
}

#[expect(clippy::disallowed_methods, reason = "when an entry may go, or is to be settled, changes no total")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}
