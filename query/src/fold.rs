//! Sums over many records: one thread reads pages, every processor adds them up.
//!
//! Each worker has sums of its own, which are put together at the end: sums are exact, so that it makes no difference
//! who added what. A worker takes the next page when it is done with one, and so none waits for another.

use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use shared::ledger::{LedgerError, RecordStore};
use shared::record::Listed;
use shared::window::Range;

use crate::error::QueryError;
use crate::listing::{Listing, PAGE, Pages};

/// What is done with each record, and with what came of it.
pub(crate) trait Fold: Default + Send + 'static {
    /// The question.
    type Question: Send + Sync + 'static;

    /// Takes in a record of a listing's range.
    fn take(&mut self, question: &Self::Question, record: &Listed, range: Range) -> Result<(), QueryError>;

    /// Takes in what another worker came to.
    fn merge(&mut self, other: Self) -> Result<(), QueryError>;
}

/// How pages are shared out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Records of a page.
    pub(crate) page: usize,
    /// So many pages are added up by the reader alone: a thread is not worth less.
    pub(crate) alone: usize,
    /// Workers after these.
    pub(crate) workers: usize,
}

impl Default for Share {
    fn default() -> Self {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        // One reader keeps about so many busy.
        Self { page: PAGE, alone: 4, workers: workers.min(8) }
    }
}

/// Folds the records of these listings.
pub(crate) async fn fold<L: RecordStore, F: Fold>(
    ledger: &L,
    listings: &[Listing],
    question: F::Question,
    share: Share,
) -> Result<F, QueryError> {
    let mut sums = F::default();
    // None to come: the reader adds up what is left.
    let (mut alone, mut wanted) = (share.alone, share.workers);
    let mut workers: Option<Workers<F>> = None;
    let question = Arc::new(question);
    'all: for listing in listings {
        let mut pages = Pages::of(ledger, listing, share.page);
        while let Some(page) = pages.next_listed().await? {
            if workers.is_none() && alone == 0 && wanted > 1 {
                workers = Workers::begin(&question, wanted);
                wanted = 0;
            }
            let Some(workers) = &workers else {
                alone = alone.saturating_sub(1);
                for record in &page {
                    sums.take(&question, record, listing.range)?;
                }
                continue;
            };
            if !workers.give((page, listing.range)) {
                // None is left: the first that failed says why.
                break 'all;
            }
        }
    }
    if let Some(workers) = workers {
        workers.end(&mut sums)?;
    }
    Ok(sums)
}

type Page = (Vec<Listed>, Range);

struct Workers<F> {
    pages: SyncSender<Page>,
    threads: Vec<JoinHandle<Result<F, QueryError>>>,
}

impl<F: Fold> Workers<F> {
    /// Begins as many as the system gives; none if it gives none.
    fn begin(question: &Arc<F::Question>, count: usize) -> Option<Self> {
        // One page waits for each: a page may have some megabytes.
        let (pages, taken) = sync_channel(count);
        let taken = Arc::new(Mutex::new(taken));
        let one = |_| {
            let (question, taken) = (Arc::clone(question), Arc::clone(&taken));
            let thread = thread::Builder::new().name("report".to_owned());
            thread.spawn(move || work::<F>(&question, &taken)).ok()
        };
        let threads: Vec<_> = (0..count).filter_map(one).collect();
        (!threads.is_empty()).then_some(Self { pages, threads })
    }

    /// Hands a page to whoever is free first; false if none is there any more.
    fn give(&self, page: Page) -> bool {
        self.pages.send(page).is_ok()
    }

    /// Lets them finish, and adds what they came to.
    fn end(self, sums: &mut F) -> Result<(), QueryError> {
        drop(self.pages);
        for thread in self.threads {
            let done = thread.join();
            sums.merge(done.map_err(|_| LedgerError::Broken("a reader of records panicked".to_owned()))??)?;
        }
        Ok(())
    }
}

fn work<F: Fold>(question: &F::Question, taken: &Mutex<Receiver<Page>>) -> Result<F, QueryError> {
    step_back();
    let mut sums = F::default();
    loop {
        // Released before the page is added up.
        let next = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((page, range)) = next else { return Ok(sums) };
        for record in &page {
            sums.take(question, record, range)?;
        }
    }
}

/// Lets whatever else the process does go first: intake does not wait for a report.
fn step_back() {
    // On Linux it is the thread's own; elsewhere it would be the whole process's.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "a reader of records keeps the priority of others");
    }
}
