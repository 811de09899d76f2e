//! What the consumers of all sources share: positions in the ledger, progress to look at, and invocations
//! that survive a panic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde::Serialize;
use tokio::sync::watch;

use super::DRAIN;
use crate::ledger::SqliteLedger;
use crate::mapping::{Checkpoints, Mapping, Source, SourceError, Trouble};

/// How far a consumer is, for others to look at.
#[derive(Clone, Debug)]
pub struct Progress(Arc<State>);

#[derive(Debug)]
struct State {
    name: String,
    consumed: AtomicU64,
    trouble: Mutex<Option<String>>,
}

/// How far a consumer is behind its source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lag {
    /// Which source.
    pub source: String,
    /// Its newest record.
    pub latest: u64,
    /// The last record that is done.
    pub consumed: u64,
    /// What hinders the consumer; none if nothing does.
    pub trouble: Option<String>,
}

impl Progress {
    pub(super) fn new(name: String) -> Self {
        let (consumed, trouble) = (AtomicU64::new(0), Mutex::new(None));
        Self(Arc::new(State { name, consumed, trouble }))
    }

    /// The last record that is done.
    pub(super) fn consumed(&self) -> u64 {
        self.0.consumed.load(Ordering::Relaxed)
    }

    /// Against a source whose newest record is `latest`.
    pub(super) fn lag(&self, latest: u64) -> Lag {
        let trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Lag { source: self.0.name.clone(), latest, consumed: self.consumed(), trouble }
    }

    /// For a mapping to say what hinders it.
    pub(super) fn teller(&self) -> Trouble {
        let progress = self.clone();
        Box::new(move |why| progress.set_trouble(why))
    }

    /// What hinders the consumer, in words; none if nothing does.
    fn set_trouble(&self, why: Option<&str>) {
        *self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why.map(str::to_owned);
    }
}

/// A consumer's position, kept in the ledger beside what it stands for.
pub(super) struct Position {
    pub(super) ledger: Arc<SqliteLedger>,
    pub(super) source: String,
    pub(super) progress: Progress,
    /// Whether records that are done can be dropped at once.
    pub(super) trim: bool,
}

impl Checkpoints for Position {
    fn load(&mut self) -> Result<u64, SourceError> {
        let seq = self.ledger.checkpoint(&self.source).map_err(|e| SourceError(e.to_string()))?;
        self.progress.0.consumed.store(seq, Ordering::Relaxed);
        Ok(seq)
    }

    fn store(&mut self, seq: u64) -> Result<(), SourceError> {
        self.ledger.set_checkpoint(&self.source, seq).map_err(|e| SourceError(e.to_string()))?;
        self.progress.0.consumed.store(seq, Ordering::Relaxed);
        if self.trim {
            self.ledger.trim_changes(seq).map_err(|e| SourceError(e.to_string()))?;
        }
        Ok(())
    }
}

/// Runs a consumer in a thread of its own until it is stopped. `invoke` answers what failed.
pub(super) fn consume<S, F>(
    mapping: Mapping<S, Position>,
    invoke: impl Fn(&[S::Item]) -> F + Send + 'static,
) -> std::io::Result<JoinHandle<()>>
where
    S: Source + 'static,
    F: Future<Output = Vec<u64>> + Send + 'static,
{
    let name = mapping.name.clone();
    let progress = mapping.checkpoints.progress.clone();
    spawn(name.clone(), move || async move {
        let handler = async |items: &[S::Item]| {
            // A task of its own, so that a panic in a handler is a failed invocation, as it is in Lambda.
            let outcome = tokio::spawn(invoke(items)).await;
            outcome.map_err(|error| SourceError(format!("the handler failed: {error}")))
        };
        let given_up = |lost: crate::mapping::GivenUp| tracing::error!(?lost, "records were given up");
        if let Err(error) = mapping.run(DRAIN, handler, given_up, now_ms).await {
            tracing::error!(source = name, %error, "a consumer ended early");
            progress.set_trouble(Some(&error.0));
        }
    })
}

/// Runs `work` to its end, or, once it is told to stop, for as long as draining may take.
pub(super) async fn until_stopped<T>(
    mut stop: watch::Receiver<bool>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let late = async {
        // An error means that nobody is there to stop it any more: it is to end, too.
        let _ = stop.wait_for(|stop| *stop).await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = late => None,
    }
}

/// Runs `work` in a thread with a runtime of its own.
pub(super) fn spawn<F: Future<Output = ()>>(
    name: String,
    work: impl FnOnce() -> F + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    std::thread::Builder::new().name(name).spawn(move || {
        runtime.block_on(work());
        // A delivery that is under way ends by itself, within its time-out; nobody waits for it.
        runtime.shutdown_background();
    })
}

fn now_ms() -> i64 {
    crate::stream::system_now_ms()()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::mapping::{Item, SourceConfig};

    #[derive(Clone)]
    struct One;

    impl Item for One {
        fn seq(&self) -> u64 {
            1
        }

        fn arrival_ms(&self) -> i64 {
            0
        }
    }

    /// One record, and then the end.
    struct Single;

    impl Source for Single {
        type Item = One;

        fn read(&mut self, after: u64, _: usize, _: usize) -> Result<Vec<One>, SourceError> {
            Ok(if after == 0 { vec![One] } else { Vec::new() })
        }

        async fn ready(&mut self, after: u64) -> bool {
            after == 0
        }
    }

    #[test]
    fn a_handler_that_panics_is_invoked_again() {
        let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
        let progress = Progress::new("test".to_owned());
        let (_keep, stop) = watch::channel(false);
        let mapping = Mapping {
            source: Single,
            checkpoints: Position {
                ledger: Arc::clone(&ledger),
                source: "test".to_owned(),
                progress: progress.clone(),
                trim: false,
            },
            config: SourceConfig { backoff_min: std::time::Duration::ZERO, ..SourceConfig::default() },
            name: "test".to_owned(),
            stop,
            trouble: progress.teller(),
        };
        let invocations = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&invocations);
        let consumer = consume(mapping, move |_| {
            let n = seen.fetch_add(1, Ordering::Relaxed);
            async move {
                assert!(n > 1, "as the test wants");
                Vec::new()
            }
        });
        consumer.unwrap().join().unwrap();
        assert_eq!(invocations.load(Ordering::Relaxed), 3);
        assert_eq!((progress.consumed(), ledger.checkpoint("test").unwrap()), (1, 1));
        assert_eq!(progress.lag(1).trouble, None);
    }
}
