//! What AWS lets a deployment do, and how much of it a plan uses.
//!
//! Figures are the defaults of us-east-1 as AWS documents them; each limit names its page. A quota can be raised on
//! request, a hard limit cannot.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use super::config::{Config, MOST_LANES, Profile};
use super::demand::Demand;
use super::limit::{Kind, Limit};
use super::workload::Workload;

/// Units that a partition takes in a second:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>.
pub(crate) const PARTITION_WRITES: f64 = 1_000.0;
pub(crate) const PARTITION_READS: f64 = 3_000.0;
const PARTITION: &str =
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html";
/// Units of a table on demand in a second, 40,000 of each by default.
const TABLE_UNITS: f64 = 40_000.0;
const TABLE: &str = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html";
/// Records and MB that a shard takes in a second; MB of a stream on demand, 10 GB/s at most.
const SHARD_RECORDS: f64 = 1_000.0;
const SHARD_KB: f64 = 1_024.0;
const ON_DEMAND_KB: f64 = 10.0 * 1_024.0 * 1_024.0;
const SHARDS: f64 = 20_000.0;
const KINESIS: &str = "https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html";
/// Executions of an account at a time; invocations of a function in a second are ten times as many; seconds of one
/// execution at most.
const CONCURRENCY: f64 = 1_000.0;
const REQUESTS_FOR_EACH: f64 = 10.0;
const LONGEST_S: f64 = 900.0;
const LAMBDA: &str = "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html";
/// Requests of an account and region in a second.
const API_REQUESTS: f64 = 10_000.0;
const API: &str = "https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html";
/// `PutMetricData` calls in a second.
const METRIC_CALLS: f64 = 500.0;
const CLOUDWATCH: &str =
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html";
/// Messages to topics in a second, and emails of one subscription.
const MESSAGES: f64 = 30_000.0;
const EMAILS: f64 = 10.0;
const SNS: &str = "https://docs.aws.amazon.com/general/latest/gr/sns.html";
/// Thresholds of a budget by default: all alerts of all budgets at once, within a minute, are the most there is.
const THRESHOLDS: f64 = 3.0;
/// What the code or AWS's mapping gives: nothing documents it elsewhere.
const OURS: &str = "docs/adr/0009-dynamodb.md";

const RAISE: &str = "raise the table's throughput quota (Service Quotas, DynamoDB), and pre-warm the table; or larger submissions";
const LOOK_LESS: &str = "fewer budgets, or larger submissions, which leave less open: for each budget the alerters read what is open in all lanes; or raise the table's throughput quota (Service Quotas, DynamoDB)";

/// All limits, the most used first.
pub(crate) fn limits(load: &Workload, config: &Config, demand: &Demand) -> Vec<Limit> {
    let mut limits = functions(demand);
    limits.extend(table(demand));
    limits.extend(ends(load, demand));
    match config.profile {
        Profile::Direct => limits.push(Limit {
            name: "inbox: fullest partition key",
            used: demand.inbox_key,
            most: PARTITION_WRITES,
            unit: "write units/s",
            kind: Kind::Hard,
            remedy: "more lanes (lanes), each with four keys; larger submissions; or the profile kinesis",
            source: PARTITION,
        }),
        Profile::KinesisOnDemand | Profile::KinesisProvisioned => limits.extend(stream(demand, config)),
    }
    limits.sort_by(|a, b| b.used_part().total_cmp(&a.used_part()));
    limits
}

fn stream(demand: &Demand, config: &Config) -> Vec<Limit> {
    let lane = |name, used, most, unit| Limit {
        name,
        used,
        most,
        unit,
        kind: Kind::Hard,
        remedy: "more lanes (lanes, and shard_count if provisioned): a lane is in one shard; larger submissions are fewer records",
        source: KINESIS,
    };
    let mut limits = vec![
        lane("stream: records of the fullest lane", demand.lane_records, SHARD_RECORDS, "records/s"),
        lane("stream: volume of the fullest lane", demand.lane_kb, SHARD_KB, "KB/s"),
        Limit {
            name: "lanes",
            used: f64::from(config.lanes),
            most: f64::from(MOST_LANES),
            unit: "lanes",
            kind: Kind::Hard,
            remedy: "a second deployment, with a part of the agents: Terraform takes 256 lanes",
            source: OURS,
        },
    ];
    if config.lanes > config.consumers() {
        limits.push(Limit {
            name: "aggregator: batches at a time",
            used: f64::from(config.lanes),
            most: f64::from(config.consumers().max(1)),
            unit: "lanes",
            kind: Kind::Setting,
            remedy: "more shards (shard_count) or more batches of each (aggregator_batching.parallelization, up to 10)",
            source: "https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html",
        });
    }
    limits.push(match config.profile {
        Profile::KinesisProvisioned => Limit {
            name: "stream: shards of the account",
            used: f64::from(config.shards),
            most: SHARDS,
            unit: "shards",
            kind: Kind::Quota,
            remedy: "raise the quota of shards per account (Service Quotas, Kinesis Data Streams)",
            source: KINESIS,
        },
        _ => Limit {
            name: "stream: on demand",
            used: demand.stream_kb,
            most: ON_DEMAND_KB,
            unit: "KB/s",
            kind: Kind::Hard,
            remedy: "a second deployment, with a part of the agents; outside us-east-1, us-west-2 and eu-west-1 it is 200 MB/s until raised",
            source: KINESIS,
        },
    });
    limits
}

