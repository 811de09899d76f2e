//! Budgets, by name. A removed one leaves its version behind, so that no alert id comes twice.

use jiff::Timestamp;
use shared::budget::{Budget, BudgetSpec};
use shared::id::BudgetName;
use shared::ledger::{BudgetStore, LedgerError};

use super::Table;
use super::call::{RACES, pause};
use super::keys::BUDGETS;
use super::value::{Item, json, keyed, number, number_of, read, with};

impl BudgetStore for Table {
    async fn budgets(&self) -> Result<Vec<Budget>, LedgerError> {
        let items = self.partition(BUDGETS).await?;
        items.iter().filter(|item| item.contains_key("data")).map(|item| read(item, "data")).collect()
    }

    async fn set_budget(&self, spec: &BudgetSpec, at: Timestamp) -> Result<Budget, LedgerError> {
        for attempt in 0..RACES {
            let known = self.item(key(&spec.name)).await?;
            let (writes, version) = counted(known.as_ref())?;
            if let Some(item) = known.filter(|item| item.contains_key("data")) {
                let budget: Budget = read(&item, "data")?;
                if budget.spec == *spec {
                    return Ok(budget);
                }
            }
            let budget = Budget { spec: spec.clone(), version: version + 1, since: at };
            let item = with(keyed(key(&spec.name)), "data", json(&budget)?);
            let item = with(with(item, "version", number(budget.version)), "v", number(writes + 1));
            if self.put_versioned(item, writes).await? {
                return Ok(budget);
            }
            pause(attempt).await;
        }
        Err(lost(&spec.name))
    }

    async fn remove_budget(&self, name: &BudgetName) -> Result<bool, LedgerError> {
        for attempt in 0..RACES {
            let known = self.item(key(name)).await?;
            let (writes, version) = counted(known.as_ref())?;
            if known.is_none_or(|item| !item.contains_key("data")) {
                return Ok(false);
            }
            let item = with(keyed(key(name)), "version", number(version));
            if self.put_versioned(with(item, "v", number(writes + 1)), writes).await? {
                return Ok(true);
            }
            pause(attempt).await;
        }
        Err(lost(name))
    }
}

fn key(name: &BudgetName) -> super::keys::Key {
    (BUDGETS.to_owned(), name.as_str().to_owned())
}

/// How often the item was written, and the version of the budget.
fn counted(item: Option<&Item>) -> Result<(u64, u64), LedgerError> {
    let of = |name| item.map(|item| number_of(item, name)).transpose().map(|n| n.flatten().unwrap_or(0));
    Ok((of("v")?, of("version")?))
}

fn lost(name: &BudgetName) -> LedgerError {
    LedgerError::Retry(format!("budget {name} was changed by others for long"))
}
