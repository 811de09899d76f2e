//! Alert state, moved conditionally, the history of alerts, and which of them are on their way.

use std::collections::HashSet;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use shared::alert::{Alert, AlertState, Delivery, StateKey};
use shared::id::BudgetName;
use shared::ledger::{AlertQuery, AlertStore, LedgerError};

use super::call::{RACES, failed, pause};
use super::keys::{self, DUE, Key, PENDING};
use super::value::{Item, json, keyed, number, number_of, read, str_of, text, with};
use super::{BY_TIME, Query, Sort, Table};

/// How many alerts are read at once.
const PAGE: usize = 100;
/// After everything else in a sort key.
const END: char = '\u{10ffff}';

impl AlertStore for Table {
    async fn alert_state(&self, key: &StateKey) -> Result<AlertState, LedgerError> {
        let item = self.item(state_key(key)).await?;
        item.map_or_else(|| Ok(AlertState::default()), |item| read(&item, "data"))
    }

    async fn advance_alerts(
        &self,
        key: &StateKey,
        expected: u64,
        next: &AlertState,
        alerts: &[Alert],
    ) -> Result<bool, LedgerError> {
        let state = with(keyed(state_key(key)), "data", json(next)?);
        let mut items = vec![self.condition(with(state, "v", number(next.revision)), Some(expected))?];
        for alert in alerts {
            let order = order(alert);
            let note = with(keyed((PENDING.to_owned(), order.clone())), "alert", text(&alert.id));
            let item = with(keyed(keys::alert(&alert.id)), "data", json(alert)?);
            let item = with(with(item, "tpk", text("L")), "tsk", text(order));
            items.push(self.condition(item, None)?);
            items.push(self.put_anyway(note)?);
        }
        for attempt in 0..RACES {
            let sent = self.client().transact_write_items().set_transact_items(Some(items.clone()));
            let Err(error) = sent.send().await else { return Ok(true) };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            else {
                return Err(failed("storing alerts", &error));
            };
            let codes = || cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
            if codes().any(|code| code == "ConditionalCheckFailed") {
                return Ok(false);
            }
            if codes().any(|code| code == "ValidationError") {
                return Err(LedgerError::Broken(format!("storing alerts: {error:?}")));
            }
            pause(attempt).await;
        }
        Err(LedgerError::Retry("alert state was in use by others for long".to_owned()))
    }

    async fn mark_delivered(&self, id: &str) -> Result<(), LedgerError> {
        let (pk, sk) = keys::alert(id);
        let Some(item) = self.item((pk.clone(), sk.clone())).await? else { return Ok(()) };
        self.client()
            .update_item()
            .table_name(self.name())
            .key("pk", text(pk))
            .key("sk", text(sk))
            .update_expression("SET delivered = :yes")
            .expression_attribute_values(":yes", aws_sdk_dynamodb::types::AttributeValue::Bool(true))
            .send()
            .await
            .map_err(|e| failed("noting a delivery", &e))?;
        // After the alert, so that none is forgotten: a note of one that is delivered is passed over.
        self.remove((PENDING.to_owned(), str_of(&item, "tsk")?.to_owned())).await
    }

    async fn note_due(&self, key: &StateKey) -> Result<(), LedgerError> {
        let item = with(keyed(due_key(key)), "budget", text(key.budget.as_str()));
        let item = with(item, "version", number(key.version));
        self.put_new(with(item, "period_start", number(key.period_start))).await.map(drop)
    }

    async fn due(&self, limit: usize) -> Result<Vec<StateKey>, LedgerError> {
        let mut due = Vec::new();
        if limit == 0 {
            return Ok(due);
        }
        self.query(Query::of(DUE), |item| {
            let broken = || LedgerError::Broken("a note of what is due is not readable".to_owned());
            due.push(StateKey {
                budget: BudgetName::parse(str_of(&item, "budget")?).map_err(|_| broken())?,
                version: number_of(&item, "version")?.ok_or_else(broken)?,
                period_start: number_of(&item, "period_start")?.ok_or_else(broken)?,
            });
            Ok(due.len() < limit)
        })
        .await?;
        Ok(due)
    }

