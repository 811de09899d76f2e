//! How old what a function reads is: CloudWatch knows, and nobody else.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Statistic};
use jiff::{SignedDuration, Timestamp};

use crate::failure::{self, Failure};

/// How far back is looked: metrics of Lambda are some minutes late.
const BACK: SignedDuration = SignedDuration::from_mins(15);

/// The age of the oldest record of the last minute that a function was invoked in, within the last quarter of an
/// hour; none if it was not invoked then.
pub async fn iterator_age(
    client: &Client,
    function: &str,
    now: Timestamp,
) -> Result<Option<SignedDuration>, Failure> {
    let at = |at: Timestamp| DateTime::from_secs(at.as_second());
    let got = client
        .get_metric_statistics()
        .namespace("AWS/Lambda")
        .metric_name("IteratorAge")
        .dimensions(Dimension::builder().name("FunctionName").value(function).build())
        .start_time(at(now.checked_sub(BACK).unwrap_or(now)))
        .end_time(at(now))
        .period(60)
        .statistics(Statistic::Maximum)
        .send()
        .await;
    let got =
        got.map_err(|e| failure::of("cloudwatch:GetMetricStatistics", &format!("function {function}"), &e))?;
    let points = got.datapoints.unwrap_or_default();
    let newest = points.iter().max_by_key(|point| point.timestamp().map(DateTime::secs));
    #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds")]
    let age = newest.and_then(|point| point.maximum).map(|ms| SignedDuration::from_millis(ms as i64));
    Ok(age)
}
