//! Alerts to a webhook, signed as the Standard Webhooks specification says.
//!
//! The address is the operator's, never a request's. An alert that is not taken stays pending and is sent again,
//! always under its own id, so that a receiver can drop repeats.

mod address;
mod message;
mod rest;
mod secret;
mod send;
mod target;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::alert::Alert;
use shared::clock::Clock;
use shared::delivery::{DeliveryAttempt, DeliveryStore, Failure, Outcome};
use shared::notifier::{Notifier, NotifyError};
use ureq::unversioned::resolver::{DefaultResolver, Resolver};

use rest::Rest;
use send::{Answer, Message};

pub use address::Refused;
pub use secret::{SecretError, SecretFile};
pub use target::{Target, TargetError};

/// Where alerts go, and how they are sent.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// The receiver.
    pub target: Target,
    /// What deliveries are signed with.
    pub secrets: SecretFile,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often, and how fast, it is tried.
    pub pace: Pace,
}

/// How often a receiver is tried.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Attempts of one round, if the receiver is not reached or says that it cannot now.
    pub attempts: u32,
    /// The pause before the second attempt; each further one is twice as long. A random half is left out.
    pub backoff: Duration,
    /// The longest wait that a receiver may ask for within a round.
    pub patience: Duration,
    /// How long a receiver is left alone after a round without success; twice as long after each further one.
    pub rest: Duration,
    /// The longest it is left alone: the sweep, each minute, has to find it.
    pub longest_rest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff: Duration::from_millis(500),
            patience: Duration::from_secs(5),
            rest: Duration::from_secs(5),
            longest_rest: Duration::from_secs(30),
        }
    }
}

/// Is shown each attempt, for metrics.
pub type Watcher = Arc<dyn Fn(&DeliveryAttempt) + Send + Sync>;

/// Delivers alerts to a webhook.
#[derive(Clone)]
pub struct Webhook<S, C>(Arc<Inner<S, C>>);

struct Inner<S, C> {
    config: WebhookConfig,
    agent: ureq::Agent,
    store: S,
    clock: C,
    watcher: Watcher,
    rest: Rest,
}

impl<S, C> fmt::Debug for Webhook<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.0.config.target)
    }
}

impl<S: DeliveryStore, C: Clock> Webhook<S, C> {
    /// Sends as `config` says, notes each attempt in `store`, and shows it to `watcher`.
    pub fn new(config: WebhookConfig, store: S, clock: C, watcher: Watcher) -> Self {
        Self::with_resolver(config, store, clock, watcher, DefaultResolver::default())
    }

    /// The same, with names looked up by `resolver`. Its answers are checked all the same.
    pub fn with_resolver(
        config: WebhookConfig,
        store: S,
        clock: C,
        watcher: Watcher,
        resolver: impl Resolver,
    ) -> Self {
        let agent = send::agent(&config.target, config.timeout, resolver);
        Self(Arc::new(Inner { config, agent, store, clock, watcher, rest: Rest::default() }))
    }

    async fn attempt(&self, alert: &Alert, body: Vec<u8>, attempt: u32) -> Answer {
        let Inner { config, agent, clock, .. } = &*self.0;
        let (at, began) = (clock.now(), Instant::now());
        let (agent, target, secrets) = (agent.clone(), config.target.clone(), config.secrets.clone());
        let (id, timestamp) = (alert.id.clone(), at.as_second());
        // Reading the file and sending both block.
        let work = tokio::task::spawn_blocking(move || {
            let signature = secrets.sign(&id, timestamp, &body);
            send::send(&agent, &target, &Message { id, timestamp, signature, body })
        });
        let answer = work.await.unwrap_or_else(|error| {
            tracing::error!(%error, "sending an alert failed in an unexpected way");
            Answer { outcome: Outcome::Error(Failure::Internal), retry_after: None }
        });
        let done = DeliveryAttempt {
            alert_id: alert.id.clone(),
            target: config.target.to_string(),
            at,
            attempt,
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            outcome: answer.outcome,
        };
        (self.0.watcher)(&done);
        // The alert's own state is what counts; without the note only the list lacks a line.
        if let Err(error) = self.0.store.note_delivery(&done).await {
            tracing::warn!(%error, alert = alert.id, "an attempt to deliver was not noted");
        }
        answer
    }

