//! The lines of an explanation add up to what is stored, to the last digit, whatever was counted, corrected and
//! repriced.

use proptest::prelude::*;
use shared::event::Amend;
use shared::id::{EventId, OwnId};
use shared::money::{Usd, UsdSum};
use shared::price::PriceBook;
use shared::record::Record;
use shared::usage::{Bucket, MAX_COUNT, Usage};

use super::fake::Fake;
use super::{agent, at, event, now, single};
use crate::differences::{differences, differences_by};
use crate::error::QueryError;
use crate::events::EventRequest;
use crate::explain::{Explanation, UnknownReason, explain};
use crate::fold::Share;

/// A book with prices of many digits; of the bucket named it has none.
fn book(version: &str, lacks: Option<Bucket>, seed: u64) -> PriceBook {
    let prices: Vec<String> = (1..)
        .zip(Bucket::ALL)
        .filter(|(_, bucket)| Some(*bucket) != lacks)
        .map(|(n, bucket)| format!(r#""{}":"0.{:013}""#, bucket.name(), (seed + 1) * n * 7_919 % 999_983))
        .collect();
    let json = format!(
        r#"{{"version":"{version}","source":"test","models":[{{"provider":"p","model":"m","prices":[
            {{"per_unit":{{{}}}}}]}}]}}"#,
        prices.join(",")
    );
    PriceBook::from_json(&json).unwrap()
}

fn usage() -> impl Strategy<Value = Usage> {
    let count = prop_oneof![4 => 0..2_000_000_u64, 1 => Just(0), 1 => 0..=MAX_COUNT];
    prop::collection::vec(count, Bucket::ALL.len())
        .prop_filter_map("too many in all", |counts| Usage::new(Bucket::ALL.into_iter().zip(counts)).ok())
}

fn sum(amounts: impl Iterator<Item = Option<Usd>>) -> Option<Usd> {
    amounts.into_iter().try_fold(Usd::ZERO, |sum, amount| sum.checked_add(amount?).ok())
}

fn explained(record: &Record) -> Explanation {
    let ledger = Fake::of(vec![record.clone()]);
    now(explain(&ledger, &record.agent, &record.key.event_id(0), None)).unwrap()
}

/// A call, priced at first by a book.
fn record(sent: Usage, book: &PriceBook) -> Record {
    let mut call = event(at("2026-11-24T09:30:00Z"), ["growth", "", "", "p", "m"], 0);
    call.usage = sent;
    call.reported_cost_usd = Some("0.5".parse().unwrap());
    let mut record = single("a", "e", call.clone());
    record.data = shared::record::RecordData::usage(record.data.hash.unwrap(), vec![(0, call)], book);
    record
}

fn amend(record: &mut Record, usage: Usage) {
    let time = at("2026-11-24T10:00:00Z");
    let amend =
        Amend { time, time_assigned: false, corrects: EventId::parse("e").unwrap(), revision: 1, usage };
    record.data.corrections.entry(0).or_default().amend(&EventId::parse("am").unwrap(), &amend);
}

proptest! {
    #[test]
    fn the_lines_add_up_to_the_stored_cost(
        sent in usage(),
        amended in prop::option::of(usage()),
        lacks in prop::option::of(0..Bucket::ALL.len()),
        repriced in prop::option::of(0..9_u64),
    ) {
        let lacks = lacks.map(|n| Bucket::ALL[n]);
        let mut record = record(sent, &book("v1", lacks, 3));
        if let Some(seed) = repriced {
            let (run, now) = (OwnId::parse("run").unwrap(), at("2026-12-01T00:00:00Z"));
            record.data = record.data.adjusted(&[0], &run, now, &book("v2", None, seed)).unwrap();
        }
        if let Some(amended) = amended {
            amend(&mut record, amended);
        }
        let stored = record.data.effective().next().unwrap().cost;
        let explained = explained(&record);
        prop_assert_eq!(explained.cost_usd, stored);
        prop_assert_eq!(sum(explained.lines.iter().map(|line| line.amount_usd)), stored);
        let of = |tokens: bool| {
            sum(explained.lines.iter().filter(|l| l.tokens == tokens).map(|line| line.amount_usd))
        };
        if stored.is_some() {
            prop_assert_eq!((explained.token_cost_usd, explained.fees_usd), (of(true), of(false)));
            let difference = UsdSum::from(stored.unwrap()).checked_add("-0.5".parse().unwrap());
            prop_assert_eq!(explained.difference_usd, difference);
        }
        prop_assert_eq!(explained.unpriced.is_some(), stored.is_none());
        prop_assert_eq!(explained.earlier.len(), usize::from(repriced.is_some()));
        prop_assert_eq!(explained.repriced_by.map(|by| by.book), repriced.map(|_| "v2".to_owned()));
        let holds = amended.unwrap_or(sent);
        prop_assert_eq!(explained.lines.iter().map(|line| line.count).sum::<u64>(), holds.iter().map(|(_, n)| n).sum::<u64>());
    }
}

