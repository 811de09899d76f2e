//! The notifier port: where alerts go.

use std::future::Future;

use crate::alert::Alert;

/// An alert that was not delivered; the sweep sends it again, under the same id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("alert was not delivered: {0}")]
pub struct NotifyError(pub String);

/// Delivers alerts, at least once.
pub trait Notifier: Send + Sync {
    /// Delivers one alert; `Ok` once the receiver has it.
    fn notify(&self, alert: &Alert) -> impl Future<Output = Result<(), NotifyError>> + Send;
}

impl<N: Notifier> Notifier for std::sync::Arc<N> {
    fn notify(&self, alert: &Alert) -> impl Future<Output = Result<(), NotifyError>> + Send {
        (**self).notify(alert)
    }
}
