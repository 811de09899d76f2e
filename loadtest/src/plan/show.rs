//! A plan, as text and as JSON.
#![expect(clippy::float_arithmetic, reason = "rates and expected counts; no money")]

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::choose::Plan;
use super::config::Profile;
use super::limit::{Kind, Limit};
use super::sizes;
use super::table::{lines, number, thousands};
use super::terraform;

/// Limits with less of them used are not listed.
const SHOWN: f64 = 0.03;
/// What is asked of AWS, for each that is expected to be used.
const ROOM: f64 = 1.4;

fn profile(plan: &Plan) -> &'static str {
    match plan.config.profile {
        Profile::KinesisOnDemand => "kinesis, on demand",
        Profile::KinesisProvisioned => "kinesis, provisioned",
        Profile::Direct => "direct",
    }
}

fn usd(amount: Decimal) -> String {
    let text = if amount >= Decimal::ONE_HUNDRED {
        amount.round_dp(0).to_string()
    } else {
        format!("{:.2}", amount.round_dp(2))
    };
    format!("${}", thousands(&text))
}

/// Dollars for a million events.
fn each(amount: Decimal) -> String {
    if amount < Decimal::new(5, 4) { "<$0.001".to_owned() } else { format!("${:.3}", amount.round_dp(3)) }
}

fn percent(part: f64) -> String {
    format!("{} %", number(part * 100.0))
}

/// All of it.
pub(crate) fn text(plan: &Plan) -> Vec<String> {
    let load = &plan.load;
    let mut text = vec![format!(
        "{} agents, {} events/s in submissions of {}: {} requests/s. Profile {}, window {} s.",
        number(f64::from(load.agents)),
        number(load.rate),
        load.batch,
        number(load.submissions()),
        profile(plan),
        plan.config.window_s
    )];
    verdict(plan, &mut text);
    text.push("\nTerraform variables".to_owned());
    text.extend(terraform::tfvars(&terraform::variables(plan)).iter().map(|line| format!("  {line}")));
    text.push("\nWhat it comes to".to_owned());
    text.extend(lines(&footprint(plan)));
    text.push("\nExpected cost (list prices of us-east-1, docs/cost.md)".to_owned());
    text.extend(lines(&costs(plan)));
    text.push("\nFrom receipt, at most, in whichever lane it takes longest".to_owned());
    text.extend(lines(&latency(plan)));
    text.push("\nLimits, the most used first".to_owned());
    text.extend(lines(&used(plan)));
    text.push("\nWhat to do first".to_owned());
    text.extend(remedies(plan));
    text
}