#[test]
fn what_lacks_a_price_is_named_with_what_to_do() {
    let usage = Usage::new([(Bucket::Input, 5), (Bucket::InputAudio, 7)]).unwrap();
    let unknown = explained(&record(usage, &book("v1", Some(Bucket::InputAudio), 1))).unpriced.unwrap();
    assert_eq!(unknown.reason, UnknownReason::NoBucket);
    assert_eq!(unknown.buckets, ["input_audio"]);
    assert!(unknown.advice.contains("agentledger reprice --unpriced --from 20"), "{}", unknown.advice);

    let nothing = PriceBook::from_json(r#"{"version":"v0","source":"test","models":[]}"#).unwrap();
    let explained = explained(&record(usage, &nothing));
    let unknown = explained.unpriced.unwrap();
    assert_eq!(unknown.reason, UnknownReason::NoEntry);
    assert!(unknown.advice.contains("\"m\"") && unknown.advice.contains("\"p\""), "{}", unknown.advice);
    assert_eq!((explained.cost_usd, explained.price, explained.difference_usd), (None, None, None));
}

#[test]
fn nothing_of_a_voided_call_counts_and_only_its_team_sees_a_call() {
    let mut voided = record(Usage::new([(Bucket::Input, 5)]).unwrap(), &book("v1", None, 1));
    voided.data.corrections.entry(0).or_default().void(&EventId::parse("v").unwrap());
    let shown = explained(&voided);
    assert_eq!((shown.cost_usd, shown.unpriced, shown.lines.len()), (None, None, 0));
    let ledger = Fake::of(vec![voided]);
    let ask = |who: &str, id: &str, team: Option<&str>| {
        let team = team.map(|team| team.to_owned().try_into().unwrap());
        now(explain(&ledger, &agent(who), &EventId::parse(id).unwrap(), team.as_ref())).map(|_| ())
    };
    assert_eq!(ask("a", "e", Some("growth")), Ok(()));
    for (who, id, team) in [("a", "e", Some("sales")), ("b", "e", None), ("a", "f", None), ("a", "e#1", None)]
    {
        assert!(matches!(ask(who, id, team), Err(QueryError::NoSuchEvent(_))), "{who} {id} {team:?}");
    }
}

#[test]
fn stated_costs_are_compared_where_both_are_known() {
    let call = |id: &str, book: &PriceBook| {
        let mut record = record(Usage::new([(Bucket::Input, 1_000)]).unwrap(), book);
        record.key = shared::id::RecordKey::Single(OwnId::parse(id).unwrap());
        record
    };
    let (priced, nothing) =
        (book("v1", None, 1), PriceBook::from_json(r#"{"version":"0","source":"t","models":[]}"#));
    let unpriced = call("c", &nothing.unwrap());
    let silent = single("a", "d", event(at("2026-11-24T09:30:00Z"), ["", "", "", "p", "m"], 9));
    let ledger = Fake::of(vec![call("a", &priced), call("b", &priced), unpriced, silent]);
    let report = now(differences(&ledger, &EventRequest::default())).unwrap();
    assert_eq!(report.rows.len(), 1);
    let figures = &report.rows[0].figures;
    assert_eq!((figures.events, figures.unpriced_events), (2, 1));
    assert_eq!(figures.reported_cost_usd.to_string(), "1");
    // Twice a thousand tokens at 0.0000000015838.
    assert_eq!(figures.cost_usd.to_string(), "0.0000031676");
    assert_eq!(figures.difference_usd.to_string(), "-0.9999968324");
    assert_eq!(figures.unpriced_reported_cost_usd.to_string(), "0.5");
    assert_eq!(report.total, *figures);
    let by_two = Share { page: 1, alone: 1, workers: 2 };
    assert_eq!(now(differences_by(&ledger, &EventRequest::default(), by_two)).unwrap(), report);
}
