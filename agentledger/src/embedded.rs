//! A ledger opened in this process, answering the same requests as a server.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use auth::Access;
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use local::dir::DataDir;
use local::host::Counters;
use local::ledger::SqliteLedger;
use shared::clock::{Clock, SystemClock};
use shared::price::Books;
use tokio::runtime::Runtime;

use crate::handlers::{Handlers, Parts};
use crate::source::Asked;

/// An embedded ledger and its handlers.
pub(crate) struct Embedded {
    handlers: Handlers<SqliteLedger, Counters, SystemClock>,
    ledger: Arc<SqliteLedger>,
    runtime: Runtime,
    dir: DataDir,
}

impl Embedded {
    /// Opens the ledger in `dir`, to be repriced with these books and those that it keeps.
    pub(crate) fn open(dir: &Path, books: Option<Books>) -> anyhow::Result<Self> {
        let dir = DataDir::open(dir)?;
        let ledger = Arc::new(SqliteLedger::open(&dir.ledger())?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        if let Some(books) = &books {
            runtime.block_on(aggregator::prices::begin(&*ledger, books, SystemClock.now()))?;
        }
        // Who can open the files needs nobody's leave.
        let parts = Parts { ledger: Arc::clone(&ledger), counters: Arc::default(), books };
        let handlers = Handlers::new(parts, SystemClock, &Access::open()).for_command();
        Ok(Self { handlers, ledger, runtime, dir })
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> &Arc<SqliteLedger> {
        &self.ledger
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &DataDir {
        &self.dir
    }

    /// Waits for something that is done with the ledger.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

impl Asked for Embedded {
    fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        self.runtime.block_on(self.handlers.handle(request))
    }
}
