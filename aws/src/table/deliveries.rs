//! Attempts to deliver alerts: the newest ones.

use aws_sdk_dynamodb::types::ReturnValue;
use shared::delivery::{DeliveryAttempt, DeliveryStore, MAX_DELIVERIES};
use shared::ledger::LedgerError;

use super::call::failed;
use super::keys::META;
use super::value::{json, keyed, number, number_of, read, text, with};
use super::{Query, Table};

const DELIVERIES: &str = "DEL";

impl DeliveryStore for Table {
    async fn note_delivery(&self, attempt: &DeliveryAttempt) -> Result<(), LedgerError> {
        let counted = self
            .client()
            .update_item()
            .table_name(self.name())
            .key("pk", text(META))
            .key("sk", text("deliveries"))
            .update_expression("ADD seq :one")
            .expression_attribute_values(":one", number(1))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|e| failed("noting a delivery", &e))?;
        let seq: u64 =
            counted.attributes.as_ref().map(|new| number_of(new, "seq")).transpose()?.flatten().unwrap_or(0);
        let item = with(keyed((DELIVERIES.to_owned(), order(seq))), "data", json(attempt)?);
        self.put_new(item).await?;
        let gone = u64::try_from(MAX_DELIVERIES).ok().and_then(|most| seq.checked_sub(most));
        match gone {
            Some(gone) if gone > 0 => self.remove((DELIVERIES.to_owned(), order(gone))).await,
            _ => Ok(()),
        }
    }

    async fn deliveries(
        &self,
        alert_id: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeliveryAttempt>, LedgerError> {
        let mut found: Vec<DeliveryAttempt> = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        self.query(Query { newest_first: true, ..Query::of(DELIVERIES) }, |item| {
            let attempt: DeliveryAttempt = read(&item, "data")?;
            if alert_id.is_none_or(|id| id == attempt.alert_id) {
                found.push(attempt);
            }
            Ok(found.len() < limit)
        })
        .await?;
        Ok(found)
    }
}

fn order(seq: u64) -> String {
    format!("{seq:020}")
}
