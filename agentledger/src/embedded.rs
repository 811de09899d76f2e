//! A ledger opened in this process, answering the same requests as a server.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use local::ledger::SqliteLedger;
use query::Query;
use shared::clock::SystemClock;
use tokio::runtime::Runtime;

use crate::admin::Admin;

/// The ledger's file in a data directory.
pub(crate) const LEDGER_FILE: &str = "ledger.db";

/// An embedded ledger and its handlers.
pub(crate) struct Embedded {
    query: Query<SqliteLedger, SystemClock>,
    admin: Admin<SqliteLedger, SystemClock>,
    runtime: Runtime,
}

impl Embedded {
    /// Opens the ledger in `dir`.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        let file = dir.join(LEDGER_FILE);
        if !file.is_file() {
            // Opening would make an empty ledger where a mistyped directory was meant to be read.
            bail!("{} holds no ledger; `agentledger up --data DIR` makes one", dir.display());
        }
        let ledger = Arc::new(SqliteLedger::open(&file)?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let query = Query::new(Arc::clone(&ledger), SystemClock);
        Ok(Self { query, admin: Admin::new(ledger, SystemClock), runtime })
    }

    /// Answers a request.
    pub(crate) fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let admin = request.raw_path.as_deref().is_some_and(|path| path.starts_with("/v1/admin/"));
        if admin {
            return self.runtime.block_on(self.admin.handle(request));
        }
        self.runtime.block_on(self.query.handle(request))
    }
}
