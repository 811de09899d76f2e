//! A metric as a line of the log, which CloudWatch reads from there: nobody waits for it.

use jiff::Timestamp;
use serde_json::json;

/// The line, in the embedded metric format, that counts `rejected` events as `Rejected`, to be written to the
/// function's standard output as it is.
pub fn rejected_line(namespace: &str, rejected: u64, at: Timestamp) -> String {
    json!({
        "_aws": {
            "Timestamp": at.as_millisecond(),
            "CloudWatchMetrics": [{
                "Namespace": namespace,
                "Dimensions": [[]],
                "Metrics": [{"Name": "Rejected", "Unit": "Count"}],
            }],
        },
        "Rejected": rejected,
    })
    .to_string()
}
