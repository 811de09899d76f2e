//! Alerts over the whole pipeline to a webhook that is slow, refuses, or has a bad day.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with the tests of the webhook itself")]
#[path = "../../webhook/tests/delivery/receiver.rs"]
mod receiver;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use local::dir::DataDir;
use local::host::{Pipeline, PipelineConfig};
use local::notify::LogAnd;
use receiver::{Receiver, Say};
use serde_json::json;
use shared::alert::{Alert, Delivery};
use shared::budget::BudgetForm;
use shared::clock::{Clock, SystemClock};
use shared::delivery::{DeliveryAttempt, DeliveryStore, Outcome};
use shared::ledger::{AlertQuery, AlertStore, BudgetStore};
use shared::price::PriceBook;
use tokio::runtime::Runtime;
use webhook::{Pace, SecretFile, Target, Webhook, WebhookConfig};

const TIMEOUT: Duration = Duration::from_millis(400);

struct World {
    pipeline: Pipeline<SystemClock>,
    runtime: Runtime,
    receiver: Receiver,
    _dir: tempfile::TempDir,
}

impl World {
    fn new(script: Vec<Say>) -> Self {
        Self::with(script, TIMEOUT)
    }

    fn with(script: Vec<Say>, timeout: Duration) -> Self {
        let receiver = Receiver::start(script);
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("webhook.secret");
        std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let moment = Duration::from_millis(50);
        let to = WebhookConfig {
            target: Target::parse(&receiver.url()).unwrap(),
            secrets: SecretFile::open(&secret).unwrap(),
            timeout,
            pace: Pace { backoff: moment, rest: moment, longest_rest: moment, ..Pace::default() },
        };
        let book = PriceBook::embedded().unwrap().with_fallback("0.000001".parse().unwrap());
        let config =
            PipelineConfig { upkeep: Duration::from_millis(200), ..PipelineConfig::new(Arc::new(book)) };
        let data = DataDir::create(&dir.path().join("data")).unwrap();
        let notifier = |ledger: &Arc<_>, _: &Arc<_>| {
            LogAnd::new(Some(Webhook::new(to, Arc::clone(ledger), SystemClock, Arc::new(|_| ()))))
        };
        let pipeline = Pipeline::start_with(data, &config, notifier, SystemClock).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { pipeline, runtime, receiver, _dir: dir }
    }

    /// A budget of ten tokens a day for an agent of the same name, and a call that is over it.
    fn cross(&self, name: &str) {
        let form = BudgetForm {
            scope: format!("agent:{name}"),
            limit_tokens: Some(10),
            period: "day".to_owned(),
            thresholds: Some(vec![100]),
            ..BudgetForm::default()
        };
        let spec = form.spec(name).unwrap();
        self.runtime.block_on(self.pipeline.ledger().set_budget(&spec, SystemClock.now())).unwrap();
        let mut request = ApiGatewayV2httpRequest::default();
        request.raw_path = Some("/v1/usage".to_owned());
        request.request_context.http.method = http::Method::POST;
        request.body = Some(json!({"agent_id": name, "usage": {"input": 11}}).to_string());
        let response = self.runtime.block_on(self.pipeline.ingest().handle(request));
        assert_eq!(response.status_code, 200);
    }

    fn alerts(&self, state: Delivery) -> Vec<Alert> {
        let query = AlertQuery { state: Some(state), limit: 1_000, ..AlertQuery::default() };
        self.runtime.block_on(self.pipeline.ledger().alerts(&query)).unwrap()
    }

    fn attempts(&self, alert: &str) -> Vec<DeliveryAttempt> {
        self.runtime.block_on(self.pipeline.ledger().deliveries(Some(alert), 1_000)).unwrap()
    }

    fn wait(&self, what: &str, wanted: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !wanted() {
            assert!(Instant::now() < deadline, "{what}: pending {:?}", self.alerts(Delivery::Pending));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn what_is_refused_stays_pending_and_the_sweep_delivers_it_later() {
    let world = World::new(vec![Say::status(404)]);
    world.cross("a");
    world.wait("refused", || world.receiver.sent().len() >= 3);
    assert_eq!(world.alerts(Delivery::Delivered), []);
    world.receiver.now_say(vec![Say::status(200)]);
    world.wait("delivered", || world.alerts(Delivery::Delivered).len() == 1);
    let sent = world.receiver.sent();
    let id = &world.alerts(Delivery::Delivered)[0].id;
    assert!(sent.iter().all(|sent| sent.headers["webhook-id"] == *id), "always under one id");
    let attempts = world.attempts(id);
    assert_eq!(attempts.len(), sent.len());
    assert_eq!(attempts[0].outcome, Outcome::Status(200));
    assert!(attempts[1..].iter().all(|attempt| attempt.outcome == Outcome::Status(404)));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(world.receiver.sent().len(), sent.len(), "what has arrived is not sent again");
}

#[test]
fn a_slow_receiver_does_not_hold_up_what_is_decided() {
    let world = World::new(vec![Say::Silence(Duration::from_secs(30))]);
    let names: Vec<String> = (0..8).map(|n| format!("a{n}")).collect();
    names.iter().for_each(|name| world.cross(name));
    let began = Instant::now();
    world.wait("decided", || world.alerts(Delivery::Pending).len() == 8);
    assert!(began.elapsed() < TIMEOUT * 10, "{:?}", began.elapsed());
    world.receiver.now_say(vec![Say::status(200)]);
    world.wait("delivered", || world.alerts(Delivery::Delivered).len() == 8);
}

#[test]
fn an_alert_that_is_never_taken_keeps_no_other_from_its_turn() {
    // The receiver fails on two alerts, as it would with a defect, and each failure ends the round.
    let world = World::new(vec![Say::status(500)]);
    for name in ["bad0", "bad1", "c", "d", "e"] {
        world.cross(name);
        let pending = || world.alerts(Delivery::Pending).iter().any(|alert| alert.budget.as_str() == name);
        world.wait(name, pending);
    }
    world.receiver.now_say(vec![Say::Refusing("\"budget\":\"bad")]);
    world.wait("the others are delivered", || world.alerts(Delivery::Delivered).len() == 3);
    assert_eq!(world.alerts(Delivery::Pending).len(), 2);
}

#[test]
fn a_stop_does_not_wait_for_the_receiver() {
    let mut world = World::with(vec![Say::Silence(Duration::from_secs(60))], Duration::from_secs(60));
    world.cross("a");
    world.wait("an attempt", || !world.receiver.sent().is_empty());
    let began = Instant::now();
    world.pipeline.stop();
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
