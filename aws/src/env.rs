//! What a function is told by its environment.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The table's name; `AgentLedger` if unset.
pub const TABLE: &str = "AGENTLEDGER_TABLE";
/// The Kinesis stream's name; unset in the `direct` profile, where the table holds an inbox.
pub const STREAM: &str = "AGENTLEDGER_STREAM";
/// How many lanes ingest spreads over: at least the stream's shards.
pub const LANES: &str = "AGENTLEDGER_LANES";
/// The namespace of metrics; `AgentLedger` if unset.
pub const NAMESPACE: &str = "AGENTLEDGER_METRICS_NAMESPACE";
/// Records of a full batch of the aggregator's mapping; unset where rollups are settled after each batch.
pub const BATCH_RECORDS: &str = "AGENTLEDGER_BATCH_RECORDS";
/// For how many seconds full batches may leave it to the next to settle rollups: the mapping's window. Somebody has to
/// sweep each minute then.
pub const SETTLE_SECONDS: &str = "AGENTLEDGER_SETTLE_SECONDS";
/// How many agents have metric series of their own.
pub const METRIC_AGENTS: &str = "AGENTLEDGER_METRIC_AGENTS";
/// Events older than so many days are refused.
pub const LATE_DAYS: &str = "AGENTLEDGER_LATE_DAYS";
/// For how many hours the stream, or the inbox, can bring an event again.
pub const REPLAY_HOURS: &str = "AGENTLEDGER_REPLAY_HOURS";
/// How callers are known: `token`, `iam` or `none`.
pub const AUTH: &str = "AGENTLEDGER_AUTH";
/// Public keys that verify tokens, separated by spaces.
pub const PUBLIC_KEYS: &str = "AGENTLEDGER_PUBLIC_KEYS";
/// Whom tokens are for.
pub const AUDIENCE: &str = "AGENTLEDGER_AUDIENCE";
/// IAM principals and what they may do, as JSON.
pub const PRINCIPALS: &str = "AGENTLEDGER_PRINCIPALS";
/// The topic of notices and recoveries.
pub const TOPIC_INFO: &str = "AGENTLEDGER_TOPIC_INFO";
/// The topic of thresholds below 100%.
pub const TOPIC_WARNING: &str = "AGENTLEDGER_TOPIC_WARNING";
/// The topic of limits that are reached.
pub const TOPIC_CRITICAL: &str = "AGENTLEDGER_TOPIC_CRITICAL";
/// The topic in the schema of chat notifications; unset for none.
pub const TOPIC_CHAT: &str = "AGENTLEDGER_TOPIC_CHAT";
/// The least severe lines that are logged: `error`, `warn`, `info`, `debug`.
pub const LOG: &str = "AGENTLEDGER_LOG";

/// The aggregator's function, for commands that look at it or pause it; `AgentLedger-aggregator` if unset, and `none`
/// where nothing counts but commands.
pub const AGGREGATOR: &str = "AGENTLEDGER_AGGREGATOR";
/// The alerter's function, likewise.
pub const ALERTER: &str = "AGENTLEDGER_ALERTER";
/// URLs of the queues of what mappings gave up, separated by spaces; by the functions' names, with `-failures` behind
/// them, if unset.
pub const FAILURE_QUEUES: &str = "AGENTLEDGER_FAILURE_QUEUES";

/// The table, and the namespaces of stream and metrics, unless said otherwise.
pub const DEFAULT_NAME: &str = "AgentLedger";

/// A variable that is missing, or that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {name} {what}")]
pub struct EnvError {
    /// Which.
    pub name: &'static str,
    /// What is wrong with it, and what it should be.
    pub what: String,
}

/// Reads a variable; none if it is unset or empty.
pub fn optional(name: &'static str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads a variable that has to be there.
pub fn required(name: &'static str) -> Result<String, EnvError> {
    optional(name).ok_or_else(|| EnvError { name, what: "is not set".to_owned() })
}

/// Reads a variable of a type, or takes its default.
pub fn parsed<T>(name: &'static str, default: T) -> Result<T, EnvError>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    match optional(name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|e| EnvError { name, what: format!("is {text:?}: {e}") }),
    }
}

/// How long entries of the table's journals may wait to be settled together.
pub fn settle_every() -> Result<Duration, EnvError> {
    Ok(Duration::from_secs(parsed(SETTLE_SECONDS, 0_u32)?.into()))
}

/// The table's name.
pub fn table() -> String {
    optional(TABLE).unwrap_or_else(|| DEFAULT_NAME.to_owned())
}

/// A function's name, given the variable and what follows the deployment's name; none if it says `none`.
pub fn function(variable: &'static str, suffix: &str) -> Option<String> {
    match optional(variable) {
        Some(name) if name == "none" => None,
        Some(name) => Some(name),
        None => Some(format!("{DEFAULT_NAME}-{suffix}")),
    }
}
