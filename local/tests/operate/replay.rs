//! Replays: nothing twice, whatever was counted before, and what is shown is what is done.

use std::sync::Arc;

use conformance::check;
use conformance::drive::{Published, World};
use conformance::faulty::{Fault, Faulty, Feed};
use conformance::history::{Plot, history};
use conformance::intake::{Intake, ManualClock};
use conformance::oracle::{Sends, receive};
use fastrand::Rng;
use local::ledger::SqliteLedger;
use operate::replay::{Bound, Options, Ports, Position, ReplayError, Report, replay};
use shared::id::AgentId;
use shared::ledger::RecordStore;
use shared::price::{Books, PriceBook};
use shared::totals::Totals;

use super::support::{Records, rollups};

/// A history that is in the stream, and not counted.
async fn sent(seed: u64) -> (World<Arc<SqliteLedger>>, Sends, Records) {
    let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
    let mut rng = Rng::with_seed(seed);
    let world = World::new(ledger, conformance::exactly_once::books().unwrap(), None);
    let intake = Intake::new(&world, seed);
    let mut sends = Sends::default();
    for submission in history(&mut rng, 12, Plot::Wide) {
        let ids = intake.post(&submission).await.unwrap();
        receive(&mut sends, submission.key.as_deref(), &submission.events, &ids);
        world.clock.advance(rng.i64(0..900));
    }
    let records = Records::of(world.stream.by_partition());
    (world, sends, records)
}

fn book() -> PriceBook {
    conformance::exactly_once::books().unwrap().remove(0)
}

fn ports<L>(ledger: &Arc<L>) -> Ports<L, Arc<Published>, Arc<ManualClock>> {
    Ports {
        ledger: Arc::clone(ledger),
        metrics: Arc::default(),
        clock: Arc::default(),
        books: Books::new(Arc::new(book())),
    }
}

async fn run(ledger: &Arc<SqliteLedger>, records: &mut Records, options: &Options) -> Report {
    let told = &mut |_: &Position, _, _| Ok(());
    replay(ports(ledger), records, options, Position::default(), told).await.unwrap()
}

fn applied() -> Options {
    Options { apply: true, ..Options::default() }
}

/// The last change that an alerter would be told of.
fn changes(ledger: &SqliteLedger) -> u64 {
    *ledger.watch_changes().borrow()
}

#[tokio::test]
async fn what_is_shown_is_what_is_done_and_is_done_once() {
    for seed in 0..30 {
        let (world, sends, mut records) = sent(seed).await;
        let ledger = Arc::clone(&world.ledger);
        let ledger = &*ledger;
        let shown = run(ledger, &mut records, &Options::default()).await;
        assert!(rollups(ledger).await.is_empty() && changes(ledger) == 0, "a dry run writes nothing");
        assert!(check::all_records(ledger).await.unwrap().is_empty());
        let done = run(ledger, &mut records, &applied()).await;
        assert_eq!((&shown.rows, &shown.total), (&done.rows, &done.total), "seed {seed}");
        assert_eq!((shown.duplicates, shown.conflicts), (done.duplicates, done.conflicts), "seed {seed}");
        assert!(shown.complete && done.complete && !shown.applied && done.applied);
        check::totals(ledger, &sends, None).await.map_err(|v| format!("seed {seed}: {v:?}")).unwrap();
        check::recomputable(ledger).await.map_err(|v| format!("seed {seed}: {v:?}")).unwrap();

        let (before, told) = (rollups(ledger).await, changes(ledger));
        for options in [Options::default(), applied(), applied()] {
            let again = run(ledger, &mut records, &options).await;
            assert!(again.is_nothing() && again.total.events == 0, "seed {seed}: {again:?}");
            assert!(again.duplicates > 0 && again.records == done.records);
        }
        assert_eq!(
            (rollups(ledger).await, changes(ledger)),
            (before, told),
            "seed {seed}: no alerter is told"
        );
    }
}

#[tokio::test]
async fn beside_live_consumers_and_broken_off_anywhere_totals_are_exact() {
    for seed in 0..30 {
        let (mut world, sends, mut records) = sent(seed).await;
        let ledger = Arc::clone(&world.ledger);
        let mut rng = Rng::with_seed(seed);
        let mut position = Position::default();
        // Some are counted before, some while the replay runs.
        for _ in 0..rng.usize(..4) {
            world.round(&mut rng).await;
        }
        for attempt in 0..40 {
            let fault = match rng.u32(..3) {
                _ if attempt == 39 => Fault::None,
                0 => Fault::Dies { call: rng.u64(..30), after: rng.bool() },
                1 => Fault::Flaky { seed: rng.u64(..) },
                _ => Fault::None,
            };
            let process = Arc::new(Faulty::new(Arc::clone(&ledger), Arc::new(Feed::default()), fault, 40));
            let mut kept = position.clone();
            let mut batches = rng.usize(1..6);
            let told = &mut |at: &Position, _, _| {
                kept = at.clone();
                batches -= 1;
                if batches == 0 { Err(ReplayError::Place("killed".to_owned())) } else { Ok(()) }
            };
            // Nobody waits for the dead.
            let attempts = if fault == Fault::None { None } else { Some(1) };
            let options = Options { attempts, ..applied() };
            let replayed = replay(ports(&process), &mut records, &options, position, told);
            let (replayed, ()) = tokio::join!(replayed, world.round(&mut rng));
            position = kept;
            if replayed.is_ok() {
                break;
            }
        }
        world.drain().await.unwrap();
        // A repricing of the world's rounds is not what this is about.
        check::recomputable(&*ledger).await.map_err(|v| format!("seed {seed}: {v:?}")).unwrap();
        check::totals(&*ledger, &sends, None).await.map_err(|v| format!("seed {seed}: {v:?}")).unwrap();
    }
}

