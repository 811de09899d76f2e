//! A ledger opened in this process, answering the same requests as a server.

use std::path::Path;
use std::sync::Arc;

use alerter::admin::Admin;
use anyhow::Context;
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use local::dir::DataDir;
use local::ledger::SqliteLedger;
use query::Query;
use shared::clock::SystemClock;
use tokio::runtime::Runtime;

/// An embedded ledger and its handlers.
pub(crate) struct Embedded {
    query: Query<SqliteLedger, SystemClock>,
    admin: Admin<SqliteLedger, SystemClock>,
    runtime: Runtime,
    _dir: DataDir,
}

impl Embedded {
    /// Opens the ledger in `dir`.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        let dir = DataDir::open(dir)?;
        let ledger = Arc::new(SqliteLedger::open(&dir.ledger())?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let query = Query::new(Arc::clone(&ledger), SystemClock);
        Ok(Self { query, admin: Admin::new(ledger, SystemClock), runtime, _dir: dir })
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
