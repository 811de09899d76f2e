//! The figures of a run as a table.

use comfy_table::{ContentArrangement, Table, presets};

use super::fresh::EVERY;
use super::outcome::{Outcome, Quantiles};

/// The table that a run ends with.
pub(crate) fn summary(outcome: &Outcome) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["", "p50", "p90", "p99", "p99.9", "max", "of"]);
    let mut row = |what: &str, quantiles: &Quantiles| {
        let ms = |us| milliseconds(us);
        table.add_row([
            what.to_owned(),
            ms(quantiles.p50),
            ms(quantiles.p90),
            ms(quantiles.p99),
            ms(quantiles.p999),
            ms(quantiles.max),
            quantiles.count.to_string(),
        ]);
    };
    row("ingest: arrival to receipt, ms", &outcome.ingest_us);
    row("  of it, from the first byte sent, ms", &outcome.served_us);
    if let Some(fsync) = &outcome.fsync_us {
        row("  the disk: 4 KB appended and synced, ms", fsync);
    }
    if let Some(rollup) = &outcome.rollup_us {
        row("receipt to rollup, each event, ms", rollup);
    }
    if let Some(alert) = &outcome.alert_us {
        row("receipt that crosses to alert sent, ms", alert);
    }
    let mut lines = vec![format!("{}: {}", outcome.scenario, outcome.plan.about), table.to_string()];
    let mut line = |what: &str, text: String| lines.push(format!("{what:<18}{text}"));
    line(
        "throughput",
        format!(
            "{} submissions/s, {} events/s accepted, {} events/s to rollups",
            outcome.submissions_per_second, outcome.accepted_per_second, outcome.committed_per_second
        ),
    );
    line(
        "of submissions",
        format!(
            "{} sent again on purpose, {} refused as they should be, {} tried again for want of a receipt",
            outcome.repeated, outcome.refused, outcome.retries
        ),
    );
    if outcome.plan.slow_clients > 0 {
        line(
            "slow clients",
            format!("{} receipts, {} ended by the server", outcome.slow_accepted, outcome.slow_ended),
        );
    }
    if let Some(restart) = outcome.restart_us {
        line("restart", format!("killed, and ready again after {} ms", milliseconds(restart)));
    }
    if let Some([now, most]) = outcome.memory_mb {
        let processor = outcome.processor_ms.map_or_else(String::new, |[server, ours]| {
            format!("; processor time: server {} s, generator {} s", seconds(server), seconds(ours))
        });
        line("server", format!("{now} MB resident, at most {most} MB{processor}"));
    }
    if outcome.thresholds_crossed > 0 {
        line("alerts", format!("{} thresholds crossed, none without its alert", outcome.thresholds_crossed));
    }
    if outcome.rollup_us.is_some() {
        line(
            "freshness",
            format!("asked for every {} ms: so much of it can be the asking", EVERY.as_millis()),
        );
    }
    line(
        "conservation",
        format!(
            "exact: {} events, {} tokens, in {} combinations of agent, model and hour; drained after {} ms",
            outcome.compared_events,
            outcome.compared_tokens,
            outcome.compared_keys,
            milliseconds(outcome.drained_us)
        ),
    );
    lines.join("\n")
}

/// Microseconds as milliseconds, to three places or so.
pub(crate) fn milliseconds(us: u64) -> String {
    match us {
        0..10_000 => format!("{}.{:02}", us / 1_000, us % 1_000 / 10),
        10_000..100_000 => format!("{}.{}", us / 1_000, us % 1_000 / 100),
        _ => (us / 1_000).to_string(),
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{}", ms / 1_000, ms % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_the_digits_that_matter() {
        assert_eq!(
            [milliseconds(7), milliseconds(1_234), milliseconds(12_345), milliseconds(123_456)],
            ["0.00", "1.23", "12.3", "123"]
        );
    }
}
