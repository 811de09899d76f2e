//! From what a batch did to what CloudWatch takes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Display;

use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension as CloudDimension, MetricDatum, StandardUnit};
use jiff::Timestamp;
use shared::event::TaskResult;
use shared::metrics::BatchMetrics;
use shared::money::UsdSum;
use shared::totals::Totals;
use shared::usage::Bucket;

use super::series::{Dimension, OTHER, SeriesList};

/// The most different values of one metric in one call.
const MAX_VALUES: usize = 150;
/// The series of calls that name no model or no team.
const NOT_STATED: &str = "(not stated)";

/// Tokens of a prompt that came from a cache.
const CACHED: [Bucket; 3] = [Bucket::CacheRead, Bucket::CacheReadAudio, Bucket::CacheReadImage];
/// The other tokens of a prompt.
const PROMPT: [Bucket; 5] =
    [Bucket::Input, Bucket::CacheWrite5m, Bucket::CacheWrite1h, Bucket::InputAudio, Bucket::InputImage];

/// What a batch did, by dimension.
pub(super) struct Batch {
    total: Totals,
    by: BTreeMap<Dimension, BTreeMap<String, Totals>>,
    lag_ms: Vec<u64>,
    counts: [(&'static str, u64); 3],
}

impl Batch {
    pub(super) fn of(metrics: BatchMetrics) -> Self {
        let counts = [
            ("Duplicates", metrics.duplicates),
            ("Conflicts", metrics.conflicts),
            ("Quarantined", metrics.quarantined),
        ];
        let mut batch =
            Self { total: Totals::default(), by: BTreeMap::new(), lag_ms: metrics.lag_ms, counts };
        for delta in metrics.agents {
            // A sum that would not fit is left out: the ledger has the exact one.
            let _ = batch.total.add(&delta.totals);
            batch.add(Dimension::Agent, delta.agent.as_str(), &delta.totals);
        }
        for delta in metrics.models {
            batch.add(Dimension::Model, &delta.name, &delta.totals);
        }
        for delta in metrics.teams {
            batch.add(Dimension::Team, &delta.name, &delta.totals);
        }
        batch
    }

    fn add(&mut self, dimension: Dimension, name: &str, totals: &Totals) {
        let sum = self.by.entry(dimension).or_default().entry(name.to_owned()).or_default();
        let _ = sum.add(totals);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by.is_empty() && self.lag_ms.is_empty() && self.counts.iter().all(|(_, count)| *count == 0)
    }

    /// The names in it, the most expensive first, then those with the most tokens.
    pub(super) fn names_by_cost(&self, dimension: Dimension) -> Vec<String> {
        let mut names: Vec<_> = self.by.get(&dimension).into_iter().flatten().collect();
        names.sort_by_key(|(_, totals)| Reverse((totals.cost, totals.tokens())));
        names.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// All of it, stamped with `now`.
    pub(super) fn data(&self, series: &SeriesList, now: Timestamp) -> Vec<MetricDatum> {
        let mut data = Data::new(now);
        if !self.by.is_empty() {
            data.totals(None, &self.total);
            data.shares(&self.total);
        }
        for (dimension, names) in &self.by {
            let mut other = Totals::default();
            for (name, totals) in names {
                if series.has(*dimension, name) {
                    data.totals(Some((*dimension, name)), totals);
                } else {
                    let _ = other.add(totals);
                }
            }
            data.totals(Some((*dimension, OTHER)), &other);
        }
        for (name, count) in self.counts {
            if count > 0 {
                data.number(name, None, StandardUnit::Count, &count);
            }
        }
        data.lag(&self.lag_ms);
        data.0
    }
}

/// Metrics of one instant.
pub(super) struct Data(Vec<MetricDatum>, DateTime);

impl Data {
    pub(super) fn new(now: Timestamp) -> Self {
        Self(Vec::new(), DateTime::from_millis(now.as_millisecond()))
    }

    pub(super) fn into_inner(self) -> Vec<MetricDatum> {
        self.0
    }

    /// The four metrics of what was committed. Of a series, what is zero is left out: a series is paid for in each
    /// month in which it gets a value. Without dimensions all are there, so that alarms always find a value.
    fn totals(&mut self, of: Option<(Dimension, &str)>, totals: &Totals) {
        if of.is_none() || totals.cost != UsdSum::ZERO {
            self.number("TokenCost", of, StandardUnit::None, &totals.cost);
        }
        let counts = [
            ("Tokens", totals.tokens()),
            ("Events", totals.events.into()),
            ("Unpriced", totals.unpriced_events.into()),
        ];
        for (name, count) in counts {
            if of.is_none() || count != 0 {
                self.number(name, of, StandardUnit::Count, &count);
            }
        }
    }

    /// What shares are made of: tokens of prompts, those of them that a cache had, and tasks that succeeded.
    fn shares(&mut self, totals: &Totals) {
        let sum = |buckets: &[Bucket]| buckets.iter().map(|b| totals.usage[*b as usize]).sum::<i128>();
        let cached = sum(&CACHED);
        let counts = [
            ("PromptTokens", cached + sum(&PROMPT)),
            ("CacheReadTokens", cached),
            ("TasksSucceeded", totals.tasks[TaskResult::Success as usize].into()),
        ];
        for (name, count) in counts {
            if count != 0 {
                self.number(name, None, StandardUnit::Count, &count);
            }
        }
    }

    /// One metric of one value.
    pub(super) fn number(
        &mut self,
        name: &str,
        of: Option<(Dimension, &str)>,
        unit: StandardUnit,
        value: &impl Display,
    ) {
        let datum = MetricDatum::builder()
            .metric_name(name)
            .timestamp(self.1)
            .unit(unit)
            .value(float(value))
            .set_dimensions(of.map(|(dimension, name)| vec![cloud_dimension(dimension, name)]))
            .build();
        self.0.push(datum);
    }

    /// Times from receipt to commit, each value with how often it was there, so that percentiles are right.
    fn lag(&mut self, lag_ms: &[u64]) {
        if lag_ms.is_empty() {
            return;
        }
        let counted = counted(lag_ms);
        let datum = MetricDatum::builder()
            .metric_name("IngestToLedgerLag")
            .timestamp(self.1)
            .unit(StandardUnit::Milliseconds)
            .set_values(Some(counted.keys().map(float).collect()))
            .set_counts(Some(counted.values().map(float).collect()))
            .build();
        self.0.push(datum);
    }
}

/// Values with how often each is there. Where there are more than CloudWatch takes, they are rounded down to the
/// smallest power of two at which there are not.
fn counted(values: &[u64]) -> BTreeMap<u64, u64> {
    let mut shift = 0;
    loop {
        let mut counted = BTreeMap::new();
        for value in values {
            *counted.entry((value >> shift) << shift).or_default() += 1;
        }
        if counted.len() <= MAX_VALUES {
            return counted;
        }
        shift += 1;
    }
}

/// What CloudWatch takes as a dimension's value: not empty, and not beginning with a colon.
fn cloud_dimension(dimension: Dimension, name: &str) -> CloudDimension {
    let value = match name {
        "" => NOT_STATED.to_owned(),
        name => name.strip_prefix(':').map_or_else(|| name.to_owned(), |rest| format!("%3A{rest}")),
    };
    CloudDimension::builder().name(dimension.name()).value(value).build()
}

/// The nearest number that CloudWatch can hold: read from the exact decimal's text, as nothing here computes with
/// floats. Only this rounds; the ledger keeps every digit.
fn float(value: &impl Display) -> f64 {
    value.to_string().parse().unwrap_or_default()
}

/// Divides metrics into calls within CloudWatch's limits.
pub(super) fn calls(data: Vec<MetricDatum>, most: usize, bytes: usize) -> Vec<Vec<MetricDatum>> {
    let mut calls: Vec<Vec<MetricDatum>> = Vec::new();
    let mut size = 0;
    for datum in data {
        let more = weight(&datum);
        match calls.last_mut() {
            Some(call) if call.len() < most && size + more <= bytes => {
                size += more;
                call.push(datum);
            }
            _ => {
                size = more;
                calls.push(vec![datum]);
            }
        }
    }
    calls
}

/// About the most bytes that a metric takes in a request.
fn weight(datum: &MetricDatum) -> usize {
    let dimensions = datum.dimensions().iter();
    let names: usize =
        dimensions.map(|d| d.name().map_or(0, str::len) + d.value().map_or(0, str::len) + 40).sum();
    250 + names * 3 + (datum.values().len() + datum.counts().len()) * 60
}
