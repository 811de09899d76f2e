//! Lambda's rules for event sources, for a host without Lambda: in order per shard, at least once, partial
//! failures, bisecting, back-off, and positions of what was given up.
//!
//! Names are those of an event source mapping:
//! <https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html>.

use std::ops::Range;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// How batches are made and retried.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// `BatchSize`: the most records of one invocation.
    pub batch_size: usize,
    /// The most bytes of one invocation; Lambda's payload limit.
    pub max_batch_bytes: usize,
    /// `MaximumBatchingWindowInSeconds`, finer: how long to wait for more once there is one record.
    pub window: Duration,
    /// `BisectBatchOnFunctionError`: a failed batch is split in two and retried, which is no attempt.
    pub bisect_on_error: bool,
    /// `MaximumRetryAttempts` and the first one; none retries for ever.
    pub max_attempts: Option<u32>,
    /// `MaximumRecordAgeInSeconds`; none never gives up for age.
    pub max_record_age: Option<Duration>,
    /// The first pause before a retry; doubled each time, with jitter.
    pub backoff_min: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            batch_size: 1_000,
            max_batch_bytes: 6 << 20,
            window: Duration::ZERO,
            bisect_on_error: true,
            max_attempts: None,
            max_record_age: None,
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(10),
        }
    }
}

/// One record of a source.
pub trait Item: Clone + Send + Sync {
    /// Its place; ascending in a shard.
    fn seq(&self) -> u64;
    /// When it arrived, in Unix milliseconds.
    fn arrival_ms(&self) -> i64;
}

/// What failed, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// Where a shard's records come from.
pub trait Source: Send {
    /// What it holds.
    type Item: Item;

    /// Records after `after`, in order, as many as there are up to the limits.
    fn read(&mut self, after: u64, records: usize, bytes: usize) -> Result<Vec<Self::Item>, SourceError>;

    /// Waits until there is a record after `after`; false if there never will be.
    fn ready(&mut self, after: u64) -> impl Future<Output = bool> + Send;
}

/// Where a shard's position is kept.
pub trait Checkpoints: Send {
    /// The last record that is done; 0 before the first.
    fn load(&mut self) -> Result<u64, SourceError>;

    /// Notes the last record that is done.
    fn store(&mut self, seq: u64) -> Result<(), SourceError>;
}

/// Positions of records that were given up: no data, as in an on-failure destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The first record.
    pub first: u64,
    /// The last record.
    pub last: u64,
    /// How often they were tried.
    pub attempts: u32,
    /// Why.
    pub reason: String,
}

/// Is told what hinders a consumer, and None when nothing does any more.
pub type Trouble = Box<dyn Fn(Option<&str>) + Send>;

/// One shard's consumer.
pub struct Mapping<S, K> {
    /// Where records come from.
    pub source: S,
    /// Where the position is kept.
    pub checkpoints: K,
    /// The rules.
    pub config: SourceConfig,
    /// Names the shard in logs.
    pub name: String,
    /// Ends the consumer when it becomes true.
    pub stop: watch::Receiver<bool>,
    /// Where to say what hinders it.
    pub trouble: Trouble,
}

/// A part of a batch that is yet to be delivered.
struct Piece {
    range: Range<usize>,
    attempts: u32,
}

