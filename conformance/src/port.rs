//! The port's own promises, on a fresh ledger each: conditions, atomicity, sums, listings, alert state.

use jiff::Timestamp;
use shared::alert::{Alert, AlertState, Delivery, StateKey};
use shared::budget::{Budget, BudgetSpec, Limit, UnpricedPolicy};
use shared::delivery::{DeliveryAttempt, DeliveryStore, Failure, MAX_DELIVERIES, Outcome};
use shared::event::UsageEvent;
use shared::hash::ContentHash;
use shared::id::{AgentId, BudgetName, EventId, OwnId, RecordKey, SenderId, TaskId, TeamId};
use shared::ledger::{
    AlertQuery, Commit, CommitError, Conflict, Ledger, QuarantineState, Quarantined, RecordCursor,
    RecordQuery, RecordWrite, RollupQuery,
};
use shared::money::UsdSum;
use shared::price::PriceBook;
use shared::record::{Record, RecordData};
use shared::rollup::{Additions, ScopeKind};
use shared::sequence::{Run, SenderKey};
use shared::totals::Totals;
use shared::usage::{Bucket, Usage};
use shared::window::{Period, Range, WindowKind, Zone};

mod books;
mod quarantine;
mod repricings;
mod revocations;

pub use books::books;
pub use repricings::repricings;
pub use revocations::revocations;

type Checked = Result<(), Box<dyn std::error::Error>>;

fn ensure(holds: bool, law: &str) -> Checked {
    if holds { Ok(()) } else { Err(law.into()) }
}

fn agent(name: &str) -> Result<AgentId, Box<dyn std::error::Error>> {
    Ok(AgentId::parse(name)?)
}

