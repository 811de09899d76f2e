//! Rollups and records give the same answer, whatever is asked.

use proptest::prelude::*;
use shared::event::{Amend, TaskOutcome, TaskResult, UsageEvent};
use shared::hash::ContentHash;
use shared::id::{EventId, OwnId, RecordKey, TaskId};
use shared::record::{Content, Listed, Record, RecordData};
use shared::usage::{Bucket, Usage};
use shared::window::Zone;

use super::fake::Fake;
use super::{agent, at, event, now, packed, single};
use crate::spend::{By, Source, SpendRequest, spend_from};

const ZONES: [&str; 7] = [
    "UTC",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Europe/London",
    "Pacific/Chatham",
    "Asia/Tokyo",
];
/// Around the change of clocks in New York, and a month's end.
const FIRST: i64 = 1_793_000_000;
const SPAN: i64 = 12 * 24 * 3600;
/// Midnight in New York on the day of the change, where events and ranges crowd, so that edges are hit.
const CROWD: i64 = 1_793_505_600;

fn names(prefix: &'static str) -> impl Strategy<Value = String> {
    (0..3_u8).prop_map(move |n| if n == 0 { String::new() } else { format!("{prefix}{n}") })
}

fn calls() -> impl Strategy<Value = UsageEvent> {
    let model = prop::sample::select(&["", "gpt-4o-mini", "gpt-4o", "unknown"][..]);
    let provider = prop::sample::select(&["", "openai", "other"][..]);
    let second = prop_oneof![FIRST..FIRST + SPAN, CROWD..CROWD + 4 * 3600];
    (second, names("team"), names("task"), names("s"), provider, model, 0..5000_u64).prop_map(
        |(second, team, task, session, provider, model, input)| {
            let time = jiff::Timestamp::from_second(second).unwrap();
            event(time, [&team, &task, &session, provider, model], input)
        },
    )
}

/// A record's calls, and what happened to one of them.
pub(super) fn records() -> impl Strategy<Value = Vec<Record>> {
    let calls = prop::collection::vec(calls(), 1..4);
    prop::collection::vec((1..4_u8, calls, 0..5_u8), 0..25).prop_map(|records| {
        let one = |(n, (who, calls, fate)): (usize, (u8, Vec<UsageEvent>, u8))| {
            let who = format!("a{who}");
            let id = OwnId::parse(&format!("e{n}")).unwrap();
            if fate == 4 {
                let outcome = TaskOutcome {
                    time: calls[0].time,
                    time_assigned: false,
                    task_id: TaskId::parse("task1").unwrap(),
                    team_id: calls[0].team_id.clone(),
                    outcome: TaskResult::Failure,
                    value: None,
                };
                let data = RecordData::other(ContentHash::from(""), Content::TaskOutcome(outcome));
                return Record { agent: agent(&who), key: RecordKey::Single(id), version: 1, data };
            }
            let mut record = if calls.len() == 1 {
                single(&who, id.as_str(), calls[0].clone())
            } else {
                packed(&who, id.as_str(), calls.clone())
            };
            let correction = record.data.corrections.entry(0).or_default();
            let id = EventId::parse("correction").unwrap();
            if fate == 2 {
                correction.void(&id);
            }
            if fate == 3 {
                let usage = Usage::new([(Bucket::Output, 7), (Bucket::WebSearches, 1)]).unwrap();
                let corrects = EventId::parse("x").unwrap();
                let time = calls[0].time;
                correction.amend(&id, &Amend { time, time_assigned: false, corrects, revision: 1, usage });
            }
            if fate < 2 {
                record.data.corrections.clear();
            }
            // A packed record may hold outcomes beside its calls, voided ones too.
            if calls.len() > 2 {
                let task = |outcome| TaskOutcome {
                    time: calls[1].time,
                    time_assigned: false,
                    task_id: TaskId::parse("task2").unwrap(),
                    team_id: calls[1].team_id.clone(),
                    outcome,
                    value: None,
                };
                record.data.outcomes.push((50, task(TaskResult::Success)));
                record.data.outcomes.push((51, task(TaskResult::Abandoned)));
                record.data.corrections.entry(51).or_default().void(&EventId::parse("c").unwrap());
            }
            record
        };
        records.into_iter().enumerate().map(one).collect()
    })
}

pub(super) fn requests() -> impl Strategy<Value = SpendRequest> {
    let from =
        prop_oneof![(-1..80_i64).prop_map(|n| FIRST + n * 4321), (-8..24_i64).prop_map(|n| CROWD + n * 600)];
    let len = prop_oneof![1..20_i64, 1..1500_i64].prop_map(|n| n * 911);
    let range = (from, len, any::<bool>(), any::<bool>());
    let filters = prop::collection::vec(0..6_u8, 5);
    let zone = prop::sample::select(&ZONES[..]);
    (prop::sample::select(&By::ALL[..]), range, filters, zone).prop_map(|(by, range, filters, zone)| {
        let mut request = SpendRequest::new(by);
        let (from, len, has_from, has_to) = range;
        let instant = |second| jiff::Timestamp::from_second(second).unwrap();
        request.from = has_from.then(|| instant(from));
        request.to = has_to.then(|| instant(from + len));
        request.zone = Zone::parse(zone).unwrap();
        let filter = &mut request.filter;
        if filters[0] < 3 {
            filter.agents = ["a1", "a3", "a1"][..usize::from(filters[0])].iter().map(|n| agent(n)).collect();
        }
        filter.team = (filters[1] == 0).then(|| "team1".to_owned().try_into().unwrap());
        filter.task = (filters[2] == 0).then(|| "task1".to_owned().try_into().unwrap());
        filter.model = (filters[3] == 0).then(|| "gpt-4o".to_owned().try_into().unwrap());
        filter.session = (filters[4] == 0).then(|| "s1".to_owned().try_into().unwrap());
        request
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rollups_and_records_agree(records in records(), request in requests()) {
        let ledger = Fake::of(records);
        let clock = at("2026-11-01T12:00:00Z");
        let best = now(spend_from(&ledger, &request, clock, Source::Best)).unwrap();
        let scanned = now(spend_from(&ledger, &request, clock, Source::Records)).unwrap();
        prop_assert_eq!(best, scanned);
    }

    #[test]
    fn a_record_says_the_same_read_or_not(records in records()) {
        for mut record in records {
            if let Content::Usage(calls) = &mut record.data.content {
                calls[0].event.reported_cost_usd = Some("0.5".parse().unwrap());
            }
            let data = serde_json::to_string(&record.data).unwrap();
            let read = Listed::of(record.clone()).unwrap();
            let text = Listed::text(record.agent, record.key, read.latest, data);
            let (read, text) = (read.brief().unwrap(), text.brief().unwrap());
            prop_assert!(read.calls().eq(text.calls()));
            prop_assert!(read.tasks().eq(text.tasks()));
        }
    }

    #[test]
    fn pages_put_together_are_the_whole(records in records(), request in requests(), limit in 1..4_usize) {
        let ledger = Fake::of(records);
        let clock = at("2026-11-01T12:00:00Z");
        let whole = now(spend_from(&ledger, &request, clock, Source::Best)).unwrap();
        let mut rows = Vec::new();
        let mut request = SpendRequest { limit, ..request };
        loop {
            let page = now(spend_from(&ledger, &request, clock, Source::Best)).unwrap();
            prop_assert!(page.rows.len() <= limit);
            prop_assert_eq!(&page.total, &whole.total);
            rows.extend(page.rows);
            request.next = page.next;
            if request.next.is_none() {
                break;
            }
        }
        prop_assert_eq!(rows, whole.rows);
    }
}
