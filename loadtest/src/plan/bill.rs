//! What a deployment's demand costs, in dollars of a month.

use rust_decimal::Decimal;

use super::config::{Config, Profile};
use super::demand::Demand;
use super::price::Price;
use super::workload::Workload;

/// Hours of a month, as AWS's calculator has it.
pub(crate) const MONTH_HOURS: u32 = 730;
const MONTH_SECONDS: f64 = 3_600.0 * 730.0;
const GB: f64 = 1_073_741_824.0;

/// A line of the bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) what: &'static str,
    /// Dollars a month.
    pub(crate) usd: Decimal,
    /// Whether it is in the table of `docs/cost.md`: what grows with events, and the hours of the stream.
    pub(crate) is_usage: bool,
}

/// A bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bill {
    pub(crate) lines: Vec<Line>,
    /// Events of a month.
    pub(crate) events: Decimal,
}

#[expect(clippy::float_arithmetic, reason = "counts that are paid for; dollars are decimals")]
impl Bill {
    pub(crate) fn of(load: &Workload, config: &Config, demand: &Demand) -> Self {
        let d = demand;
        let month = |price: Price, per_second: f64| price.of(decimal(per_second * MONTH_SECONDS));
        let lambda = |per_second: f64, ms: f64, mb: u32| {
            month(Price::LambdaRequest, per_second)
                + month(Price::LambdaGbSecond, per_second * ms * f64::from(mb) / 1_024_000.0)
        };
        let hours = Decimal::from(MONTH_HOURS);
        let stream = match config.profile {
            Profile::KinesisOnDemand => {
                let gb = d.stream_kb / (1024.0 * 1024.0);
                month(Price::OnDemandGbIn, gb) + month(Price::OnDemandGbOut, gb)
            }
            Profile::KinesisProvisioned => month(Price::PutUnit, d.put_units),
            Profile::Direct => month(Price::WriteUnit, d.inbox_units),
        };
        let stream_hours = match config.profile {
            Profile::KinesisOnDemand => Price::OnDemandStreamHour.of(hours),
            Profile::KinesisProvisioned => Price::ShardHour.of(hours * Decimal::from(config.shards)),
            Profile::Direct => Decimal::ZERO,
        };
        let alerter = lambda(d.alerter_calls, d.alerter_ms, config.alerter_mb)
            + month(Price::ReadUnit, d.alerter_reads);
        let usage = [
            ("API Gateway", month(Price::ApiRequest, d.submissions)),
            ("access log", month(Price::LogGb, d.log_bytes / GB)),
            ("ingest function", lambda(d.submissions, d.ingest_ms, config.ingest_mb)),
            (if config.is_direct() { "inbox" } else { "stream, by volume" }, stream),
            ("stream, by the hour", stream_hours),
            ("table: records and pages", month(Price::WriteUnit, d.record_units)),
            ("table: journal", month(Price::WriteUnit, d.journal_units)),
            ("table: rollups", month(Price::WriteUnit, d.rollup_units)),
            ("table: reads of the aggregator", month(Price::ReadUnit, d.aggregator_reads)),
            ("aggregator function", lambda(d.aggregator_batches, d.aggregator_ms, config.aggregator_mb)),
            ("PutMetricData", month(Price::PutMetricData, d.metric_calls)),
            ("alerter, with its reads", alerter),
        ];
        let line = |what, usd, is_usage| Line { what, usd, is_usage };
        let mut lines: Vec<_> = usage.into_iter().map(|(what, usd)| line(what, usd, true)).collect();
        lines.push(line("metric series", Price::MetricMonth.of(Decimal::from(d.metric_series)), false));
        if !config.is_direct() {
            lines.push(line("alarms, dashboards, sweep", watch(hours), false));
        }
        let stored = Price::TableGbMonth.of(decimal(d.stored * load.rate * MONTH_SECONDS / GB));
        lines.push(line("storage of a month's records", stored, false));
        Self { lines, events: decimal(load.rate * MONTH_SECONDS) }
    }

    /// All of it, a month.
    pub(crate) fn total(&self) -> Decimal {
        self.lines.iter().map(|line| line.usd).sum()
    }

    /// What `docs/cost.md` has in its table, for a million events.
    #[cfg(test)]
    pub(crate) fn usage_per_million(&self) -> Decimal {
        self.per_million(self.lines.iter().filter(|line| line.is_usage).map(|line| line.usd).sum())
    }

    /// Dollars a month as dollars for a million events.
    pub(crate) fn per_million(&self, usd: Decimal) -> Decimal {
        if self.events.is_zero() { Decimal::ZERO } else { usd * Decimal::from(1_000_000) / self.events }
    }
}

/// 21 alarms on 23 metrics, two dashboards, and a sweep in each minute with its reads.
fn watch(hours: Decimal) -> Decimal {
    let minutes = hours * Decimal::from(60);
    let gb_seconds = minutes * Decimal::new(25, 3);
    Price::AlarmMonth.of(Decimal::from(23))
        + Price::DashboardMonth.of(Decimal::from(2))
        + Price::ScheduleInvocation.of(minutes)
        + Price::LambdaRequest.of(minutes)
        + Price::LambdaGbSecond.of(gb_seconds)
        + Price::ReadUnit.of(minutes * Decimal::from(105))
}

fn decimal(count: f64) -> Decimal {
    Decimal::try_from(count).unwrap_or(Decimal::MAX)
}
