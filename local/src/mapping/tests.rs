use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::*;

#[derive(Clone, Debug, PartialEq)]
struct Rec(u64);

impl Item for Rec {
    fn seq(&self) -> u64 {
        self.0
    }

    fn arrival_ms(&self) -> i64 {
        0
    }
}

/// Records 1..=n and then the end.
struct Numbers(u64);

impl Source for Numbers {
    type Item = Rec;

    fn read(&mut self, after: u64, records: usize, _bytes: usize) -> Result<Vec<Rec>, SourceError> {
        Ok((after + 1..=self.0).take(records).map(Rec).collect())
    }

    async fn ready(&mut self, after: u64) -> bool {
        after < self.0
    }
}

#[derive(Clone, Default)]
struct Stored {
    seq: Arc<Mutex<u64>>,
    /// Fails so many times first.
    failures: Arc<Mutex<u32>>,
}

impl Checkpoints for Stored {
    fn load(&mut self) -> Result<u64, SourceError> {
        Ok(*self.seq.lock().unwrap())
    }

    fn store(&mut self, seq: u64) -> Result<(), SourceError> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(SourceError("no".to_owned()));
        }
        *self.seq.lock().unwrap() = seq;
        Ok(())
    }
}

fn config() -> SourceConfig {
    SourceConfig {
        batch_size: 10,
        backoff_min: Duration::ZERO,
        backoff_max: Duration::ZERO,
        max_attempts: Some(3),
        ..SourceConfig::default()
    }
}

struct Run {
    batches: Vec<Vec<u64>>,
    given_up: Vec<GivenUp>,
    stored: u64,
    trouble: Vec<Option<String>>,
}

async fn run(
    records: u64,
    config: SourceConfig,
    checkpoints: Stored,
    mut answer: impl FnMut(&[Rec]) -> Result<Vec<u64>, SourceError>,
) -> Run {
    let (_keep, stop) = watch::channel(false);
    let trouble = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&trouble);
    let mapping = Mapping {
        source: Numbers(records),
        checkpoints: checkpoints.clone(),
        config,
        name: "test".to_owned(),
        stop,
        trouble: Box::new(move |why| told.lock().unwrap().push(why.map(str::to_owned))),
    };
    let mut batches = Vec::new();
    let mut given_up = Vec::new();
    let handler = async |items: &[Rec]| {
        batches.push(items.iter().map(|r| r.0).collect());
        answer(items)
    };
    mapping.run(Duration::ZERO, handler, |g| given_up.push(g), || 0).await.unwrap();
    let stored = *checkpoints.seq.lock().unwrap();
    let trouble = trouble.lock().unwrap().clone();
    Run { batches, given_up, stored, trouble }
}

#[tokio::test]
async fn batches_come_in_order_and_are_checkpointed() {
    let done = run(25, config(), Stored::default(), |_| Ok(vec![])).await;
    assert_eq!(done.batches.concat(), (1..=25).collect::<Vec<_>>());
    assert_eq!(done.batches.len(), 3);
    assert_eq!(done.stored, 25);
}

#[tokio::test]
async fn a_restart_goes_on_behind_the_checkpoint() {
    let checkpoints = Stored::default();
    *checkpoints.seq.lock().unwrap() = 7;
    let done = run(9, config(), checkpoints, |_| Ok(vec![])).await;
    assert_eq!(done.batches, vec![vec![8, 9]]);
}

#[tokio::test]
async fn a_partial_failure_retries_from_the_lowest_failed_record() {
    for bad in 1..=10_u64 {
        let mut failures = 2;
        let done = run(10, config(), Stored::default(), |items| {
            let held = items.iter().any(|r| r.0 == bad) && failures > 0;
            failures -= u32::from(held);
            Ok(if held { vec![10, bad] } else { vec![] })
        })
        .await;
        let retry: Vec<u64> = (bad..=10).collect();
        assert_eq!(done.batches, vec![(1..=10).collect(), retry.clone(), retry], "bad is {bad}");
        assert_eq!((done.stored, done.given_up.len()), (10, 0));
    }
}

#[tokio::test]
async fn an_unknown_failure_fails_the_whole_batch() {
    let mut first = true;
    let done = run(4, config(), Stored::default(), |_| {
        Ok(if std::mem::take(&mut first) { vec![99] } else { vec![] })
    })
    .await;
    assert_eq!(done.batches, vec![vec![1, 2, 3, 4], vec![1, 2, 3, 4]]);
}

#[tokio::test]
async fn bisecting_isolates_poison_and_gives_up_only_that() {
    for poison in 1..=10_u64 {
        let mut seen = BTreeSet::new();
        let done = run(10, config(), Stored::default(), |items| {
            if items.iter().any(|r| r.0 == poison) {
                return Err(SourceError("boom".to_owned()));
            }
            seen.extend(items.iter().map(|r| r.0));
            Ok(vec![])
        })
        .await;
        let reason = "boom".to_owned();
        assert_eq!(done.given_up, vec![GivenUp { first: poison, last: poison, attempts: 3, reason }]);
        assert_eq!(seen, (1..=10).filter(|n| *n != poison).collect());
        assert_eq!(done.stored, 10);
    }
}

#[tokio::test]
async fn without_bisecting_the_whole_batch_is_tried_and_given_up() {
    let whole = SourceConfig { bisect_on_error: false, ..config() };
    let done = run(4, whole, Stored::default(), |_| Err(SourceError("boom".to_owned()))).await;
    assert_eq!(done.batches.len(), 3);
    assert_eq!((done.given_up[0].first, done.given_up[0].last), (1, 4));
}

#[tokio::test]
async fn a_position_that_cannot_be_stored_is_stored_later() {
    let checkpoints = Stored { failures: Arc::new(Mutex::new(5)), ..Stored::default() };
    let done = run(12, config(), checkpoints, |_| Ok(vec![])).await;
    assert_eq!(done.stored, 12);
    assert_eq!(done.batches.len(), 2, "nothing is delivered twice for it");
    assert!(done.trouble.contains(&Some("no".to_owned())));
    assert_eq!(done.trouble.last(), Some(&None), "and what hindered is over");
}

#[tokio::test]
async fn stopping_delivers_what_is_there() {
    let (_keep, stop) = watch::channel(true);
    let checkpoints = Stored::default();
    let mapping = Mapping {
        source: Numbers(25),
        checkpoints: checkpoints.clone(),
        config: config(),
        name: "test".to_owned(),
        stop,
        trouble: Box::new(|_| {}),
    };
    mapping.run(Duration::from_secs(60), async |_: &[Rec]| Ok(vec![]), |_| {}, || 0).await.unwrap();
    assert_eq!(*checkpoints.seq.lock().unwrap(), 25);
}
