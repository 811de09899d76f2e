//! Events are listed newest first, each once, whatever the pages and the records they are packed in.

use proptest::prelude::*;
use shared::id::EventId;

use super::fake::Fake;
use super::{agent, at, event, now, packed, single};
use crate::events::{EventReport, EventRequest, EventState, events};

fn page(ledger: &Fake, request: &EventRequest) -> EventReport {
    now(events(ledger, request)).unwrap()
}

fn all(ledger: &Fake, request: &EventRequest) -> Vec<(String, String, String)> {
    let mut request = request.clone();
    let mut listed = Vec::new();
    loop {
        let page = page(ledger, &request);
        assert!(page.events.len() <= request.limit);
        listed.extend(
            page.events.iter().map(|e| (e.time.to_string(), e.agent_id.to_string(), e.id.to_string())),
        );
        request.next = page.next;
        if request.next.is_none() {
            return listed;
        }
    }
}

proptest! {
    #[test]
    fn each_event_comes_once_newest_first(
        // Few distinct times, so that many are equal, and wide records, so that the merge matters.
        records in prop::collection::vec((0..3_u8, prop::collection::vec((0..20_i64, 0..3_u8), 1..6)), 0..150),
        limit in 1..40_usize,
        task in any::<bool>(),
        unpriced in any::<bool>(),
        one_agent in any::<bool>(),
    ) {
        let mut expected = Vec::new();
        let stored = records.iter().enumerate().map(|(n, (who, calls))| {
            let who = format!("a{who}");
            let calls: Vec<_> = calls.iter().map(|(time, task)| {
                let model = if time % 3 == 0 { "no-such-model" } else { "gpt-4o-mini" };
                let time = jiff::Timestamp::from_second(1_793_400_000 + time * 7_200).unwrap();
                event(time, ["", ["", "t1", "t2"][usize::from(*task)], "", "openai", model], 1)
            }).collect();
            for (i, call) in calls.iter().enumerate() {
                let wanted = (!task || call.task_id.as_ref().is_some_and(|t| t.as_str() == "t1"))
                    && (!unpriced || call.model.as_ref().is_some_and(|m| m.as_str() == "no-such-model"))
                    && (!one_agent || who == "a1");
                if wanted {
                    expected.push((call.time.to_string(), who.clone(), format!("k{n}#{i}")));
                }
            }
            packed(&who, &format!("k{n}"), calls)
        }).collect();
        let ledger = Fake::of(stored);
        let mut request = EventRequest { unpriced, limit, ..EventRequest::default() };
        request.filter.agents.extend(one_agent.then(|| agent("a1")));
        request.filter.task = task.then(|| "t1".to_owned().try_into().unwrap());
        expected.sort_by_key(|(time, who, id)| {
            std::cmp::Reverse((time.clone(), agent(who), EventId::parse(id).unwrap()))
        });
        prop_assert_eq!(all(&ledger, &request), expected);
    }
}

#[test]
fn corrections_show_what_was_sent_and_what_holds() {
    let call = || event(at("2026-11-24T09:00:00Z"), ["", "", "", "openai", "gpt-4o-mini"], 1000);
    let mut record = packed("a", "k", vec![call(), call(), call()]);
    let correction = EventId::parse("c").unwrap();
    record.data.corrections.entry(1).or_default().void(&correction);
    let usage = shared::usage::Usage::new([(shared::usage::Bucket::Input, 10)]).unwrap();
    let amend = shared::event::Amend {
        time: at("2026-11-24T10:00:00Z"),
        time_assigned: false,
        corrects: EventId::parse("k#2").unwrap(),
        revision: 1,
        usage,
    };
    record.data.corrections.entry(2).or_default().amend(&correction, &amend);
    let listed = page(&Fake::of(vec![record]), &EventRequest::default()).events;
    let shown: Vec<_> = listed
        .iter()
        .map(|e| (e.id.to_string(), e.state, e.tokens, e.cost_usd.map(|c| c.to_string())))
        .collect();
    let cost = |text: &str| Some(text.to_owned());
    assert_eq!(
        shown,
        [
            ("k#2".to_owned(), EventState::Amended, 10, cost("0.0000015")),
            ("k#1".to_owned(), EventState::Voided, 0, None),
            ("k#0".to_owned(), EventState::Counted, 1000, cost("0.00015")),
        ]
    );
    assert_eq!(listed[0].sent_usage.unwrap().tokens(), 1000);
    assert_eq!(listed[2].sent_usage, None);
}

#[test]
fn unpriced_lists_what_counts_without_a_price() {
    let time = at("2026-11-24T09:00:00Z");
    let mut voided = single("a", "voided", event(time, ["", "", "", "", ""], 1));
    voided.data.corrections.entry(0).or_default().void(&EventId::parse("c").unwrap());
    let ledger = Fake::of(vec![
        single("a", "priced", event(time, ["", "", "", "openai", "gpt-4o-mini"], 1)),
        single("a", "unknown", event(time, ["", "", "", "", "no-such-model"], 1)),
        voided,
    ]);
    let request = EventRequest { unpriced: true, ..EventRequest::default() };
    let listed: Vec<_> = page(&ledger, &request).events.iter().map(|e| e.id.to_string()).collect();
    assert_eq!(listed, ["unknown"]);
}

#[test]
fn what_has_no_price_is_looked_for_on_its_days_alone() {
    let calls = (1..=9).map(|day| {
        let model = if day == 5 { "no-such-model" } else { "gpt-4o-mini" };
        let time = at(&format!("2026-11-0{day}T09:00:00Z"));
        single("a", &format!("d{day}"), event(time, ["", "", "", "openai", model], 1))
    });
    let ledger = Fake::of(calls.collect());
    let request = EventRequest { unpriced: true, ..EventRequest::default() };
    assert_eq!(all(&ledger, &request).len(), 1);
    assert_eq!(ledger.listed.load(std::sync::atomic::Ordering::Relaxed), 1);
}
