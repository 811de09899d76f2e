//! Bringing entries of journals into the rollups: each rollup has the number of the last entry that is in it, so
//! an entry adds once, whoever brings it in, in whatever groups, and however often that is begun anew.

use std::collections::BTreeMap;
use std::fmt::Write;

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::ledger::LedgerError;
use shared::rollup::{Parts, RollupKey};

use super::call::{RACES, failed, is_refused, pause};
use super::keys::{self, HEAD, LANES};
use super::value::{Item, number, number_of, str_of, text};
use super::{Table, totals};

/// How many entries are brought in together: what is the same rollup is written once.
const GROUP: u64 = 64;
/// How many rollups are written at once.
const WRITERS: usize = 32;

/// After how many rollups it is noted how far a group came: whoever goes on does not begin anew.
const STRIDE: usize = 200;

/// Entries that one rollup gets, by number.
type Adds = Vec<(u64, Parts)>;

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

impl Table {
    /// Brings in everything that is open.
    pub async fn settle_all(&self) -> Result<(), LedgerError> {
        for (lane, _) in self.lanes().await? {
            self.settle_lane(lane).await?;
        }
        Ok(())
    }

    /// Entries that are not brought in, over all lanes.
    pub async fn backlog(&self) -> Result<u64, LedgerError> {
        let mut open = 0;
        for (lane, settled) in self.lanes().await? {
            let head = self.item((keys::journal(lane), HEAD.to_owned())).await?;
            let head = head.map(|item| number_of::<u64>(&item, "n")).transpose()?.flatten().unwrap_or(0);
            open += head.saturating_sub(settled);
        }
        Ok(open)
    }

    /// Brings in what is open of a lane.
    pub(super) async fn settle_lane(&self, lane: u32) -> Result<(), LedgerError> {
        let (of_lane, of_head) =
            ((LANES.to_owned(), format!("{lane:010}")), (keys::journal(lane), HEAD.to_owned()));
        let items = self.items(vec![of_lane.clone(), of_head.clone()]).await?;
        let number = |key, name| items.get(key).map(|item| number_of::<u64>(item, name)).transpose();
        let mut settled = number(&of_lane, "settled")?.flatten().unwrap_or(0);
        let head = number(&of_head, "n")?.flatten().unwrap_or(0);
        // A group that someone began is gone on with as it was, from where it had come to.
        let mut begun = items.get(&of_lane).map(Begun::of).transpose()?.flatten();
        while settled < head {
            let last = match &begun {
                Some(begun) if begun.last > settled && begun.last <= head => begun.last,
                _ => head.min(settled + GROUP),
            };
            let entries = self.entries(lane, settled + 1, last).await?;
            let mut by_rollup: BTreeMap<RollupKey, Adds> = BTreeMap::new();
            for (n, entry) in entries {
                for (key, parts) in entry.additions {
                    by_rollup.entry(key).or_default().push((n, parts));
                }
            }
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
            for (_, parts) in adds.iter().filter(|(n, _)| has.is_none_or(|has| *n > has)) {
                sum.add(parts).map_err(|e| LedgerError::Broken(e.to_string()))?;
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
            .update_expression("SET begun = :last, begun_pk = :pk, begun_sk = :sk")
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
            .update_expression("SET settled = :last")
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
