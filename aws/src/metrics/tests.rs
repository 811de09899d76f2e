//! What CloudWatch is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::operation::put_metric_data::{
    PutMetricDataError, PutMetricDataInput, PutMetricDataOutput,
};
use aws_sdk_cloudwatch::types::MetricDatum;
use aws_smithy_mocks::{Rule, mock};
use aws_smithy_types::error::ErrorMetadata;
use jiff::Timestamp;
use shared::clock::Clock;
use shared::id::AgentId;
use shared::ledger::{LedgerError, RollupQuery, RollupRow, RollupStore, TakeRow};
use shared::metrics::{AgentDelta, BatchMetrics, Metrics, NameDelta};
use shared::rollup::{Parts, Scope, ScopeKind};
use shared::totals::Totals;
use shared::usage::{Bucket, Usage};
use shared::window::Range;

use super::series::Dimension;
use super::{Caps, CloudWatch, MemorySeries, SeriesList, SeriesStore, rejected_line};
use crate::mocks::mock_client;

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn totals(tokens: u64, usd: Option<&str>) -> Totals {
    Totals::of_call(&Usage::new([(Bucket::Input, tokens)]).unwrap(), usd.map(|usd| usd.parse().unwrap()))
}

fn agents(agents: &[(&str, Totals)]) -> BatchMetrics {
    let agents = agents
        .iter()
        .map(|(name, totals)| AgentDelta { agent: AgentId::parse(name).unwrap(), totals: totals.clone() });
    BatchMetrics { agents: agents.collect(), ..BatchMetrics::default() }
}

type Puts = Arc<Mutex<Vec<PutMetricDataInput>>>;

fn taking() -> (Rule, Puts) {
    let puts = Puts::default();
    let taken = Arc::clone(&puts);
    let rule = mock!(Client::put_metric_data).then_compute_output(move |input| {
        taken.lock().unwrap().push(input.clone());
        PutMetricDataOutput::builder().build()
    });
    (rule, puts)
}

fn cloud_watch<S: SeriesStore>(rule: &Rule, agents: usize, store: S) -> CloudWatch<S, At> {
    let caps = Caps { agents, models: 1, teams: 1 };
    CloudWatch::new(mock_client!(aws_sdk_cloudwatch, [rule]), "AgentLedger", caps, store, At(now()))
}

/// By metric and dimension value.
fn values(puts: &Puts) -> BTreeMap<(String, String), String> {
    let puts = puts.lock().unwrap();
    puts.iter()
        .flat_map(PutMetricDataInput::metric_data)
        .map(|datum| {
            assert_eq!(datum.timestamp().unwrap().secs(), now().as_second());
            let of =
                datum.dimensions().iter().map(|d| format!("{}={}", d.name().unwrap(), d.value().unwrap()));
            let value = datum.value().map(|value| value.to_string()).unwrap_or_default();
            ((datum.metric_name().unwrap().to_owned(), of.collect::<String>()), value)
        })
        .collect()
}

fn get<'a>(values: &'a BTreeMap<(String, String), String>, name: &str, of: &str) -> Option<&'a str> {
    values.get(&(name.to_owned(), of.to_owned())).map(String::as_str)
}

#[tokio::test]
async fn a_batch_is_one_call_and_each_dimension_sums_to_the_whole() {
    let (rule, puts) = taking();
    let metrics = cloud_watch(&rule, 2, MemorySeries::default());
    let cheap = totals(10, Some("0.000000000000001"));
    let mut batch =
        agents(&[("a", cheap), ("b", totals(20, Some("2000000.5"))), ("c", totals(30, Some("3000000")))]);
    let named = |name: &str, totals| NameDelta { name: name.to_owned(), totals };
    batch.models = vec![named("", totals(10, None)), named("gpt", totals(50, Some("5000000.5")))];
    batch.teams = vec![named(":x", totals(60, Some("5000000.5")))];
    batch.duplicates = 3;
    batch.lag_ms = vec![5, 7, 5];
    metrics.publish(batch).await;
    assert_eq!(puts.lock().unwrap().len(), 1);
    let values = values(&puts);
    assert_eq!(
        get(&values, "TokenCost", ""),
        Some("5000000.5"),
        "the last digit is what CloudWatch cannot hold"
    );
    assert_eq!(get(&values, "TokenCost", "AgentId=b"), Some("2000000.5"));
    assert_eq!(get(&values, "TokenCost", "AgentId=c"), Some("3000000"));
    assert_eq!(get(&values, "TokenCost", "AgentId=a"), None, "the least expensive one has no series");
    assert_eq!(get(&values, "TokenCost", "AgentId=other"), Some("0.000000000000001"));
    assert_eq!(get(&values, "Tokens", "AgentId=other"), Some("10"));
    assert_eq!(get(&values, "Tokens", ""), Some("60"));
    assert_eq!(get(&values, "Events", ""), Some("3"));
    assert_eq!(get(&values, "Unpriced", ""), Some("0"));
    assert_eq!(get(&values, "Unpriced", "AgentId=b"), None);
    assert_eq!(get(&values, "Tokens", "Model=gpt"), Some("50"));
    assert_eq!(get(&values, "Unpriced", "Model=other"), Some("1"));
    assert_eq!(get(&values, "Tokens", "TeamId=%3Ax"), Some("60"));
    assert_eq!(get(&values, "Duplicates", ""), Some("3"));
    assert_eq!(get(&values, "Conflicts", ""), None);
    let puts = puts.lock().unwrap();
    let lag = |d: &&MetricDatum| d.metric_name() == Some("IngestToLedgerLag");
    let lag = puts[0].metric_data().iter().find(lag).unwrap();
    assert_eq!((lag.values(), lag.counts()), (&[5.0, 7.0][..], &[2.0, 1.0][..]));
}

