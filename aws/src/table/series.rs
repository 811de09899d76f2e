//! Which agents, models and teams have metric series of their own: a list for each dimension, that only grows.

use std::collections::BTreeSet;

use shared::ledger::LedgerError;

use super::Table;
use super::call::{RACES, pause};
use super::keys::{Key, META};
use super::value::{json, keyed, number, number_of, read, with};
use crate::metrics::{Dimension, SeriesList, SeriesStore};

impl SeriesStore for Table {
    async fn series(&self) -> Result<SeriesList, LedgerError> {
        let items = self.items(Dimension::ALL.map(key).to_vec()).await?;
        let mut list = SeriesList::default();
        for dimension in Dimension::ALL {
            let names: BTreeSet<String> =
                items.get(&key(dimension)).map(|item| read(item, "data")).transpose()?.unwrap_or_default();
            names.into_iter().for_each(|name| list.insert(dimension, name));
        }
        Ok(list)
    }

    async fn claim(
        &self,
        dimension: Dimension,
        names: &[String],
        most: usize,
    ) -> Result<BTreeSet<String>, LedgerError> {
        for attempt in 0..RACES {
            let known = self.item(key(dimension)).await?;
            let writes: u64 =
                known.as_ref().map(|item| number_of(item, "v")).transpose()?.flatten().unwrap_or(0);
            let before: BTreeSet<String> =
                known.as_ref().map(|item| read(item, "data")).transpose()?.unwrap_or_default();
            let mut held = before.clone();
            for name in names {
                if held.len() < most {
                    held.insert(name.clone());
                }
            }
            if held == before {
                return Ok(held);
            }
            let item = with(keyed(key(dimension)), "data", json(&held)?);
            if self.put_versioned(with(item, "v", number(writes + 1)), writes).await? {
                return Ok(held);
            }
            pause(attempt).await;
        }
        Err(LedgerError::Retry("the list of metric series was in use by others for long".to_owned()))
    }
}

fn key(dimension: Dimension) -> Key {
    (META.to_owned(), format!("series#{}", dimension.name()))
}
