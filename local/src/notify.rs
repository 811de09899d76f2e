//! The notifiers without SNS: the process's log, which `GET /v1/alerts` lists as well, and beside it another.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use shared::alert::Alert;
use shared::notifier::{Notifier, NotifyError};

/// Writes alerts to the log, in words.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogNotifier;

impl Notifier for LogNotifier {
    async fn notify(&self, alert: &Alert) -> Result<(), NotifyError> {
        tracing::warn!(target: "agentledger::alert", id = alert.id, "{}", alert.text());
        Ok(())
    }
}

/// How many undelivered alerts are remembered as logged; beyond, they are logged again with each attempt.
const MAX_LOGGED: usize = 1_000;

/// The log, and then another notifier, if there is one, which decides whether an alert has arrived.
#[derive(Clone, Debug)]
pub struct LogAnd<N> {
    then: Option<N>,
    /// Alerts that are in the log and not delivered, so that the log has each but once.
    logged: Arc<Mutex<BTreeSet<String>>>,
}

impl<N> LogAnd<N> {
    /// The log, and `then`.
    pub fn new(then: Option<N>) -> Self {
        Self { then, logged: Arc::default() }
    }

    fn is_new(&self, id: &str) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        !logged.contains(id) && (logged.len() >= MAX_LOGGED || logged.insert(id.to_owned()))
    }
}

impl<N: Notifier> Notifier for LogAnd<N> {
    async fn notify(&self, alert: &Alert) -> Result<(), NotifyError> {
        let Some(then) = &self.then else { return LogNotifier.notify(alert).await };
        // First of all: people who read the log know, whatever becomes of the rest.
        if self.is_new(&alert.id) {
            LogNotifier.notify(alert).await?;
        }
        then.notify(alert).await?;
        self.logged.lock().unwrap_or_else(PoisonError::into_inner).remove(&alert.id);
        Ok(())
    }
}
