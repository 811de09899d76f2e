//! Shadows: whatever was done to rollups is found, and repaired once, to the last digit.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use conformance::check;
use conformance::exactly_once::play;
use conformance::faulty::{Fault, Faulty, Feed};
use fastrand::Rng;
use operate::shadow::{Alone, Consumers, Options, Report, Shadow, ShadowError};
use rusqlite::params;
use shared::ledger::{RecordStore, RollupStore};

use super::late::Late;
use super::support::{OnDisk, rollups};

fn options(promote: bool) -> Options {
    let at = |text: &str| text.parse().unwrap();
    Options { from: at("2026-02-01T00:00:00Z"), to: at("2026-05-01T00:00:00Z"), promote, closed: false }
}

/// In slices that need several passes, with records read in pages of odd size.
async fn run<L: RecordStore + RollupStore>(ledger: &Arc<L>, promote: bool) -> Result<Report, ShadowError> {
    let shadow = Shadow::new(Arc::clone(ledger)).within(300, 7);
    shadow.run(&options(promote), &Alone, &mut |_, _| ()).await
}

async fn played(seed: u64) -> OnDisk {
    let on_disk = OnDisk::new();
    play(Arc::clone(&on_disk.ledger), seed, None).await.unwrap();
    on_disk
}

/// Deletes, changes and invents rollups of a day, and now and then of its month.
fn damage(on_disk: &OnDisk, rng: &mut Rng) -> bool {
    let db = on_disk.tables();
    let mut select = db.prepare("SELECT DISTINCT start - start % 86400 FROM rollup WHERE win < 2").unwrap();
    let days: Vec<i64> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let Some(day) = rng.choice(&days).copied() else { return false };
    let of_day = "win < 2 AND start >= ?1 AND start < ?1 + 86400";
    let changed = match rng.u32(..5) {
        0 => db.execute(&format!("DELETE FROM rollup WHERE {of_day}"), params![day]).unwrap(),
        1 => {
            let some = format!("DELETE FROM rollup WHERE {of_day} AND (kind + win + lane + ?2) % 3 = 0");
            db.execute(&some, params![day, rng.i64(..3)]).unwrap()
        }
        2 => {
            // One dimension's subtotals in the place of another's.
            let swap = format!("UPDATE rollup SET parts = '[{{\"events\":7,\"cost_usd\":\"0.000000000001\"}},{{}},{{}},{{}}]'
                WHERE {of_day} AND win = 0 AND kind = ?2");
            db.execute(&swap, params![day, rng.i64(..9)]).unwrap()
        }
        3 => db.execute("DELETE FROM rollup WHERE win = 2", []).unwrap(),
        _ => {
            let sql = "INSERT OR IGNORE INTO rollup SELECT kind, win, start, 'nobody', b, lane + 100, parts FROM rollup
                WHERE win < 2 AND start >= ?1 AND start < ?1 + 86400 AND kind IN (2, 7)";
            db.execute(sql, params![day]).unwrap()
        }
    };
    changed > 0
}

#[tokio::test]
async fn whatever_was_done_to_rollups_is_repaired_to_the_last_digit_and_once() {
    let (mut damaged, mut repaired) = (0, 0);
    for seed in 0..30 {
        let on_disk = played(seed).await;
        let ledger = &on_disk.ledger;
        let before = rollups(ledger).await;
        let well = run(ledger, false).await.unwrap();
        assert_eq!((well.different, well.repaired), (0, 0), "seed {seed}: {:?}", well.differences.first());
        assert!(usize::try_from(well.rollups).unwrap() >= before.len(), "all of them are looked at");

        let mut rng = Rng::with_seed(seed);
        let hurt = (0..rng.usize(1..4)).filter(|_| damage(&on_disk, &mut rng)).count() > 0;
        let spoilt = rollups(ledger).await;
        let seen = run(ledger, false).await.unwrap();
        assert_eq!(rollups(ledger).await, spoilt, "seed {seed}: looking changes nothing");
        assert_eq!(seen.different > 0, spoilt != before, "seed {seed}");
        damaged += u32::from(hurt);

        let promoted = run(ledger, true).await.unwrap();
        assert_eq!((promoted.different, promoted.repaired), (seen.different, seen.different), "seed {seed}");
        assert_eq!(rollups(ledger).await, before, "seed {seed}");
        check::recomputable(&**ledger).await.map_err(|v| format!("seed {seed}: {v:?}")).unwrap();
        repaired += promoted.repaired;

        let changes = *ledger.watch_changes().borrow();
        let again = run(ledger, true).await.unwrap();
        assert_eq!((again.different, again.repaired), (0, 0), "seed {seed}");
        assert_eq!(*ledger.watch_changes().borrow(), changes, "seed {seed}: nobody is told of nothing");
    }
    assert!(damaged > 20 && repaired > 500, "{damaged} {repaired}");
}

#[tokio::test]
async fn a_repair_that_dies_anywhere_is_finished_by_the_next() {
    for seed in 0..20 {
        let on_disk = played(seed).await;
        let before = rollups(&on_disk.ledger).await;
        let mut rng = Rng::with_seed(seed);
        for _ in 0..50 {
            if damage(&on_disk, &mut rng) {
                break;
            }
        }
        for _ in 0..6 {
            let fault = match rng.u32(..2) {
                0 => Fault::Dies { call: rng.u64(..400), after: rng.bool() },
                _ => Fault::Flaky { seed: rng.u64(..) },
            };
            let feed = Arc::new(Feed::default());
            let process = Arc::new(Faulty::new(Arc::clone(&on_disk.ledger), feed, fault, 20));
            // What is left is found by the next.
            let _ = run(&process, true).await;
        }
        run(&on_disk.ledger, true).await.unwrap();
        assert_eq!(rollups(&on_disk.ledger).await, before, "seed {seed}");
    }
}

async fn with_late_commits(unconditional: bool) -> u32 {
    let mut wrong = 0;
    for seed in 0..20 {
        let on_disk = played(seed).await;
        let before = rollups(&on_disk.ledger).await;
        let mut rng = Rng::with_seed(seed);
        for _ in 0..50 {
            if damage(&on_disk, &mut rng) {
                break;
            }
        }
        let late = Arc::new(Late::new(&on_disk.ledger, seed, unconditional));
        for _ in 0..20 {
            if run(&late, true).await.is_ok() {
                break;
            }
        }
        late.arrive().await;
        if rollups(&on_disk.ledger).await != before {
            wrong += 1;
        }
    }
    wrong
}

#[tokio::test]
async fn a_commit_that_arrives_when_it_was_given_up_adds_nothing() {
    assert_eq!(with_late_commits(false).await, 0);
    assert!(with_late_commits(true).await > 0, "the mark would not be needed");
}

/// Says what it was told.
#[derive(Default)]
struct Paused {
    depth: AtomicI32,
    times: AtomicI32,
}

impl Consumers for Paused {
    async fn pause(&self) -> Result<(), String> {
        self.depth.fetch_add(1, Ordering::Relaxed);
        self.times.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn resume(&self) -> Result<(), String> {
        self.depth.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn ranges_are_whole_hours_and_consumers_are_paused_for_a_repair_only() {
    let on_disk = played(2).await;
    let shadow = Shadow::new(Arc::clone(&on_disk.ledger));
    let at = |text: &str| text.parse().unwrap();
    let paused = Paused::default();
    let hours =
        Options { from: at("2026-03-07T10:00:00Z"), to: at("2026-03-07T12:00:00Z"), ..options(false) };
    let report = shadow.run(&hours, &paused, &mut |_, _| ()).await.unwrap();
    assert_eq!((report.uncovered.len(), paused.times.load(Ordering::Relaxed)), (2, 0));
    shadow.run(&Options { promote: true, ..hours }, &paused, &mut |_, _| ()).await.unwrap();
    assert_eq!((paused.times.load(Ordering::Relaxed), paused.depth.load(Ordering::Relaxed)), (1, 0));
    // A ledger that fails while they are paused does not leave them so.
    let (feed, fault) = (Arc::new(Feed::default()), Fault::BlindToTotals);
    let blind = Arc::new(Faulty::new(Arc::clone(&on_disk.ledger), feed, fault, 20));
    let failed = Shadow::new(blind).run(&options(true), &paused, &mut |_, _| ()).await;
    assert!(failed.is_err() && paused.depth.load(Ordering::Relaxed) == 0);

    on_disk.ledger.close_before(at("2026-03-01T00:00:00Z")).await.unwrap();
    for wrong in [
        Options { from: at("2026-03-07T10:15:00Z"), ..hours },
        Options { to: at("2026-03-07T10:00:00Z"), ..hours },
        Options { from: at("2020-03-07T10:00:00Z"), ..hours },
        options(true),
    ] {
        let refused = shadow.run(&wrong, &paused, &mut |_, _| ()).await;
        assert!(matches!(refused, Err(ShadowError::Asked(_))), "{refused:?}");
    }
    shadow.run(&Options { closed: true, ..options(true) }, &paused, &mut |_, _| ()).await.unwrap();
}
