//! The notifier without SNS: the process's log, which `GET /v1/alerts` lists as well.

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
