//! Forms that outlive a process: what a stream and a ledger hold must be read by every later version.
//!
//! Each file in `tests/frozen` was written once. A test that fails here has found a form that drifted: make the
//! change readable from the old form, or give the form a new version and keep reading this one. A file for a
//! new form is written by `AGENTLEDGER_FREEZE=1 cargo test -p shared --test frozen`, which never overwrites.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::Timestamp;
use shared::alert::{Alert, AlertKind, AlertState, Contributor, MonthTotals, Notice, Transition, UnpricedOf};
use shared::budget::{Budget, BudgetForm};
use shared::event::{Amend, Body, Outcome, TaskOutcome, TaskResult, UsageEvent, Void, part_hash};
use shared::hash::ContentHash;
use shared::id::{AgentId, EventId, OwnId};
use shared::ledger::{Conflict, QuarantineState, Quarantined};
use shared::price::PriceBook;
use shared::record::{Content, RecordData};
use shared::repricing::{Figures, Place, PlaceAfter, Run, Selection};
use shared::sequence::{Arrived, SenderKey, SequenceMark};
use shared::totals::Totals;
use shared::usage::{Bucket, Usage};
use shared::window::Range;
use shared::wire::{Entry, Part, Single, StreamRecord, WireError};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// An event with every field set.
fn full_event() -> UsageEvent {
    // The buckets of this form's first day; later ones are added beside them.
    let first = [
        Bucket::Input,
        Bucket::CacheRead,
        Bucket::CacheWrite5m,
        Bucket::CacheWrite1h,
        Bucket::InputAudio,
        Bucket::InputImage,
        Bucket::Output,
        Bucket::Reasoning,
        Bucket::OutputAudio,
        Bucket::OutputImage,
        Bucket::Unsplit,
        Bucket::Requests,
        Bucket::WebSearches,
    ];
    let usage = Usage::new((1..).zip(first).map(|(n, bucket)| (bucket, n))).unwrap();
    let mut event = UsageEvent::new(at("2026-11-24T09:30:00.123Z"), usage);
    event.task_id = Some("T#1182".to_owned().try_into().unwrap());
    event.session_id = Some("s-1".to_owned().try_into().unwrap());
    event.parent_agent_id = Some("planner-1".to_owned().try_into().unwrap());
    event.team_id = Some("growth".to_owned().try_into().unwrap());
    event.tags = BTreeMap::from([("env".to_owned(), "prod é \"quoted\"".to_owned())]);
    event.provider = Some("openai".to_owned().try_into().unwrap());
    event.model = Some("gpt-4o-mini".to_owned().try_into().unwrap());
    event.operation = Some("chat".to_owned());
    event.service_tier = Some("default".to_owned());
    event.outcome = Some(Outcome::Partial);
    event.latency_ms = Some(840);
    event.reported_cost_usd = Some("0.00123".parse().unwrap());
    event
}

fn bare_event() -> UsageEvent {
    let mut event =
        UsageEvent::new(at("2026-11-24T09:30:00Z"), Usage::new([(Bucket::Unsplit, 1500)]).unwrap());
    event.time_assigned = true;
    event
}

fn task() -> TaskOutcome {
    TaskOutcome {
        time: at("2026-11-24T10:00:00Z"),
        time_assigned: false,
        task_id: "T#1182".to_owned().try_into().unwrap(),
        team_id: Some("growth".to_owned().try_into().unwrap()),
        outcome: TaskResult::Success,
        value: Some("12.5".parse().unwrap()),
    }
}

fn void() -> Void {
    Void { time: at("2026-11-24T11:00:00Z"), time_assigned: true, corrects: EventId::parse("k-1#0").unwrap() }
}

fn amend() -> Amend {
    Amend {
        time: at("2026-11-24T11:00:00Z"),
        time_assigned: false,
        corrects: EventId::parse("e-1").unwrap(),
        revision: 2,
        usage: Usage::new([(Bucket::Output, 9)]).unwrap(),
    }
}

fn stream_record() -> StreamRecord {
    let agent = || "researcher-7".to_owned().try_into().unwrap();
    let single = |id: &str, body: Body| {
        let hash = body.content_hash().unwrap();
        Entry::Single(Box::new(Single { agent: agent(), id: OwnId::parse(id).unwrap(), hash, body }))
    };
    let (events, outcomes) = (vec![(100, full_event()), (101, bare_event())], vec![(102, task())]);
    let corrections = vec![(103, Body::Void(void())), (104, Body::Amend(amend()))];
    let part = Part {
        agent: agent(),
        key: "k-1".to_owned().try_into().unwrap(),
        part: 1,
        hash: part_hash(&events, &outcomes, &corrections).unwrap(),
        events,
        outcomes,
        corrections,
    };
    let entries = vec![
        Entry::Part(part),
        single("e-1", Body::Usage(full_event())),
        single("e-2", Body::TaskOutcome(task())),
        single("v-1", Body::Void(void())),
        single("e-3", Body::Amend(amend())),
    ];
    StreamRecord::new(at("2026-11-24T09:30:01Z"), entries)
}

