//! `agentledger doctor --aws`: looks at a deployment.

use aws::failure::Failure;
use aws::{env, metrics};
use operate::doctor::{Check, Finding, Known, judge};
use shared::clock::{Clock, SystemClock};
use shared::ledger::RecordStore;

use super::{Cloud, of, verdict};
use crate::cli::DoctorArgs;
use crate::commands::{finish, keys_of, of_ledger};
use crate::config::Config;
use crate::source::Misuse;

type Found = Result<Vec<Finding>, String>;

/// Looks at everything, and fails if something has.
pub(crate) fn doctor(args: &DoctorArgs) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let config = args.config.as_deref().map(Config::read).transpose().map_err(|e| Misuse(e.to_string()))?;
    let cloud = Cloud::open()?;
    let mut all: Vec<(&'static str, Found)> = cloud.runtime.block_on(cloud.look());
    let source = of(cloud, None)?;
    let said = |found: anyhow::Result<_>| found.map_err(|e| format!("{e:#}"));
    all.extend(of_ledger(&source, now).into_iter().map(|(name, found)| (name, said(found))));
    if let Some(found) = config.and_then(|config| keys_of(&config, now)) {
        all.push(("keys", said(found)));
    }
    let checks = all.into_iter().map(|(name, found)| Box::new(Known::new(name, found)) as Box<dyn Check>);
    finish(args, &checks.collect::<Vec<_>>())
}

/// What was found, or that it may not be asked.
fn or_denied<T>(
    check: &'static str,
    found: Result<T, Failure>,
    judge: impl FnOnce(T) -> Vec<Finding>,
) -> (&'static str, Found) {
    match found {
        Ok(found) => (check, Ok(judge(found))),
        // The code that all services say it by.
        Err(failure) if failure.to_string().contains("AccessDenied") => {
            (check, Ok(verdict::denied(check, &failure)))
        }
        Err(failure) => (check, Err(failure.to_string())),
    }
}

impl Cloud {
    async fn look(&self) -> Vec<(&'static str, Found)> {
        let mut all = Vec::new();
        let described = self.table.describe().await;
        if let Ok(described) = &described
            && let Some(ahead) = described.ahead
        {
            all.push(("clock", Ok(judge::clock(ahead))));
        }
        all.push(or_denied("table", described, |table| verdict::table(self.table.name(), &table)));
        all.push(or_denied("table", self.table.expires().await, verdict::expiry));
        all.push(or_denied("table", self.table.recovers().await, verdict::recovery));
        let backlog = self.table.backlog().await.map(verdict::backlog).map_err(|e| e.to_string());
        all.push(("journals", backlog));
        let closed = self.table.closed_before().await;
        all.push((
            "watermark",
            closed.map(|at| judge::watermark(at, SystemClock.now())).map_err(|e| e.to_string()),
        ));
        self.look_at_functions(&mut all).await;
        self.look_at_queues(&mut all).await;
        all
    }

    async fn look_at_functions(&self, all: &mut Vec<(&'static str, Found)>) {
        let deployed = self.deployed();
        let cloudwatch = aws_sdk_cloudwatch::Client::new(&self.config);
        for (variable, suffix) in [(env::AGGREGATOR, "aggregator"), (env::ALERTER, "alerter")] {
            let Some(function) = env::function(variable, suffix) else { continue };
            let mappings = deployed.mappings(&function).await;
            all.push(or_denied("mappings", mappings, |mappings| verdict::mappings(&function, &mappings)));
            let age = metrics::iterator_age(&cloudwatch, &function, SystemClock.now()).await;
            all.push(or_denied("lag", age, |age| verdict::age(&function, age)));
        }
    }

    async fn look_at_queues(&self, all: &mut Vec<(&'static str, Found)>) {
        const CHECK: &str = "dead letters";
        let letters = match super::letters::Letters::open(&aws_sdk_sqs::Client::new(&self.config)).await {
            Ok(letters) => letters,
            Err(error) => return all.push((CHECK, Err(error.to_string()))),
        };
        if letters.queues().is_empty() {
            let todo = "set AGENTLEDGER_FAILURE_QUEUES to their URLs, separated by spaces";
            all.push((CHECK, Ok(vec![Finding::warn(CHECK, "no queue of failures was found", todo)])));
        }
        for queue in letters.queues() {
            all.push(or_denied(CHECK, queue.depth().await, |depth| verdict::queue(queue.name(), depth)));
        }
    }
}
