//! Bringing entries of journals into the rollups: each rollup has the number of the last entry that is in it, so
//! an entry adds once, whoever brings it in, in whatever groups, and however often that is begun anew.

use std::collections::BTreeMap;
use std::fmt::Write;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::ledger::LedgerError;
use shared::rollup::{Parts, RollupKey};
use shared::totals::Totals;

use super::call::{RACES, failed, is_refused, pause};
use super::commit::now;
use super::keys::{self, HEAD, LANES};
use super::value::{Item, number, number_of, str_of, text};
use super::{Table, totals};

/// How many entries are read at once.
pub(super) const READ: usize = 32;
/// How many entries are brought in together, at most: what is the same rollup is written once.
pub(super) const GROUP: usize = 320;
/// After how many additions a group is held to be large enough for a function's memory. Each of its own rollup they are
/// half a kilobyte, some 100 MB; the last entries that are read at once come on top.
pub(super) const ROOM: usize = 200_000;
/// How many entries may wait for others: each reader of totals reads them.
pub(super) const OPEN: usize = 256;
/// How many rollups are written at once.
const WRITERS: usize = 32;

/// After how many rollups it is noted how far a group came: whoever goes on does not begin anew.
pub(super) const STRIDE: usize = 200;

/// When a lane is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    Now,
    /// If it was not for as long as may be, or if much is open.
    IfDue,
}

/// What an entry adds to one part of a rollup.
struct Add {
    n: u64,
    part: usize,
    totals: Totals,
}

/// What one rollup gets, by number.
type Adds = Vec<Add>;

/// A group that was begun: every rollup up to `key` has the entries up to `last`, whoever brought them in.
struct Begun {
    last: u64,
    key: RollupKey,
}

impl Begun {
    fn of(lane: &Item) -> Result<Option<Self>, LedgerError> {
        let Some(last) = number_of(lane, "begun")? else { return Ok(None) };
        let key = RollupKey::from_item_key(str_of(lane, "begun_pk")?, str_of(lane, "begun_sk")?);
        Ok(key.map(|key| Self { last, key }))
    }
}

fn count(entries: usize) -> u64 {
    u64::try_from(entries).unwrap_or(u64::MAX)
}

impl Table {
    /// Brings in everything that is open.
    pub async fn settle_all(&self) -> Result<(), LedgerError> {
        for (lane, _) in self.lanes().await? {
            self.settle_lane(lane, Haste::Now).await?;
        }
        Ok(())
    }

    /// Brings in what is open for longer than it [may be](Self::settling_every): what a consumer left to a batch that
    /// never came, or did not live to bring in.
    pub async fn settle_overdue(&self) -> Result<(), LedgerError> {
        for (lane, _) in self.lanes().await? {
            self.settle_lane(lane, Haste::IfDue).await?;
        }
        Ok(())
    }

    /// Entries that are not brought in, of the lane that has most.
    pub async fn backlog(&self) -> Result<u64, LedgerError> {
        let mut open = 0_u64;
        for (lane, settled) in self.lanes().await? {
            let head = self.item((keys::journal(lane), HEAD.to_owned())).await?;
            let head = head.map(|item| number_of::<u64>(&item, "n")).transpose()?.flatten().unwrap_or(0);
            open = open.max(head.saturating_sub(settled));
        }
        Ok(open)
    }

    /// Brings in what is open of a lane.
    pub(super) async fn settle_lane(&self, lane: u32, haste: Haste) -> Result<(), LedgerError> {
        let (of_lane, of_head) =
            ((LANES.to_owned(), format!("{lane:010}")), (keys::journal(lane), HEAD.to_owned()));
        let items = self.items(vec![of_lane.clone(), of_head.clone()]).await?;
        let number = |key, name| items.get(key).map(|item| number_of::<u64>(item, name)).transpose();
        let mut settled = number(&of_lane, "settled")?.flatten().unwrap_or(0);
        let head = number(&of_head, "n")?.flatten().unwrap_or(0);
        let at = items.get(&of_lane).map(|item| number_of::<i64>(item, "at")).transpose()?.flatten();
        if haste == Haste::IfDue && head.saturating_sub(settled) <= count(OPEN) && !self.is_due(at) {
            return Ok(());
        }
        // A group that someone began is gone on with as it was, from where it had come to.
        let mut begun = items.get(&of_lane).map(Begun::of).transpose()?.flatten();
        while settled < head {
            let wanted = match &begun {
                Some(begun) if begun.last > settled && begun.last <= head => Some(begun.last),
                _ => None,
            };
            let (last, mut by_rollup) = self.group(lane, settled, wanted, head).await?;
            if let Some(begun) = begun.take().filter(|begun| begun.last == last) {
                by_rollup.retain(|key, _| *key > begun.key);
            }
            let mut rollups = by_rollup.into_iter().peekable();
            while rollups.peek().is_some() {
                let some: Vec<_> = rollups.by_ref().take(STRIDE).collect();
                let reached = some.last().map(|(key, _)| key.clone());
                stream::iter(some)
                    .map(|(key, adds)| self.bring(lane, key, adds, settled + 1, last))
                    .buffer_unordered(WRITERS)
                    .try_collect::<()>()
                    .await?;
                if let Some(reached) = reached.filter(|_| rollups.peek().is_some()) {
                    self.note_begun(lane, last, &reached).await?;
                }
            }
            self.note_settled(lane, last).await?;
            settled = last;
        }
        Ok(())
    }

