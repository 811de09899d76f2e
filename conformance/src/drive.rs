//! Plays a history against the handlers: lossy puts, redelivered and re-split batches, two consumers of one
//! lane, crashes and lost answers at any step, and the alerter interleaved with all of it.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use aggregator::{Aggregator, Pace, Repricer};
use alerter::Alerter;
use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::kinesis::{KinesisEvent, KinesisEventRecord};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use shared::alert::Alert;
use shared::budget::{Budget, BudgetSpec};
use shared::clock::Clock;
use shared::id::{AgentId, ModelId, OwnId};
use shared::ledger::{Ledger, LedgerError, MAX_COMMIT_ITEMS};
use shared::notifier::{Notifier, NotifyError};
use shared::price::PriceBook;
use shared::repricing::Selection;

use crate::faulty::{Fault, Faulty, Feed, ItemKey};
use crate::history::START;
use crate::intake::{ManualClock, MemoryStream};
pub use crate::published::Published;
use crate::sabotage::{Guard, Sabotaged};

/// Every delivery, in order.
#[derive(Debug, Default)]
pub struct Deliveries(Mutex<Vec<Alert>>);

impl Deliveries {
    /// What was delivered so far.
    pub fn all(&self) -> Vec<Alert> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A notifier that dies with its process, and sometimes does not deliver.
struct Mailer<L> {
    process: Arc<Sabotaged<Faulty<L>>>,
    deliveries: Arc<Deliveries>,
    /// Chooses which deliveries fail; none if none does.
    faults: Mutex<Option<Rng>>,
}

impl<L: Ledger> Notifier for Mailer<L> {
    async fn notify(&self, alert: &Alert) -> Result<(), NotifyError> {
        let died = |error: LedgerError| NotifyError(error.to_string());
        self.process.inner().step().await.map_err(died)?;
        let fails = match &mut *self.faults.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(rng) => rng.u32(..3) == 0,
            None => false,
        };
        if fails {
            return Err(NotifyError("not now".to_owned()));
        }
        self.deliveries.0.lock().unwrap_or_else(PoisonError::into_inner).push(alert.clone());
        self.process.inner().step().await.map_err(died)
    }
}

/// A repricing of a history.
#[derive(Clone, Debug)]
pub struct Repricing {
    /// Its name.
    pub run: OwnId,
    /// Which calls.
    pub selection: Selection,
    /// Version of the book.
    pub book: String,
}

/// The world in which a history plays.
pub struct World<L> {
    /// The ledger under test.
    pub ledger: Arc<L>,
    /// The stream that intake fills.
    pub stream: Arc<MemoryStream>,
    /// The time.
    pub clock: Arc<ManualClock>,
    /// What was sent to people.
    pub deliveries: Arc<Deliveries>,
    /// What was published.
    pub published: Arc<Published>,
    /// Nobody dies.
    pub calm: bool,
    /// A repricing after which nothing happened.
    pub last: Option<Repricing>,
    feed: Arc<Feed>,
    /// The first prices what arrives.
    books: Vec<Arc<PriceBook>>,
    /// Repricings that were begun, perhaps not finished.
    runs: Vec<Repricing>,
    missing: Option<Guard>,
    processes: AtomicUsize,
    /// By partition key: how far its records are consumed.
    consumed: BTreeMap<String, usize>,
    evaluated: usize,
}

type Task<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

impl<L: Ledger> World<L> {
    /// A world over an empty ledger, perhaps without a guard. There is at least one book: the first prices what
    /// arrives.
    pub fn new(ledger: L, books: Vec<PriceBook>, missing: Option<Guard>) -> Self {
        Self {
            ledger: Arc::new(ledger),
            stream: Arc::default(),
            clock: Arc::default(),
            deliveries: Arc::default(),
            published: Arc::default(),
            calm: false,
            last: None,
            feed: Arc::default(),
            books: books.into_iter().map(Arc::new).collect(),
            runs: Vec::new(),
            missing,
            processes: AtomicUsize::new(0),
            consumed: BTreeMap::new(),
            evaluated: 0,
        }
    }