fn usage_record() -> RecordData {
    let book = PriceBook::from_json(
        r#"{"version":"v1","source":"test","models":[
            {"provider":"openai","model":"gpt-4o-mini","prices":[{"per_million":{
                "input":"0.15","cache_read":"0.075","cache_write_5m":"0.2","cache_write_1h":"0.3","input_audio":"10",
                "input_image":"1","output":"0.6","reasoning":"0.6","output_audio":"20","output_image":"30",
                "unsplit":"1","web_searches":"10000"}}]}]}"#,
    )
    .unwrap();
    let events = vec![(100, full_event()), (101, bare_event())];
    let hash = part_hash(&events, &[], &[]).unwrap();
    let mut data = RecordData::usage(hash, events, &book);
    data.outcomes.push((102, task()));
    data.sealed_corrections.push((103, Body::Void(void())));
    let own = |id: &str| EventId::Own(OwnId::parse(id).unwrap());
    data.corrections.entry(100).or_default().amend(&own("e-3"), &amend());
    data.corrections.entry(101).or_default().void(&own("e-4"));
    data.made = Some(("R#org##".to_owned(), "H#001795000000".to_owned()));
    data
}

/// A record with a call that a later book prices otherwise, and one that it prices for the first time.
fn repriced_record() -> RecordData {
    let later = PriceBook::from_json(
        r#"{"version":"v2","source":"test","models":[
            {"provider":"openai","model":"gpt-4o-mini","prices":[{"per_million":{"output":"0.3"}}]}]}"#,
    );
    let book = later.unwrap().with_fallback("0.000002".parse().unwrap());
    let data = usage_record();
    data.adjusted(&[100, 101], &OwnId::parse("run-1").unwrap(), at("2026-12-01T00:00:00Z"), &book).unwrap()
}

fn repricing() -> Run {
    let agent: AgentId = "researcher-7".to_owned().try_into().unwrap();
    Run {
        run: OwnId::parse("run-1").unwrap(),
        revision: 2,
        selection: Selection {
            from: at("2026-11-01T00:00:00Z"),
            to: at("2026-12-01T00:00:00Z"),
            agents: vec![agent.clone()],
            models: vec!["gpt-4o-mini".to_owned().try_into().unwrap()],
            unpriced: true,
            closed: false,
        },
        book: "v2".to_owned(),
        started_at: at("2026-12-01T00:00:00Z"),
        updated_at: at("2026-12-01T00:00:01Z"),
        next: Some(Place {
            agent: 0,
            after: Some(PlaceAfter {
                latest: at("2026-11-24T09:30:00.123Z"),
                agent,
                key: "S#k-1#1".to_owned(),
            }),
        }),
        figures: Figures { events: 2, changed: 2, newly_priced: 1, ..Figures::default() },
        refused: 1,
    }
}

fn budget() -> Budget {
    let form = BudgetForm {
        scope: "team:growth".to_owned(),
        limit_usd: Some("10".to_owned()),
        period: "day".to_owned(),
        timezone: Some("Asia/Kathmandu".to_owned()),
        thresholds: Some(vec![50, 100]),
        ..BudgetForm::default()
    };
    Budget { spec: form.spec("daily").unwrap(), version: 3, since: at("2026-11-24T00:00:00Z") }
}

fn spent() -> Totals {
    let usage = Usage::new([(Bucket::Input, 7)]).unwrap();
    let mut totals = Totals::of_call(&usage, Some("6.000000000000001".parse().unwrap()));
    totals.add(&Totals::of_call(&usage, None)).unwrap();
    totals.add(&Totals::of_task(TaskResult::Failure, Some("1.5".parse().unwrap()))).unwrap();
    totals
}

fn alert() -> Alert {
    let period = Range { from: 1_795_976_100, to: 1_796_062_500 };
    let at = at("2026-11-29T01:00:00Z");
    let transition = Transition { percent: 50, episode: 2, kind: AlertKind::Recovered, at };
    let top = vec![Contributor {
        dimension: "agent".to_owned(),
        name: "researcher-7".to_owned(),
        spend_usd: Some("6".parse().unwrap()),
        tokens: 14,
    }];
    Alert::new(&budget(), period, transition, &spent(), top)
}

/// Compares a form with its frozen file, both ways.
fn frozen<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen").join(name);
    let written = serde_json::to_string(value).unwrap();
    if std::env::var_os("AGENTLEDGER_FREEZE").is_some() && !path.exists() {
        fs::write(&path, format!("{written}\n")).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name} was never frozen: {e}"));
    assert_eq!(written, kept.trim_end(), "{name}: what is written has drifted");
    assert_eq!(
        serde_json::from_str::<T>(&kept).unwrap(),
        *value,
        "{name}: what was written is read otherwise"
    );
}

