//! What was put aside is found by its id, marked, and taken out, once each.

use jiff::Timestamp;
use shared::ledger::{Ledger, QuarantineState, Quarantined};

use super::{Checked, ensure};

/// `item` is all that is in the quarantine, before and after.
pub(super) async fn quarantined<L: Ledger>(ledger: &L, item: Quarantined) -> Checked {
    let other = Quarantined { id: format!("{} too", item.id), ..item.clone() };
    ensure(ledger.quarantined_item(&item.id).await?.as_ref() == Some(&item), "it is found by its id")?;
    ensure(ledger.quarantined_item(&other.id).await?.is_none(), "and by no other")?;
    let at: Timestamp = "2026-03-08T10:05:00.25Z".parse()?;
    let stuck = QuarantineState::Stuck { reason: "its period is \"closed\"".to_owned(), at };
    ensure(!ledger.mark_quarantined(&other.id, &stuck).await?, "what is not there is not marked")?;
    ensure(!ledger.remove_quarantined(&other.id).await?, "nor taken out")?;
    ensure(ledger.quarantined_item(&other.id).await?.is_none(), "nor made by that")?;
    ensure(ledger.mark_quarantined(&item.id, &stuck).await?, "what is there is marked")?;
    ensure(ledger.mark_quarantined(&item.id, &stuck).await?, "and again, as an answer may have been lost")?;
    let marked = Quarantined { state: stuck, ..item.clone() };
    ensure(ledger.quarantined(9).await? == vec![marked.clone()], "nothing else of it is changed")?;
    ensure(!ledger.quarantine(item.clone()).await?, "it is still there when it comes again")?;
    ensure(ledger.quarantined_item(&item.id).await? == Some(marked), "and keeps its mark")?;
    ensure(ledger.mark_quarantined(&item.id, &QuarantineState::Open).await?, "a mark can be taken back")?;
    ensure(ledger.quarantined(9).await? == vec![item.clone()], "as if it had never been")?;
    ensure(ledger.quarantine(other.clone()).await?, "there is room for another")?;
    ensure(ledger.remove_quarantined(&other.id).await?, "what is there is taken out")?;
    ensure(!ledger.remove_quarantined(&other.id).await?, "once")?;
    ensure(ledger.quarantined(9).await? == vec![item], "and nothing beside it")
}