#[tokio::test]
async fn a_series_goes_on_whoever_comes_later_and_a_correction_is_negative() {
    let (rule, puts) = taking();
    let store = Arc::new(MemorySeries::default());
    let metrics = cloud_watch(&rule, 1, Arc::clone(&store));
    metrics.publish(agents(&[("a", totals(1, Some("1")))])).await;
    puts.lock().unwrap().clear();
    metrics.publish(agents(&[("b", totals(9, Some("9"))), ("a", totals(1, Some("1")).negated())])).await;
    let values = values(&puts);
    assert_eq!(get(&values, "TokenCost", "AgentId=a"), Some("-1"));
    assert_eq!(get(&values, "Events", "AgentId=a"), Some("-1"));
    assert_eq!(get(&values, "TokenCost", "AgentId=other"), Some("9"));
    assert_eq!(get(&values, "TokenCost", ""), Some("8"));
    assert_eq!(store.series().await.unwrap().names(Dimension::Agent).collect::<Vec<_>>(), ["a"]);
}

#[tokio::test]
async fn nobody_takes_the_series_of_all_the_others() {
    let (rule, puts) = taking();
    let metrics = cloud_watch(&rule, 5, MemorySeries::default());
    metrics.publish(agents(&[("other", totals(1, Some("1"))), ("a", totals(2, Some("1")))])).await;
    assert_eq!(get(&values(&puts), "Tokens", "AgentId=other"), Some("1"));
}

/// A list that cannot be reached.
struct Down;

impl SeriesStore for Down {
    async fn series(&self) -> Result<SeriesList, LedgerError> {
        Err(LedgerError::Retry("down".to_owned()))
    }

    async fn claim(&self, _: Dimension, _: &[String], _: usize) -> Result<BTreeSet<String>, LedgerError> {
        Err(LedgerError::Retry("down".to_owned()))
    }
}

#[tokio::test]
async fn without_the_list_all_are_in_other_and_the_totals_are_right() {
    let (rule, puts) = taking();
    cloud_watch(&rule, 5, Down).publish(agents(&[("a", totals(1, Some("1")))])).await;
    let values = values(&puts);
    assert_eq!(get(&values, "Tokens", "AgentId=other"), Some("1"));
    assert_eq!(get(&values, "Tokens", ""), Some("1"));
}

#[tokio::test]
async fn nothing_is_sent_for_nothing_and_a_failure_fails_no_batch() {
    let (rule, puts) = taking();
    cloud_watch(&rule, 5, MemorySeries::default()).publish(BatchMetrics::default()).await;
    assert!(puts.lock().unwrap().is_empty());
    let rule = mock!(Client::put_metric_data).then_error(|| {
        PutMetricDataError::generic(ErrorMetadata::builder().code("ThrottlingException").build())
    });
    cloud_watch(&rule, 5, MemorySeries::default()).publish(agents(&[("a", totals(1, Some("1")))])).await;
    assert_eq!(rule.num_calls(), 1);
}

#[tokio::test]
async fn many_series_are_as_few_calls_as_there_can_be() {
    let (rule, puts) = taking();
    let metrics = cloud_watch(&rule, 1_000, MemorySeries::default());
    let names: Vec<String> = (0..1_000).map(|n| format!("agent-{n}")).collect();
    let all: Vec<(&str, Totals)> = names.iter().map(|name| (&**name, totals(1, Some("1")))).collect();
    metrics.publish(agents(&all)).await;
    let puts = puts.lock().unwrap();
    // 1,000 agents with three metrics each, and without dimensions four and the tokens of prompts.
    assert_eq!(puts.iter().map(|put| put.metric_data().len()).collect::<Vec<_>>(), [1_000, 1_000, 1_000, 5]);
}

