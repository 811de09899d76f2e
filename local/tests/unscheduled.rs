//! Where no schedule sweeps, a change whose alert was not taken fails, and brings the alert again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use alerter::Alerter;
use aws_lambda_events::dynamodb::{Event, EventRecord};
use conformance::intake::ManualClock;
use local::ledger::SqliteLedger;
use serde_dynamo::AttributeValue;
use shared::alert::Alert;
use shared::budget::BudgetForm;
use shared::clock::Clock;
use shared::event::UsageEvent;
use shared::hash::ContentHash;
use shared::id::{AgentId, OwnId, RecordKey};
use shared::ledger::{BudgetStore, Commit, RecordStore, RecordWrite};
use shared::notifier::{Notifier, NotifyError};
use shared::price::PriceBook;
use shared::record::{Record, RecordData};
use shared::rollup::{RollupKey, Scope, ScopeKind};
use shared::usage::{Bucket, Usage};
use shared::window::WindowKind;

/// Takes alerts but those of `refuses`; keeps what it was asked to take.
#[derive(Clone, Default)]
struct Receiver {
    refuses: Arc<Mutex<&'static str>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Notifier for Receiver {
    async fn notify(&self, alert: &Alert) -> Result<(), NotifyError> {
        self.asked.lock().unwrap().push(alert.budget.to_string());
        let refuses = *self.refuses.lock().unwrap();
        if alert.budget.as_str() == refuses { Err(NotifyError("busy".to_owned())) } else { Ok(()) }
    }
}

fn change(number: &str, scope: Scope, start: i64) -> EventRecord {
    let (pk, sk) = RollupKey { scope, window: WindowKind::Hour, start }.item_key();
    let mut change = EventRecord::default();
    change.change.sequence_number = Some(number.to_owned());
    let text = AttributeValue::S;
    change.change.keys = HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))]).into();
    change
}

#[tokio::test]
async fn the_changes_of_an_alert_fail_until_it_is_taken() {
    let (ledger, clock) = (Arc::new(SqliteLedger::in_memory().unwrap()), Arc::new(ManualClock::default()));
    let time = clock.now();
    for (name, scope) in [("all", "org"), ("one", "agent:a")] {
        let form = BudgetForm {
            scope: scope.to_owned(),
            limit_tokens: Some(5),
            period: "hour".to_owned(),
            thresholds: Some(vec![100]),
            ..BudgetForm::default()
        };
        ledger.set_budget(&form.spec(name).unwrap(), time).await.unwrap();
    }
    let book = PriceBook::from_json(r#"{"version":"v","source":"test","models":[]}"#).unwrap();
    let call = UsageEvent::new(time, Usage::new([(Bucket::Input, 7)]).unwrap());
    let data = RecordData::usage(ContentHash::from("h"), vec![(0, call)], &book);
    let agent = AgentId::parse("a").unwrap();
    let additions = data.additions(&agent).unwrap();
    let key = RecordKey::Single(OwnId::parse("e").unwrap());
    let record = Record { agent, key, version: 1, data };
    let records = vec![RecordWrite { expected: None, record }];
    ledger.commit(Commit { records, additions, lane: 0 }).await.unwrap();

    let start = WindowKind::Hour.start(time.as_second());
    let of_agent = Scope { kind: ScopeKind::Agent, a: "a".to_owned(), b: String::new() };
    let mut event = Event::default();
    event.records = vec![change("1", Scope::org(), start), change("2", of_agent, start)];
    let receiver = Receiver::default();
    *receiver.refuses.lock().unwrap() = "one";
    let alerter =
        || Alerter::new(Arc::clone(&ledger), receiver.clone(), Arc::clone(&clock)).without_schedule();
    let failed = async |alerter: Alerter<_, _, _>| {
        let answer = alerter.handle(event.clone()).await;
        answer.batch_item_failures.into_iter().filter_map(|f| f.item_identifier).collect::<Vec<_>>()
    };
    let asked = |name: &str| receiver.asked.lock().unwrap().iter().filter(|asked| *asked == name).count();

    assert_eq!(failed(alerter()).await, ["2"], "the other budget's change is done");
    assert_eq!(failed(alerter()).await, ["2"], "also where it was decided before");
    assert_eq!((asked("all"), asked("one")), (1, 2));
    // With a schedule the change is not held up: the sweep sends it again.
    let scheduled = Alerter::new(Arc::clone(&ledger), receiver.clone(), Arc::clone(&clock));
    assert!(failed(scheduled).await.is_empty());

    *receiver.refuses.lock().unwrap() = "";
    assert!(failed(alerter()).await.is_empty());
    assert_eq!((asked("all"), asked("one")), (1, 4));
    assert!(failed(alerter()).await.is_empty());
    assert_eq!((asked("all"), asked("one")), (1, 4), "what was taken is not sent again");
}
