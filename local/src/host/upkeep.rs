//! What a schedule does: the alerter's sweep, the watermark of late events, and the stream's retention.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use alerter::Alerter;
use ingest::Ingest;
use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::ledger::LedgerError;
use shared::notifier::Notifier;
use tokio::sync::watch;

use super::alert::Turn;
use super::shard::{Progress, spawn, until_stopped};
use crate::ledger::SqliteLedger;
use crate::stream::StreamLog;

/// The scheduled work, moved into its thread.
pub(super) struct Upkeep<N, C> {
    pub(super) alerter: Arc<Alerter<Arc<SqliteLedger>, N, C>>,
    pub(super) turn: Turn,
    pub(super) ledger: Arc<SqliteLedger>,
    pub(super) stream: StreamLog,
    pub(super) ingest: Arc<Ingest<StreamLog, C>>,
    pub(super) shards: Vec<Progress>,
    pub(super) clock: C,
    pub(super) every: Duration,
    pub(super) stream_retention: Duration,
    pub(super) max_event_age: Duration,
}

impl<N: Notifier + 'static, C: Clock + Clone + 'static> Upkeep<N, C> {
    /// Starts the schedule, with a first round at once.
    pub(super) fn start(self, mut stop: watch::Receiver<bool>) -> std::io::Result<JoinHandle<()>> {
        spawn("upkeep".to_owned(), move || async move {
            let upkeep = Arc::new(self);
            loop {
                let round = Arc::clone(&upkeep);
                let stopping = stop.clone();
                // A task of its own: a panic ends this round, not the schedule.
                let task = tokio::spawn(async move { until_stopped(stopping, round.round()).await });
                if let Err(error) = task.await {
                    tracing::error!(%error, "the scheduled upkeep failed; it runs again");
                }
                tokio::select! {
                    () = tokio::time::sleep(upkeep.every) => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
        })
    }

    async fn round(&self) {
        let turn = self.turn.lock().await;
        if let Err(error) = self.alerter.sweep().await {
            tracing::warn!(%error, "budgets were not swept; they will be in the next round");
        }
        drop(turn);
        if let Err(error) = self.move_watermark() {
            tracing::warn!(%error, "the watermark of late events was not moved");
        }
        if let Err(reason) = self.trim() {
            tracing::warn!(reason, "the stream was not trimmed; it will be in the next round");
        }
    }

    /// Ingest refuses what is too old. The ledger does so later by the stream's retention, so that what was
    /// accepted is not refused for having waited; and never earlier than it once did, also if the limit is
    /// raised, as what was recorded before that may be gone.
    pub(super) fn move_watermark(&self) -> Result<(), LedgerError> {
        let oldest = ago(self.clock.now(), self.max_event_age);
        let closed = self.ledger.move_watermark(ago(oldest, self.stream_retention))?;
        self.ingest.closed_before().set(oldest.max(closed));
        Ok(())
    }

    /// Deletes old segments, once what was made of them is on the disk.
    fn trim(&self) -> Result<(), String> {
        let before = ago(self.clock.now(), self.stream_retention).as_millisecond();
        let consumed: Vec<u64> = self.shards.iter().map(Progress::consumed).collect();
        self.ledger.sync().map_err(|e| e.to_string())?;
        for (shard, consumed) in (0..).zip(consumed) {
            let deleted = self.stream.trim(shard, consumed, before).map_err(|e| e.to_string())?;
            if deleted > 0 {
                tracing::info!(shard, deleted, "segments past the stream's retention were deleted");
            }
        }
        Ok(())
    }
}

fn ago(now: Timestamp, age: Duration) -> Timestamp {
    SignedDuration::try_from(age)
        .ok()
        .and_then(|age| now.checked_sub(age).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}
