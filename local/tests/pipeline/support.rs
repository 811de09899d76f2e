//! A pipeline on a directory, with a clock that stands still and a mailbox for alerts.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::encodings::Body;
use conformance::intake::ManualClock;
use http::Method;
use local::dir::DataDir;
use local::host::{Pipeline, PipelineConfig};
use serde_json::{Value, json};
use shared::alert::Alert;
use shared::budget::BudgetForm;
use shared::clock::Clock;
use shared::ledger::BudgetStore;
use shared::notifier::{Notifier, NotifyError};
use shared::price::PriceBook;
use tokio::runtime::Runtime;

/// Every delivery, in order.
#[derive(Clone, Default)]
pub(crate) struct Mailbox(Arc<Mutex<Vec<Alert>>>);

impl Mailbox {
    pub(crate) fn ids(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|alert| alert.id.clone()).collect()
    }

    pub(crate) fn alerts(&self) -> Vec<Alert> {
        self.0.lock().unwrap().clone()
    }
}

impl Notifier for Mailbox {
    async fn notify(&self, alert: &Alert) -> Result<(), NotifyError> {
        self.0.lock().unwrap().push(alert.clone());
        Ok(())
    }
}

pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) mailbox: Mailbox,
    runtime: Runtime,
    book: Arc<PriceBook>,
    pipeline: Option<Pipeline<Arc<ManualClock>>>,
}

impl World {
    /// Starts at [`conformance::history::START`], with a price of $1 for a million tokens.
    pub(crate) fn new() -> Self {
        Self::with_book(PriceBook::embedded().unwrap().with_fallback("0.000001".parse().unwrap()))
    }

    /// The same with other prices.
    pub(crate) fn with_book(book: PriceBook) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (clock, mailbox) = (Arc::default(), Mailbox::default());
        let mut world = Self { dir, clock, mailbox, runtime, book: Arc::new(book), pipeline: None };
        world.restart();
        world
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn stop(&mut self) {
        self.pipeline = None;
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        let config = PipelineConfig {
            upkeep: Duration::from_millis(200),
            ..PipelineConfig::new(Arc::clone(&self.book))
        };
        let dir = DataDir::create(self.dir.path()).unwrap();
        let (mailbox, clock) = (self.mailbox.clone(), Arc::clone(&self.clock));
        self.pipeline = Some(Pipeline::start(dir, &config, mailbox, clock).unwrap());
    }

    pub(crate) fn pipeline(&self) -> &Pipeline<Arc<ManualClock>> {
        self.pipeline.as_ref().unwrap()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(crate) fn set_budget(&self, name: &str, form: &BudgetForm) {
        let spec = form.spec(name).unwrap();
        self.block_on(self.pipeline().ledger().set_budget(&spec, self.clock.now())).unwrap();
    }

    /// Sends one submission and answers its receipt.
    pub(crate) fn post(&self, key: Option<&str>, events: &Value) -> Value {
        let response = self.block_on(self.pipeline().ingest().handle(request(key, events)));
        let Some(Body::Text(body)) = response.body else { panic!("an answer has a body") };
        assert_eq!(response.status_code, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until everything accepted is committed and everything committed is evaluated.
    pub(crate) fn settle(&self) {
        let status = self.pipeline().status();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let now = status();
            let done = |lag: &local::host::Lag| lag.consumed == lag.latest;
            // Twice: commits make changes.
            if now.stream.iter().all(done) && done(&now.changes) && done(&status().changes) {
                return;
            }
            assert!(Instant::now() < deadline, "the pipeline does not come to rest: {now:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A submission as it arrives.
pub(crate) fn request(key: Option<&str>, events: &Value) -> ApiGatewayV2httpRequest {
    let mut request = ApiGatewayV2httpRequest::default();
    request.raw_path = Some("/v1/usage".to_owned());
    request.request_context.http.method = Method::POST;
    if let Some(key) = key {
        request.headers.insert("idempotency-key", key.parse().unwrap());
    }
    request.body = Some(json!({"events": events}).to_string());
    request
}
