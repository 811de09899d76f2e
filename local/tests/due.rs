//! A budget that cannot be evaluated when its totals change is evaluated later, in whatever period that was.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use alerter::Alerter;
use aws_lambda_events::dynamodb::{Event, EventRecord};
use conformance::faulty::{Fault, Faulty, Feed};
use conformance::intake::ManualClock;
use local::ledger::SqliteLedger;
use serde_dynamo::AttributeValue;
use shared::alert::Alert;
use shared::budget::BudgetForm;
use shared::event::UsageEvent;
use shared::hash::ContentHash;
use shared::id::{AgentId, OwnId, RecordKey};
use shared::ledger::{AlertStore, BudgetStore, Commit, RecordStore, RecordWrite};
use shared::notifier::{Notifier, NotifyError};
use shared::price::PriceBook;
use shared::record::{Record, RecordData};
use shared::rollup::{RollupKey, Scope};
use shared::usage::{Bucket, Usage};
use shared::window::WindowKind;

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Notifier for Told {
    async fn notify(&self, alert: &Alert) -> Result<(), NotifyError> {
        self.0.lock().unwrap().push(alert.id.clone());
        Ok(())
    }
}

#[tokio::test]
async fn the_sweep_comes_back_to_a_period_long_past() {
    let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
    let form = BudgetForm {
        scope: "org".to_owned(),
        limit_tokens: Some(5),
        period: "hour".to_owned(),
        thresholds: Some(vec![100]),
        ..BudgetForm::default()
    };
    let time = "2026-03-07T08:10:00Z".parse().unwrap();
    ledger.set_budget(&form.spec("hourly").unwrap(), time).await.unwrap();
    let book = PriceBook::from_json(r#"{"version":"v","source":"test","models":[]}"#).unwrap();
    let call = UsageEvent::new(time, Usage::new([(Bucket::Input, 7)]).unwrap());
    let data = RecordData::usage(ContentHash::from("h"), vec![(0, call)], &book);
    let agent = AgentId::parse("a").unwrap();
    let additions = data.additions(&agent).unwrap();
    let record = Record { agent, key: RecordKey::Single(OwnId::parse("e").unwrap()), version: 1, data };
    let records = vec![RecordWrite { expected: None, record }];
    ledger.commit(Commit { records, additions, lane: 0 }).await.unwrap();

    let (told, clock) = (Told::default(), Arc::new(ManualClock::default()));
    let alerter = |fault| {
        let process = Arc::new(Faulty::new(Arc::clone(&ledger), Arc::new(Feed::default()), fault, 100));
        Alerter::new(process, told.clone(), Arc::clone(&clock))
    };
    let start = WindowKind::Hour.start(time.as_second());
    let (pk, sk) = RollupKey { scope: Scope::org(), window: WindowKind::Hour, start }.item_key();
    let mut change = EventRecord::default();
    change.change.sequence_number = Some("1".to_owned());
    let text = AttributeValue::S;
    change.change.keys = HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))]).into();
    let mut event = Event::default();
    event.records = vec![change];

    // It is four hours later, and the change is not held up.
    let answer = alerter(Fault::BlindToTotals).handle(event).await;
    assert!(answer.batch_item_failures.is_empty());
    assert!(alerter(Fault::BlindToTotals).sweep().await.is_err(), "and a sweep that cannot either says so");
    assert_eq!(told.0.lock().unwrap().len(), 0);
    alerter(Fault::None).sweep().await.unwrap();
    // The call has no price, too, which could not be looked for either.
    let told = told.0.lock().unwrap().clone();
    assert_eq!(told, ["hourly.v1.20260307T080000Z.100.1", "unpriced.20260301T000000Z..1"]);
    assert_eq!(ledger.due(9).await.unwrap(), vec![]);
}
