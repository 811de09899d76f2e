//! `agentledger deliveries`: why an alert did, or did not, reach the webhook.

use query::DeliveryReport;

use super::read;
use crate::cli::DeliveriesArgs;
use crate::output::{Grid, number, print, text};
use crate::source::Source;

/// Lists attempts to deliver alerts.
pub(crate) fn deliveries(args: &DeliveriesArgs) -> anyhow::Result<()> {
    let mut params = vec![("limit", args.list.limit.to_string())];
    params.extend(args.alert.clone().map(|alert| ("alert", alert)));
    let answer = Source::open(&args.list.ledger)?.get("/v1/deliveries", &params)?;
    let report: DeliveryReport = read(&answer)?;
    let rows = report.deliveries.into_iter().map(|attempt| {
        vec![
            attempt.at.to_string(),
            attempt.alert_id,
            attempt.target,
            attempt.attempt.to_string(),
            attempt.duration_ms.to_string(),
            attempt.outcome.to_string(),
        ]
    });
    let grid = Grid {
        columns: vec![
            text("at"),
            text("alert"),
            text("target"),
            number("attempt"),
            number("duration_ms"),
            text("outcome"),
        ],
        rows: rows.collect(),
        total: None,
        note: None,
    };
    print(args.list.output.format, &grid, &answer)
}