fn functions(demand: &Demand) -> Vec<Limit> {
    let at_work = demand.ingest_at_work() + demand.aggregator_at_work + demand.alerter_at_work;
    let busy = |name, used, kind, remedy| Limit {
        name,
        used: used * 100.0,
        most: 100.0,
        unit: "% of the time",
        kind,
        remedy,
        source: "docs/cost.md#what-the-figures-rest-on",
    };
    vec![
        busy(
            "aggregator: fullest lane",
            demand.busy,
            Kind::Setting,
            "more memory up to 1,769 MB (memory_mb.aggregator), then more lanes (lanes), then larger submissions",
        ),
        busy(
            "alerter: busiest shard of the table's stream",
            demand.alerter_busy,
            Kind::Setting,
            "more memory (memory_mb.alerter), more at a time (alerter_batching.parallelization), fewer budgets, a shorter window, which leaves less open",
        ),
        Limit {
            name: "alerter: a look at all budgets",
            used: demand.alerter_ms / 1_000.0,
            most: LONGEST_S,
            unit: "s",
            kind: Kind::Hard,
            remedy: "a shorter window or fewer lanes: each look decodes the entries that are open in all of them; fewer budgets",
            source: LAMBDA,
        },
        Limit {
            name: "aggregator: longest batch",
            used: demand.aggregator_longest_ms / 1_000.0,
            most: LONGEST_S,
            unit: "s",
            kind: Kind::Hard,
            remedy: "a shorter window or a smaller batch_size (aggregator_batching), or more lanes",
            source: LAMBDA,
        },
        Limit {
            name: "Lambda: executions at a time",
            used: at_work.max(0.0),
            most: CONCURRENCY,
            unit: "executions",
            kind: Kind::Quota,
            remedy: "raise the quota of concurrent executions (Service Quotas, Lambda), or send larger submissions",
            source: LAMBDA,
        },
        Limit {
            name: "Lambda: requests of ingest",
            used: demand.submissions,
            most: CONCURRENCY * REQUESTS_FOR_EACH,
            unit: "requests/s",
            kind: Kind::Quota,
            remedy: "raise the quota of concurrent executions, of which this is ten times as many; or larger submissions",
            source: LAMBDA,
        },
    ]
}

fn table(demand: &Demand) -> Vec<Limit> {
    let writes = |name, used, remedy| Limit {
        name,
        used,
        most: PARTITION_WRITES,
        unit: "write units/s",
        kind: Kind::Hard,
        remedy,
        source: PARTITION,
    };
    let reads = |name, used, remedy| Limit {
        name,
        used,
        most: PARTITION_READS,
        unit: "read units/s",
        kind: Kind::Hard,
        remedy,
        source: PARTITION,
    };
    let of_alerters = demand.alerter_reads > demand.aggregator_reads;
    let quota = |name, used, unit, remedy| Limit {
        name,
        used,
        most: TABLE_UNITS,
        unit,
        kind: Kind::Quota,
        remedy,
        source: TABLE,
    };
    vec![
        quota("table: write units", demand.writes(), "write units/s", RAISE),
        quota(
            "table: read units",
            demand.reads(),
            "read units/s",
            if of_alerters { LOOK_LESS } else { RAISE },
        ),
        writes(
            "hot key: J#LANE, a lane's journal",
            demand.journal_key,
            "more lanes (lanes); larger submissions: a commit of 90 records then adds to fewer rollups of each",
        ),
        writes(
            "hot key: R#…#BUCKET, rollups of one kind and window",
            demand.rollup_key,
            "a longer window (aggregator_batching.window_seconds), or larger submissions: an agent's rollups are then written less often",
        ),
        writes(
            "hot key: LANES, how far each lane is settled",
            demand.lanes_key,
            "a longer window or larger submissions: a note is written for every 200 rollups",
        ),
        writes(
            "hot key: T#AGENT, pages of the busiest agent",
            demand.pages_key,
            "larger submissions of that agent, or several agent names for it",
        ),
        reads(
            "hot key: J#LANE, read by each alerter",
            demand.journal_reads,
            "a shorter window, which leaves less open; fewer write units, and so fewer shards of the table's stream",
        ),
        reads(
            "hot key: LANES, read by each alerter",
            demand.lanes_reads,
            "fewer budgets, or a longer window of the alerter (alerter_batching.window_seconds)",
        ),
    ]
}

/// What comes in and what goes out.
fn ends(load: &Workload, demand: &Demand) -> Vec<Limit> {
    let alerts = f64::from(load.shape.budgets) * THRESHOLDS / 60.0;
    vec![
        Limit {
            name: "API Gateway: requests",
            used: demand.submissions,
            most: API_REQUESTS,
            unit: "requests/s",
            kind: Kind::Quota,
            remedy: "raise the throttle quota of the account (Service Quotas, API Gateway), or send larger submissions",
            source: API,
        },
        Limit {
            name: "CloudWatch: PutMetricData",
            used: demand.metric_calls,
            most: METRIC_CALLS,
            unit: "calls/s",
            kind: Kind::Quota,
            remedy: "raise the quota of PutMetricData (Service Quotas, CloudWatch), or a longer window",
            source: CLOUDWATCH,
        },
        Limit {
            name: "SNS: messages, all alerts within a minute",
            used: alerts,
            most: MESSAGES,
            unit: "messages/s",
            kind: Kind::Quota,
            remedy: "raise the quota of messages (Service Quotas, SNS)",
            source: SNS,
        },
        Limit {
            name: "SNS: emails of one subscription, likewise",
            used: alerts,
            most: EMAILS,
            unit: "emails/s",
            kind: Kind::Hard,
            remedy: "subscribe a webhook instead of an address, or fewer budgets",
            source: SNS,
        },
    ]
}