    /// Processes over one ledger may differ in how much they commit at once: after an upgrade, or where
    /// another ledger takes more.
    fn process(&self, fault: Fault) -> Arc<Sabotaged<Faulty<L>>> {
        let limits = [MAX_COMMIT_ITEMS, 40, usize::MAX];
        let max_items = limits[self.processes.fetch_add(1, Ordering::Relaxed) % limits.len()];
        let faulty = Faulty::new(Arc::clone(&self.ledger), Arc::clone(&self.feed), fault, max_items);
        Arc::new(Sabotaged::new(faulty, self.missing))
    }

    /// Sets a budget, which is news like any other.
    pub async fn set_budget(&self, spec: &BudgetSpec) -> Result<(), LedgerError> {
        let budget = self.ledger.set_budget(spec, self.clock.now()).await?;
        self.feed.note([Budget::item_key(&budget.spec.name)]);
        Ok(())
    }

    /// One round: some consumers and alerters at once, each perhaps dying on the way.
    pub async fn round(&mut self, rng: &mut Rng) {
        let mut batches = Vec::new();
        for _ in 0..rng.usize(1..=2) {
            batches.extend(self.some_batch(rng));
        }
        // Two consumers of one lane at once: both hold the same records, or overlapping ones.
        if let Some((key, from, records)) = batches.first().cloned()
            && rng.u32(..3) == 0
        {
            let cut = rng.usize(..records.len());
            batches.push((key, from + cut, records[cut..].to_vec()));
        }
        let changes = self.feed.all();
        let mut slices = Vec::new();
        for _ in 0..rng.usize(..=4) {
            slices.push(self.some_changes(rng, &changes));
        }
        // Two alerters that look at the same changes at once, and so decide the same.
        if let Some(same) = slices.first().cloned()
            && rng.bool()
        {
            slices.push(same);
        }
        let runs = self.some_runs(rng);
        let (outcomes, evaluated) = {
            let done = Mutex::new(Vec::new());
            let evaluated = Mutex::new(Vec::new());
            let mut tasks: Vec<Task<'_>> = Vec::new();
            for batch in &batches {
                let fault = self.fault(rng, 3, 40);
                tasks.push(Box::pin(self.consume(batch, fault, &done)));
            }
            for slice in &slices {
                let fault = self.fault(rng, 2, 30);
                let faults = rng.bool().then(|| rng.fork());
                tasks.push(Box::pin(self.watch(slice, fault, faults, &evaluated)));
            }
            for run in &runs {
                let (fault, page) = (self.fault(rng, 2, 30), rng.usize(1..=8));
                let reprice = self.reprice(run, fault, page);
                // What fails is begun again later.
                tasks.push(Box::pin(async move { drop(reprice.await) }));
            }
            interleave(tasks, rng).await;
            (take(done), take(evaluated))
        };
        for (key, from, upto) in outcomes {
            // What a second consumer finished says nothing of what lies before it.
            let consumed = self.consumed.entry(key).or_default();
            if from <= *consumed {
                *consumed = (*consumed).max(upto);
            }
        }
        for upto in evaluated {
            self.evaluated = self.evaluated.max(upto);
        }
        // An operator replays from an earlier position.
        if rng.u32(..12) == 0 {
            self.consumed.values_mut().for_each(|at| *at = at.saturating_sub(rng.usize(..6)));
        }
    }

    /// Delivers all that is left, without faults.
    pub async fn drain(&mut self) -> Result<(), String> {
        for (key, records) in self.stream.by_partition() {
            let from = self.consumed.get(&key).copied().unwrap_or(0);
            let done = Mutex::new(Vec::new());
            for (n, record) in records.iter().enumerate().skip(from) {
                self.consume(&(key.clone(), n, vec![record.clone()]), Fault::None, &done).await;
            }
            let consumed = take(done).into_iter().map(|(_, _, upto)| upto).max().unwrap_or(from);
            if consumed != records.len() {
                return Err(format!(
                    "without faults, lane {key} was consumed to {consumed} of {}",
                    records.len()
                ));
            }
            self.consumed.insert(key, consumed);
        }
        for run in &self.runs {
            self.reprice(run, Fault::None, 50).await.map_err(|e| format!("without faults, {run:?}: {e}"))?;
        }
        if let Some(last) = &self.last {
            self.reprice(last, Fault::None, 7).await.map_err(|e| format!("without faults, {last:?}: {e}"))?;
        }
        let changes = self.feed.all();
        let evaluated = Mutex::new(Vec::new());
        self.watch(&(changes.len(), changes[self.evaluated..].to_vec()), Fault::None, None, &evaluated).await;
        self.evaluated =
            take(evaluated).into_iter().max().ok_or("without faults, changes were not evaluated")?;
        Ok(())
    }

