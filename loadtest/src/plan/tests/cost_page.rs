//! `docs/cost.md` is what the ingest handler, the aggregator and the code that makes the table's items come to, run over
//! real events; its units are held to what an emulator says that it consumed (`aws/tests/capacity.rs`).
#![allow(
    clippy::float_arithmetic,
    clippy::float_cmp,
    clippy::unwrap_used,
    reason = "a test compares, and fails by panicking"
)]

use rust_decimal::Decimal;

use crate::plan::config::{Config, Profile};
use crate::plan::demand::Demand;
use crate::plan::lanes::{Writer, writers};
use crate::plan::price::Price;
use crate::plan::workload::{Arrivals, Workload};
use crate::plan::{bill::Bill, cycle::Cycle, sizes};

/// Parts of the dollars by which the model may be off, in windows of 60 s and of 2 s, and of the rollups.
///
/// The largest that are there: 7 % at 60 s (5000 × 0.1/s in single events, `direct`: the page takes one batch of each of
/// the three writers, the model weighs them by how often they have one), 12 % at 2 s (50 × 1/s in tens: lanes that are
/// settled at the same time share calls of the alerter, which the page counts for each), and 14 % of the rollups (50 ×
/// 10/s in hundreds: over how many lanes an agent goes hangs on the seconds in which it sends).
const DOLLARS: [f64; 2] = [0.08, 0.13];
const ROLLUPS: f64 = 0.15;

struct Row {
    load: Workload,
    profile: Profile,
    window_s: u32,
    lanes: u32,
    gathered: f64,
    rollups: f64,
    /// Seconds until an alert; none where the aggregator falls behind.
    alert_s: Option<f64>,
    usd: f64,
}

