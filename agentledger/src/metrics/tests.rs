//! The exposition against a strict reader of the format, written for it alone.

use std::collections::{BTreeMap, BTreeSet};

use local::host::{Counted, Counters, Gauges, Lag, MAX_AGENT_SERIES, Status};
use shared::alert::AlertKind;
use shared::clock::SystemClock;
use shared::delivery::{DeliveryAttempt, Failure, Outcome};
use shared::id::AgentId;
use shared::metrics::{AgentDelta, BatchMetrics, Metrics as _};
use shared::totals::Totals;
use shared::usage::{Bucket, Usage};

use super::*;

type Labels = BTreeMap<String, String>;

/// Samples by name and labels, read as the format demands, or a panic that says what breaks it.
#[derive(Default)]
struct Read {
    samples: BTreeMap<(String, Labels), String>,
    types: BTreeMap<String, String>,
}

impl Read {
    fn new(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends");
        let mut read = Self::default();
        let (mut current, mut closed, mut helped) = (String::new(), BTreeSet::new(), String::new());
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                assert!(!help.trim().is_empty(), "{name} has a help");
                helped = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(helped, name, "HELP comes right before TYPE");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
                assert!(closed.insert(name.to_owned()), "{name} is there twice");
                assert!(read.types.insert(name.to_owned(), kind.to_owned()).is_none());
                current = name.to_owned();
            } else {
                let (name, labels, value) = sample(line);
                let of = match read.types[&current].as_str() {
                    "histogram" => ["_bucket", "_sum", "_count"]
                        .iter()
                        .find_map(|suffix| name.strip_suffix(suffix))
                        .unwrap_or_else(|| panic!("{name} is no part of a histogram")),
                    _ => name.as_str(),
                };
                assert_eq!(of, current, "samples come under their own TYPE");
                let number: f64 = value.parse().unwrap();
                assert!(number.is_finite() && number >= 0.0, "{line}");
                assert!(read.samples.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        read.histograms();
        read
    }

    /// Buckets grow, and the last one is the count.
    fn histograms(&self) {
        for name in self.types.iter().filter(|(_, kind)| *kind == "histogram").map(|(name, _)| name) {
            let mut series: BTreeMap<Labels, Vec<(f64, u64)>> = BTreeMap::new();
            for ((sample, labels), value) in &self.samples {
                if *sample == format!("{name}_bucket") {
                    let mut labels = labels.clone();
                    let bound = labels.remove("le").unwrap().replace("+Inf", "inf").parse().unwrap();
                    series.entry(labels).or_default().push((bound, value.parse().unwrap()));
                }
            }
            assert!(!series.is_empty(), "{name} has no series");
            for (labels, mut buckets) in series {
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                assert!(buckets.is_sorted_by_key(|(_, n)| *n), "{name}: {buckets:?}");
                let (bound, last) = *buckets.last().unwrap();
                assert!(bound.is_infinite(), "{name} has a bucket without a bound");
                assert_eq!(self.samples[&(format!("{name}_count"), labels.clone())], last.to_string());
                assert!(self.samples.contains_key(&(format!("{name}_sum"), labels)));
            }
        }
    }

    fn one(&self, name: &str, labels: &[(&str, &str)]) -> &str {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let key = (name.to_owned(), labels);
        self.samples.get(&key).unwrap_or_else(|| panic!("there is no {key:?}"))
    }

    fn of(&self, name: &str) -> Vec<&str> {
        self.samples.iter().filter(|((of, _), _)| of == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// Reads `name{label="value",…} number`.
fn sample(line: &str) -> (String, Labels, String) {
    let end = line.find(['{', ' ']).unwrap();
    let name = line[..end].to_owned();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    assert!(name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit()), "{line}");
    let mut labels = Labels::new();
    let mut rest = &line[end..];
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(!label.is_empty() && label.chars().all(word), "{line}");
            let (mut value, mut chars) = (String::new(), after.char_indices());
            let end = loop {
                match chars.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match chars.next().unwrap().1 {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        c => panic!("\\{c} is no escape: {line}"),
                    }),
                    (_, c) => value.push(c),
                }
            };
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            rest = &after[end + 1..];
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = rest.strip_prefix(',').unwrap();
        }
    }
    let value = rest.strip_prefix(' ').unwrap();
    assert!(!value.contains(' '), "{line}");
    (name, labels, value.to_owned())
}

fn delta(agent: &str, tokens: u64, usd: &str) -> AgentDelta {
    let usage = Usage::new([(Bucket::Input, tokens), (Bucket::WebSearches, 1)]).unwrap();
    let totals = Totals::of_call(&usage, Some(usd.parse().unwrap()));
    AgentDelta { agent: AgentId::parse(agent).unwrap(), totals }
}

fn exposition(counters: &Counters) -> Read {
    let lag =
        |source: &str, latest, consumed| Lag { source: source.to_owned(), latest, consumed, trouble: None };
    let counted: Counted = counters.counted();
    let status = Status {
        stream: vec![lag("shardId-0", 9, 7), lag("shardId-1", 4, 4)],
        changes: lag("changes", 3, 3),
        rejected: 5,
        counts: counted.counts.clone(),
    };
    let gauges = move || Gauges {
        status: status.clone(),
        oldest: vec![Some(0), None],
        oldest_change: None,
        pending: Some(local::ledger::PendingAlerts::default()),
        counted: counted.clone(),
    };
    let traffic = Arc::new(Traffic::default());
    traffic.count_for_test("/v1/spend", 400, "bad_parameter");
    traffic.count_for_test("/v1/usage", 200, "");
    let submissions = Admission::of_submissions(1);
    submissions.refuse_for_test();
    Read::new(&Metrics::new(gauges, traffic, submissions, SystemClock).text().unwrap())
}

