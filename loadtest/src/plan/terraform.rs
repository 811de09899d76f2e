//! A configuration as variables of the module in `terraform/`.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::choose::Plan;
use super::config::Profile;
use super::numbers::up;

/// What is planned for bursts: requests at once, as a multiple of those of a second.
const BURST: f64 = 2.0;
/// Room above what is expected, where a setting cuts off.
const ROOM: f64 = 1.5;

/// The variables, by name. What is left out has the module's default.
pub(crate) fn variables(plan: &Plan) -> BTreeMap<String, Value> {
    let (config, demand) = (&plan.config, &plan.demand);
    let seconds = |ms: f64, least: u32, most: u32| up(ms / 1_000.0 * ROOM).clamp(least, most);
    let requests = up(demand.submissions * ROOM).max(10);
    let late = up(demand.total_s * ROOM).max(config.window_s + 1);
    let mut variables = json!({
        "profile": if config.is_direct() { "direct" } else { "kinesis" },
        "lanes": config.lanes,
        "aggregator_batching": {
            "window_seconds": config.window_s,
            "batch_size": config.batch_size,
            "parallelization": config.parallelization,
        },
        "alerter_batching": {
            "window_seconds": config.alerter_window_s,
            "batch_size": config.alerter_batch,
            "parallelization": config.alerter_parallelization,
        },
        "memory_mb": {
            "ingest": config.ingest_mb,
            "aggregator": config.aggregator_mb,
            "alerter": config.alerter_mb,
        },
        "timeout_seconds": {
            "aggregator": seconds(demand.aggregator_longest_ms, 120, 900),
            "alerter": seconds(demand.alerter_ms, 60, 900),
        },
        "throttle": {
            "rate_limit": requests,
            "burst_limit": up(f64::from(requests) * BURST),
        },
        "metric_agents": config.metric_agents,
        "alarm_thresholds": {
            "iterator_age_seconds": late.max(60),
            "ledger_lag_seconds": late.max(120),
        },
    });
    match config.profile {
        Profile::Direct => {}
        Profile::KinesisOnDemand => variables["stream_mode"] = json!("ON_DEMAND"),
        Profile::KinesisProvisioned => {
            variables["stream_mode"] = json!("PROVISIONED");
            variables["shard_count"] = json!(config.shards);
        }
    }
    match variables {
        Value::Object(variables) => variables.into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

/// The lines of a `.tfvars` file.
pub(crate) fn tfvars(variables: &BTreeMap<String, Value>) -> Vec<String> {
    let width = variables.keys().map(String::len).max().unwrap_or(0);
    let text = |value: &Value| match value {
        Value::Object(fields) => {
            // By name, whatever order a feature of serde_json keeps them in.
            let fields: BTreeMap<_, _> = fields.iter().collect();
            let fields: Vec<_> =
                fields.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        value => value.to_string(),
    };
    variables.iter().map(|(name, value)| format!("{name:width$} = {}", text(value))).collect()
}