/// The page's tables, each as its lines of cells, by how their headings begin.
fn table(begins: &str) -> Vec<Vec<String>> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cost.md");
    let page = std::fs::read_to_string(path).unwrap();
    let lines = page.lines().skip_while(|line| !line.starts_with(begins)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn number(cell: &str) -> f64 {
    cell.trim_end_matches(" s").parse().unwrap()
}

fn rows() -> Vec<Row> {
    let of = |cells: &Vec<String>| {
        let (agents, each) = cells[0].split_once(" × ").unwrap();
        let agents: u32 = agents.parse().unwrap();
        let rate = f64::from(agents) * number(each.trim_end_matches("/s"));
        let load =
            Workload { arrivals: Arrivals::InTurn, ..Workload::of(agents, rate, cells[1].parse().unwrap()) };
        let profile = match cells[2].as_str() {
            "kinesis, on demand" => Profile::KinesisOnDemand,
            "kinesis, provisioned" => Profile::KinesisProvisioned,
            "direct" => Profile::Direct,
            other => panic!("a profile {other}"),
        };
        Row {
            load,
            profile,
            lanes: cells[3].parse().unwrap(),
            window_s: cells[4].trim_end_matches(" s").parse().unwrap(),
            gathered: number(cells[5].split_once(", ").unwrap().1),
            rollups: number(&cells[7]),
            alert_s: (cells[8] != "falls behind").then(|| number(&cells[8])),
            usd: number(&cells[9]),
        }
    };
    let rows: Vec<_> = table("| agents × rate | events per submission |").iter().map(of).collect();
    assert_eq!(rows.len(), 72, "4 rates, 3 submissions, 3 profiles, 2 windows");
    rows
}

/// With batches as they are gathered: the page says of those that take too long that they fall behind, and counts on.
fn demand(load: &Workload, config: &Config) -> (Demand, Bill) {
    let demand = Demand::with(load, config, Cycle::gathered);
    let bill = Bill::of(load, config, &demand);
    (demand, bill)
}

#[test]
fn dollars_rollups_and_lanes_are_those_of_the_page() {
    let (mut dollars, mut rollups): ([f64; 2], f64) = ([0.0; 2], 0.0);
    for row in rows() {
        let config = Config::of(&row.load, row.profile, row.window_s);
        let what = format!("{:?} {:?} {} s", row.load, row.profile, row.window_s);
        assert_eq!(config.lanes, row.lanes, "{what}");
        let (demand, bill) = demand(&row.load, &config);
        let usd: f64 = bill.usage_per_million().to_string().parse().unwrap();
        // What the page rounded to.
        let off = ((usd - row.usd).abs() - 0.005).max(0.0) / row.usd;
        let written = ((demand.rollups_per_event - row.rollups).abs() - 0.005).max(0.0) / row.rollups;
        let window = usize::from(row.window_s == 2);
        assert!(off < DOLLARS[window], "{what}: ${usd:.2} for a million, and ${} on the page", row.usd);
        assert!(
            written < ROLLUPS,
            "{what}: {} rollups, and {} on the page",
            demand.rollups_per_event,
            row.rollups
        );
        dollars[window] = dollars[window].max(off);
        rollups = rollups.max(written);
    }
    println!("off by at most {dollars:.3?} of the dollars at 60 s and 2 s, and {rollups:.3} of the rollups");
}

#[test]
fn what_falls_behind_on_the_page_falls_behind_here() {
    for row in rows() {
        let config = Config::of(&row.load, row.profile, row.window_s);
        let what = format!("{:?} {:?} {} s", row.load, row.profile, row.window_s);
        let writers = writers(&row.load, &config);
        let of_all = |of: fn(&Cycle) -> f64| -> f64 {
            let each = |w: &Writer| f64::from(w.count) * of(&Cycle::gathered(&row.load, &config, w));
            writers.iter().map(each).sum()
        };
        let busy = of_all(Cycle::batch_ms) / 1_000.0 / of_all(|cycle| cycle.gathered_s);
        assert_eq!(busy > 1.0, row.alert_s.is_none(), "{what}: {busy}");
        let count: u32 = writers.iter().map(|w| w.count).sum();
        let gathered = of_all(|cycle| cycle.events) / f64::from(count);
        let off = (gathered - row.gathered).abs() / row.gathered;
        assert!(off < 0.25, "{what}: {gathered} events in a batch, and {} on the page", row.gathered);
    }
}

#[test]
fn an_alert_comes_as_late_as_on_the_page() {
    for row in rows() {
        let config = Config::of(&row.load, row.profile, row.window_s);
        let (demand, _) = demand(&row.load, &config);
        let Some(alert_s) = row.alert_s else { continue };
        // The page has the lanes that the names of its 50 agents happen to fall on: in between the emptiest and the fullest,
        // where a batch may be full just before its window ends, and wait for the next.
        let (least, most) = if row.load.agents == 50 && config.lanes > 1 { (0.94, 2.0) } else { (0.94, 1.2) };
        let off = demand.alert_s / alert_s;
        assert!(
            (least..most).contains(&off),
            "{:?} {config:?}: {} s, and {alert_s} on the page",
            row.load,
            demand.alert_s
        );
    }
}

#[test]
fn prices_are_those_of_the_page() {
    let prices = [
        Price::ApiRequest,
        Price::LambdaRequest,
        Price::LambdaGbSecond,
        Price::WriteUnit,
        Price::ReadUnit,
        Price::OnDemandGbIn,
        Price::OnDemandGbOut,
        Price::OnDemandStreamHour,
        Price::ShardHour,
        Price::PutUnit,
        Price::PutMetricData,
        Price::MetricMonth,
        Price::AlarmMonth,
        Price::DashboardMonth,
        Price::LogGb,
        Price::ScheduleInvocation,
        Price::TableGbMonth,
    ];
    let page = table("| | $ | for | |");
    assert_eq!(page.len(), prices.len());
    for price in prices {
        let (begins, _, of) = price.line();
        let mut lines = page.iter().filter(|line| line[0].starts_with(begins));
        let line = lines.next().unwrap_or_else(|| panic!("{begins} is not on the page"));
        assert_eq!(price.of(Decimal::from(of)), line[1].parse().unwrap(), "{begins}");
        assert_eq!(of.to_string(), line[2], "{begins}");
    }
}

#[test]
fn units_of_access_patterns_are_those_of_the_page() {
    let page = table("| | units | from |");
    let units = |begins: &str| {
        let line = page.iter().find(|line| line[0].starts_with(begins));
        let cell = &line.unwrap_or_else(|| panic!("{begins} is not on the page"))[1];
        let numbers = cell.split(|c: char| !c.is_ascii_digit() && c != '.');
        let numbers: Vec<f64> = numbers.filter_map(|text| text.parse().ok()).collect();
        assert!(!numbers.is_empty(), "{begins}: {cell}");
        numbers
    };
    let first = |begins: &str| units(begins)[0];
    assert_eq!(first("write: a record of 1 event"), sizes::record_writes(1));
    assert_eq!(first("write: a record of 10 events"), sizes::record_writes(10));
    assert_eq!(first("write: a record of 100 events"), sizes::record_writes(100));
    assert_eq!(first("write: one rollup of one lane"), sizes::rollup_writes());
    // Head and entry of the smallest commit; half a kilobyte is begun on average.
    assert_eq!(first("write: head and entry of a commit"), sizes::journal_writes(0.0));
    assert_eq!(first("A1 an event"), sizes::record_reads(1));
    assert_eq!(first("A1, of a record of 100"), sizes::record_reads(100));
    assert_eq!(units("A2 an agent's 100 newest"), sizes::listing_reads(100.0));
    for lanes in [1, 4, 20] {
        assert_eq!(first("A4 the snapshot") + f64::from(lanes), sizes::snapshot_reads(lanes));
        assert_eq!(first("A4 one scope"), sizes::scope_reads(lanes));
    }
    assert_eq!(first("A5 budgets"), sizes::budget_reads(10));
    let fits = page.iter().find(|line| line[0].starts_with("write: a page")).unwrap();
    assert!(fits[2].contains(&format!("up to {},", sizes::PAGE)), "{}", fits[2]);
}

#[test]
fn series_of_metrics_are_those_of_the_page() {
    for line in table("| agents | teams | models | series |") {
        let agents = line[0].parse().unwrap();
        let load = Workload::of(agents, f64::from(agents), 1);
        let demand = Demand::of(&load, &Config::of(&load, Profile::KinesisOnDemand, 60));
        assert_eq!(demand.metric_series.to_string(), line[3]);
    }
}
