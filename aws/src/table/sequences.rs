//! Which numbered submissions have arrived, an item for each sender.

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use shared::id::{SenderId, TeamId};
use shared::ledger::{LedgerError, Sender, SequenceStore};
use shared::sequence::{Arrived, SenderKey};

use super::call::{RACES, pause};
use super::keys::{self, Key};
use super::value::{Item, json, keyed, number, number_of, read, str_of, text, with};
use super::{PARALLEL, Query, Sort, Table};

/// How many partitions senders are spread over.
const SPREAD: u32 = 8;

impl SequenceStore for Table {
    async fn note_arrived(
        &self,
        sender: &SenderKey,
        sequences: &[u64],
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        for attempt in 0..RACES {
            let known = self.item(key(sender)).await?;
            let writes: u64 =
                known.as_ref().map(|item| number_of(item, "v")).transpose()?.flatten().unwrap_or(0);
            let mut arrived: Arrived =
                known.as_ref().map(|item| read(item, "data")).transpose()?.unwrap_or_default();
            let mut is_news = false;
            for sequence in sequences {
                is_news |= arrived.add(*sequence, at);
            }
            if !is_news {
                return Ok(());
            }
            let mut item = with(keyed(key(sender)), "data", json(&arrived)?);
            item = with(with(item, "v", number(writes + 1)), "sender", text(sender.sender.as_str()));
            if let Some(team) = &sender.team {
                item = with(item, "team", text(team.as_str()));
            }
            if self.put_versioned(item, writes).await? {
                return Ok(());
            }
            pause(attempt).await;
        }
        Err(LedgerError::Retry(format!("sender {sender} was noted by others for long")))
    }

    async fn senders(&self, after: Option<&SenderKey>, limit: usize) -> Result<Vec<Sender>, LedgerError> {
        let first = after.map(|after| key(after).1);
        let first = first.as_deref();
        let parts: Vec<Vec<Sender>> = stream::iter(0..SPREAD)
            .map(|part| async move {
                let sort = first
                    .map_or(Sort::All, |first| Sort::Between(first.to_owned(), '\u{10ffff}'.to_string()));
                let mut some = Vec::new();
                // One more, as the one to begin after is listed, too.
                let most = limit.saturating_add(1);
                self.query(Query { sort, ..Query::of(&format!("N#{part}")) }, |item| {
                    some.push(sender(&item)?);
                    Ok(some.len() < most)
                })
                .await?;
                Ok::<_, LedgerError>(some)
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let mut senders: Vec<_> = parts.into_iter().flatten().collect();
        senders.retain(|sender| after.is_none_or(|after| sender.key > *after));
        senders.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        senders.truncate(limit);
        Ok(senders)
    }
}

/// Sorts by team, none first, and name.
fn key(sender: &SenderKey) -> Key {
    let team = sender.team.as_ref().map_or("", TeamId::as_str);
    let order = format!("{}\u{1}{}", team, sender.sender);
    (format!("N#{}", keys::spread(&order, SPREAD)), order)
}

fn sender(item: &Item) -> Result<Sender, LedgerError> {
    let broken = |e: shared::id::IdError| LedgerError::Broken(format!("a sender is not readable: {e}"));
    let team = item.get("team").and_then(|team| team.as_s().ok());
    let team = team.map(|team| TeamId::parse(team)).transpose().map_err(broken)?;
    let key = SenderKey { team, sender: SenderId::parse(str_of(item, "sender")?).map_err(broken)? };
    Ok(Sender { key, arrived: read(item, "data")? })
}
