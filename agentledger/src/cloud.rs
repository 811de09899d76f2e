//! `--aws`: the ledger of a deployment, found by the environment: the AWS configuration as the SDKs read it, and the
//! names of `aws::env`.

mod consumers;
mod doctor;
mod letters;
mod redrive;
mod replay;
mod streams;
mod verdict;

use std::sync::Arc;

use anyhow::Context;
use auth::Access;
use aws::client::{Patience, load};
use aws::deployed::Deployed;
use aws::env;
use aws::metrics::{Caps, CloudWatch};
use aws::table::Table;
use aws_config::SdkConfig;
use aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use shared::clock::{Clock, SystemClock};
use shared::price::Books;
use tokio::runtime::Runtime;

use crate::handlers::{Handlers, Parts};
use crate::source::{Asked, Source};

pub(crate) use doctor::doctor;
pub(crate) use redrive::redrive;
pub(crate) use replay::replay;

/// Told of what a command counts or reprices, as the aggregator's are.
type Published = CloudWatch<Table, SystemClock>;

/// A deployment.
struct Cloud {
    config: SdkConfig,
    table: Arc<Table>,
    metrics: Arc<Published>,
    runtime: Runtime,
}

impl Cloud {
    fn open() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let config = runtime.block_on(load(Patience::CONSUMER));
        anyhow::ensure!(
            config.region().is_some(),
            "no AWS region is configured: set AWS_REGION, or one in the profile that AWS_PROFILE names"
        );
        let table = Table::new(aws_sdk_dynamodb::Client::new(&config), env::table());
        let namespace = env::optional(env::NAMESPACE).unwrap_or_else(|| env::DEFAULT_NAME.to_owned());
        let caps = Caps::default();
        let caps = Caps { agents: env::parsed(env::METRIC_AGENTS, caps.agents)?, ..caps };
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&config);
        let metrics = Arc::new(CloudWatch::new(cloudwatch, namespace, caps, table.clone(), SystemClock));
        Ok(Self { config, table: Arc::new(table), metrics, runtime })
    }

    /// Its functions.
    fn deployed(&self) -> Deployed {
        Deployed::new(aws_sdk_lambda::Client::new(&self.config))
    }

    /// The handlers over it, and what they are waited for by.
    fn asked(&self, books: Option<Books>) -> anyhow::Result<Handlers<Table, Published, SystemClock>> {
        if let Some(books) = &books {
            self.runtime.block_on(aggregator::prices::begin(&*self.table, books, SystemClock.now()))?;
        }
        let parts = Parts { ledger: Arc::clone(&self.table), counters: Arc::clone(&self.metrics), books };
        // Who may reach the table needs nobody else's leave: IAM has given it.
        Ok(Handlers::new(parts, SystemClock, &Access::open()).for_command())
    }
}

struct InCloud {
    handlers: Handlers<Table, Published, SystemClock>,
    cloud: Cloud,
}

impl Asked for InCloud {
    fn handle(&self, request: ApiGatewayV2httpRequest) -> ApiGatewayV2httpResponse {
        self.cloud.runtime.block_on(self.handlers.handle(request))
    }
}

/// The ledger, asked like any other.
pub(crate) fn source(books: Option<Books>) -> anyhow::Result<Source> {
    of(Cloud::open()?, books)
}

fn of(cloud: Cloud, books: Option<Books>) -> anyhow::Result<Source> {
    let handlers = cloud.asked(books)?;
    Ok(Source::InProcess(Box::new(InCloud { handlers, cloud })))
}
