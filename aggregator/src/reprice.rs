//! Repricing: other prices for stored calls, appended to their records together with the difference that they
//! make to the rollups, in one transaction under the condition that the record is what was read.
//!
//! A call that a run has adjusted the same run never adjusts again. So whatever is done twice, after a crash, a
//! lost answer or by two at once, is done once; and running a run again finishes what it left.

use shared::clock::Clock;
use shared::id::{AgentId, OwnId, RecordKey};
use shared::ledger::{Commit, CommitError, LedgerError, RecordCursor, RecordQuery, RecordStore, RecordWrite};
use shared::metrics::Metrics;
use shared::mint::{Mint, UuidMint};
use shared::price::PriceBook;
use shared::record::{Record, RecordData};
use shared::repricing::{
    Figures, FiguresBy, Place, PlaceAfter, REPRICING_LANE, RepricingStore, Run, Selection,
};
use shared::rollup::Additions;
use shared::totals::Overflow;
use shared::window::Range;

use crate::batch::{Added, Batch};
use crate::commit::{RACES, complete, lost_races, step};

/// How much is done at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Records read at a time: a packed record can have 400 KB.
    pub page: usize,
    /// A step ends once it has looked at so many records,
    pub records: usize,
    /// or at so many calls.
    pub calls: u64,
}

impl Default for Pace {
    /// A step takes well under a second.
    fn default() -> Self {
        Self { page: 50, records: 1_000, calls: 5_000 }
    }
}

/// Reprices what is stored.
pub struct Repricer<L, M, C> {
    ledger: L,
    metrics: M,
    clock: C,
    pace: Pace,
}

/// A repricing that cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum RepriceError {
    /// Some of it lies in closed periods, and nobody asked for that.
    #[error(
        "from {from} lies before {closed}, up to which periods are closed; ask for closed periods by name, or \
         begin at {closed}"
    )]
    Closed {
        /// What was asked for.
        from: jiff::Timestamp,
        /// The watermark.
        closed: jiff::Timestamp,
    },
    /// A run of this name is about something else.
    #[error(
        "the run {0} is about other calls or another book; continue it as it was begun, or name a new one"
    )]
    OtherRun(OwnId),
    /// A sum that would not be exact.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// A record that was left as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Whose.
    pub agent: AgentId,
    /// Its key.
    pub key: RecordKey,
    /// Why.
    pub reason: String,
}

/// What one step looked at, or did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// By agent and model.
    pub rows: FiguresBy,
    /// Records that would not take it.
    pub left: Vec<Left>,
    /// What continues it; none after the last step.
    pub next: Option<Place>,
}

/// What a step is about.
struct Job<'a> {
    run: &'a OwnId,
    selection: &'a Selection,
    book: &'a PriceBook,
    writes: bool,
}

/// A record whose new prices fit one transaction.
struct Ready {
    before: Record,
    after: RecordData,
    additions: Additions,
}

/// What a record needs.
enum Need {
    /// Nothing, or nothing more.
    Nothing,
    /// One transaction.
    One(Box<Ready>),
    /// Several, or someone has to finish it first.
    Several,
    /// It would not take it.
    Left(String),
}

impl<L: RecordStore + RepricingStore, M: Metrics, C: Clock> Repricer<L, M, C> {
    /// Over these ports.
    pub fn new(ledger: L, metrics: M, clock: C) -> Self {
        Self { ledger, metrics, clock, pace: Pace::default() }
    }

