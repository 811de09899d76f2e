//! The metrics by name. Names, labels and what to alarm on are in docs/operations.md.

use std::fmt;

use jiff::Timestamp;
use local::histogram::Measured;
use local::host::{Flow, Flows, Gauges};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use shared::alert::AlertKind;
use shared::clock::Clock;
use shared::delivery::Failure;
use shared::money::UsdSum;
use shared::totals::Totals;
use shared::usage::Bucket;

use super::{Sources, process};

type Written = Result<(), fmt::Error>;

/// What writes families of metrics.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    /// A counter. The encoder writes the suffix `_total`.
    fn counter(&mut self, name: &str, help: &str, value: &impl EncodeCounterValue) -> Written {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        count(&mut family, value)
    }

    /// A counter for each value of one label.
    fn counters<V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (String, V)>,
    ) -> Written {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (of, value) in values {
            count(&mut family.encode_family(&[(label, of.as_str())])?, &value)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: &impl EncodeGaugeValue) -> Written {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)
    }

    fn gauges<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (String, V)>,
    ) -> Written {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (of, value) in values {
            family.encode_family(&[(label, of.as_str())])?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

fn count(metric: &mut MetricEncoder<'_>, value: &impl EncodeCounterValue) -> Written {
    metric.encode_counter::<NoLabelSet, _, f64>(value, None)
}

fn histogram(metric: &mut MetricEncoder<'_>, measured: &Measured) -> Written {
    let bound = |micros: Option<u64>| micros.map_or(f64::INFINITY, seconds);
    let buckets: Vec<(f64, u64)> = measured.buckets.iter().map(|(micros, n)| (bound(*micros), *n)).collect();
    let all = buckets.iter().map(|(_, n)| n).sum();
    metric.encode_histogram::<NoLabelSet>(seconds(measured.sum), all, &buckets, None)
}

/// Microseconds as seconds, by their digits.
fn seconds(micros: u64) -> f64 {
    shown(&format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000))
}

/// Dollars as the nearest float.
fn dollars(sum: UsdSum) -> f64 {
    shown(&sum.to_string())
}

fn shown(digits: &str) -> f64 {
    digits.parse().unwrap_or(f64::NAN)
}

/// A sum that does not fall.
fn whole(sum: i128) -> u64 {
    u64::try_from(sum.max(0)).unwrap_or(u64::MAX)
}

impl<C: Clock + 'static> Collector for Sources<C> {
    fn encode(&self, encoder: DescriptorEncoder) -> Written {
        let gauges = (self.gauges)();
        let mut to = Writer(encoder);
        self.about_process(&mut to)?;
        spend(&mut to, &gauges.counted.flows)?;
        stages(&mut to, &gauges, self.clock.now())?;
        alerts(&mut to, &gauges, self.clock.now())?;
        self.http(&mut to)
    }
}

impl<C> Sources<C> {
    fn about_process(&self, to: &mut Writer<'_>) -> Written {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        to.0.encode_descriptor("agentledger_build_info", "The version that runs", None, MetricType::Gauge)?
            .encode_family(&version)?
            .encode_gauge(&1_u64)?;
        let started = self.started.as_second();
        to.gauge("process_start_time_seconds", "When the process started, in Unix seconds", &started)?;
        match process::resident_bytes() {
            Some(bytes) => to.gauge("process_resident_memory_bytes", "Resident memory", &bytes),
            None => Ok(()),
        }
    }

    fn http(&self, to: &mut Writer<'_>) -> Written {
        let help = "Submissions turned away since too many were worked on";
        to.counter("agentledger_submissions_turned_away", help, &self.submissions.refused())?;
        let routes = self.traffic.routes();
        let help = "Requests not answered yet";
        to.gauge("agentledger_http_requests_in_flight", help, &self.traffic.in_flight())?;
        let help = "Requests answered, by route and class of status";
        let name = "agentledger_http_requests";
        let mut family = to.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for counted in &routes {
            for (class, n) in &counted.classes {
                count(&mut family.encode_family(&[("route", counted.route), ("status", class)])?, n)?;
            }
        }
        let help = "From the head of a request to its answer";
        let name = "agentledger_http_request_duration_seconds";
        let mut family = to.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for counted in routes.iter().filter(|counted| !counted.classes.is_empty()) {
            histogram(&mut family.encode_family(&[("route", counted.route)])?, &counted.durations)?;
        }
        let help = "Requests refused, by the code of the problem";
        to.counters("agentledger_http_problems", help, "code", self.traffic.problems())
    }
}

/// A metric, what it is of, and its value in sums.
type Measure<V> = (&'static str, &'static str, fn(&Totals) -> V);

