//! The page.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

use aws::table::size::{self, read_units, write_units};
use rust_decimal::Decimal;
use shared::id::AgentId;
use shared::rollup::{Scope, ScopeKind};
use shared::window::WindowKind;

use crate::Outcome;
use crate::bill::{BUDGETS, Bill, METRIC_AGENTS, baseline, dec};
use crate::prices::{AS_OF, Price};
use crate::run::{Case, Profile, Run, run};
use crate::traffic::{MODELS, TASK_CALLS, TEAM_AGENTS, Traffic};

/// Agents, and calls of each in 1,000 s.
const RATES: [(u64, u64); 4] = [(50, 1_000), (50, 10_000), (5_000, 100), (5_000, 1_000)];
const PER_SUBMISSION: [u64; 3] = [1, 10, 100];
const WINDOWS: [u64; 2] = [60, 2];
const HOURS: u64 = 730;

/// Cents of the targets at 60 s: with Kinesis, and `direct`.
fn target(case: &Case) -> Option<Decimal> {
    let of =
        |kinesis, direct| Decimal::new(if case.profile == Profile::Direct { direct } else { kinesis }, 2);
    (case.window_seconds == 60).then(|| match case.traffic.per_submission {
        1 => of(360, 380),
        10 => of(80, 100),
        _ => of(50, 60),
    })
}

struct Done {
    case: Case,
    run: Run,
    bill: Bill,
}

/// What a run depends on: the profiles with a stream run alike where they have as many lanes.
type Key = (Traffic, u64, bool);

fn key(case: &Case) -> Key {
    (case.traffic, case.window_seconds, case.profile == Profile::Direct)
}

/// Every case, in the order of the page.
fn all_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (agents, calls_per_1000_s) in RATES {
        for per_submission in PER_SUBMISSION {
            for profile in Profile::ALL {
                for window in WINDOWS {
                    let traffic = Traffic { agents, calls_per_1000_s, per_submission, lanes: 1 };
                    cases.push(Case::new(traffic, profile, window));
                }
            }
        }
    }
    cases
}

/// Runs each case once, on every processor.
fn runs(cases: &[Case]) -> Outcome<HashMap<Key, Run>> {
    let mut known = HashSet::new();
    let mut left: Vec<&Case> = cases.iter().filter(|case| known.insert(key(case))).collect();
    // The longest are begun first: those that bring the most events in their window.
    left.sort_by_key(|case| case.traffic.events_per_1000_s() * case.window_seconds);
    let left = Mutex::new(left);
    let next = || left.lock().map(|mut left| left.pop()).ok().flatten();
    let some = || -> Result<Vec<(Key, Run)>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|e| e.to_string())?;
        let mut done = Vec::new();
        while let Some(case) = next() {
            done.push((key(case), runtime.block_on(run(case)).map_err(|e| e.to_string())?));
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
        let mut all = HashMap::new();
        for worker in workers {
            all.extend(worker.join().map_err(|_| "a worker panicked")??);
        }
        Ok(all)
    })
}

pub(crate) fn page() -> Outcome<String> {
    let cases_of_page = all_cases();
    let runs = runs(&cases_of_page)?;
    let done: Vec<Done> = cases_of_page
        .into_iter()
        .map(|case| {
            let run = runs.get(&key(&case)).cloned().ok_or("a case was not run")?;
            let bill = Bill::of(&case, &run);
            Ok(Done { case, run, bill })
        })
        .collect::<Outcome<_>>()?;
    let mut page = String::new();
    write!(page, "{}", include_str!("text/begin.md"))?;
    writeln!(page, "\n## Dollars per million events\n\n{}", include_str!("text/cases.md"))?;
    cases(&mut page, &done)?;
    writeln!(page, "\n## What dominates\n\n{}", include_str!("text/parts.md"))?;
    parts(&mut page, &done)?;
    writeln!(page, "\n## One PutItem and one PutMetricData for each event\n")?;
    naive(&mut page, &done)?;
    writeln!(page, "\n## An idle month\n")?;
    idle(&mut page)?;
    writeln!(page, "\n## CloudWatch metrics\n\n{}", include_str!("text/metrics.md"))?;
    metrics(&mut page)?;
    writeln!(page, "\n## Units of each access pattern\n\n{}", include_str!("text/patterns.md"))?;
    patterns(&mut page, &done)?;
    writeln!(page, "\n## What the figures rest on\n\n{}", include_str!("text/assumptions.md"))?;
    prices(&mut page)?;
    Ok(page)
}

