//! The model: what the totals have to be, computed from what was sent and nothing else of the product's
//! arithmetic. Where contents conflict, the ledger may choose which stands, but only among those sent.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;
use shared::event::Body;
use shared::id::{AgentId, EventId, RecordKey};
use shared::record::{Content, Record};

/// US dollars per token of (provider, model), by bucket.
pub type Prices = &'static [(&'static str, &'static str, &'static str, &'static str)];

/// The books of a history by their versions. The first is the aggregator's; the others are for repricing.
pub const BOOKS: [(&str, Prices); 3] = [
    (
        "model",
        &[
            ("p", "cheap", "input", "0.00000015"),
            ("p", "cheap", "output", "0.0000006"),
            ("p", "cheap", "cache_read", "0.000000075"),
            ("p", "cheap", "reasoning", "0.0000006"),
            ("p", "dear", "input", "0.003"),
            ("p", "dear", "output", "0.0152345678901"),
            ("p", "dear", "cache_read", "0.0003"),
            ("p", "dear", "reasoning", "0.0152345678901"),
        ],
    ),
    // Half as dear, and it knows one more.
    (
        "halved",
        &[
            ("p", "cheap", "input", "0.00000015"),
            ("p", "cheap", "output", "0.0000006"),
            ("p", "cheap", "cache_read", "0.000000075"),
            ("p", "cheap", "reasoning", "0.0000006"),
            ("p", "dear", "input", "0.0015"),
            ("p", "dear", "output", "0.0077"),
            ("p", "dear", "cache_read", "0.00015"),
            ("p", "dear", "reasoning", "0.0077"),
            ("q", "mystery", "input", "0.0001"),
            ("q", "mystery", "output", "0.00020000000001"),
            ("q", "mystery", "cache_read", "0"),
            ("q", "mystery", "reasoning", "0.0003"),
        ],
    ),
    // It knows less: no cached tokens of one model, and nothing of another.
    (
        "forgetful",
        &[
            ("p", "dear", "input", "0.004"),
            ("p", "dear", "output", "0.02"),
            ("p", "dear", "reasoning", "0.02"),
        ],
    ),
];

/// The prices of a book.
pub fn prices(book: &str) -> Prices {
    BOOKS.iter().find(|(version, _)| *version == book).map_or(&[], |(_, prices)| prices)
}

/// One event as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Its place in its record.
    pub index: u32,
    /// Its JSON, without the fields that say which event it is.
    pub body: Value,
}

/// What was sent under one (agent, record key): every content of it.
pub type Sends = BTreeMap<(AgentId, RecordKey), Vec<Vec<Sent>>>;

/// Sums of one rollup as the model has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Events.
    pub events: i64,
    /// Events without a known cost.
    pub unpriced: i64,
    /// Tokens of those.
    pub unpriced_tokens: i128,
    /// Tokens by bucket.
    pub tokens: BTreeMap<String, i128>,
    /// Known cost.
    pub cost: Decimal,
    /// Outcomes by name.
    pub tasks: BTreeMap<String, i64>,
    /// Their value.
    pub value: Decimal,
}

/// (kind, a, b, window, start of its quarter hour, day or month).
pub type Key = (&'static str, String, String, &'static str, i64);

/// Takes a receipt in: which event got which id.
pub fn receive(sends: &mut Sends, key: Option<&str>, events: &[Value], ids: &[String]) {
    let mut units: BTreeMap<(AgentId, RecordKey), Vec<Sent>> = BTreeMap::new();
    let mut done = Vec::new();
    for (event, id) in events.iter().zip(ids) {
        let Ok(agent) = AgentId::parse(event["agent_id"].as_str().unwrap_or_default()) else { continue };
        let Ok(id) = EventId::parse(id) else { continue };
        let mut body = event.clone();
        if let Value::Object(map) = &mut body {
            map.remove("id");
            map.remove("agent_id");
        }
        let (sent, unit) = (Sent { index: id.index(), body }, (agent, id.record()));
        if key.is_some() && event.get("id").is_none() {
            units.entry(unit).or_default().push(sent);
        } else {
            done.push((unit, vec![sent]));
        }
    }
    for (unit, content) in units.into_iter().chain(done) {
        let contents = sends.entry(unit).or_default();
        if !contents.contains(&content) {
            contents.push(content);
        }
    }
}

/// Which of the contents sent stands in `record`; an error names what stands and was never sent.
pub fn standing<'s>(sent: &'s [Vec<Sent>], record: &Record) -> Result<&'s [Sent], String> {
    let stored = stored_bodies(record);
    let same = |content: &&Vec<Sent>| {
        content.len() == stored.len()
            && content
                .iter()
                .zip(&stored)
                .all(|(sent, (index, body))| sent.index == *index && matches(&sent.body, body))
    };
    let found = sent.iter().find(same).map(Vec::as_slice);
    found.ok_or_else(|| format!("{} {} holds what was never sent: {stored:?}", record.agent, record.key))
}

/// Every field that was sent is stored as it was sent.
fn matches(sent: &Value, stored: &Value) -> bool {
    let Value::Object(sent) = sent else { return false };
    sent.iter().all(|(name, value)| match name.as_str() {
        "type" => true,
        "usage" => nonzero(value) == nonzero(&stored["usage"]),
        _ => stored[name] == *value,
    })
}

fn nonzero(usage: &Value) -> BTreeMap<&str, u64> {
    let counts = usage.as_object().into_iter().flatten();
    counts.filter_map(|(k, v)| Some((k.as_str(), v.as_u64()?))).filter(|(_, n)| *n > 0).collect()
}