    async fn clear_due(&self, key: &StateKey) -> Result<(), LedgerError> {
        self.remove(due_key(key)).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<Alert>, LedgerError> {
        let place = query.after.as_ref().map(|(at, id)| format!("{}#{id}", keys::nanos(*at)));
        let end = END.to_string();
        let (first, last) = match (&place, query.oldest_first) {
            (Some(after), true) => (after.clone(), end),
            (Some(after), false) => ("0".to_owned(), after.clone()),
            (None, _) => ("0".to_owned(), end),
        };
        let sort = Sort::Between(first, last);
        let is_pending = query.state == Some(Delivery::Pending);
        let newest_first = !query.oldest_first;
        let list = if is_pending {
            // Consistent: what was decided a moment ago is to be delivered now.
            Query { sort, newest_first, ..Query::of(PENDING) }
        } else {
            Query { index: Some(BY_TIME), sort, newest_first, page: Some(PAGE), ..Query::of("L") }
        };
        let mut listed: Vec<(String, Key)> = Vec::new();
        self.query(list, |item| {
            let (order, key) = if is_pending {
                (str_of(&item, "sk")?, keys::alert(str_of(&item, "alert")?))
            } else {
                (str_of(&item, "tsk")?, (str_of(&item, "pk")?.to_owned(), str_of(&item, "sk")?.to_owned()))
            };
            if Some(order) != place.as_deref() {
                listed.push((order.to_owned(), key));
            }
            Ok(true)
        })
        .await?;
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for some in listed.chunks(PAGE) {
            let items = self.items(some.iter().map(|(_, key)| key.clone()).collect()).await?;
            for (_, key) in some {
                let Some(item) = items.get(key).filter(|_| seen.insert(key.clone())) else { continue };
                let alert = alert(item)?;
                if found.len() < query.limit && is_asked_for(query, &alert) {
                    found.push(alert);
                }
            }
            if found.len() >= query.limit {
                break;
            }
        }
        Ok(found)
    }
}

fn is_asked_for(query: &AlertQuery, alert: &Alert) -> bool {
    query.budget.as_ref().is_none_or(|budget| *budget == alert.budget)
        && query.period_start.is_none_or(|start| start == alert.period_start.as_second())
        && query.kind.is_none_or(|kind| kind == alert.kind)
        && query.state.is_none_or(|state| state == alert.state)
}

fn alert(item: &Item) -> Result<Alert, LedgerError> {
    let mut alert: Alert = read(item, "data")?;
    alert.state = if item.contains_key("delivered") { Delivery::Delivered } else { Delivery::Pending };
    Ok(alert)
}

fn order(alert: &Alert) -> String {
    format!("{}#{}", keys::nanos(alert.at), alert.id)
}

fn state_key(key: &StateKey) -> Key {
    (format!("S#{}#{}#{}", key.budget, key.version, key.period_start), "S".to_owned())
}

fn due_key(key: &StateKey) -> Key {
    (DUE.to_owned(), format!("{}#{:020}#{:020}", key.budget, key.version, key.period_start))
}

impl Table {
    /// Writes an item if there is none, or if it has the revision that was read; a state that was never stored has
    /// the revision 0.
    fn condition(&self, item: Item, expected: Option<u64>) -> Result<TransactWriteItem, LedgerError> {
        let put = Put::builder().table_name(self.name()).set_item(Some(item));
        let put = match expected {
            None | Some(0) => put.condition_expression("attribute_not_exists(pk)"),
            Some(expected) => {
                put.condition_expression("v = :v").expression_attribute_values(":v", number(expected))
            }
        };
        let put = put.build().map_err(|e| LedgerError::Broken(e.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    fn put_anyway(&self, item: Item) -> Result<TransactWriteItem, LedgerError> {
        let put = Put::builder().table_name(self.name()).set_item(Some(item)).build();
        let put = put.map_err(|e| LedgerError::Broken(e.to_string()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}