    /// What to wait for before the next attempt; none if there is none in this round.
    fn wait(&self, answer: Answer, attempt: u32) -> Option<Duration> {
        let pace = &self.0.config.pace;
        if attempt >= pace.attempts || !passing(answer.outcome) {
            return None;
        }
        match answer.retry_after {
            Some(asked) if asked > pace.patience => None,
            Some(asked) => Some(asked),
            None => {
                let most = pace.backoff.saturating_mul(1 << attempt.saturating_sub(1).min(16));
                let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
                Some(Duration::from_micros(micros / 2 + fastrand::u64(..=micros / 2)))
            }
        }
    }

    fn failed(&self, alert: &Alert, answer: Answer) -> NotifyError {
        let Inner { config, rest, .. } = &*self.0;
        let (target, pace) = (&config.target, &config.pace);
        // What the receiver says of this alert, it need not say of the next. Everything else costs time.
        let about_the_alert =
            matches!(answer.outcome, Outcome::Status(status) if status != 429 && status < 500);
        if !about_the_alert {
            let least = answer.retry_after.unwrap_or_default().max(pace.rest);
            rest.begin(least, pace.longest_rest);
        }
        let advice = match answer.outcome {
            Outcome::Status(410) => "it wants no more alerts: take alerts.webhook_url out, or correct it",
            Outcome::Status(300..=399) => {
                "redirects are not followed: set alerts.webhook_url to where it leads"
            }
            Outcome::Status(400..=499) if about_the_alert => {
                "it refuses: check alerts.webhook_url and the secret, and what the receiver logs"
            }
            Outcome::Error(Failure::RefusedAddress) => {
                "its name leads to a link-local, unspecified, multicast or metadata address, where no alert is sent"
            }
            Outcome::Error(Failure::Tls) => {
                "check its certificate: it has to be of one of Mozilla's authorities"
            }
            Outcome::Error(Failure::NameNotFound) => "its name has no address: check alerts.webhook_url",
            _ => "",
        };
        let outcome = answer.outcome;
        if !advice.is_empty() {
            tracing::error!(%target, %outcome, alert = alert.id, "an alert was not taken by the webhook; {advice}");
        }
        let what = match outcome {
            Outcome::Status(status) => format!("answered {status}"),
            Outcome::Error(failure) => format!("did not answer ({})", failure.name()),
        };
        NotifyError(format!("the webhook at {target} {what}"))
    }
}

/// Whether another attempt within moments may go better. A time-out is not tried again at once: it has cost
/// enough time.
fn passing(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Status(429 | 500..=599) | Outcome::Error(Failure::Connection))
}

impl<S: DeliveryStore, C: Clock> Notifier for Webhook<S, C> {
    async fn notify(&self, alert: &Alert) -> Result<(), NotifyError> {
        let config = &self.0.config;
        if let Some(left) = self.0.rest.left() {
            let (target, left) = (&config.target, left.as_secs() + 1);
            return Err(NotifyError(format!(
                "the webhook at {target} is left alone for {left} s after a failure"
            )));
        }
        let body = message::body(alert).map_err(|e| NotifyError(format!("it cannot be written: {e}")))?;
        let began = Instant::now();
        let mut attempt = 1;
        loop {
            let answer = self.attempt(alert, body.clone(), attempt).await;
            if answer.outcome.delivered() {
                self.0.rest.end();
                return Ok(());
            }
            match self.wait(answer, attempt) {
                // A receiver that fails slowly is not given three times the time.
                Some(wait) if began.elapsed() + wait < config.timeout => tokio::time::sleep(wait).await,
                _ => return Err(self.failed(alert, answer)),
            }
            attempt += 1;
        }
    }
}