fn rate(traffic: Traffic) -> String {
    let per_agent = Decimal::new(i64::try_from(traffic.calls_per_1000_s).unwrap_or(0), 3).normalize();
    format!("{} × {per_agent}/s", traffic.agents)
}

fn seconds(ms: u64) -> Decimal {
    (dec(ms) / dec(1_000)).round_dp(1)
}

fn cases(page: &mut String, done: &[Done]) -> Outcome<()> {
    writeln!(
        page,
        "| agents × rate | events per submission | profile | lanes | window | gathered, events | settled after | rollups written per event | event to alert, at most | $ per million | target |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )?;
    for Done { case, run, bill } in done {
        let batches = u64::try_from(run.batches)?;
        let updates = (Decimal::from(run.counted.updates) / dec(run.events)).round_dp(2);
        let total = bill.total().round_dp(2);
        let verdict = match target(case) {
            None => String::new(),
            Some(target) if bill.total() <= target => format!("{target} met"),
            Some(target) => format!("{target} **missed**"),
        };
        let alert =
            if bill.keeps_up() { format!("{} s", seconds(bill.alert_ms)) } else { "falls behind".into() };
        writeln!(
            page,
            "| {} | {} | {} | {} | {} s | {} s, {} | {} s | {updates} | {alert} | {total} | {verdict} |",
            rate(case.traffic),
            case.traffic.per_submission,
            case.profile.name(),
            case.traffic.lanes,
            case.window_seconds,
            seconds(bill.gathered_ms),
            run.events / batches,
            seconds(run.counted.waited_ms),
        )?;
    }
    Ok(())
}

fn parts(page: &mut String, done: &[Done]) -> Outcome<()> {
    writeln!(
        page,
        "| agents × rate | per submission | profile, window | API | access log | ingest λ | stream or inbox | its hours | records, pages | journal | rollups | reads | aggregator λ | PutMetricData | alerter |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )?;
    for Done { case, bill, .. } in done {
        write!(
            page,
            "| {} | {} | {}, {} s |",
            rate(case.traffic),
            case.traffic.per_submission,
            case.profile.name(),
            case.window_seconds
        )?;
        let Bill { api, logs, ingest, stream, hours, records, journal, rollups, .. } = bill;
        let Bill { reads, aggregator, metrics, alerter, .. } = bill;
        for part in
            [api, logs, ingest, stream, hours, records, journal, rollups, reads, aggregator, metrics, alerter]
        {
            write!(page, " {} |", part.round_dp(3).normalize())?;
        }
        writeln!(page)?;
    }
    Ok(())
}

fn naive(page: &mut String, done: &[Done]) -> Outcome<()> {
    let Some(single) = done.first() else { return Ok(()) };
    let lines = baseline(&single.run, single.case.traffic.per_submission);
    writeln!(page, "| | $ per million events |\n| --- | --- |")?;
    for (what, usd) in &lines {
        writeln!(page, "| {what} | {} |", usd.round_dp(3).normalize())?;
    }
    let total: Decimal = lines.iter().map(|(_, usd)| usd).sum();
    writeln!(page, "| together | {} |", total.round_dp(2))?;
    Ok(())
}

fn idle(page: &mut String) -> Outcome<()> {
    let hours = dec(HOURS);
    // Terraform's alarms: the metrics that they watch. The first dashboards of an account are free, and here paid.
    let watch = Price::AlarmMonth.of(dec(23)) + Price::DashboardMonth.of(dec(2));
    let minutes = hours * dec(60);
    let sweep_reads = dec(1 + (2 * BUDGETS + 2) * 8 + 8);
    let sweep = Price::ScheduleInvocation.of(minutes)
        + Price::LambdaRequest.of(minutes)
        + Price::LambdaGbSecond.of(minutes * Decimal::new(1, 1) * Decimal::new(25, 2))
        + Price::ReadUnit.of(minutes * sweep_reads);
    writeln!(
        page,
        "| | kinesis, on demand | kinesis, provisioned, 1 shard | direct |\n| --- | --- | --- | --- |"
    )?;
    let line = |page: &mut String, what: &str, usd: [Decimal; 3]| {
        let [a, b, c] = usd.map(|usd| usd.round_dp(2));
        writeln!(page, "| {what} | {a} | {b} | {c} |")
    };
    let zero = Decimal::ZERO;
    let stream = [Price::OnDemandStreamHour.of(hours), Price::ShardHour.of(hours), zero];
    line(page, "stream, 730 hours", stream)?;
    line(page, "sweep each minute: schedule, alerter, reads", [sweep, sweep, zero])?;
    line(
        page,
        "21 alarms on 23 metrics, 2 dashboards (`alarms_enabled`, `dashboards_enabled`)",
        [watch, watch, zero],
    )?;
    line(page, "together", stream.map(|usd| if usd == zero { zero } else { usd + sweep + watch }))?;
    writeln!(page, "\n{}", include_str!("text/idle.md").trim_end())?;
    Ok(())
}

fn metrics(page: &mut String) -> Outcome<()> {
    writeln!(
        page,
        "| agents | teams | models | series | $ a month | $ per million events at 1 event/s per agent |\n| --- | --- | --- | --- | --- | --- |"
    )?;
    for agents in [50, 5_000] {
        let models = u64::try_from(MODELS.len())?;
        let teams = agents / TEAM_AGENTS;
        let with_other = |names: u64, cap: u64| if names > cap { cap + 1 } else { names };
        let named = with_other(agents, METRIC_AGENTS) + with_other(teams, 20) + with_other(models, 20);
        // TokenCost, Tokens and Events of each; all four without dimensions; the lag and four counts; SpendToDate.
        let series = 3 * named + 4 + 5 + (1 + METRIC_AGENTS + 1);
        let usd = Price::MetricMonth.of(dec(series));
        let events = dec(agents) * dec(HOURS) * dec(3_600) / dec(1_000_000);
        writeln!(
            page,
            "| {agents} | {teams} | {models} | {series} | {} | {} |",
            usd.round_dp(2),
            (usd / events).round_dp(3)
        )?;
    }
    Ok(())
}

fn patterns(page: &mut String, done: &[Done]) -> Outcome<()> {
    let record = |per_submission: u64| -> Outcome<usize> {
        let of = |d: &&Done| d.case.traffic.per_submission == per_submission;
        let record = done.iter().find(of).and_then(|d| d.run.counted.record.clone());
        Ok(size::record(&record.ok_or("there is no record")?)?)
    };
    let (single, ten, packed) = (record(1)?, record(10)?, record(100)?);
    let written = |bytes: usize| 2 * write_units(bytes);
    writeln!(page, "| | units | from |\n| --- | --- | --- |")?;
    for (what, bytes) in [("1 event", single), ("10 events", ten), ("100 events", packed)] {
        let units = written(bytes);
        writeln!(
            page,
            "| write: a record of {what} | {units}, and its part of a page | an item of {bytes} bytes in a transaction |"
        )?;
    }
    let agent = AgentId::parse("researcher-0001")?;
    let on_page = (1..90).take_while(|records| size::page(&agent, *records) <= 1 << 10).count();
    writeln!(
        page,
        "| write: a page | 1 | an item of up to 1 KB, put by itself: of a commit's records of one agent up to {on_page}, with keys that are UUIDs; of one record, {} bytes |",
        size::page(&agent, 1)
    )?;
    let key = shared::rollup::RollupKey {
        scope: Scope::one(ScopeKind::Agent, "researcher-0001"),
        window: WindowKind::Hour,
        start: 1_795_000_000,
    };
    let sums = done
        .first()
        .and_then(|d| d.run.counted.record.as_ref())
        .map(|record| record.data.additions(&record.agent));
    let some = sums.and_then(Result::ok).and_then(|sums| {
        let found =
            sums.iter().find(|(k, _)| k.scope.kind == ScopeKind::Agent && k.window == WindowKind::Hour);
        found.map(|(_, parts)| parts.clone())
    });
    let full = crate::ledger::grown(&some.ok_or("there is no rollup")?);
    let rollup = size::rollup(&key, 0, 1_000_000, &full);
    writeln!(
        page,
        "| write: one rollup of one lane, at each settling | {} | an item of {rollup} bytes, full |",
        write_units(rollup)
    )?;
    writeln!(
        page,
        "| write: head and entry of a commit | {} | per commit of up to 90 records; see the journal's column above |",
        2 + 2
    )?;
    let page_of = 100;
    // One kind of pages is there; asking for another is a unit.
    let listed = |bytes: usize, of: usize| {
        let (mut few, mut units, mut told) = (size::first_pages(page_of), size::PAGE_KINDS - 1, 0);
        while told < page_of {
            units += read_units(few * bytes);
            told += few * of;
            few *= 2;
        }
        units
    };
    let (at_least, at_most) = (listed(1 << 10, on_page), listed(size::page(&agent, 1), 1));
    writeln!(page, "| A1 an event by (agent, id) | {} | `BatchGetItem` of its record |", read_units(single))?;
    writeln!(page, "| A1, of a record of 100 events | {} | the same |", read_units(packed))?;
    writeln!(
        page,
        "| A2 an agent's {page_of} newest records | {} to {} | queries of {} kinds of pages, {at_least} in all if pages are full, and {at_most} if each tells of one record; and {} for the records of one event |",
        at_least + page_of * read_units(single),
        at_most + page_of * read_units(single),
        size::PAGE_KINDS,
        page_of * read_units(single)
    )?;
    writeln!(
        page,
        "| A3 the events of a task | as A2 | of the agents that worked on it, as the pairs task×agent say (A4), in the task's hours |"
    )?;
    writeln!(
        page,
        "| A4 the snapshot of any read of totals | 1 + lanes | `LANES`, and the head of each lane; the open entries besides, which are none once a batch is settled, and at most 256 of a lane before |"
    )?;
    writeln!(
        page,
        "| A4 one scope, one window | {} | 1 query; {} lanes fit a unit |",
        1,
        (4 << 10) / rollup
    )?;
    writeln!(
        page,
        "| A4 all of a kind, one window | 1, 4 or 16 at least | 1 query for each bucket (org and provider; team and model; the others), {} rollups of a lane for a unit |",
        (4 << 10) / rollup
    )?;
    writeln!(page, "| A5 budgets | 1 | 1 query; about 10 budgets fit a unit |")?;
    writeln!(
        page,
        "| A6 alerts of a budget and period | 0.5 + 1 each | a query of `by_time`, and `BatchGetItem` |"
    )?;
    writeln!(page, "| A7 conflicts, and the quarantine | 0.5 + 1 each | the same |")?;
    writeln!(
        page,
        "| A7 unpriced and unattributed events | as A4, then A2 | totals by model and by the agent `unattributed` |"
    )?;
    Ok(())
}

fn prices(page: &mut String) -> Outcome<()> {
    writeln!(
        page,
        "\n## Prices\n\nUS East (N. Virginia), list prices without free allowances and taxes, put together on {AS_OF} without reach of AWS's live pages: compare them with those that are linked.\n"
    )?;
    writeln!(page, "| | $ | for | |\n| --- | --- | --- | --- |")?;
    for price in Price::ALL {
        let (what, of, usd, url) = price.line();
        writeln!(page, "| {what} | {} | {of} | [AWS]({url}) |", usd.normalize())?;
    }
    writeln!(page, "\nA month has {HOURS} hours, a task {TASK_CALLS} calls, a team {TEAM_AGENTS} agents.")?;
    Ok(())
}