async fn publish(counters: &Counters, agents: Vec<AgentDelta>) {
    let counts = BatchMetrics { duplicates: 1, conflicts: 2, quarantined: 3, ..BatchMetrics::default() };
    counters.publish(BatchMetrics { agents, ..counts }).await;
}

#[tokio::test]
async fn the_exposition_holds_what_was_counted() {
    let counters = Counters::default();
    publish(&counters, vec![delta("a", 7, "0.1"), delta("quote\"back\\slash", 5, "0.2")]).await;
    // A call without a price, which gets one.
    let unpriced = Totals { unpriced_events: 1, unpriced_tokens: 11, ..Totals::default() };
    let agent = AgentId::parse("u").unwrap();
    for totals in [unpriced.clone(), unpriced.negated()] {
        publish(&counters, vec![AgentDelta { agent: agent.clone(), totals }]).await;
    }
    counters.decided(AlertKind::Threshold);
    counters.decided(AlertKind::Unpriced);
    for outcome in [Outcome::Status(204), Outcome::Status(999), Outcome::Error(Failure::Timeout)] {
        counters.attempted(&DeliveryAttempt {
            alert_id: "a".to_owned(),
            target: "https://x".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            attempt: 1,
            duration_ms: 1,
            outcome,
        });
    }
    let read = exposition(&counters);
    for (name, labels, value) in [
        ("agentledger_events_total", &[][..], "2"),
        ("agentledger_tokens_total", &[("bucket", "input")], "12"),
        ("agentledger_units_total", &[("unit", "web_searches")], "2"),
        ("agentledger_agent_tokens_total", &[("agent_id", "quote\"back\\slash")], "5"),
        ("agentledger_duplicates_total", &[], "3"),
        ("agentledger_conflicts_total", &[], "6"),
        ("agentledger_quarantined_total", &[], "9"),
        ("agentledger_submissions_rejected_total", &[], "5"),
        ("agentledger_submissions_turned_away_total", &[], "1"),
        ("agentledger_stream_lag_records", &[("shard", "shardId-0")], "2"),
        ("agentledger_alerts_decided_total", &[("kind", "threshold")], "1"),
        ("agentledger_alerts_decided_total", &[("kind", "recovered")], "0"),
        ("agentledger_alerts_decided_total", &[("kind", "unpriced")], "1"),
        ("agentledger_unpriced_events_total", &[], "1"),
        ("agentledger_unpriced_tokens_total", &[], "11"),
        ("agentledger_unpriced_tokens_reversed_total", &[], "11"),
        ("agentledger_agent_unpriced_events_total", &[("agent_id", "u")], "1"),
        ("agentledger_agent_unpriced_tokens_total", &[("agent_id", "u")], "11"),
        ("agentledger_agent_unpriced_tokens_reversed_total", &[("agent_id", "u")], "11"),
        ("agentledger_webhook_deliveries_total", &[("outcome", "2xx")], "1"),
        ("agentledger_webhook_deliveries_total", &[("outcome", "timeout")], "1"),
        ("agentledger_http_requests_total", &[("route", "/v1/spend"), ("status", "4xx")], "1"),
        ("agentledger_http_problems_total", &[("code", "bad_parameter")], "1"),
        ("agentledger_build_info", &[("version", env!("CARGO_PKG_VERSION"))], "1"),
    ] {
        assert_eq!(read.one(name, labels), value, "{name}");
    }
    let cost: f64 = read.one("agentledger_cost_usd_total", &[]).parse().unwrap();
    assert!((0.299_999..0.300_001).contains(&cost), "{cost}");
    let age: f64 = read.one("agentledger_stream_lag_seconds", &[("shard", "shardId-0")]).parse().unwrap();
    assert!(age > 1e9);
    assert!(!read.of("process_start_time_seconds").is_empty());
}

#[tokio::test]
async fn counters_never_fall_and_the_agents_sum_to_the_total() {
    let counters = Counters::default();
    let mut before = exposition(&counters);
    for n in 0..MAX_AGENT_SERIES + 20 {
        let one = delta(&format!("agent-{n}"), 10, "0.25");
        let void = AgentDelta { totals: delta("x", 4, "0.125").totals.negated(), ..one.clone() };
        publish(&counters, vec![one, delta("other", 1, "0.5")]).await;
        publish(&counters, vec![void]).await;
        let after = exposition(&counters);
        for ((name, labels), value) in &before.samples {
            if name.ends_with("_total") {
                let old: f64 = value.parse().unwrap();
                let new: f64 = after.samples[&(name.clone(), labels.clone())].parse().unwrap();
                assert!(new >= old, "{name} {labels:?} fell from {old} to {new}");
            }
        }
        before = after;
    }
    let sum = |name: &str| before.of(name).iter().map(|value| value.parse::<f64>().unwrap()).sum::<f64>();
    for suffix in ["_total", "_reversed_total"] {
        let by_agent = format!("agentledger_agent_tokens{suffix}");
        assert_eq!(before.of(&by_agent).len(), MAX_AGENT_SERIES + 1);
        for of in ["tokens", "cost_usd"] {
            let (all, parts) =
                (sum(&format!("agentledger_{of}{suffix}")), sum(&format!("agentledger_agent_{of}{suffix}")));
            assert!(all > 0.0 && all.to_bits() == parts.to_bits(), "{of}{suffix}: {all} {parts}");
        }
    }
}
