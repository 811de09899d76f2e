//! One seed, one history, one verdict.

use std::fmt::Write;

use fastrand::Rng;
use shared::alert::AlertKind;
use shared::budget::{BudgetSpec, Limit, UnpricedPolicy};
use shared::clock::Clock;
use shared::hash::ContentHash;
use shared::id::BudgetName;
use shared::ledger::{Ledger, LedgerError};
use shared::price::PriceBook;
use shared::window::{Period, Zone};

use crate::check::{self, Violation};
use crate::drive::World;
use crate::history::{Plot, history};
use crate::intake::Intake;
use crate::oracle::{BOOKS, Prices, Sends, receive};
use crate::sabotage::Guard;

/// What a history that held did, so that a suite can show that it reached what it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Submissions acknowledged.
    pub submissions: usize,
    /// Records stored.
    pub records: usize,
    /// Stream records that were put into two lanes.
    pub elsewhere: usize,
    /// Conflicts listed.
    pub conflicts: usize,
    /// Corrections whose target came later or never.
    pub awaited: usize,
    /// Thresholds crossed.
    pub crossed: usize,
    /// Crossings ended by a correction.
    pub recovered: usize,
    /// Calls whose prices a repricing changed.
    pub repriced: usize,
    /// Calls that several repricings changed.
    pub repriced_again: usize,
    /// Hash of every record and every delivery: a seed is one history, to the last field.
    pub digest: String,
}

/// Plays the history of `seed` over an empty ledger; `missing` takes a guard of the protocol away.
pub async fn play<L: Ledger>(ledger: L, seed: u64, missing: Option<Guard>) -> Result<Coverage, String> {
    let mut rng = Rng::with_seed(seed);
    let mut world = World::new(ledger, books()?, missing);
    let mut sends = Sends::default();
    let size = rng.usize(2..=16);
    let plot = if rng.u32(..3) == 0 { Plot::Seesaw } else { Plot::Wide };
    let submissions = history(&mut rng, size, plot);
    let intake = Intake::new(&world, seed);
    let ledger_fault = |e: LedgerError| format!("seed {seed}: {e}");
    // In every fourth history nobody dies: then the metrics have to be complete.
    world.calm = seed.is_multiple_of(4);
    for budget in budgets(&mut rng, plot)? {
        world.set_budget(&budget).await.map_err(ledger_fault)?;
    }
    let mut coverage = Coverage { submissions: submissions.len(), ..Coverage::default() };
    for submission in &submissions {
        let ids = intake.post(submission).await.map_err(|e| format!("seed {seed}: {e}"))?;
        receive(&mut sends, submission.key.as_deref(), &submission.events, &ids);
        for _ in 0..rng.usize(..3) {
            world.round(&mut rng).await;
        }
        if rng.u32(..8) == 0 {
            let changed = budgets(&mut rng, plot)?;
            world.set_budget(&changed[0]).await.map_err(ledger_fault)?;
        }
        // Mostly minutes, sometimes into the next day.
        world.clock.advance(if rng.u32(..12) == 0 { 40_000 } else { rng.i64(0..900) });
    }
    for _ in 0..rng.usize(2..8) {
        world.round(&mut rng).await;
    }
    let failed = |violation: Violation| format!("seed {seed}: {}: {}", violation.law.name, violation.detail);
    // The model says by itself what a last repricing leaves.
    world.last = if rng.bool() { world.some_repricing(&mut rng, 1_000) } else { None };
    if let Some(last) = &mut world.last {
        last.selection.unpriced = false;
    }
    world.drain().await.map_err(|e| format!("seed {seed}: {e}"))?;
    let ledger = &*world.ledger;
    let model = check::totals(ledger, &sends, world.last.as_ref()).await.map_err(failed)?;
    check::recomputable(ledger).await.map_err(failed)?;
    let now = world.clock.now();
    check::alerts(ledger, &model, now, false).await.map_err(failed)?;
    world.sweep().await.map_err(ledger_fault)?;
    check::alerts(ledger, &model, now, true).await.map_err(failed)?;
    if world.calm {
        check::published(&model, &world.published.all()).map_err(failed)?;
    }
    check::delivered(ledger, &world.deliveries.all()).await.map_err(failed)?;
    let records = check::all_records(ledger).await?;
    coverage.records = records.len();
    let lanes = world.stream.by_partition();
    let put: std::collections::BTreeSet<(&String, &Vec<u8>)> =
        lanes.iter().flat_map(|(lane, all)| all.iter().map(move |data| (lane, data))).collect();
    let different: std::collections::BTreeSet<_> = put.iter().map(|(_, data)| data).collect();
    coverage.elsewhere = put.len() - different.len();
    coverage.conflicts = ledger.conflicts(100_000).await.map_err(ledger_fault)?.len();
    coverage.awaited = ledger.awaited(100_000).await.map_err(ledger_fault)?.len();
    let deliveries = world.deliveries.all();
    for adjustments in records.iter().map(|record| &record.data.adjustments) {
        let mut times = std::collections::BTreeMap::<u32, usize>::new();
        adjustments.iter().flat_map(|a| a.prices.keys()).for_each(|i| *times.entry(*i).or_default() += 1);
        coverage.repriced += times.len();
        coverage.repriced_again += times.values().filter(|times| **times > 1).count();
    }
    coverage.crossed = deliveries.iter().filter(|a| a.kind == AlertKind::Threshold).count();
    coverage.recovered = deliveries.iter().filter(|a| a.kind == AlertKind::Recovered).count();
    coverage.digest =
        ContentHash::of_bytes(format!("{records:?}{deliveries:?}").as_bytes()).as_str().to_owned();
    Ok(coverage)
}

