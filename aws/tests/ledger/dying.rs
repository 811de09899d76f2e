//! A process that writes records dies between any two of its calls: what is stored is listed, and nothing else is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aws::table::Table;
use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use jiff::Timestamp;
use shared::event::UsageEvent;
use shared::hash::ContentHash;
use shared::id::{AgentId, RecordKey};
use shared::ledger::{Commit, CommitError, RecordCursor, RecordQuery, RecordStore, RecordWrite};
use shared::price::PriceBook;
use shared::record::{Record, RecordData};
use shared::usage::{Bucket, Usage};
use shared::window::Range;

use crate::support;

/// When it dies: at one of its calls, before that is sent, or before it is answered.
#[derive(Clone, Debug)]
struct Dying {
    at: u64,
    after: bool,
    calls: Arc<AtomicU64>,
    dead: Arc<AtomicBool>,
}

impl Dying {
    fn check(&self, now: bool) -> Result<(), BoxError> {
        if self.dead.fetch_or(now, Ordering::SeqCst) || now { Err("it died".into()) } else { Ok(()) }
    }
}

impl Intercept for Dying {
    fn name(&self) -> &'static str {
        "Dying"
    }

    fn modify_before_serialization(
        &self,
        _: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        self.check(!self.after && call == self.at)
    }

    fn read_after_deserialization(
        &self,
        _: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.check(self.after && self.calls.load(Ordering::SeqCst) > self.at)
    }
}

/// A record with events so many seconds after this time.
fn record(agent: &AgentId, key: &str, begin: i64, seconds: &[i64]) -> Record {
    let usage = Usage::new([(Bucket::Input, 1)]).unwrap();
    let at = |second: &i64| Timestamp::from_second(begin + second).unwrap();
    let events = seconds.iter().map(|second| UsageEvent::new(at(second), usage));
    let data = RecordData::usage(ContentHash::from("h"), (0..).zip(events), &PriceBook::embedded().unwrap());
    Record { agent: agent.clone(), key: RecordKey::parse(key).unwrap(), version: 1, data }
}

fn commit(records: &[Record]) -> Commit {
    let mut additions = shared::rollup::Additions::default();
    for record in records {
        additions.merge(&record.data.additions(&record.agent).unwrap()).unwrap();
    }
    let write = |record: &Record| RecordWrite {
        expected: record.version.checked_sub(1).filter(|v| *v > 0),
        record: record.clone(),
    };
    Commit { records: records.iter().map(write).collect(), additions, lane: 0 }
}

/// All that a query lists, by two at a time.
async fn listed(table: &Table, mut query: RecordQuery) -> Vec<Record> {
    let mut found = Vec::new();
    query.limit = 2;
    loop {
        let page = table.records(&query).await.unwrap();
        let Some(last) = page.last() else { return found };
        let latest = last.data.span().unwrap().1;
        query.after = Some(RecordCursor { latest, agent: last.agent.clone(), key: last.key.clone() });
        found.extend(page);
    }
}

/// What is stored of these records is listed, once, and nothing else is.
async fn check(table: &Table, range: Range, records: &[Record], why: &str) {
    let agent = &records[0].agent;
    let keys: Vec<_> = records.iter().map(|record| (agent.clone(), record.key.clone())).collect();
    let mut stored: Vec<Record> = table.get(&keys).await.unwrap().into_iter().flatten().collect();
    stored.sort_by_key(|record| std::cmp::Reverse((record.data.span().unwrap().1, record.key.to_string())));
    let of_agent = RecordQuery { agent: Some(agent.clone()), ..RecordQuery::default() };
    assert_eq!(listed(table, of_agent.clone()).await, stored, "{why}: an agent's");
    let range = Some(range);
    assert_eq!(listed(table, RecordQuery { range, ..of_agent }).await, stored, "{why}: in a range");
    let all = listed(table, RecordQuery { range, ..RecordQuery::default() }).await;
    assert_eq!(all, stored, "{why}: of all agents");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an emulator: scripts/aws-tests.sh"]
async fn what_is_stored_is_listed_wherever_its_writer_dies() {
    let sound = support::table().await;
    let mut outcomes = BTreeSet::new();
    let mut begin = 1_795_000_000;
    // At first, and with other times.
    for rewritten in [false, true] {
        for after in [false, true] {
            for call in 0.. {
                let why = format!("rewritten {rewritten}, after {after}, call {call}");
                let agent = AgentId::parse(&format!("a-{rewritten}-{after}-{call}")).unwrap();
                // Away from the others.
                begin += 8 * 3_600;
                let range = Range { from: begin - 7_200, to: begin + 7_200 };
                // Another process, so that nothing is noted in this one.
                let dying = Dying { at: call, after, calls: Arc::default(), dead: Arc::default() };
                let config = support::client().config().to_builder().interceptor(dying.clone());
                let client =
                    aws_sdk_dynamodb::Client::from_conf(config.retry_config(RetryConfig::disabled()).build());
                let process = Table::new(client, sound.name().to_owned());
                let first = [record(&agent, "E#x", begin, &[5]), record(&agent, "S#k#0", begin, &[0, 3_700])];
                let mut wanted = first.to_vec();
                if rewritten {
                    sound.commit(commit(&first)).await.unwrap();
                    // One moves on, one gets an event more in between and is where it was.
                    wanted = vec![
                        Record { version: 2, ..record(&agent, "E#x", begin, &[4_000]) },
                        Record { version: 2, ..record(&agent, "S#k#0", begin, &[0, 1, 3_700]) },
                    ];
                }
                let written = process.commit(commit(&wanted)).await;
                outcomes.insert((rewritten, written.is_ok()));
                check(&sound, range, &wanted, &why).await;
                // It is tried again, by another.
                match sound.commit(commit(&wanted)).await {
                    Ok(()) => {}
                    Err(CommitError::Refused(refused)) => {
                        assert!(refused.iter().all(|r| r.existing.as_ref() == wanted.get(r.index)), "{why}");
                    }
                    Err(error) => panic!("{why}: {error}"),
                }
                check(&sound, range, &wanted, &why).await;
                assert_eq!(
                    sound.get(&[(agent.clone(), wanted[0].key.clone())]).await.unwrap(),
                    [Some(wanted[0].clone())]
                );
                if dying.calls.load(Ordering::SeqCst) <= call {
                    assert!(written.is_ok() && call > 2, "{why}");
                    break;
                }
            }
        }
    }
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
    support::drop_table(&sound).await;
}
