//! Which agents, models and teams have series of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::ledger::LedgerError;

use super::CloudWatch;
use super::data::Batch;

/// For how long a list is used before it is read again: others may have claimed series in between. Whoever they
/// are stays in `other` of this process until then, and the totals are right all the same.
const FRESH: SignedDuration = SignedDuration::from_mins(5);
/// The series of all that have none of their own. Nobody can have it: an agent of this name adds to it.
pub(super) const OTHER: &str = "other";

/// A dimension of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// `AgentId`.
    Agent,
    /// `Model`.
    Model,
    /// `TeamId`.
    Team,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Dimension; 3] = [Self::Agent, Self::Model, Self::Team];

    /// Its name in CloudWatch, and for storing.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "AgentId",
            Self::Model => "Model",
            Self::Team => "TeamId",
        }
    }
}

/// The names that have series, by dimension. An empty name stands for "not stated".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesList(BTreeMap<Dimension, BTreeSet<String>>);

impl SeriesList {
    /// Adds a name.
    pub fn insert(&mut self, dimension: Dimension, name: impl Into<String>) {
        self.0.entry(dimension).or_default().insert(name.into());
    }

    /// Whether a name has a series.
    pub fn has(&self, dimension: Dimension, name: &str) -> bool {
        self.0.get(&dimension).is_some_and(|names| names.contains(name))
    }

    /// The names of a dimension.
    pub fn names(&self, dimension: Dimension) -> impl Iterator<Item = &str> {
        self.0.get(&dimension).into_iter().flatten().map(String::as_str)
    }

    /// How many a dimension has.
    pub fn len(&self, dimension: Dimension) -> usize {
        self.0.get(&dimension).map_or(0, BTreeSet::len)
    }
}

/// Stores the list.
pub trait SeriesStore: Send + Sync {
    /// The list.
    fn series(&self) -> impl Future<Output = Result<SeriesList, LedgerError>> + Send;

    /// Adds as many of `names` as there is room for below `most`, the first ones first, and answers with the names
    /// of the dimension as they are then. Adding one again changes nothing, and none is ever taken away.
    fn claim(
        &self,
        dimension: Dimension,
        names: &[String],
        most: usize,
    ) -> impl Future<Output = Result<BTreeSet<String>, LedgerError>> + Send;
}

impl<S: SeriesStore> SeriesStore for std::sync::Arc<S> {
    fn series(&self) -> impl Future<Output = Result<SeriesList, LedgerError>> + Send {
        (**self).series()
    }

    fn claim(
        &self,
        dimension: Dimension,
        names: &[String],
        most: usize,
    ) -> impl Future<Output = Result<BTreeSet<String>, LedgerError>> + Send {
        (**self).claim(dimension, names, most)
    }
}

/// A list that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemorySeries(Mutex<SeriesList>);

impl SeriesStore for MemorySeries {
    async fn series(&self) -> Result<SeriesList, LedgerError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn claim(
        &self,
        dimension: Dimension,
        names: &[String],
        most: usize,
    ) -> Result<BTreeSet<String>, LedgerError> {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = list.0.entry(dimension).or_default();
        for name in names {
            if held.len() < most {
                held.insert(name.clone());
            }
        }
        Ok(held.clone())
    }
}

/// The list as it was last read.
#[derive(Debug, Default)]
pub(super) struct Known {
    list: SeriesList,
    read_at: Option<Timestamp>,
}

impl<S: SeriesStore, C: Clock> CloudWatch<S, C> {
    /// The list, with room found in it for what is in this batch.
    pub(super) async fn series_for(&self, batch: &Batch, now: Timestamp) -> SeriesList {
        let mut list = self.series(now).await;
        for dimension in Dimension::ALL {
            let most = self.caps.of(dimension);
            if list.len(dimension) >= most {
                continue;
            }
            let mut new = batch.names_by_cost(dimension);
            new.retain(|name| name != OTHER && !list.has(dimension, name));
            if new.is_empty() {
                continue;
            }
            match self.store.claim(dimension, &new, most).await {
                Ok(names) => {
                    list.0.insert(dimension, names.clone());
                    self.with_known(|known| known.list.0.insert(dimension, names));
                }
                // They are in `other` this once.
                Err(error) => tracing::warn!(%error, "no metric series was given to new names"),
            }
        }
        list
    }

    /// The list, at most a few minutes old; an older one, or none, if it cannot be read.
    pub(super) async fn series(&self, now: Timestamp) -> SeriesList {
        let fresh = self.with_known(|known| {
            let is_fresh = known.read_at.is_some_and(|at| now.duration_since(at) < FRESH);
            is_fresh.then(|| known.list.clone())
        });
        if let Some(list) = fresh {
            return list;
        }
        match self.store.series().await {
            Ok(list) => self.with_known(|known| {
                known.read_at = Some(now);
                known.list = list.clone();
                list
            }),
            Err(error) => {
                tracing::warn!(%error, "the list of metric series was not read");
                self.with_known(|known| known.list.clone())
            }
        }
    }

    fn with_known<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