    /// Runs the scheduled sweep, without faults.
    pub async fn sweep(&self) -> Result<(), LedgerError> {
        let process = self.process(Fault::None);
        self.alerter(process, None).sweep().await
    }

    fn alerter(
        &self,
        process: Arc<Sabotaged<Faulty<L>>>,
        faults: Option<Rng>,
    ) -> Alerter<Arc<Sabotaged<Faulty<L>>>, Mailer<L>, Arc<ManualClock>> {
        let deliveries = Arc::clone(&self.deliveries);
        let mailer = Mailer { process: Arc::clone(&process), deliveries, faults: Mutex::new(faults) };
        Alerter::new(process, mailer, Arc::clone(&self.clock))
    }

    async fn consume(&self, batch: &Batch, fault: Fault, done: &Mutex<Vec<(String, usize, usize)>>) {
        let (key, from, records) = batch;
        let process = self.process(fault);
        let consumer = Aggregator::new(
            Arc::clone(&process),
            Arc::clone(&self.published),
            Arc::clone(&self.clock),
            Arc::clone(&self.books[0]),
        );
        // Some of the batches are full: a ledger may settle them later.
        let consumer = consumer.with_full_batches_of(3);
        let mut event = KinesisEvent::default();
        event.records =
            records.iter().enumerate().map(|(n, data)| stream_record(key, from + n, data)).collect();
        let response = consumer.handle(event).await;
        if process.inner().is_dead() {
            return;
        }
        let failed =
            response.batch_item_failures.iter().filter_map(|f| f.item_identifier.as_ref()?.parse().ok());
        let upto: usize = failed.min().unwrap_or(from + records.len());
        done.lock().unwrap_or_else(PoisonError::into_inner).push((key.clone(), *from, upto));
    }

    async fn watch(
        &self,
        slice: &(usize, Vec<ItemKey>),
        fault: Fault,
        faults: Option<Rng>,
        done: &Mutex<Vec<usize>>,
    ) {
        let process = self.process(fault);
        let mut event = Event::default();
        event.records = slice.1.iter().enumerate().map(|(n, key)| change_record(n, key)).collect();
        let response = self.alerter(Arc::clone(&process), faults).handle(event).await;
        if !process.inner().is_dead() && response.batch_item_failures.is_empty() {
            done.lock().unwrap_or_else(PoisonError::into_inner).push(slice.0);
        }
    }

    /// Begins repricings, or takes up some that were begun; now and then two processes take up the same.
    fn some_runs(&mut self, rng: &mut Rng) -> Vec<Repricing> {
        let mut runs = Vec::new();
        while rng.u32(..4) == 0 && runs.len() < 2 {
            if self.runs.is_empty() || rng.bool() {
                let fresh = self.some_repricing(rng, self.runs.len());
                self.runs.extend(fresh.clone());
                runs.extend(fresh);
            } else {
                runs.extend(rng.choice(&self.runs).cloned());
            }
        }
        if let Some(same) = runs.first().cloned()
            && rng.u32(..3) == 0
        {
            runs.push(same);
        }
        runs
    }