fn record(who: &str, id: &str, time: &str, tokens: u64) -> Result<Record, Box<dyn std::error::Error>> {
    let book = PriceBook::from_json(r#"{"version":"v","source":"test","models":[]}"#)?
        .with_fallback("0.000000000000001".parse()?);
    let mut event = UsageEvent::new(time.parse()?, Usage::new([(Bucket::Input, tokens)])?);
    event.task_id = Some(TaskId::parse("T#1")?);
    let data = RecordData::usage(ContentHash::from(id), vec![(0, event)], &book);
    Ok(Record { agent: agent(who)?, key: RecordKey::Single(OwnId::parse(id)?), version: 1, data })
}

fn commit(record: &Record, expected: Option<u64>, lane: u32) -> Result<Commit, Box<dyn std::error::Error>> {
    let additions = record.data.additions(&record.agent)?;
    let record = Record { version: expected.unwrap_or(0) + 1, ..record.clone() };
    Ok(Commit { records: vec![RecordWrite { expected, record }], additions, lane })
}

async fn org<L: Ledger>(
    ledger: &L,
    window: WindowKind,
    range: Range,
) -> Result<Totals, Box<dyn std::error::Error>> {
    let query =
        RollupQuery { kind: ScopeKind::Org, a: None, b: None, window, from: range.from, to: range.to };
    let mut sum = Totals::default();
    for row in ledger.rollup_rows(&query).await? {
        for part in &row.parts.0 {
            sum.add(part)?;
        }
    }
    Ok(sum)
}

fn march() -> Range {
    Range { from: 1_772_323_200, to: 1_775_001_600 }
}

/// A1, and the commit: conditional, atomic, and adding across lanes.
pub async fn commits<L: Ledger>(ledger: &L) -> Checked {
    let first = record("a", "x", "2026-03-07T10:05:00Z", 7)?;
    ledger.commit(commit(&first, None, 0)?).await?;
    let key = (first.agent.clone(), first.key.clone());
    ensure(
        ledger.get(std::slice::from_ref(&key)).await? == vec![Some(first.clone())],
        "what was committed is read back",
    )?;

    // One of two conditions fails: nothing of the commit may be seen.
    let second = record("b", "y", "2026-03-07T10:20:00Z", 100)?;
    let mut both = commit(&second, None, 1)?;
    both.records.extend(commit(&first, None, 1)?.records);
    match ledger.commit(both).await {
        Err(CommitError::Refused(refusals)) => {
            ensure(refusals.len() == 1 && refusals[0].index == 1, "the refusal names the write")?;
            ensure(refusals[0].existing.as_ref() == Some(&first), "the refusal brings what is there")?;
        }
        other => return Err(format!("a repeated record was answered {other:?}").into()),
    }
    ensure(org(ledger, WindowKind::Month, march()).await?.tokens() == 7, "a refused commit adds nothing")?;
    let gone = ledger.get(&[(second.agent.clone(), second.key.clone())]).await?;
    ensure(gone == vec![None], "a refused commit writes nothing")?;

    // Versions.
    let wrong = commit(&first, Some(7), 0)?;
    ensure(matches!(ledger.commit(wrong).await, Err(CommitError::Refused(_))), "another version is refused")?;
    ledger.commit(Commit { additions: Additions::default(), ..commit(&first, Some(1), 0)? }).await?;
    let read = ledger.get(&[key]).await?;
    ensure(read[0].as_ref().map(|r| r.version) == Some(2), "the version moves on")?;

    // Another lane adds to the same sums.
    ledger.commit(commit(&second, None, 1)?).await?;
    for window in WindowKind::ALL {
        ensure(org(ledger, window, march()).await?.tokens() == 107, "lanes are summed in every window")?;
    }
    ensure(
        org(ledger, WindowKind::Day, march()).await?.cost.to_string() == "0.000000000000107",
        "cost is exact",
    )?;
    Ok(())
}

/// Numbered submissions: sets, whatever comes again and in whatever order, apart by team and sender.
pub async fn sequences<L: Ledger>(ledger: &L) -> Checked {
    let at: Timestamp = "2026-03-07T10:05:00Z".parse()?;
    let key = |team: Option<&str>, sender: &str| -> Result<SenderKey, Box<dyn std::error::Error>> {
        Ok(SenderKey { team: team.map(TeamId::parse).transpose()?, sender: SenderId::parse(sender)? })
    };
    let (first, second, third) = (key(None, "a/b")?, key(Some("a"), "b")?, key(Some("a"), "c")?);
    ensure(ledger.senders(None, 9).await?.is_empty(), "there are no senders at first")?;
    for sequences in [&[4, 1][..], &[2], &[4, 1], &[]] {
        ledger.note_arrived(&second, sequences, at).await?;
    }
    ledger.note_arrived(&first, &[1], at).await?;
    ledger.note_arrived(&third, &[2], at).await?;
    let senders = ledger.senders(None, 9).await?;
    let keys: Vec<_> = senders.iter().map(|sender| sender.key.clone()).collect();
    ensure(keys == [first.clone(), second, third], "senders are listed by team and name")?;
    let arrived = senders.get(1).map(|sender| sender.arrived.clone()).unwrap_or_default();
    ensure(arrived.gaps() == [Run { from: 3, to: 3 }], "what did not arrive is a gap")?;
    ensure((arrived.count(), arrived.latest()) == (3, Some(at)), "what arrived again counts once")?;
    ensure(ledger.senders(Some(&first), 1).await? == senders[1..2], "a list goes on after a sender")?;
    Ok(())
}

/// A sum that would not fit is refused as a whole.
pub async fn overflow<L: Ledger>(ledger: &L) -> Checked {
    let first = record("a", "x", "2026-03-07T10:05:00Z", 7)?;
    let mut huge = commit(&first, None, 0)?;
    let time = "2026-03-07T10:05:00Z".parse()?;
    // Two of these pass 128 bits, and one has the 38 digits of a number in DynamoDB.
    let cost: UsdSum = "90000000000000000000000".parse()?;
    let most = Totals { cost, events: 1, ..Totals::default() };
    huge.additions = Additions::default();
    huge.additions.add(&[shared::rollup::Scope::org()], time, &most)?;
    ledger.commit(huge.clone()).await?;
    let second = record("a", "y", "2026-03-07T10:05:00Z", 7)?;
    huge.records = commit(&second, None, 0)?.records;
    ensure(
        matches!(ledger.commit(huge).await, Err(CommitError::Overflow(_))),
        "a sum that would not fit is refused",
    )?;
    ensure(
        ledger.get(&[(second.agent, second.key)]).await? == vec![None],
        "and nothing of its commit is seen",
    )?;
    ensure(org(ledger, WindowKind::Month, march()).await?.events == 1, "and the sums are as before")
}

/// A2: an agent's records in a range, newest first, paged, also where times are equal.
pub async fn listings<L: Ledger>(ledger: &L) -> Checked {
    for n in 0..40_u64 {
        let who = if n % 3 == 0 { "b" } else { "a" };
        let time = format!("2026-03-07T10:{:02}:00Z", n / 4);
        ledger.commit(commit(&record(who, &format!("e{n}"), &time, n)?, None, 0)?).await?;
    }
    for of in [None, Some(agent("a")?)] {
        let mut seen: Vec<Record> = Vec::new();
        loop {
            let after = seen.last().map(|r| {
                let latest = r.data.span().map_or(Timestamp::UNIX_EPOCH, |s| s.1);
                RecordCursor { latest, agent: r.agent.clone(), key: r.key.clone() }
            });
            let query = RecordQuery { agent: of.clone(), after, limit: 3, ..RecordQuery::default() };
            let page = ledger.records(&query).await?;
            listed_alike(ledger, &query, &page).await?;
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        let expected = if of.is_some() { 26 } else { 40 };
        ensure(seen.len() == expected, "pages hold each record once")?;
        let times: Vec<_> = seen.iter().filter_map(|r| r.data.span()).map(|s| s.1).collect();
        ensure(times.windows(2).all(|pair| pair[0] >= pair[1]), "newest first")?;
    }
    let range = Range::covering("2026-03-07T10:00:00Z".parse()?, "2026-03-07T10:05:00Z".parse()?);
    let some =
        ledger.records(&RecordQuery { range: Some(range), limit: 100, ..RecordQuery::default() }).await?;
    ensure(some.len() == 40, "a range on quarter hours holds all of this quarter")?;
    let later = Range { from: range.to, to: range.to + 900 };
    let none =
        ledger.records(&RecordQuery { range: Some(later), limit: 100, ..RecordQuery::default() }).await?;
    ensure(none.is_empty(), "and the next holds none")
}

/// A listing for reports is of the same records, and says the same of their calls.
async fn listed_alike<L: Ledger>(ledger: &L, query: &RecordQuery, page: &[Record]) -> Checked {
    let listed = ledger.listed(query).await?;
    let place = |agent: &AgentId, key: &RecordKey| (agent.clone(), key.clone());
    ensure(
        listed.iter().map(|r| place(&r.agent, &r.key)).eq(page.iter().map(|r| place(&r.agent, &r.key)))
            && listed.iter().map(|r| Some(r.latest)).eq(page.iter().map(|r| Some(r.data.span()?.1))),
        "reports list the same records",
    )?;
    for (listed, record) in listed.iter().zip(page) {
        let brief = listed.brief()?;
        let counts = brief.calls().map(|call| (call.time, Some(call.usage), call.cost));
        let all = record.data.effective().filter(|call| call.usage.is_some());
        ensure(
            counts.eq(all.map(|call| (call.event.time, call.usage, call.cost))),
            "reports read what is there",
        )?;
    }
    Ok(())
}

/// A4: rows of one name, of a pair by either name, and of all names.
pub async fn rollups<L: Ledger>(ledger: &L) -> Checked {
    ensure(ledger.extent().await?.is_none(), "an empty ledger has no extent")?;
    for (n, who) in ["a", "b", "a#b"].into_iter().enumerate() {
        let lane = u32::try_from(n)?;
        ledger.commit(commit(&record(who, "e1", "2026-03-07T10:05:00Z", 10)?, None, lane)?).await?;
        ledger.commit(commit(&record(who, "e2", "2026-03-07T11:50:00Z", 1)?, None, lane + 1)?).await?;
    }
    let extent = ledger.extent().await?;
    ensure(extent == Some(march()), "the extent is the months that hold data")?;
    let query = |kind, a: Option<&str>, b: Option<&str>| RollupQuery {
        kind,
        a: a.map(str::to_owned),
        b: b.map(str::to_owned),
        window: WindowKind::Hour,
        from: 1_772_877_600,
        to: 1_772_884_800,
    };
    let one = ledger.rollup_rows(&query(ScopeKind::Agent, Some("a"), None)).await?;
    ensure(one.len() == 2 && one[0].start < one[1].start, "one row per hour, in order")?;
    ensure(one[0].parts.0[0].tokens() == 10 && one[1].parts.0[3].tokens() == 1, "quarters are apart")?;
    let all = ledger.rollup_rows(&query(ScopeKind::Agent, None, None)).await?;
    ensure(all.len() == 6, "all agents")?;
    let of_task = ledger.rollup_rows(&query(ScopeKind::AgentTask, None, Some("T#1"))).await?;
    ensure(of_task.len() == 6, "the agents of a task")?;
    let pair = ledger.rollup_rows(&query(ScopeKind::AgentTask, Some("a#b"), Some("T#1"))).await?;
    ensure(pair.len() == 2 && pair.iter().all(|r| r.scope.a == "a#b"), "one pair")
}

/// A5: versions count changes of content, and survive removal.
pub async fn budgets<L: Ledger>(ledger: &L) -> Checked {
    let at: Timestamp = "2026-03-07T10:05:00Z".parse()?;
    let spec = budget_spec("b1")?;
    let first = ledger.set_budget(&spec, at).await?;
    ensure(first.version == 1, "the first version is 1")?;
    ensure(ledger.set_budget(&spec, at).await?.version == 1, "the same content is no new version")?;
    let other = BudgetSpec { limit: Limit::Tokens(5), ..spec.clone() };
    ensure(ledger.set_budget(&other, at).await?.version == 2, "other content is")?;
    ensure(ledger.budgets().await?.len() == 1, "one name is one budget")?;
    ensure(ledger.remove_budget(&spec.name).await?, "it was there")?;
    ensure(!ledger.remove_budget(&spec.name).await?, "and is not any more")?;
    ensure(ledger.budgets().await?.is_empty(), "nor listed")?;
    ensure(ledger.set_budget(&other, at).await?.version == 3, "a version is not used again")
}

fn budget_spec(name: &str) -> Result<BudgetSpec, Box<dyn std::error::Error>> {
    Ok(BudgetSpec {
        name: BudgetName::parse(name)?,
        scope: "org".parse()?,
        limit: Limit::Usd("10".parse()?),
        period: Period::Day,
        timezone: Zone::utc(),
        thresholds: vec![50, 100],
        unpriced: UnpricedPolicy::Ignore,
    })
}

/// A6: state moves from the revision that was read, together with its alerts, or not at all.
pub async fn alerts<L: Ledger>(ledger: &L) -> Checked {
    let at: Timestamp = "2026-03-07T10:05:00Z".parse()?;
    let budget = Budget { spec: budget_spec("b1")?, version: 1, since: at };
    let period = budget.spec.period.containing(at, &budget.spec.timezone);
    let key = StateKey { budget: budget.spec.name.clone(), version: 1, period_start: period.from };
    let zero = ledger.alert_state(&key).await?;
    ensure(zero == AlertState::default(), "no state is the default state")?;
    let spent = Totals { events: 1, cost: "6".parse()?, ..Totals::default() };
    let (next, transitions) = zero.advance(&budget, &spent, at);
    let alert = |t| Alert::new(&budget, period, t, &spent, Vec::new());
    let made: Vec<Alert> = transitions.into_iter().map(alert).collect();
    ensure(!ledger.advance_alerts(&key, 5, &next, &made).await?, "another revision is refused")?;
    ensure(
        ledger.alerts(&AlertQuery { limit: 9, ..AlertQuery::default() }).await?.is_empty(),
        "with its alerts",
    )?;
    ensure(ledger.advance_alerts(&key, 0, &next, &made).await?, "the revision that was read is accepted")?;
    ensure(!ledger.advance_alerts(&key, 0, &next, &made).await?, "once")?;
    ensure(
        !ledger.advance_alerts(&key, 1, &next, &made).await?,
        "an alert that is there is not written again",
    )?;
    ensure(ledger.alert_state(&key).await? == next, "the state is the one stored")?;
    let pending = AlertQuery { state: Some(Delivery::Pending), limit: 9, ..AlertQuery::default() };
    ensure(ledger.alerts(&pending).await? == made, "what is not delivered is listed")?;
    ledger.mark_delivered(&made[0].id).await?;
    ensure(ledger.alerts(&pending).await?.is_empty(), "until it is")?;
    let by = AlertQuery {
        budget: Some(budget.spec.name.clone()),
        period_start: Some(period.from),
        limit: 9,
        ..AlertQuery::default()
    };
    ensure(ledger.alerts(&by).await?.len() == 1, "by budget and period")?;
    let all = Totals { cost: "10".parse()?, ..spent.clone() };
    let (last, transitions) = next.advance(&budget, &all, at);
    let more: Vec<Alert> =
        transitions.into_iter().map(|t| Alert::new(&budget, period, t, &all, Vec::new())).collect();
    ensure(ledger.advance_alerts(&key, 1, &last, &more).await?, "the state moves on")?;
    ledger.note_due(&key).await?;
    ledger.note_due(&key).await?;
    ensure(ledger.due(9).await? == vec![key.clone()], "what is due is noted once")?;
    ledger.clear_due(&key).await?;
    ensure(ledger.due(9).await?.is_empty(), "and taken back")?;
    for oldest_first in [false, true] {
        let mut listed = Vec::new();
        let mut query = AlertQuery { oldest_first, limit: 1, ..AlertQuery::default() };
        while let Some(alert) = ledger.alerts(&query).await?.pop() {
            query.after = Some((alert.at, alert.id.clone()));
            listed.push(alert.threshold_percent);
        }
        let wanted = if oldest_first { [50, 100] } else { [100, 50] };
        ensure(listed == wanted, "pages go on in the order asked for")?;
    }
    Ok(())
}

/// A7: conflicts and what was put aside, once each; the watermark only moves forward.
pub async fn aside<L: Ledger>(ledger: &L) -> Checked {
    let at: Timestamp = "2026-03-07T10:05:00Z".parse()?;
    let conflict = Conflict {
        agent: agent("a")?,
        key: "E#x".to_owned(),
        standing: ContentHash::from("1"),
        refused: ContentHash::from("2"),
        content: "{}".to_owned(),
        at,
    };
    ensure(ledger.put_conflict(conflict.clone()).await?, "a conflict is new once")?;
    let again = Conflict { at: Timestamp::UNIX_EPOCH, ..conflict.clone() };
    ensure(!ledger.put_conflict(again).await?, "and then is not")?;
    ensure(ledger.conflicts(9).await? == vec![conflict], "a conflict is kept once, as first seen")?;
    let item = Quarantined {
        id: "unreadable 0:1".to_owned(),
        position: "0:1".to_owned(),
        code: "unreadable".to_owned(),
        reason: "r".to_owned(),
        payload: "AA==".to_owned(),
        base64: true,
        at,
        state: QuarantineState::Open,
    };
    ensure(ledger.quarantine(item.clone()).await?, "what is put aside is new once")?;
    ensure(!ledger.quarantine(item.clone()).await?, "and then is not")?;
    ensure(ledger.quarantined(9).await? == vec![item.clone()], "what was put aside is kept once")?;
    quarantine::quarantined(ledger, item).await?;
    ensure(ledger.closed_before().await?.is_none(), "nothing is closed at first")?;
    ledger.close_before(at).await?;
    ledger.close_before(Timestamp::UNIX_EPOCH).await?;
    ensure(ledger.closed_before().await? == Some(at), "the watermark never moves back")?;
    let mut waiting = record("a", "later", "2026-03-07T10:05:00Z", 1)?;
    waiting.data = RecordData::awaited();
    waiting.data.corrections.entry(0).or_default().void(&EventId::parse("v")?);
    let write = RecordWrite { expected: None, record: waiting.clone() };
    ledger.commit(Commit { records: vec![write], ..Commit::default() }).await?;
    ensure(ledger.awaited(9).await? == vec![waiting.clone()], "corrections without a target are listed")?;
    let listed = ledger.records(&RecordQuery { limit: 9, ..RecordQuery::default() }).await?;
    ensure(listed.is_empty(), "apart from what has arrived")?;
    let mut arrived = record("a", "later", "2026-03-07T10:05:00Z", 1)?;
    arrived.data.corrections = waiting.data.corrections;
    arrived.version = 2;
    let write = RecordWrite { expected: Some(1), record: arrived.clone() };
    ledger.commit(Commit { records: vec![write], ..Commit::default() }).await?;
    ensure(ledger.awaited(9).await?.is_empty(), "until it arrives")?;
    let mut missed = record("a", "other", "2026-03-07T10:05:00Z", 1)?;
    missed.data.corrections.entry(7).or_default().void(&EventId::parse("v")?);
    let write = RecordWrite { expected: None, record: missed.clone() };
    ledger.commit(Commit { records: vec![write], ..Commit::default() }).await?;
    ensure(ledger.awaited(9).await? == vec![missed], "a correction of no event of its target is listed")?;
    Ok(())
}

/// Attempts to deliver are listed newest first, by alert, and bounded.
pub async fn deliveries<L: DeliveryStore>(ledger: &L) -> Checked {
    let attempt = |alert: &str, attempt: u32, outcome| -> Result<_, Box<dyn std::error::Error>> {
        let at = "2026-03-07T10:05:00Z".parse()?;
        let target = "https://hooks.example".to_owned();
        Ok(DeliveryAttempt { alert_id: alert.to_owned(), target, at, attempt, duration_ms: 12, outcome })
    };
    ensure(ledger.deliveries(None, 9).await?.is_empty(), "there are none at first")?;
    let first = attempt("a.1", 1, Outcome::Error(Failure::Timeout))?;
    let second = attempt("a.1", 2, Outcome::Status(200))?;
    let other = attempt("a", 1, Outcome::Status(503))?;
    for noted in [&first, &other, &second] {
        ledger.note_delivery(noted).await?;
    }
    let all = ledger.deliveries(None, 9).await?;
    ensure(all == [second.clone(), other.clone(), first.clone()], "the last one noted comes first")?;
    ensure(ledger.deliveries(None, 1).await? == vec![second.clone()], "at most as many as asked for")?;
    ensure(ledger.deliveries(Some("a.1"), 9).await? == [second, first], "of one alert")?;
    ensure(ledger.deliveries(Some("a"), 9).await? == [other], "by its whole id")?;
    ensure(ledger.deliveries(Some("b"), 9).await?.is_empty(), "another has none")?;
    for n in 1..=MAX_DELIVERIES {
        ledger.note_delivery(&attempt("b", u32::try_from(n)?, Outcome::Status(500))?).await?;
    }
    let kept = ledger.deliveries(None, MAX_DELIVERIES).await?;
    ensure(kept.len() == MAX_DELIVERIES, "the newest are kept")?;
    ensure(kept.iter().all(|attempt| attempt.alert_id == "b"), "as they were noted")
}
