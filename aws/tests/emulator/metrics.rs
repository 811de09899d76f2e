//! Metrics, as CloudWatch sums them.

use aws::metrics::{Caps, CloudWatch, MemorySeries};
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use shared::clock::SystemClock;
use shared::id::AgentId;
use shared::metrics::{AgentDelta, BatchMetrics, Metrics};
use shared::totals::Totals;
use shared::usage::{Bucket, Usage};

use super::{config, name, now};

async fn sum(client: &Client, namespace: &str, metric: &str, agent: Option<&str>) -> Option<String> {
    let dimension = agent.map(|agent| vec![Dimension::builder().name("AgentId").value(agent).build()]);
    let now = now().as_second();
    let output = client
        .get_metric_statistics()
        .namespace(namespace)
        .metric_name(metric)
        .set_dimensions(dimension)
        .start_time(DateTime::from_secs(now - 600))
        .end_time(DateTime::from_secs(now + 600))
        .period(3_600)
        .statistics(Statistic::Sum)
        .send()
        .await
        .unwrap();
    let point = output.datapoints.unwrap_or_default().into_iter().next()?;
    point.sum.map(|sum| sum.to_string())
}

#[tokio::test]
#[ignore = "needs the emulator"]
async fn deltas_and_corrections_sum_up_in_series() {
    let client = Client::new(&config().await);
    let namespace = name("AgentLedger");
    let caps = Caps { agents: 300, models: 1, teams: 1 };
    let metrics = CloudWatch::new(client.clone(), &namespace, caps, MemorySeries::default(), SystemClock);
    let one = Totals::of_call(&Usage::new([(Bucket::Input, 4)]).unwrap(), Some("1.25".parse().unwrap()));
    // Enough for a body that the SDK compresses, and for more agents than series.
    let agent = |n: u32| AgentId::parse(&format!("agent-{n:04}")).unwrap();
    let agents = (0..400).map(|n| AgentDelta { agent: agent(n), totals: one.clone() }).collect();
    metrics.publish(BatchMetrics { agents, lag_ms: vec![7, 7, 9], ..BatchMetrics::default() }).await;
    let agents = vec![AgentDelta { agent: agent(0), totals: one.negated() }];
    metrics.publish(BatchMetrics { agents, ..BatchMetrics::default() }).await;

    // What has a metric of the same name with dimensions is not asked for without: ministack adds up all of them,
    // where CloudWatch keeps them apart.
    let sum = async |metric: &str, agent| sum(&client, &namespace, metric, agent).await;
    assert_eq!(sum("TokenCost", Some("agent-0000")).await.as_deref(), Some("0"));
    assert_eq!(sum("TokenCost", Some("agent-0001")).await.as_deref(), Some("1.25"));
    assert_eq!(sum("Tokens", Some("agent-0299")).await.as_deref(), Some("4"));
    assert_eq!(sum("Tokens", Some("agent-0300")).await, None);
    assert_eq!(sum("Tokens", Some("other")).await.as_deref(), Some("400"));
    assert_eq!(sum("Events", Some("other")).await.as_deref(), Some("100"));
    assert_eq!(sum("IngestToLedgerLag", None).await.as_deref(), Some("23"));
}