    /// A repricing of everything, of a while, of an agent, of a model, or of what has no price.
    pub fn some_repricing(&self, rng: &mut Rng, number: usize) -> Option<Repricing> {
        let start: Timestamp = START.parse().ok()?;
        let at = |seconds: i64| start.checked_add(SignedDuration::from_secs(seconds)).ok();
        let whole = rng.bool();
        let from = if whole { -40 * 86_400 } else { -rng.i64(0..20 * 86_400) };
        let to = if whole { 40 * 86_400 } else { from + rng.i64(1..20 * 86_400) };
        let agents = if rng.u32(..4) == 0 { &["planner", "writer#2"][..rng.usize(1..=2)] } else { &[] };
        let models = if rng.u32(..4) == 0 { &["dear"][..] } else { &[] };
        let selection = Selection {
            from: at(from)?,
            to: at(to)?,
            agents: agents.iter().map(|agent| AgentId::parse(agent)).collect::<Result<_, _>>().ok()?,
            models: models.iter().map(|model| ModelId::parse(model)).collect::<Result<_, _>>().ok()?,
            unpriced: rng.u32(..4) == 0,
            closed: false,
        };
        let book = rng.choice(&self.books)?.version().to_owned();
        Some(Repricing { run: OwnId::parse(&format!("run-{number}")).ok()?, selection, book })
    }

    /// Runs a repricing from where it is to its end, unless the process dies.
    async fn reprice(&self, repricing: &Repricing, fault: Fault, page: usize) -> Result<(), String> {
        let process = self.process(fault);
        let repricer =
            Repricer::new(Arc::clone(&process), Arc::clone(&self.published), Arc::clone(&self.clock))
                .paced(Pace { page, records: page, calls: u64::MAX });
        let book = self.books.iter().find(|book| book.version() == repricing.book);
        let book = book.ok_or("there is no such book")?;
        let begun = repricer.begin(&repricing.run, &repricing.selection, book).await;
        let mut run = begun.map_err(|e| e.to_string())?;
        while run.next.is_some() {
            run = repricer.advance(run, book).await.map_err(|e| e.to_string())?.0;
        }
        Ok(())
    }

    fn fault(&self, rng: &mut Rng, one_in: u32, calls: u64) -> Fault {
        if rng.u32(..one_in) != 0 || self.calm {
            Fault::None
        } else if rng.u32(..3) == 0 {
            Fault::Flaky { seed: rng.u64(..) }
        } else {
            Fault::Dies { call: rng.u64(0..calls), after: rng.bool() }
        }
    }

    fn some_batch(&self, rng: &mut Rng) -> Option<Batch> {
        let lanes = self.stream.by_partition();
        let waiting: Vec<_> = lanes
            .iter()
            .filter(|(key, all)| self.consumed.get(*key).copied().unwrap_or(0) < all.len())
            .collect();
        let (key, all) = rng.choice(waiting)?;
        let from = self.consumed.get(key).copied().unwrap_or(0);
        let upto = all.len().min(from + rng.usize(1..=6));
        Some((key.clone(), from, all[from..upto].to_vec()))
    }

    fn some_changes(&self, rng: &mut Rng, changes: &[ItemKey]) -> (usize, Vec<ItemKey>) {
        let from = self.evaluated.saturating_sub(rng.usize(..3)).min(changes.len());
        let upto = changes.len().min(from + rng.usize(1..=40));
        (upto, changes[from..upto].to_vec())
    }
}

type Batch = (String, usize, Vec<Vec<u8>>);

fn take<T: Default>(cell: Mutex<T>) -> T {
    cell.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn stream_record(key: &str, seq: usize, data: &[u8]) -> KinesisEventRecord {
    let mut record = KinesisEventRecord::default();
    record.kinesis.sequence_number = seq.to_string();
    record.kinesis.partition_key = key.to_owned();
    record.kinesis.data.0 = data.to_vec();
    record.event_id = Some(format!("{key}:{seq}"));
    record
}

fn change_record(seq: usize, (pk, sk): &ItemKey) -> EventRecord {
    let mut record = EventRecord::default();
    record.change.sequence_number = Some(seq.to_string());
    let text = serde_dynamo::AttributeValue::S;
    record.change.keys = std::collections::HashMap::from([
        ("pk".to_owned(), text(pk.clone())),
        ("sk".to_owned(), text(sk.clone())),
    ])
    .into();
    record
}

/// Polls one of the tasks at a time, chosen at random, until all are done.
async fn interleave(mut tasks: Vec<Task<'_>>, rng: &mut Rng) {
    poll_fn(|context| {
        if tasks.is_empty() {
            return Poll::Ready(());
        }
        let next = rng.usize(..tasks.len());
        if tasks[next].as_mut().poll(context).is_ready() {
            drop(tasks.swap_remove(next));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