    /// Whether a lane that was last settled at that time, in Unix milliseconds, may wait no longer.
    fn is_due(&self, at: Option<i64>) -> bool {
        let age = at.and_then(|at| u128::try_from(now().as_millisecond() - at).ok());
        // A time to come is of a clock that is wrong.
        age.is_none_or(|age| age >= self.settle_every.as_millis())
    }

    /// What the entries after `settled` add, by rollup, and the last of them: `wanted`, or as many as go together.
    async fn group(
        &self,
        lane: u32,
        settled: u64,
        wanted: Option<u64>,
        head: u64,
    ) -> Result<(u64, BTreeMap<RollupKey, Adds>), LedgerError> {
        let mut by_rollup: BTreeMap<RollupKey, Adds> = BTreeMap::new();
        let (mut last, mut adds) = (settled, 0);
        let end = wanted.unwrap_or_else(|| head.min(settled + count(GROUP)));
        while last < end && (wanted.is_some() || adds < ROOM) {
            let upto = end.min(last + count(READ));
            for (n, entry) in self.entries(lane, last + 1, upto).await? {
                for (key, parts) in entry.additions {
                    // Where most are one of a kind, room for four, as a vector begins with, is most of the memory.
                    let of_rollup = by_rollup.entry(key).or_insert_with(|| Vec::with_capacity(1));
                    let some = parts.0.into_iter().enumerate().filter(|(_, totals)| !totals.is_zero());
                    some.for_each(|(part, totals)| of_rollup.push(Add { n, part, totals }));
                    adds += 1;
                }
            }
            last = upto;
        }
        Ok((last, by_rollup))
    }

    /// Brings entries into one rollup: all that it does not have.
    async fn bring(
        &self,
        lane: u32,
        key: RollupKey,
        adds: Adds,
        first: u64,
        last: u64,
    ) -> Result<(), LedgerError> {
        let (pk, sk) = keys::rollup(&key, lane);
        let mut has: Option<u64> = None;
        for attempt in 0..RACES {
            let mut sum = Parts::empty(key.window);
            for add in adds.iter().filter(|add| has.is_none_or(|has| add.n > has)) {
                let part = sum.0.get_mut(add.part);
                part.map_or(Ok(()), |part| part.add(&add.totals))
                    .map_err(|e| LedgerError::Broken(e.to_string()))?;
            }
            let mut update = self
                .client()
                .update_item()
                .table_name(self.name())
                .key("pk", text(&pk))
                .key("sk", text(&sk))
                .expression_attribute_names("#n", "n")
                .expression_attribute_values(":last", number(last))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            update = match has {
                None => update
                    .condition_expression("attribute_not_exists(#n) OR #n < :first")
                    .expression_attribute_values(":first", number(first)),
                Some(has) => {
                    update.condition_expression("#n = :has").expression_attribute_values(":has", number(has))
                }
            };
            let mut expression = "SET #n = :last".to_owned();
            for (n, (name, value)) in totals::attributes(&sum).into_iter().enumerate() {
                expression.push_str(if n == 0 { " ADD " } else { ", " });
                // Writing to a String cannot fail.
                let _ = write!(expression, "#a{n} :a{n}");
                update = update
                    .expression_attribute_names(format!("#a{n}"), name)
                    .expression_attribute_values(format!(":a{n}"), number(value));
            }
            let Err(error) = update.update_expression(expression).send().await else { return Ok(()) };
            if let Some(refused) = error.as_service_error()
                && let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(
                    refused,
                ) = refused
            {
                has = refused.item().map(|item| number_of(item, "n")).transpose()?.flatten();
                // Someone brought in all of it, or the rollup was removed in between.
                if has.is_some_and(|has| has >= last) {
                    return Ok(());
                }
                continue;
            }
            match failed("bringing an entry into a rollup", &error) {
                LedgerError::Retry(_) if attempt < 8 => pause(attempt).await,
                error => return Err(error),
            }
        }
        Err(LedgerError::Retry(format!("rollup {key} was in use by others for long")))
    }

    async fn note_begun(&self, lane: u32, last: u64, reached: &RollupKey) -> Result<(), LedgerError> {
        let (pk, sk) = reached.item_key();
        self.client()
            .update_item()
            .table_name(self.name())
            .key("pk", text(LANES))
            .key("sk", text(format!("{lane:010}")))
            .update_expression("SET begun = :last, begun_pk = :pk, begun_sk = :sk, #at = :at")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":at", number(now().as_millisecond()))
            .expression_attribute_values(":last", number(last))
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":sk", text(sk))
            .send()
            .await
            .map(drop)
            .map_err(|e| failed("noting how far a lane is being settled", &e))
    }

    async fn note_settled(&self, lane: u32, last: u64) -> Result<(), LedgerError> {
        let noted = self
            .client()
            .update_item()
            .table_name(self.name())
            .key("pk", text(LANES))
            .key("sk", text(format!("{lane:010}")))
            .update_expression("SET settled = :last, #at = :at")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":at", number(now().as_millisecond()))
            .condition_expression("attribute_not_exists(settled) OR settled < :last")
            .expression_attribute_values(":last", number(last))
            .send()
            .await;
        match noted {
            Ok(_) => Ok(()),
            // Someone was further.
            Err(e) if is_refused(&e) => Ok(()),
            Err(e) => Err(failed("noting how far a lane was settled", &e)),
        }
    }
}