#[tokio::test]
async fn lags_of_any_number_of_records_are_one_metric() {
    let (rule, puts) = taking();
    let metrics = cloud_watch(&rule, 1, MemorySeries::default());
    metrics.publish(BatchMetrics { lag_ms: (0..10_000).collect(), ..BatchMetrics::default() }).await;
    let puts = puts.lock().unwrap();
    let [datum] = puts[0].metric_data() else { panic!("{puts:?}") };
    assert!(datum.values().len() <= 150);
    assert_eq!(
        datum.counts().iter().map(|count| count.to_string().parse::<u32>().unwrap()).sum::<u32>(),
        10_000
    );
}

/// Rollups of one month.
struct Months(Vec<(Scope, Totals)>);

impl RollupStore for Months {
    async fn rollups(&self, queries: &[RollupQuery], take: TakeRow<'_>) -> Result<(), LedgerError> {
        for (n, query) in queries.iter().enumerate() {
            assert_eq!(query.from, "2026-11-01T00:00:00Z".parse::<Timestamp>().unwrap().as_second());
            for (scope, totals) in &self.0 {
                if scope.kind == query.kind && query.a.as_ref().is_none_or(|a| *a == scope.a) {
                    let parts = Parts(vec![totals.clone()]);
                    take(n, RollupRow { scope: scope.clone(), start: query.from, parts })?;
                }
            }
        }
        Ok(())
    }

    async fn extent(&self) -> Result<Option<Range>, LedgerError> {
        Ok(None)
    }
}

#[tokio::test]
async fn spend_is_absolute_and_published_once_a_minute() {
    let store = MemorySeries::default();
    let names = ["a", "unpriced", "quiet"].map(str::to_owned);
    store.claim(Dimension::Agent, &names, 9).await.unwrap();
    let (rule, puts) = taking();
    let metrics = cloud_watch(&rule, 9, store);
    let mut org = totals(100, Some("10"));
    org.add(&totals(5, None)).unwrap();
    org.add(&totals(5, Some("7.5"))).unwrap();
    let agent = |name| Scope::one(ScopeKind::Agent, name);
    let ledger = Months(vec![
        (Scope::org(), org),
        (agent("a"), totals(100, Some("10"))),
        (agent("unpriced"), totals(5, None)),
        (agent("without-series"), totals(5, Some("7.5"))),
    ]);
    assert_eq!(metrics.publish_spend(&ledger, now()).await, Ok(true));
    let values = values(&puts);
    assert_eq!(get(&values, "SpendToDate", ""), Some("17.5"));
    assert_eq!(get(&values, "SpendToDate", "AgentId=a"), Some("10"));
    assert_eq!(get(&values, "SpendToDate", "AgentId=unpriced"), None, "unknown is not zero");
    assert_eq!(get(&values, "SpendToDate", "AgentId=quiet"), Some("0"));
    assert_eq!(get(&values, "SpendToDate", "AgentId=other"), Some("7.5"));
    let soon = now() + jiff::SignedDuration::from_secs(59);
    assert_eq!(metrics.publish_spend(&ledger, soon).await, Ok(false));
    let later = now() + jiff::SignedDuration::from_secs(60);
    assert_eq!(metrics.publish_spend(&ledger, later).await, Ok(true));
}

#[test]
fn a_rejection_is_a_line_of_the_log() {
    let line: serde_json::Value = serde_json::from_str(&rejected_line("AgentLedger", 3, now())).unwrap();
    assert_eq!(line["Rejected"], 3);
    assert_eq!(line["_aws"]["Timestamp"], now().as_millisecond());
    assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "AgentLedger");
}

#[tokio::test]
async fn shares_of_the_cache_and_of_tasks_have_what_they_are_made_of() {
    let (rule, puts) = taking();
    let metrics = cloud_watch(&rule, 1, MemorySeries::default());
    let mut spent = Totals { events: 1, tasks: [2, 1, 0], ..Totals::default() };
    for (bucket, tokens) in
        [(Bucket::Input, 7), (Bucket::CacheRead, 30), (Bucket::CacheWrite1h, 3), (Bucket::Output, 99)]
    {
        spent.usage[bucket as usize] = tokens;
    }
    metrics.publish(agents(&[("a", spent)])).await;
    let values = values(&puts);
    assert_eq!(get(&values, "PromptTokens", ""), Some("40"));
    assert_eq!(get(&values, "CacheReadTokens", ""), Some("30"));
    assert_eq!(get(&values, "TasksSucceeded", ""), Some("2"));
}