    /// At another pace.
    #[must_use]
    pub fn paced(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// The ledger below.
    pub fn ledger(&self) -> &L {
        &self.ledger
    }

    /// Looks at what a repricing would do, from `place` on, and changes nothing.
    pub async fn look(
        &self,
        selection: &Selection,
        book: &PriceBook,
        place: Option<Place>,
    ) -> Result<Step, RepriceError> {
        if place.is_none() {
            self.demand_open(selection).await?;
        }
        // A name that no adjustment has.
        let run = UuidMint.mint();
        let job = Job { run: &run, selection, book, writes: false };
        self.step(&job, place).await
    }

    /// Begins a run, or finds the one of that name.
    pub async fn begin(
        &self,
        run: &OwnId,
        selection: &Selection,
        book: &PriceBook,
    ) -> Result<Run, RepriceError> {
        for _ in 0..RACES {
            if let Some(known) = self.ledger.repricing(run).await? {
                if known.selection == *selection && known.book == book.version() {
                    return Ok(known);
                }
                return Err(RepriceError::OtherRun(run.clone()));
            }
            self.demand_open(selection).await?;
            let now = self.clock.now();
            let fresh = Run {
                run: run.clone(),
                revision: 1,
                selection: selection.clone(),
                book: book.version().to_owned(),
                started_at: now,
                updated_at: now,
                next: Some(Place { agent: 0, after: None }),
                figures: Figures::default(),
                refused: 0,
            };
            if self.ledger.put_repricing(&fresh).await? {
                return Ok(fresh);
            }
        }
        Err(LedgerError::Retry(format!("the run {run} was begun by others in between")).into())
    }

    /// Takes a run one step further. The step's figures are empty where someone else has taken it already.
    pub async fn advance(&self, run: Run, book: &PriceBook) -> Result<(Run, Step), RepriceError> {
        if run.book != book.version() {
            return Err(RepriceError::OtherRun(run.run));
        }
        let Some(place) = run.next.clone() else { return Ok((run, Step::default())) };
        let job = Job { run: &run.run, selection: &run.selection, book, writes: true };
        let step = self.step(&job, Some(place)).await;
        // What was committed is to be seen, also where the step broke off.
        let settled = self.ledger.settle(&[REPRICING_LANE]).await;
        let step = step?;
        settled?;
        let mut figures = run.figures.clone();
        step.rows.values().try_for_each(|row| figures.add(row))?;
        let further = Run {
            revision: run.revision + 1,
            updated_at: self.clock.now(),
            next: step.next.clone(),
            figures,
            refused: run.refused + u64::try_from(step.left.len()).unwrap_or(u64::MAX),
            ..run
        };
        if self.ledger.put_repricing(&further).await? {
            return Ok((further, step));
        }
        let known = self.ledger.repricing(&further.run).await?;
        let gone = || LedgerError::Broken(format!("the run {} vanished between two steps", further.run));
        let known = known.ok_or_else(gone)?;
        let next = known.next.clone();
        Ok((known, Step { next, ..Step::default() }))
    }

    async fn demand_open(&self, selection: &Selection) -> Result<(), RepriceError> {
        match self.ledger.closed_before().await? {
            Some(closed) if selection.from < closed && !selection.closed => {
                Err(RepriceError::Closed { from: selection.from, closed })
            }
            _ => Ok(()),
        }
    }

    async fn step(&self, job: &Job<'_>, place: Option<Place>) -> Result<Step, RepriceError> {
        let mut place = place.unwrap_or(Place { agent: 0, after: None });
        let mut found = Step::default();
        let mut batch = Batch::default();
        let (mut records, mut calls) = (0, 0);
        while records < self.pace.records && calls < self.pace.calls {
            let page = self.page(job.selection, &place).await?;
            records += page.len();
            let is_last = page.len() < self.pace.page;
            let last = page.last().and_then(|record| {
                let (_, latest) = record.data.span()?;
                Some(PlaceAfter { latest, agent: record.agent.clone(), key: record.key.to_string() })
            });
            let settled = match self.take(page, job, &mut found, &mut batch).await {
                Ok(settled) => settled,
                Err(error) => {
                    // What was committed is committed, whatever comes after it.
                    self.metrics.publish(batch.metrics(self.clock.now())).await;
                    return Err(error);
                }
            };
            for (agent, data) in &settled {
                data.figures(agent, job.selection, job.run, &mut found.rows)?;
            }
            calls = found.rows.values().map(|row| row.events).sum();
            place.after = last;
            if is_last {
                place = Place { agent: place.agent + 1, after: None };
                if place.agent >= job.selection.agents.len() {
                    self.metrics.publish(batch.metrics(self.clock.now())).await;
                    return Ok(found);
                }
            }
        }
        self.metrics.publish(batch.metrics(self.clock.now())).await;
        found.next = Some(place);
        Ok(found)
    }

    async fn page(&self, selection: &Selection, place: &Place) -> Result<Vec<Record>, LedgerError> {
        let broken = || LedgerError::Broken("the place of a repricing names no record".to_owned());
        let after = match &place.after {
            None => None,
            Some(after) => Some(RecordCursor {
                latest: after.latest,
                agent: after.agent.clone(),
                key: after.record_key().ok_or_else(broken)?,
            }),
        };
        let query = RecordQuery {
            agent: selection.agents.get(place.agent).cloned(),
            range: Some(Range { from: selection.from.as_second(), to: selection.to.as_second() + 1 }),
            after,
            limit: self.pace.page,
        };
        self.ledger.records(&query).await
    }

    /// Adjusts a page of records; answers each as it is afterwards, or would be.
    async fn take(
        &self,
        page: Vec<Record>,
        job: &Job<'_>,
        found: &mut Step,
        batch: &mut Batch,
    ) -> Result<Vec<(AgentId, RecordData)>, RepriceError> {
        let mut settled = Vec::new();
        let mut waiting: Vec<Ready> = Vec::new();
        let mut additions = Additions::default();
        let mut bytes = 0_usize;
        for record in page {
            match self.need(&record, job)? {
                Need::Nothing => settled.push((record.agent, record.data)),
                Need::Left(reason) => {
                    found.left.push(Left { agent: record.agent.clone(), key: record.key, reason });
                    settled.push((record.agent, record.data));
                }
                Need::One(ready) => {
                    let items = waiting.len() + 1 + additions.len_with(&ready.additions);
                    let more = ready.after.weight();
                    let is_full = items > self.ledger.max_commit_items()
                        || waiting.len() == self.ledger.max_commit_records()
                        || bytes.saturating_add(more) > self.ledger.max_commit_bytes();
                    if is_full && !waiting.is_empty() {
                        bytes = 0;
                        let full = std::mem::take(&mut waiting);
                        self.commit(full, std::mem::take(&mut additions), job, found, batch, &mut settled)
                            .await?;
                    }
                    bytes = bytes.saturating_add(more);
                    additions.merge(&ready.additions)?;
                    waiting.push(*ready);
                }
                Need::Several if job.writes => {
                    settled.push(self.alone(record, job, found, batch).await?);
                }
                // Only looked at: as if it had been done.
                Need::Several => {
                    let calls = record.data.to_adjust(job.selection, job.run, job.book);
                    let now = self.clock.now();
                    let data = record.data.adjusted(&calls, job.run, now, job.book);
                    settled.push((record.agent, data.unwrap_or(record.data)));
                }
            }
        }
        self.commit(waiting, additions, job, found, batch, &mut settled).await?;
        Ok(settled)
    }

    /// What a record needs, as far as one transaction does it.
    fn need(&self, record: &Record, job: &Job<'_>) -> Result<Need, RepriceError> {
        if record.data.made.is_some() {
            return Ok(Need::Several);
        }
        let calls = record.data.to_adjust(job.selection, job.run, job.book);
        if calls.is_empty() {
            return Ok(Need::Nothing);
        }
        let after = match record.data.adjusted(&calls, job.run, self.clock.now(), job.book) {
            Ok(after) => after,
            Err(refused) => return Ok(Need::Left(refused.to_string())),
        };
        let additions = after.difference(&record.data, &record.agent)?;
        if additions.len() > step(&self.ledger) {
            return Ok(Need::Several);
        }
        Ok(Need::One(Box::new(Ready { before: record.clone(), after, additions })))
    }

    /// Commits records together, or those of them alone that someone else has written in between.
    async fn commit(
        &self,
        records: Vec<Ready>,
        additions: Additions,
        job: &Job<'_>,
        found: &mut Step,
        batch: &mut Batch,
        settled: &mut Vec<(AgentId, RecordData)>,
    ) -> Result<(), RepriceError> {
        if records.is_empty() {
            return Ok(());
        }
        let done = if job.writes {
            let writes = records.iter().map(|ready| write(&ready.before, ready.after.clone())).collect();
            self.ledger.commit(Commit { records: writes, additions, lane: REPRICING_LANE }).await
        } else {
            Ok(())
        };
        match done {
            Ok(()) => {
                for ready in records {
                    if job.writes {
                        batch.committed(Added::of(&ready.additions));
                    }
                    settled.push((ready.before.agent, ready.after));
                }
            }
            Err(CommitError::Refused(_) | CommitError::Overflow(_)) => {
                for ready in records {
                    settled.push(self.alone(ready.before, job, found, batch).await?);
                }
            }
            Err(CommitError::Ledger(error)) => return Err(error.into()),
        }
        Ok(())
    }

    /// Adjusts one record, in as many transactions as it takes: each of them adjusts some of its calls, and
    /// adds what these change, so that the totals are right between any two.
    async fn alone(
        &self,
        mut record: Record,
        job: &Job<'_>,
        found: &mut Step,
        batch: &mut Batch,
    ) -> Result<(AgentId, RecordData), RepriceError> {
        let mut races = 0;
        loop {
            if record.data.made.is_some() {
                let (agent, key) = (record.agent.clone(), record.key.clone());
                complete(&self.ledger, REPRICING_LANE, record).await?;
                record = self.read(agent, key).await?;
                continue;
            }
            let mut left = |record: Record, reason: String| {
                found.left.push(Left { agent: record.agent.clone(), key: record.key, reason });
                Ok((record.agent, record.data))
            };
            let mut calls = record.data.to_adjust(job.selection, job.run, job.book);
            let (after, additions) = loop {
                if calls.is_empty() {
                    return Ok((record.agent, record.data));
                }
                let after = match record.data.adjusted(&calls, job.run, self.clock.now(), job.book) {
                    Ok(after) => after,
                    Err(refused) => return left(record, refused.to_string()),
                };
                let additions = after.difference(&record.data, &record.agent)?;
                // One call adds to 27 rollups, which fit every ledger's transaction.
                if additions.len() <= step(&self.ledger) || calls.len() == 1 {
                    break (after, additions);
                }
                calls.truncate(calls.len().div_ceil(2));
            };
            let write = write(&record, after);
            let written = write.record.clone();
            let added = Added::of(&additions);
            let commit = Commit { records: vec![write], additions, lane: REPRICING_LANE };
            match self.ledger.commit(commit).await {
                Ok(()) => {
                    batch.committed(added);
                    record = written;
                }
                Err(CommitError::Refused(refusals)) if races < RACES => {
                    races += 1;
                    record = match refusals.into_iter().next().and_then(|refusal| refusal.existing) {
                        Some(newer) => newer,
                        None => self.read(record.agent, record.key).await?,
                    };
                }
                Err(CommitError::Refused(_)) => return Err(lost_races(&record.agent, &record.key).into()),
                Err(CommitError::Overflow(error)) => return left(record, error.to_string()),
                Err(CommitError::Ledger(error)) => return Err(error.into()),
            }
        }
    }

    async fn read(&self, agent: AgentId, key: RecordKey) -> Result<Record, LedgerError> {
        let found = self.ledger.get(&[(agent.clone(), key.clone())]).await?;
        let gone = || LedgerError::Broken(format!("record {agent} {key} vanished between two steps"));
        found.into_iter().flatten().next().ok_or_else(gone)
    }
}

fn write(before: &Record, data: RecordData) -> RecordWrite {
    let (agent, key) = (before.agent.clone(), before.key.clone());
    let record = Record { agent, key, version: before.version + 1, data };
    RecordWrite { expected: Some(before.version), record }
}
