//! Whoever else commits to a deployment's ledger, paused while it is repaired.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws::deployed::Deployed;
use aws::env;
use aws::table::Table;
use operate::shadow::Consumers;

/// The event source mappings of the aggregator and of the alerter.
pub(super) struct Mappings {
    deployed: Deployed,
    table: Arc<Table>,
    aggregator: Option<String>,
    alerter: Option<String>,
    /// Those that were turned off here.
    paused: Mutex<Vec<String>>,
}

impl Mappings {
    pub(super) fn new(deployed: Deployed, table: Arc<Table>) -> Self {
        let aggregator = env::function(env::AGGREGATOR, "aggregator");
        let alerter = env::function(env::ALERTER, "alerter");
        Self { deployed, table, aggregator, alerter, paused: Mutex::default() }
    }

    fn paused(&self) -> Vec<String> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn turn_off(&self) -> Result<(), String> {
        let mut longest = Duration::ZERO;
        for (function, variable) in [(&self.aggregator, env::AGGREGATOR), (&self.alerter, env::ALERTER)] {
            let Some(function) = function else { continue };
            let mappings = self.deployed.mappings(function).await.map_err(|e| e.to_string())?;
            if mappings.is_empty() {
                return Err(format!(
                    "no event source mapping of a function {function} was found: set {variable} to its name, or to \
                     `none` where no such function reads"
                ));
            }
            for mapping in mappings.into_iter().filter(aws::deployed::Mapping::is_on) {
                // Before it is done: what may have happened is to be undone.
                self.paused.lock().unwrap_or_else(PoisonError::into_inner).push(mapping.id.clone());
                self.deployed.turn(&mapping.id, false).await.map_err(|e| e.to_string())?;
            }
            longest = longest.max(self.deployed.timeout(function).await.map_err(|e| e.to_string())?);
        }
        let paused = self.paused();
        for id in &paused {
            self.deployed.wait_until_off(id).await.map_err(|e| e.to_string())?;
        }
        if !paused.is_empty() {
            // What was invoked before goes on for as long as a function may take.
            tracing::info!(
                seconds = longest.as_secs(),
                "the event source mappings are off; waiting for invocations under way"
            );
            tokio::time::sleep(longest).await;
        }
        self.table.settle_all().await.map_err(|e| e.to_string())?;
        match self.table.backlog().await.map_err(|e| e.to_string())? {
            0 => Ok(()),
            open => Err(format!(
                "{open} entries of the journals were written while nobody should: does another command, or a \
                 function of another name, write to the table {}?",
                self.table.name()
            )),
        }
    }

    /// Turns on what was turned off here; all of it, whatever fails.
    async fn turn_on(&self) -> Result<(), String> {
        let mut left = Vec::new();
        for id in self.paused() {
            match self.deployed.turn(&id, true).await {
                Ok(()) => self.paused.lock().unwrap_or_else(PoisonError::into_inner).retain(|it| *it != id),
                Err(error) => left.push(format!(
                    "events wait until this is done by hand: aws lambda update-event-source-mapping --uuid {id} \
                     --enabled ({error})"
                )),
            }
        }
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    }
}

impl Consumers for Mappings {
    async fn pause(&self) -> Result<(), String> {
        let Err(why) = self.turn_off().await else { return Ok(()) };
        Err(match self.turn_on().await {
            Ok(()) => format!("nothing was repaired, and what was paused goes on: {why}"),
            Err(left) => format!("nothing was repaired: {why}\n{left}"),
        })
    }

    async fn resume(&self) -> Result<(), String> {
        self.turn_on().await
    }
}