fn stored_bodies(record: &Record) -> Vec<(u32, Value)> {
    let json = |value: serde_json::Result<Value>| value.unwrap_or(Value::Null);
    let mut bodies: Vec<(u32, Value)> = match &record.data.content {
        Content::Awaited => Vec::new(),
        Content::Usage(events) => {
            events.iter().map(|e| (e.i, json(serde_json::to_value(&e.event)))).collect()
        }
        Content::TaskOutcome(task) => vec![(0, json(serde_json::to_value(task)))],
        Content::Void(void) => vec![(0, json(serde_json::to_value(void)))],
        Content::Amend(amend) => vec![(0, json(serde_json::to_value(amend)))],
    };
    let inner = |body: &Body| match body {
        Body::Usage(e) => serde_json::to_value(e),
        Body::TaskOutcome(e) => serde_json::to_value(e),
        Body::Void(e) => serde_json::to_value(e),
        Body::Amend(e) => serde_json::to_value(e),
    };
    bodies.extend(record.data.sealed_corrections.iter().map(|(i, body)| (*i, json(inner(body)))));
    bodies.extend(record.data.outcomes.iter().map(|(i, task)| (*i, json(serde_json::to_value(task)))));
    bodies.sort_by_key(|(i, _)| *i);
    bodies
}

/// The totals, from the contents that stand. `booked` answers when an event was booked, which its sender may not
/// have said, and by which book it is priced.
pub fn totals(
    standing: &[(AgentId, RecordKey, &[Sent])],
    booked: impl Fn(&AgentId, &RecordKey, u32) -> (i64, &'static str),
) -> BTreeMap<Key, Sums> {
    let mut voided: Vec<(&AgentId, &str)> = Vec::new();
    let mut amended: BTreeMap<(&AgentId, &str), (u64, EventId, &Value)> = BTreeMap::new();
    for (agent, key, content) in standing {
        for sent in *content {
            let Some(corrects) = sent.body["corrects"].as_str() else { continue };
            if sent.body["type"] == "void" {
                voided.push((agent, corrects));
                continue;
            }
            let rank = (sent.body["revision"].as_u64().unwrap_or(0), key.event_id(sent.index));
            let newer =
                amended.get(&(agent, corrects)).is_none_or(|known| (known.0, &known.1) < (rank.0, &rank.1));
            if newer {
                amended.insert((agent, corrects), (rank.0, rank.1, &sent.body["usage"]));
            }
        }
    }
    let mut sums = BTreeMap::new();
    for (agent, key, content) in standing {
        for sent in *content {
            let id = key.event_id(sent.index).to_string();
            if sent.body.get("corrects").is_some() || voided.contains(&(agent, id.as_str())) {
                continue;
            }
            let (at, version) = booked(agent, key, sent.index);
            let usage = amended.get(&(agent, id.as_str())).map_or(&sent.body["usage"], |amend| amend.2);
            book(&mut sums, agent.as_str(), &sent.body, usage, at, prices(version));
        }
    }
    sums
}

fn book(sums: &mut BTreeMap<Key, Sums>, agent: &str, body: &Value, usage: &Value, at: i64, known: Prices) {
    let name = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    let (team, task, model, provider) = (name("team_id"), name("task_id"), name("model"), name("provider"));
    let none = String::new;
    let mut scopes = vec![
        ("org", none(), none()),
        ("team", team.clone(), none()),
        ("agent", agent.to_owned(), none()),
        ("task", task.clone(), none()),
        ("team_agent", team, agent.to_owned()),
        ("agent_task", agent.to_owned(), task),
    ];
    let outcome = body["type"] == "task_outcome";
    if !outcome {
        scopes.push(("model", model.clone(), none()));
        scopes.push(("provider", provider.clone(), none()));
        scopes.push(("agent_model", agent.to_owned(), model.clone()));
    }
    let windows =
        [("quarter", at - at.rem_euclid(900)), ("day", at - at.rem_euclid(86_400)), ("month", month(at))];
    for (kind, a, b) in scopes {
        for (window, start) in windows {
            let sum = sums.entry((kind, a.clone(), b.clone(), window, start)).or_default();
            if outcome {
                *sum.tasks.entry(name("outcome")).or_default() += 1;
                sum.value +=
                    body["value"].as_str().and_then(|v| v.parse::<Decimal>().ok()).unwrap_or_default();
                continue;
            }
            sum.events += 1;
            let mut cost = Some(Decimal::ZERO);
            for (bucket, count) in nonzero(usage) {
                *sum.tokens.entry(bucket.to_owned()).or_default() += i128::from(count);
                let price = known.iter().find(|p| p.0 == provider && p.1 == model && p.2 == bucket);
                let price = price.and_then(|p| p.3.parse::<Decimal>().ok());
                cost = cost.zip(price).map(|(sum, price)| sum + price * Decimal::from(count));
            }
            // An unknown model has no price, also for no tokens; and what is no amount of money is no cost.
            let known = known.iter().any(|p| p.0 == provider && p.1 == model);
            match cost.filter(|cost| known && *cost < Decimal::from(10_000_000_000_000_i64)) {
                Some(cost) => sum.cost += cost,
                None => {
                    sum.unpriced += 1;
                    sum.unpriced_tokens += nonzero(usage).values().map(|n| i128::from(*n)).sum::<i128>();
                }
            }
        }
    }
}

fn month(at: i64) -> i64 {
    shared::window::WindowKind::Month.start(at)
}