#[test]
fn the_stream_record() {
    frozen("stream-record-v1.json", &stream_record());
    let bytes = stream_record().encode().unwrap();
    assert_eq!(StreamRecord::decode(&bytes).unwrap(), stream_record());
    let sender = SenderKey {
        team: Some("growth".to_owned().try_into().unwrap()),
        sender: "proxy-1".to_owned().try_into().unwrap(),
    };
    let mark = Some(SequenceMark { sender, sequence: 7 });
    frozen("stream-record-v1-numbered.json", &StreamRecord { mark, ..stream_record() });
}

#[test]
fn the_hashes_that_tell_a_duplicate_from_a_conflict() {
    // A replay years later compares with these.
    let hashes: Vec<ContentHash> = vec![
        Body::Usage(full_event()).content_hash().unwrap(),
        Body::Usage(bare_event()).content_hash().unwrap(),
        part_hash(&[(0, full_event()), (1, bare_event())], &[(2, task())], &[(3, Body::Void(void()))])
            .unwrap(),
    ];
    frozen("content-hashes.json", &hashes);
}

#[test]
fn a_newer_stream_record_says_so_instead_of_being_misread() {
    for newer in [r#"{"v":2,"received":"2026-11-24T09:30:01Z","entries":[]}"#, r#"{"v":2,"packed":"…"}"#] {
        assert!(matches!(StreamRecord::decode(newer.as_bytes()), Err(WireError::Version(2))), "{newer}");
    }
    assert!(matches!(StreamRecord::decode(b"{}"), Err(WireError::Malformed(_))));
}

fn what_it_holds_of_unpriced_usage() {
    for (file, policy) in [("block", "block"), ("assume", "assume=0.000002")] {
        let mut budget = budget();
        budget.spec.unpriced = policy.parse().unwrap();
        frozen(&format!("budget-{file}.json"), &budget);
        let (_, steps) = AlertState::default().advance(&budget, &spent(), at("2026-11-24T12:00:00Z"));
        let period = Range { from: 1_795_976_100, to: 1_796_062_500 };
        frozen(&format!("alert-{file}.json"), &Alert::new(&budget, period, steps[0], &spent(), Vec::new()));
    }
    let models = ["", "nova-9"].map(|name| (name.to_owned(), spent()));
    let month = MonthTotals { all: spent(), models: models.into() };
    let (state, notices) = AlertState::default().advance_unpriced(&month, at("2026-11-24T12:00:00Z"));
    frozen("alert-state-unpriced.json", &state);
    for (file, notice) in ["not-stated", "model"].into_iter().zip(&notices) {
        let alert = Alert::of_unpriced(notice, 1_793_491_200, &spent(), Vec::new()).unwrap();
        frozen(&format!("alert-unpriced-{file}.json"), &alert);
    }
    let others = Notice { of: UnpricedOf::Others, kind: AlertKind::Priced, ..notices[0].clone() };
    let alert = Alert::of_unpriced(&others, 1_793_491_200, &spent(), Vec::new()).unwrap();
    frozen("alert-priced-others.json", &alert);
}

#[test]
fn what_the_ledger_holds() {
    frozen("record-usage.json", &usage_record());
    frozen("record-repriced.json", &repriced_record());
    frozen("repricing.json", &repricing());
    let hash = || ContentHash::from("0123456789abcdef0123456789abcdef");
    frozen("record-awaited.json", &RecordData::awaited());
    frozen("record-task-outcome.json", &RecordData::other(hash(), Content::TaskOutcome(task())));
    frozen("record-void.json", &RecordData::other(hash(), Content::Void(void())));
    frozen("record-amend.json", &RecordData::other(hash(), Content::Amend(amend())));
    frozen("totals.json", &spent());
    frozen("budget.json", &budget());
    let (state, _) = AlertState::default().advance(&budget(), &spent(), at("2026-11-24T12:00:00Z"));
    frozen("alert-state.json", &state);
    frozen("alert.json", &alert());
    what_it_holds_of_unpriced_usage();
    let (agent, key) = ("a".to_owned().try_into().unwrap(), "S#k-1#0".to_owned());
    let (standing, refused, content) = (hash(), ContentHash::from("ff"), "{}".to_owned());
    let seen = at("2026-11-24T09:30:00Z");
    frozen("conflict.json", &Conflict { agent, key, standing, refused, content, at: seen });
    let aside = Quarantined {
        id: "unreadable shardId-000000000000:1".to_owned(),
        position: "shardId-000000000000:1".to_owned(),
        code: "unreadable".to_owned(),
        reason: "stream record is not readable".to_owned(),
        payload: "/w==".to_owned(),
        base64: true,
        at: seen,
        state: QuarantineState::Open,
    };
    frozen("quarantined.json", &aside);
    let state = QuarantineState::Stuck { reason: "still not readable".to_owned(), at: seen };
    frozen("quarantined-stuck.json", &Quarantined { state, ..aside });
    let mut arrived = Arrived::default();
    for sequence in [1, 2, 5] {
        arrived.add(sequence, seen);
    }
    frozen("arrived.json", &arrived);
}