/// The books that the model knows by heart.
pub fn books() -> Result<Vec<PriceBook>, String> {
    BOOKS.iter().map(|(version, prices)| book(version, prices)).collect()
}

fn book(version: &str, known: Prices) -> Result<PriceBook, String> {
    let mut models = String::new();
    for (provider, model) in [("p", "cheap"), ("p", "dear"), ("q", "mystery")] {
        let mut prices = String::new();
        for (_, _, bucket, price) in known.iter().filter(|p| p.0 == provider && p.1 == model) {
            let comma = if prices.is_empty() { "" } else { "," };
            let _ = write!(prices, r#"{comma}"{bucket}":"{price}""#);
        }
        if prices.is_empty() {
            continue;
        }
        let comma = if models.is_empty() { "" } else { "," };
        let _ = write!(
            models,
            r#"{comma}{{"provider":"{provider}","model":"{model}","prices":[{{"per_unit":{{{prices}}}}}]}}"#
        );
    }
    let json = format!(r#"{{"version":"{version}","source":"the exactly-once suite","models":[{models}]}}"#);
    PriceBook::from_json(&json).map_err(|e| e.to_string())
}

fn budgets(rng: &mut Rng, plot: Plot) -> Result<Vec<BudgetSpec>, String> {
    let wide = plot == Plot::Wide;
    let scopes = ["org", "agent:planner", "team:growth", "agent:writer#2", "task:T-1", "model:dear"];
    let scopes = if wide { &scopes[..] } else { &scopes[..2] };
    let zones = ["UTC", "Asia/Kathmandu", "America/New_York", "Asia/Tokyo"];
    let periods = [Period::Hour, Period::Day, Period::Week, Period::Month];
    (0..rng.usize(1..=3))
        .map(|n| {
            let most = if wide { 200 } else { 40 };
            let usd =
                format!("{}.{}", rng.u32(..most), rng.u32(1..10)).parse().map_err(|e| format!("{e}"))?;
            let limit = if rng.u32(..3) > 0 {
                Limit::Usd(usd)
            } else {
                Limit::Tokens(rng.u64(1_000..1_000 * u64::from(most)))
            };
            let unpriced = match (rng.u32(..4), limit) {
                (0, _) => UnpricedPolicy::Block,
                (1, Limit::Usd(_)) => {
                    UnpricedPolicy::Assume("0.00000003".parse().map_err(|e| format!("{e}"))?)
                }
                _ => UnpricedPolicy::Ignore,
            };
            let spec = BudgetSpec {
                name: BudgetName::parse(&format!("b{n}")).map_err(|e| e.to_string())?,
                scope: scopes[rng.usize(..scopes.len())].parse().map_err(|e| format!("{e}"))?,
                limit,
                period: periods[rng.usize(..periods.len())],
                timezone: Zone::parse(zones[rng.usize(..zones.len())]).map_err(|e| e.to_string())?,
                thresholds: vec![rng.u32(1..60), 80, 100],
                unpriced,
            };
            spec.checked().map_err(|e| e.to_string())
        })
        .collect()
}
