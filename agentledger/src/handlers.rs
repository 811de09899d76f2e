//! Who answers what of a ledger, the same for a server and for a command that opened the files itself.

use std::sync::Arc;

use alerter::admin::Admin;
use auth::{Access, Revocations};
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use local::ledger::SqliteLedger;
use query::Query;
use shared::clock::SystemClock;

/// All but ingest.
pub(crate) struct Handlers {
    query: Query<SqliteLedger, SystemClock>,
    admin: Admin<SqliteLedger, SystemClock>,
    revocations: Revocations<SqliteLedger, SystemClock>,
}

impl Handlers {
    /// Over `ledger`, for those whom `access` lets in.
    pub(crate) fn new(ledger: &Arc<SqliteLedger>, access: &Access) -> Self {
        Self {
            query: Query::new(Arc::clone(ledger), SystemClock, access.clone()),
            admin: Admin::new(Arc::clone(ledger), SystemClock, access.clone()),
            revocations: Revocations::new(Arc::clone(ledger), SystemClock, access.clone()),
        }
    }

    /// Answers a request.
    pub(crate) async fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        let path = request.raw_path.as_deref().unwrap_or_default();
        if Revocations::<SqliteLedger, SystemClock>::answers(path) {
            self.revocations.handle(request).await
        } else if path.starts_with("/v1/admin/") {
            self.admin.handle(request).await
        } else {
            self.query.handle(request).await
        }
    }
}
