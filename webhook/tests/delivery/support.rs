//! A webhook with a store in memory, a clock that stands still, and a log that can be read.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use shared::alert::{Alert, AlertState};
use shared::budget::{Budget, BudgetForm};
use shared::clock::Clock;
use shared::delivery::{DeliveryAttempt, DeliveryStore};
use shared::ledger::LedgerError;
use shared::notifier::{Notifier, NotifyError};
use shared::totals::Totals;
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use webhook::{Pace, SecretFile, Target, Webhook, WebhookConfig};

pub(crate) const KEY: [u8; 32] = [1; 32];
pub(crate) const OLD_KEY: [u8; 32] = [2; 32];
pub(crate) const TIMEOUT: Duration = Duration::from_millis(500);
pub(crate) const REST: Duration = Duration::from_millis(600);

pub(crate) fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

#[derive(Clone, Copy)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        now()
    }
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<Vec<DeliveryAttempt>>>);

impl DeliveryStore for Store {
    async fn note_delivery(&self, attempt: &DeliveryAttempt) -> Result<(), LedgerError> {
        self.0.lock().unwrap().push(attempt.clone());
        Ok(())
    }

    async fn deliveries(&self, _: Option<&str>, _: usize) -> Result<Vec<DeliveryAttempt>, LedgerError> {
        Ok(self.0.lock().unwrap().clone())
    }
}

/// Answers what it is told, whatever the name.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<SocketAddr>>>);

impl Resolver for Told {
    fn resolve(&self, _: &http::Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut all = self.empty();
        self.0.lock().unwrap().iter().for_each(|address| all.push(*address));
        Ok(all)
    }
}

pub(crate) struct World {
    webhook: Webhook<Store, Still>,
    store: Store,
    told: Told,
    runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.webhook.fmt(f)
    }
}

impl World {
    pub(crate) fn new(url: &str) -> Self {
        Self::with(url, None)
    }

    pub(crate) fn resolving(url: &str, to: Vec<SocketAddr>) -> Self {
        Self::with(url, Some(to))
    }

    fn with(url: &str, to: Option<Vec<SocketAddr>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("webhook.secret");
        let lines = [KEY, OLD_KEY].map(|key| format!("whsec_{}\n", STANDARD.encode(key)));
        std::fs::write(&path, lines.concat()).unwrap();
        let pace =
            Pace { backoff: Duration::from_millis(10), rest: REST, longest_rest: REST, ..Pace::default() };
        let config = WebhookConfig {
            target: Target::parse(url).unwrap(),
            secrets: SecretFile::open(&path).unwrap(),
            timeout: TIMEOUT,
            pace,
        };
        let (store, told) = (Store::default(), Told::default());
        let webhook = match to {
            None => Webhook::new(config, store.clone(), Still, Arc::new(|_| ())),
            Some(to) => {
                *told.0.lock().unwrap() = to;
                Webhook::with_resolver(config, store.clone(), Still, Arc::new(|_| ()), told.clone())
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { webhook, store, told, runtime, _dir: dir }
    }

    pub(crate) fn lead_to(&self, to: Vec<SocketAddr>) {
        *self.told.0.lock().unwrap() = to;
    }

    pub(crate) fn notify(&self, alert: &Alert) -> Result<(), NotifyError> {
        self.runtime.block_on(self.webhook.notify(alert))
    }

    pub(crate) fn noted(&self) -> Vec<DeliveryAttempt> {
        self.store.0.lock().unwrap().clone()
    }
}

/// An alert of the `n`th budget.
pub(crate) fn alert(n: u32) -> Alert {
    let form = BudgetForm {
        scope: "team:growth".to_owned(),
        limit_usd: Some("10".to_owned()),
        limit_tokens: None,
        period: "day".to_owned(),
        timezone: None,
        thresholds: Some(vec![80]),
        unpriced: None,
    };
    let budget = Budget { spec: form.spec(&format!("b{n}")).unwrap(), version: 1, since: now() };
    let period = budget.spec.period.containing(now(), &budget.spec.timezone);
    let totals = Totals { events: 1, cost: "9".parse().unwrap(), ..Totals::default() };
    let (_, transitions) = AlertState::default().advance(&budget, &totals, now());
    Alert::new(&budget, period, transitions[0], &totals, Vec::new())
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs `work`, and answers with what it logged on this thread, at the finest level.
pub(crate) fn logged<T>(work: impl FnOnce() -> T) -> (T, String) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let done = tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    (done, text)
}