fn verdict(plan: &Plan, text: &mut Vec<String>) {
    let impossible: Vec<&Limit> = plan.impossible().collect();
    if impossible.is_empty() {
        let raised: Vec<&Limit> =
            plan.limits.iter().filter(|l| l.kind == Kind::Quota && l.used_part() > 1.0).collect();
        if raised.is_empty() {
            text.push("It works within AWS's default quotas.".to_owned());
        } else {
            text.push("It works once these quotas are raised:".to_owned());
        }
        for limit in raised {
            let wanted = limit.used * ROOM;
            let unit = limit.unit;
            text.push(format!("  {}: from {} to {} {unit}", limit.name, number(limit.most), number(wanted)));
        }
        return;
    }
    text.push("IT CANNOT WORK LIKE THIS:".to_owned());
    for limit in impossible {
        text.push(format!(
            "  {}: {} of {} {}",
            limit.name,
            number(limit.used),
            number(limit.most),
            limit.unit
        ));
    }
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

fn footprint(plan: &Plan) -> Vec<Vec<String>> {
    let (d, config) = (&plan.demand, &plan.config);
    let mut rows = vec![row(&[
        "ingest",
        &format!("{} at a time, {} ms each", number(d.ingest_at_work()), number(d.ingest_ms)),
    ])];
    if !config.is_direct() {
        let kept = if config.profile == Profile::KinesisOnDemand { "expected of AWS" } else { "provisioned" };
        rows.push(row(&[
            "stream",
            &format!(
                "{} MB/s, {} records/s, {} shards {kept}",
                number(d.stream_kb / 1_024.0),
                number(d.submissions),
                config.shards
            ),
        ]));
    }
    let cycle = &d.cycle;
    rows.push(row(&[
        "aggregator",
        &format!(
            "{} lanes; a batch of {} events each {} s in {} commits, settled after {}; {} at a time",
            config.lanes,
            number(cycle.events),
            number(cycle.period_s),
            number(cycle.commits),
            if cycle.batches == 1 { "each".to_owned() } else { format!("{} batches", cycle.batches) },
            number(d.aggregator_at_work)
        ),
    ]));
    rows.push(row(&[
        "table",
        &format!(
            "{} write and {} read units/s, {} partitions at least; {} rollups written per event",
            number(d.writes()),
            number(d.reads()),
            d.table_shards,
            number(d.rollups_per_event)
        ),
    ]));
    rows.push(row(&[
        "alerter",
        &format!(
            "{} shards of the table's stream, {} calls/s of {} s, {} at a time",
            d.table_shards,
            number(d.alerter_calls),
            number(d.alerter_ms / 1_000.0),
            number(d.alerter_at_work)
        ),
    ]));
    let [least, most] = sizes::listing_reads(100.0);
    rows.push(row(&[
        "reading",
        &format!(
            "{} read units for one total, {} to {} for an agent's 100 newest events, {} for one of them",
            number(sizes::snapshot_reads(config.lanes) + sizes::scope_reads(config.lanes)),
            number(least),
            number(most),
            number(sizes::record_reads(plan.load.batch.min(100)))
        ),
    ]));
    rows.push(row(&["metrics", &format!("{} calls/s, {} series", number(d.metric_calls), d.metric_series)]));
    // One column of text beside the names: set left.
    let width = rows.iter().filter_map(|row| row.get(1)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    for row in &mut rows {
        if let Some(cell) = row.get_mut(1) {
            *cell = format!("{cell:<width$}");
        }
    }
    rows
}

fn costs(plan: &Plan) -> Vec<Vec<String>> {
    let bill = &plan.bill;
    let mut rows = vec![row(&["", "a month", "per million events"])];
    let line = |what: &str, amount: Decimal| row(&[what, &usd(amount), &each(bill.per_million(amount))]);
    rows.extend(bill.lines.iter().filter(|l| !l.usd.is_zero()).map(|l| line(l.what, l.usd)));
    rows.push(line("together", bill.total()));
    rows
}

fn latency(plan: &Plan) -> Vec<Vec<String>> {
    let d = &plan.demand;
    if d.busy > 1.0 {
        return vec![row(&["without bound: the aggregator falls behind"])];
    }
    let at = |what: &str, seconds: f64| row(&[what, &format!("{} s", number(seconds))]);
    let alert = if d.alerter_busy > 1.0 {
        row(&["alert sent", "without bound: the alerter falls behind"])
    } else {
        at("alert sent", d.alert_s)
    };
    vec![at("in totals", d.total_s), at("rollups written", d.rollup_s), alert]
}

fn used(plan: &Plan) -> Vec<Vec<String>> {
    let mut rows = vec![row(&["", "used", "of", "", "", ""])];
    for limit in plan.limits.iter().filter(|limit| limit.used_part() >= SHOWN) {
        let state = match (limit.used_part() > 1.0, limit.kind) {
            (true, Kind::Quota) => "raise the quota",
            (true, _) => "cannot work",
            (false, Kind::Quota) => "quota",
            (false, Kind::Hard) => "hard",
            (false, Kind::Setting) => "setting",
        };
        rows.push(row(&[
            limit.name,
            &number(limit.used),
            &number(limit.most),
            limit.unit,
            &percent(limit.used_part()),
            state,
        ]));
    }
    rows
}

fn remedies(plan: &Plan) -> Vec<String> {
    let mut text = Vec::new();
    for (n, limit) in plan.limits.iter().take(2).enumerate() {
        let which = if n == 0 { "first" } else { "second" };
        text.push(format!("  {which} bottleneck: {}, {} used.", limit.name, percent(limit.used_part())));
        text.push(format!("    {}", limit.remedy));
        text.push(format!("    ({})", limit.source));
    }
    text
}

/// How far the same agents and submissions go.
pub(crate) fn far(plan: &Plan, most: f64) -> String {
    // Two digits: it is found to a twentieth.
    let step = 10.0_f64.powf(most.max(1.0).log10().floor() - 1.0);
    let most = (most / step).floor() * step;
    format!(
        "  these agents in submissions of {}: up to some {} events/s, with whatever lanes and memory, and quotas raised",
        plan.load.batch,
        number(most)
    )
}

/// What would do instead.
pub(crate) fn instead(plan: Option<&Plan>, how: &str) -> String {
    match plan {
        Some(plan) => format!(
            "  {how}: {} lanes, window {} s, submissions of {}, {} a month; alerts after {} s at most",
            plan.config.lanes,
            plan.config.window_s,
            plan.load.batch,
            usd(plan.bill.total()),
            number(plan.demand.alert_s)
        ),
        None => format!("  {how}: that does not help by itself"),
    }
}

/// The same for programs. Money is text.
pub(crate) fn json(plan: &Plan) -> Value {
    let (load, d, bill) = (&plan.load, &plan.demand, &plan.bill);
    let money = |amount: Decimal| amount.round_dp(6).normalize().to_string();
    let limit = |limit: &Limit| {
        json!({
            "name": limit.name, "used": limit.used, "limit": limit.most, "unit": limit.unit,
            "utilisation": limit.used_part(),
            "kind": match limit.kind { Kind::Hard => "hard", Kind::Quota => "quota", Kind::Setting => "setting" },
            "remedy": limit.remedy, "source": limit.source,
        })
    };
    json!({
        "agents": load.agents, "events_per_second": load.rate, "events_per_submission": load.batch,
        "profile": profile(plan), "works": plan.works(),
        "terraform": terraform::variables(plan),
        "usd_per_month": money(bill.total()),
        "usd_per_million_events": money(bill.per_million(bill.total())),
        "cost": bill.lines.iter().map(|line| json!({
            "what": line.what, "usd_per_month": money(line.usd),
            "usd_per_million_events": money(bill.per_million(line.usd)),
        })).collect::<Vec<_>>(),
        "seconds": { "total": d.total_s, "rollup": d.rollup_s, "alert": d.alert_s },
        "rollups_per_event": d.rollups_per_event,
        "write_units_per_second": d.writes(), "read_units_per_second": d.reads(),
        "limits": plan.limits.iter().map(limit).collect::<Vec<_>>(),
    })
}
