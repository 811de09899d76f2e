//! What each access pattern costs in units: by AWS's formulas from the items that go to and fro, beside what an
//! emulator says that it consumed. Second tier: `scripts/aws-tests.sh`; with `--nocapture` it prints the table.
#![cfg(feature = "dynamodb")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws::table::Table;
use aws::table::size::{self, Transaction, item_bytes, read_units, write_units};
use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::put_item::{PutItemInput, PutItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use jiff::Timestamp;
use rust_decimal::Decimal;
use shared::budget::{BudgetForm, BudgetSpec};
use shared::event::UsageEvent;
use shared::hash::ContentHash;
use shared::id::{AgentId, RecordKey};
use shared::ledger::{
    AlertQuery, AlertStore, BudgetStore, Commit, RecordQuery, RecordStore, RecordWrite, RollupQuery,
    RollupStore,
};
use shared::price::PriceBook;
use shared::record::{Record, RecordData};
use shared::rollup::{Additions, ScopeKind};
use shared::usage::{Bucket, Usage};
use shared::window::WindowKind;

/// Units in halves, by operation: ours, and the emulator's.
type Units = BTreeMap<&'static str, (isize, Decimal)>;

/// Asks for what was consumed, and counts.
#[derive(Clone, Debug, Default)]
struct Meter(Arc<Mutex<Units>>);

impl Meter {
    fn add(&self, operation: &'static str, halves: usize, consumed: &[ConsumedCapacity]) {
        let consumed = consumed.iter().filter_map(|c| c.capacity_units);
        let consumed: Decimal = consumed.map(|units| units.to_string().parse::<Decimal>().unwrap()).sum();
        let mut units = self.0.lock().unwrap();
        let sum = units.entry(operation).or_default();
        *sum = (sum.0 + isize::try_from(halves).unwrap(), sum.1 + consumed);
    }

    fn ours(&self, operation: &'static str, halves: usize) {
        self.add(operation, halves, &[]);
    }

    fn take(&self) -> Units {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input_mut();
        macro_rules! ask {
            ($($kind:ty),*) => {
                $(if let Some(input) = input.downcast_mut::<$kind>() {
                    input.return_consumed_capacity = Some(ReturnConsumedCapacity::Total);
                })*
            };
        }
        ask!(
            PutItemInput,
            UpdateItemInput,
            GetItemInput,
            QueryInput,
            BatchGetItemInput,
            BatchWriteItemInput,
            TransactWriteItemsInput
        );
        if let Some(query) = input.downcast_ref::<QueryInput>() {
            // Of an index, it is half; no page of this test is more than a unit.
            let mut units = self.0.lock().unwrap();
            units.entry("Query").or_default().0 -= isize::from(query.index_name().is_some());
        } else if let Some(put) = input.downcast_ref::<PutItemInput>() {
            let item = put.item().unwrap();
            self.ours("PutItem", 2 * (write_units(item_bytes(item)) + usize::from(item.contains_key("tpk"))));
        } else if input.downcast_ref::<UpdateItemInput>().is_some() {
            // All of them are rollups and notes, below 1 KB.
            self.ours("UpdateItem", 2);
        } else if let Some(batch) = input.downcast_ref::<BatchWriteItemInput>() {
            let writes = batch.request_items().unwrap().values().flatten();
            let bytes = writes.map(|w| item_bytes(w.put_request().unwrap().item()));
            self.ours("BatchWriteItem", 2 * bytes.map(write_units).sum::<usize>());
        } else if let Some(transaction) = input.downcast_ref::<TransactWriteItemsInput>() {
            let units = transaction.transact_items().iter().map(|item| match item.put() {
                Some(put) => {
                    2 * write_units(item_bytes(put.item())) + usize::from(put.item().contains_key("tpk"))
                }
                None => 2,
            });
            self.ours("TransactWriteItems", 2 * units.sum::<usize>());
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else { return Ok(()) };
        if let Some(got) = output.downcast_ref::<GetItemOutput>() {
            let halves = 2 * read_units(got.item().map_or(0, item_bytes));
            self.add("GetItem", halves, got.consumed_capacity().map_or(&[], std::slice::from_ref));
        } else if let Some(got) = output.downcast_ref::<BatchGetItemOutput>() {
            let items = got.responses().into_iter().flat_map(|by| by.values().flatten());
            let halves = items.map(|item| 2 * read_units(item_bytes(item))).sum();
            self.add("BatchGetItem", halves, got.consumed_capacity());
        } else if let Some(got) = output.downcast_ref::<QueryOutput>() {
            let halves = 2 * read_units(got.items().iter().map(item_bytes).sum());
            self.add("Query", halves, got.consumed_capacity().map_or(&[], std::slice::from_ref));
        } else if let Some(put) = output.downcast_ref::<PutItemOutput>() {
            self.add("PutItem", 0, put.consumed_capacity().map_or(&[], std::slice::from_ref));
        } else if let Some(put) = output.downcast_ref::<UpdateItemOutput>() {
            self.add("UpdateItem", 0, put.consumed_capacity().map_or(&[], std::slice::from_ref));
        } else if let Some(put) = output.downcast_ref::<BatchWriteItemOutput>() {
            self.add("BatchWriteItem", 0, put.consumed_capacity());
        } else if let Some(put) = output.downcast_ref::<TransactWriteItemsOutput>() {
            self.add("TransactWriteItems", 0, put.consumed_capacity());
        }
        Ok(())
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn agent() -> AgentId {
    AgentId::parse("researcher-0001").unwrap()
}

fn record(key: &str, events: u32) -> Record {
    let event = |n: u32| {
        let mut event =
            UsageEvent::new(at(n.into()), Usage::new([(Bucket::Input, 812), (Bucket::Output, 220)]).unwrap());
        event.model = Some("gpt-4o-mini".to_owned().try_into().unwrap());
        event.task_id = Some("T-1".to_owned().try_into().unwrap());
        (n, event)
    };
    let events = (0..events).map(event);
    let data = RecordData::usage(ContentHash::from("h"), events, &PriceBook::embedded().unwrap());
    Record { agent: agent(), key: RecordKey::parse(key).unwrap(), version: 1, data }
}

fn commit(records: Vec<Record>) -> Commit {
    let mut additions = Additions::default();
    for record in &records {
        additions.merge(&record.data.additions(&record.agent).unwrap()).unwrap();
    }
    let records = records.into_iter().map(|record| RecordWrite { expected: None, record }).collect();
    Commit { records, additions, lane: 0 }
}

#[tokio::test]
#[ignore = "needs an emulator: scripts/aws-tests.sh"]
async fn each_access_pattern_costs_what_the_formulas_say() {
    let made = support::table().await;
    let meter = Meter::default();
    let config = support::client().config().to_builder().interceptor(meter.clone()).build();
    let table = Table::new(aws_sdk_dynamodb::Client::from_conf(config), made.name().to_owned());
    let told = |pattern: &str| {
        let units = meter.take();
        for (operation, (halves, emulator)) in &units {
            println!(
                "{pattern}: {operation}: {} by AWS's rule, {emulator} says the emulator",
                Decimal::new(5 * i64::try_from(*halves).unwrap(), 1).normalize()
            );
        }
        units.values().map(|(halves, _)| halves).sum::<isize>()
    };
    let keys: Vec<String> = (0..5).map(|n| format!("E#event-{n}")).collect();
    let records: Vec<Record> = keys.iter().map(|key| record(key, 1)).collect();
    let first = commit(records);
    let sizes = Transaction::of(&first, 1).unwrap();
    assert_eq!((sizes.record_units(), sizes.index_units(), sizes.journal_units()), (10, 0, 4));
    assert_eq!(size::pages(&first).into_iter().map(write_units).sum::<usize>(), 1);
    table.commit(first.clone()).await.unwrap();
    // The head is looked for once; hours, months, the agent and the lane are noted once.
    assert_eq!(told("write: 5 records, the first commit"), 2 * (14 + 1 + 1 + 6));
    table.settle(&[0]).await.unwrap();
    assert_eq!(told("write: settling it"), 2 * (isize::try_from(first.additions.len()).unwrap() + 1 + 2 + 1));
    table.commit(commit(vec![record("E#event-5", 1)])).await.unwrap();
    assert_eq!(told("write: 1 record, and its page"), 2 * 7);
    table.commit(commit(vec![record("S#0199aa00#0", 100)])).await.unwrap();
    told("write: a record of 100 events");
    table.settle(&[0]).await.unwrap();
    told("write: settling it");
    let key = RecordKey::parse("E#event-1").unwrap();
    assert!(table.get(&[(agent(), key)]).await.unwrap()[0].is_some());
    assert_eq!(told("A1"), 2);
    let query = RecordQuery { agent: Some(agent()), limit: 100, ..RecordQuery::default() };
    assert_eq!(table.records(&query).await.unwrap().len(), 7);
    assert_eq!(told("A2: 7 records of an agent"), 2 * (4 + 7));
    let uuid =
        |n: u32| format!("S#0199aa{:02x}-{n:04x}-7abc-8{n:03x}-{:012x}#0", n % 251, u64::from(n) << 33);
    for first in [0, 90] {
        table.commit(commit((first..first + 90).map(|n| record(&uuid(n), 1)).collect())).await.unwrap();
    }
    table.settle(&[0]).await.unwrap();
    meter.take();
    assert_eq!(table.records(&query).await.unwrap().len(), 100);
    // 3 KB and a little of pages that are full, and of those before.
    assert_eq!(told("A2: 100 records of an agent"), 2 * (5 + 100));
    let month = WindowKind::Month.start(at(0).as_second());
    let of = |kind, a: Option<&str>| RollupQuery {
        kind,
        a: a.map(str::to_owned),
        b: None,
        window: WindowKind::Month,
        from: month,
        to: WindowKind::Month.end(month),
    };
    assert_eq!(table.rollup_rows(&of(ScopeKind::Agent, Some("researcher-0001"))).await.unwrap().len(), 1);
    assert_eq!(told("A4: a month of an agent"), 2 * 3);
    assert_eq!(table.rollup_rows(&of(ScopeKind::Agent, None)).await.unwrap().len(), 1);
    assert_eq!(told("A4: a month of all agents"), 2 * (2 + 16));
    let form: BudgetForm =
        serde_json::from_str(r#"{"scope":"org","limit_usd":"100","period":"month"}"#).unwrap();
    let spec: BudgetSpec = form.spec("all").unwrap();
    table.set_budget(&spec, at(0)).await.unwrap();
    told("write: a budget");
    assert_eq!(table.budgets().await.unwrap().len(), 1);
    assert_eq!(told("A5"), 2);
    let alerts = AlertQuery { budget: Some(spec.name.clone()), limit: 10, ..AlertQuery::default() };
    assert!(table.alerts(&alerts).await.unwrap().is_empty());
    told("A6: no alert");
    assert!(table.conflicts(10).await.unwrap().is_empty());
    assert_eq!(told("A7: no conflict"), 1);
    support::drop_table(&made).await;
}