#[tokio::test]
async fn ends_are_found_by_time_and_by_number_and_an_agent_by_its_name() {
    let (world, _, mut records) = sent(3).await;
    let ledger = &*Arc::clone(&world.ledger);
    let shard = records.shards.keys().next().unwrap().clone();
    let all = records.shards[&shard].len() as u64;
    assert!(all > 4, "{all}");
    let number = |from: &str, to: &str| Options {
        from: Some(Bound::Sequence(from.to_owned())),
        to: Some(Bound::Sequence(to.to_owned())),
        shard: Some(shard.clone()),
        ..Options::default()
    };
    assert_eq!(run(ledger, &mut records, &number("2", "4")).await.records, 3);
    assert_eq!(
        run(ledger, &mut records, &number("00000000000000000002", "99999999999999999999")).await.records,
        all - 1
    );
    let at = |second: i64| Some(Bound::Time(jiff::Timestamp::from_second(1_772_884_800 + second).unwrap()));
    let by_time = Options { from: at(1), to: at(3), shard: Some(shard.clone()), ..Options::default() };
    assert_eq!(run(ledger, &mut records, &by_time).await.records, 2);
    let unnamed = Options { shard: None, ..number("1", "2") };
    let told = &mut |_: &Position, _, _| Ok(());
    let refused = replay(ports(ledger), &mut records, &unnamed, Position::default(), told).await;
    assert!(matches!(refused, Err(ReplayError::Asked(_))), "{refused:?}");

    let whole = run(ledger, &mut records, &Options::default()).await;
    for row in &whole.rows {
        let agent = row.agent.clone();
        let of_one = run(ledger, &mut records, &Options { agent, ..Options::default() }).await;
        assert_eq!(of_one.rows, std::slice::from_ref(row));
    }
    let nobody = Some(AgentId::parse("nobody").unwrap());
    assert!(run(ledger, &mut records, &Options { agent: nobody, ..applied() }).await.is_nothing());
}

#[tokio::test]
async fn what_is_too_old_is_counted_by_name_and_never_put_aside() {
    let (world, _, mut records) = sent(5).await;
    let ledger = &*Arc::clone(&world.ledger);
    ledger.close_before("2027-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    records.push("0", b"no record".to_vec());
    for options in [Options::default(), applied()] {
        let report = run(ledger, &mut records, &options).await;
        assert!(report.rows.is_empty() && report.too_old > 10, "{report:?}");
        assert_eq!((report.quarantined, report.aside[0].code.as_str()), (1, "unreadable"));
    }
    let kept = ledger.quarantined(9).await.unwrap();
    assert_eq!(kept.len(), 1, "only what cannot be read: {kept:?}");
    assert_eq!(run(ledger, &mut records, &applied()).await.quarantined, 0, "once");
}

#[tokio::test]
async fn a_rate_is_kept() {
    let (world, _, mut records) = sent(3).await;
    let count = records.shards.values().map(Vec::len).sum::<usize>();
    let began = std::time::Instant::now();
    let options = Options { rate: Some(40), ..Options::default() };
    run(&Arc::clone(&world.ledger), &mut records, &options).await;
    let least = std::time::Duration::from_secs(count as u64) / 40;
    assert!(began.elapsed() >= least.mul_f32(0.8), "{:?} for {count}", began.elapsed());
}

#[tokio::test]
async fn a_dry_run_that_can_keep_no_more_says_so() {
    let (world, _, records) = sent(3).await;
    let dry = operate::Dry::new(Arc::clone(&world.ledger)).keeping(10);
    assert!(!dry.is_full());
    let dry = Arc::new(dry);
    let aggregator = aggregator::Aggregator::new(
        Arc::clone(&dry),
        Arc::<Published>::default(),
        Arc::<ManualClock>::default(),
        Arc::new(book()),
    );
    let mut event = aws_lambda_events::kinesis::KinesisEvent::default();
    event.records = records.shards.into_values().flatten().collect();
    let given = event.records.len();
    let response = aggregator.handle(event).await;
    assert!(dry.is_full() && !response.batch_item_failures.is_empty() && given > 0);
    assert_eq!(
        rollups(&world.ledger).await.values().flat_map(|p| &p.0).filter(|t| **t != Totals::default()).count(),
        0
    );
}