fn spend(to: &mut Writer<'_>, flows: &Flows) -> Written {
    let counts: [Measure<u64>; 3] = [
        ("agentledger_events", "Model calls", |sums| whole(sums.events.into())),
        ("agentledger_unpriced_events", "Model calls of unknown cost", |sums| {
            whole(sums.unpriced_events.into())
        }),
        ("agentledger_unpriced_tokens", "Tokens of calls of unknown cost", |sums| {
            whole(sums.unpriced_tokens)
        }),
    ];
    for (name, what, of) in counts {
        both(&flows.all, name, what, |name, help, sums| to.counter(name, help, &of(sums)))?;
    }
    both(&flows.all, "agentledger_cost_usd", "Known cost in US dollars", |name, help, sums| {
        to.counter(name, help, &dollars(sums.cost))
    })?;
    for (name, what, label, tokens) in [
        ("agentledger_tokens", "Tokens by bucket", "bucket", true),
        ("agentledger_units", "Units that are not tokens", "unit", false),
    ] {
        both(&flows.all, name, what, |name, help, sums| {
            let buckets = Bucket::ALL.into_iter().filter(|bucket| bucket.is_token() == tokens);
            let values = buckets.map(|b| (b.name().to_owned(), whole(sums.usage[b as usize])));
            to.counters(name, help, label, values)
        })?;
    }
    let by_agent =
        |of: fn(&Flow) -> &Totals| flows.agents.iter().map(move |(name, flow)| (name.clone(), of(flow)));
    for (suffix, taken, of) in [
        ("", "", (|flow| &flow.added) as fn(&Flow) -> &Totals),
        ("_reversed", ", taken back by corrections", |flow| &flow.reversed),
    ] {
        let name = format!("agentledger_agent_tokens{suffix}");
        let help = format!("Tokens by agent, the first 100 of this process and the others as one{taken}");
        to.counters(&name, &help, "agent_id", by_agent(of).map(|(of, sums)| (of, whole(sums.tokens()))))?;
        let name = format!("agentledger_agent_cost_usd{suffix}");
        let help = format!("Known cost in US dollars by agent, the first 100 and the others as one{taken}");
        to.counters(&name, &help, "agent_id", by_agent(of).map(|(of, sums)| (of, dollars(sums.cost))))?;
        let name = format!("agentledger_agent_unpriced_events{suffix}");
        let help =
            format!("Model calls of unknown cost by agent, the first 100 and the others as one{taken}");
        let counts = by_agent(of).map(|(of, sums)| (of, whole(sums.unpriced_events.into())));
        to.counters(&name, &help, "agent_id", counts)?;
        let name = format!("agentledger_agent_unpriced_tokens{suffix}");
        let help = format!("Tokens of those by agent, the first 100 and the others as one{taken}");
        let counts = by_agent(of).map(|(of, sums)| (of, whole(sums.unpriced_tokens)));
        to.counters(&name, &help, "agent_id", counts)?;
    }
    Ok(())
}

/// What was added, and what corrections took back, as two counters: neither ever falls.
fn both(
    flow: &Flow,
    name: &str,
    what: &str,
    mut write: impl FnMut(&str, &str, &Totals) -> Written,
) -> Written {
    write(name, &format!("{what}, newly committed"), &flow.added)?;
    write(&format!("{name}_reversed"), &format!("{what}, taken back by corrections"), &flow.reversed)
}

fn stages(to: &mut Writer<'_>, gauges: &Gauges, now: Timestamp) -> Written {
    let (status, counts) = (&gauges.status, &gauges.counted.counts);
    for (name, help, value) in [
        ("agentledger_duplicates", "Records that came again alike", counts.duplicates),
        ("agentledger_conflicts", "Records that came again with other content", counts.conflicts),
        ("agentledger_quarantined", "What could not be counted and was put aside", counts.quarantined),
        ("agentledger_submissions_rejected", "Submissions without a receipt", status.rejected),
    ] {
        to.counter(name, help, &value)?;
    }
    let shards = || status.stream.iter();
    let lags = shards().map(|lag| (lag.source.clone(), lag.latest.saturating_sub(lag.consumed)));
    let help = "Records of a shard that are durable and not yet in the totals";
    to.gauges("agentledger_stream_lag_records", help, "shard", lags)?;
    let ages = shards().zip(&gauges.oldest).map(|(lag, at)| (lag.source.clone(), age(now, *at)));
    let help = "Age of the oldest such record; 0 where there is none, or where it cannot be read";
    to.gauges("agentledger_stream_lag_seconds", help, "shard", ages)?;
    let lag = status.changes.latest.saturating_sub(status.changes.consumed);
    to.gauge(
        "agentledger_alert_lag_changes",
        "Changes of the ledger that no budget was evaluated for",
        &lag,
    )?;
    let help = "Age of the oldest such change; 0 where there is none";
    to.gauge("agentledger_alert_lag_seconds", help, &age(now, gauges.oldest_change))?;
    let trouble = shards().chain([&status.changes]);
    let trouble = trouble.map(|lag| (lag.source.clone(), u64::from(lag.trouble.is_some())));
    to.gauges("agentledger_trouble", "1 where something hinders a consumer", "source", trouble)?;
    let help = "From the arrival of a record in the stream to its commit";
    let name = "agentledger_commit_lag_seconds";
    let mut family = to.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
    histogram(&mut family, &gauges.counted.commit_lag)
}

fn alerts(to: &mut Writer<'_>, gauges: &Gauges, now: Timestamp) -> Written {
    let counted = &gauges.counted;
    let decided =
        AlertKind::ALL.map(|kind| (kind.name().to_owned(), counted.alerts.get(&kind).copied().unwrap_or(0)));
    to.counters("agentledger_alerts_decided", "Alerts decided, by kind", "kind", decided)?;
    if let Some(pending) = gauges.pending {
        let help = "Alerts that are not known to have arrived";
        to.gauge("agentledger_alerts_pending", help, &pending.count)?;
        let oldest = age(now, pending.oldest.map(Timestamp::as_millisecond));
        to.gauge(
            "agentledger_alerts_pending_seconds",
            "Age of the oldest such alert; 0 if there is none",
            &oldest,
        )?;
    }
    let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().chain(Failure::ALL.map(Failure::name));
    let outcomes =
        classes.map(|class| (class.to_owned(), counted.deliveries.get(class).copied().unwrap_or(0)));
    let help = "Attempts to deliver to the webhook, by class of status or of error";
    to.counters("agentledger_webhook_deliveries", help, "outcome", outcomes)
}

/// Seconds since `at`; 0 where it is none, or in the future.
fn age(now: Timestamp, at: Option<i64>) -> f64 {
    let millis = at.map_or(0, |at| now.as_millisecond().saturating_sub(at).max(0).unsigned_abs());
    seconds(millis.saturating_mul(1_000))
}