impl<S: Source, K: Checkpoints> Mapping<S, K> {
    /// Delivers until stopped. What is in the source when it is stopped is still delivered, as long as it
    /// succeeds at once and within `drain`.
    ///
    /// `handler` answers the sequence numbers that failed; none means that all is done.
    pub async fn run(
        mut self,
        drain: Duration,
        mut handler: impl AsyncFnMut(&[S::Item]) -> Result<Vec<u64>, SourceError>,
        mut given_up: impl FnMut(GivenUp),
        now_ms: impl Fn() -> i64,
    ) -> Result<(), SourceError> {
        let mut position = self.checkpoints.load()?;
        let mut stopped_at: Option<Instant> = None;
        loop {
            if stopped_at.is_none() && *self.stop.borrow() {
                stopped_at = Some(Instant::now());
            }
            if stopped_at.is_some_and(|at| at.elapsed() > drain) {
                return Ok(());
            }
            let batch = match self.gather(position).await {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::error!(source = self.name, %error, "the source cannot be read; trying again");
                    (self.trouble)(Some(&error.0));
                    if !self.pause(self.config.backoff_max).await {
                        return Err(error);
                    }
                    continue;
                }
            };
            if batch.is_empty() {
                if stopped_at.is_some() || !self.more(position).await {
                    return Ok(());
                }
                continue;
            }
            let all_done = self.deliver(&batch, &mut position, &mut handler, &mut given_up, &now_ms).await;
            if !all_done {
                return Ok(());
            }
        }
    }

    /// Waits for records or for the end; false at the end of the source.
    async fn more(&mut self, position: u64) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            ready = self.source.ready(position) => ready,
            _ = stop.wait_for(|stop| *stop) => true,
        }
    }

    async fn gather(&mut self, position: u64) -> Result<Vec<S::Item>, SourceError> {
        let (records, bytes) = (self.config.batch_size, self.config.max_batch_bytes);
        let batch = self.source.read(position, records, bytes)?;
        let is_small = !batch.is_empty() && batch.len() < records;
        if !is_small || self.config.window.is_zero() || *self.stop.borrow() {
            return Ok(batch);
        }
        tokio::time::sleep(self.config.window).await;
        self.source.read(position, records, bytes)
    }

    /// Delivers a batch to its end; false if it was stopped before.
    async fn deliver(
        &mut self,
        batch: &[S::Item],
        position: &mut u64,
        handler: &mut impl AsyncFnMut(&[S::Item]) -> Result<Vec<u64>, SourceError>,
        given_up: &mut impl FnMut(GivenUp),
        now_ms: &impl Fn() -> i64,
    ) -> bool {
        let mut pieces = vec![Piece { range: 0..batch.len(), attempts: 0 }];
        while let Some(mut piece) = pieces.pop() {
            let items = &batch[piece.range.clone()];
            let Some(last) = items.last() else { continue };
            let reason = match handler(items).await {
                Ok(failed) if failed.is_empty() => {
                    (self.trouble)(None);
                    if !self.done(last.seq(), position).await {
                        return false;
                    }
                    continue;
                }
                Ok(failed) => {
                    // An unknown number fails the whole batch, as Lambda does.
                    let lowest = failed.iter().map(|seq| items.iter().position(|item| item.seq() == *seq));
                    let lowest = lowest.map(|at| at.unwrap_or(0)).min().unwrap_or(0);
                    if let Some(before) = lowest.checked_sub(1).and_then(|n| items.get(n)) {
                        if !self.done(before.seq(), position).await {
                            return false;
                        }
                        piece.range.start += lowest;
                        piece.attempts = 0;
                    }
                    format!("the handler reported {} records of {} as failed", failed.len(), items.len())
                }
                Err(error) => {
                    tracing::warn!(source = self.name, %error, records = items.len(), "a batch failed");
                    (self.trouble)(Some(&error.0));
                    if self.config.bisect_on_error && items.len() > 1 {
                        let middle = piece.range.start + items.len() / 2;
                        pieces.push(Piece { range: middle..piece.range.end, attempts: 0 });
                        pieces.push(Piece { range: piece.range.start..middle, attempts: 0 });
                        continue;
                    }
                    error.to_string()
                }
            };
            (self.trouble)(Some(&reason));
            piece.attempts += 1;
            let rest = &batch[piece.range.clone()];
            let oldest = rest.first().map_or(0, Item::arrival_ms);
            let age = Duration::from_millis(u64::try_from(now_ms() - oldest).unwrap_or(0));
            let too_often = self.config.max_attempts.is_some_and(|most| piece.attempts >= most);
            let too_old = self.config.max_record_age.is_some_and(|most| age >= most);
            if too_often || too_old {
                let (first, end) = (rest.first().map_or(0, Item::seq), last.seq());
                given_up(GivenUp { first, last: end, attempts: piece.attempts, reason });
                if !self.done(end, position).await {
                    return false;
                }
                continue;
            }
            let pause = self.backoff(piece.attempts);
            pieces.push(piece);
            if !self.pause(pause).await {
                return false;
            }
        }
        true
    }

    /// Stores the position, however long it takes; false if it was stopped while that failed.
    async fn done(&mut self, seq: u64, position: &mut u64) -> bool {
        let mut attempts = 0;
        while let Err(error) = self.checkpoints.store(seq) {
            attempts += 1;
            (self.trouble)(Some(&error.0));
            tracing::error!(source = self.name, %error, seq, "the position cannot be stored; trying again");
            if !self.pause(self.backoff(attempts)).await {
                return false;
            }
        }
        *position = seq;
        true
    }

    fn backoff(&self, attempts: u32) -> Duration {
        let doubled = self.config.backoff_min.saturating_mul(1 << attempts.saturating_sub(1).min(16));
        let most = doubled.min(self.config.backoff_max);
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(micros / 2 + fastrand::u64(..=micros / 2))
    }

    /// Sleeps; false if it was stopped meanwhile.
    async fn pause(&mut self, pause: Duration) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            _ = stop.wait_for(|stop| *stop) => false,
        }
    }
}
