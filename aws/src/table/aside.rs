//! Conflicts, what was put aside, and the watermark.

use jiff::Timestamp;
use shared::hash::ContentHash;
use shared::ledger::{Conflict, LedgerError, QuarantineState, Quarantined};

use super::Table;
use super::call::{failed, is_refused};
use super::keys::{self, META};
use super::value::{json, keyed, read, str_of, text, with};

const CLOSED: &str = "closed_before";

impl Table {
    pub(super) async fn keep_conflict(&self, conflict: &Conflict) -> Result<bool, LedgerError> {
        let pk = format!("C#{}#{}", keys::escape(conflict.agent.as_str()), conflict.key);
        let item = keyed((pk, conflict.refused.as_str().to_owned()));
        let order = format!("{}#{}", keys::nanos(conflict.at), conflict.refused.as_str());
        let item = with(with(item, "tpk", text("C")), "tsk", text(order));
        self.put_new(with(item, "data", json(conflict)?)).await
    }

    pub(super) async fn put_aside(&self, item: &Quarantined) -> Result<bool, LedgerError> {
        self.put_new(aside(item)?).await
    }

    pub(super) async fn aside_item(&self, id: &str) -> Result<Option<Quarantined>, LedgerError> {
        self.item(aside_key(id)).await?.map(|item| read(&item, "data")).transpose()
    }

    /// All but the state is written once, so that only a removal in between has to be told apart.
    pub(super) async fn mark_aside(&self, id: &str, state: &QuarantineState) -> Result<bool, LedgerError> {
        let Some(mut item) = self.aside_item(id).await? else { return Ok(false) };
        item.state = state.clone();
        let (pk, sk) = aside_key(id);
        let marked = self
            .client()
            .update_item()
            .table_name(self.name())
            .key("pk", text(pk))
            .key("sk", text(sk))
            .update_expression("SET #data = :data")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#data", "data")
            .expression_attribute_values(":data", json(&item)?)
            .send()
            .await;
        match marked {
            Ok(_) => Ok(true),
            Err(e) if is_refused(&e) => Ok(false),
            Err(e) => Err(failed("marking what was put aside", &e)),
        }
    }

    pub(super) async fn remove_aside(&self, id: &str) -> Result<bool, LedgerError> {
        let (pk, sk) = aside_key(id);
        let removed = self
            .client()
            .delete_item()
            .table_name(self.name())
            .key("pk", text(pk))
            .key("sk", text(sk))
            .condition_expression("attribute_exists(pk)")
            .send()
            .await;
        match removed {
            Ok(_) => Ok(true),
            Err(e) if is_refused(&e) => Ok(false),
            Err(e) => Err(failed("removing what was put aside", &e)),
        }
    }

    pub(super) async fn watermark(&self) -> Result<Option<Timestamp>, LedgerError> {
        let Some(item) = self.item((META.to_owned(), CLOSED.to_owned())).await? else { return Ok(None) };
        let broken = |e: jiff::Error| LedgerError::Broken(format!("the stored closed_before: {e}"));
        Ok(Some(str_of(&item, "at")?.parse().map_err(broken)?))
    }

    pub(super) async fn move_watermark(&self, at: Timestamp) -> Result<(), LedgerError> {
        let moved = self
            .client()
            .update_item()
            .table_name(self.name())
            .key("pk", text(META))
            .key("sk", text(CLOSED))
            .update_expression("SET #at = :at, #order = :order")
            .condition_expression("attribute_not_exists(pk) OR #order < :order")
            .expression_attribute_names("#at", "at")
            .expression_attribute_names("#order", "order")
            .expression_attribute_values(":at", text(at.to_string()))
            .expression_attribute_values(":order", text(keys::nanos(at)))
            .send()
            .await;
        match moved {
            Ok(_) => Ok(()),
            // It is there already, or further.
            Err(e) if is_refused(&e) => Ok(()),
            Err(e) => Err(failed("moving the watermark", &e)),
        }
    }
}

/// The item of something put aside; its id can be longer than a key.
pub(super) fn aside(item: &Quarantined) -> Result<super::value::Item, LedgerError> {
    let kept = keyed(aside_key(&item.id));
    let order = format!("{}#{}", keys::nanos(item.at), ContentHash::of_bytes(item.id.as_bytes()).as_str());
    let kept = with(with(kept, "tpk", text("Q")), "tsk", text(order));
    Ok(with(kept, "data", json(item)?))
}

pub(super) fn aside_key(id: &str) -> keys::Key {
    (format!("Q#{}", ContentHash::of_bytes(id.as_bytes()).as_str()), "Q".to_owned())
}
