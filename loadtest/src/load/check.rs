//! Conservation: what the pipeline says against what the generator sent, for each agent, model and hour, to the token and
//! the last decimal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, bail, ensure};

use super::expected::{Expected, Key, Sums};
use super::reader::{Reader, span};
use super::submission::{MODELS, Submissions};

/// How many differing keys, and how many events of each, are named.
const NAMED: usize = 5;

/// What was compared.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Compared {
    /// Combinations of agent, model and hour.
    pub(crate) keys: u64,
    pub(crate) events: i64,
    pub(crate) tokens: i64,
}

/// Compares; an error names the first that differ, and their events.
pub(crate) fn check(
    reader: &Reader,
    all: &Submissions,
    expected: &Expected,
    receipts: &super::expected::Numbers,
) -> anyhow::Result<Compared> {
    let mut reported = BTreeMap::new();
    let hours: BTreeSet<_> = expected.sums.keys().map(|key| key.hour).collect();
    for hour in hours {
        match hour {
            Some(hour) => read_hour(reader, all, hour, &mut reported)?,
            None => read_agents(reader, all, &mut reported)?,
        }
    }
    let mut differing: Vec<_> = expected
        .sums
        .keys()
        .chain(reported.keys())
        .filter(|key| expected.sums.get(*key) != reported.get(*key))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if differing.is_empty() {
        return whole(reader, all, expected);
    }
    let count = differing.len();
    differing.truncate(NAMED);
    let mut text =
        format!("{count} combinations of agent, model and hour differ from what was sent; the first are:");
    for key in differing {
        let (sent, said) = (expected.sums.get(key), reported.get(key));
        let hour =
            key.hour.map(span).transpose()?.map_or_else(String::new, |(from, _)| format!(", hour of {from}"));
        let model = key.model.as_deref().unwrap_or("no model");
        // Writing to a string cannot fail, here and below.
        let _ = write!(
            text,
            "\n  {}, {model}{hour}\n    sent     {}\n    reported {}",
            all.agent(key.agent),
            shown(sent),
            shown(said)
        );
        let lines = events(reader, all, expected, receipts, key)
            .unwrap_or_else(|error| vec![format!("its events cannot be listed: {error:#}")]);
        for line in lines {
            let _ = write!(text, "\n    {line}");
        }
    }
    bail!(text)
}

/// The same over everything: what was booked at an hour or a model that nothing was sent for shows here.
fn whole(reader: &Reader, all: &Submissions, expected: &Expected) -> anyhow::Result<Compared> {
    let mut sent: BTreeMap<String, Sums> = BTreeMap::new();
    for (key, sums) in &expected.sums {
        sent.entry(all.agent(key.agent)).or_default().add(sums);
    }
    let mut reported = BTreeMap::new();
    for (agent, sums) in reader.agents(&all.scope())? {
        reported.insert(agent.as_str().unwrap_or("no agent").to_owned(), sums);
    }
    reported.retain(|_, sums| sums.events != 0 || sums.tokens != 0);
    for agent in sent.keys().chain(reported.keys()) {
        let (sent, said) = (sent.get(agent), reported.get(agent));
        if sent != said {
            bail!("{agent} over all hours and models: sent {}, reported {}", shown(sent), shown(said));
        }
    }
    let mut compared = Compared { keys: u64::try_from(expected.sums.len())?, ..Compared::default() };
    for sums in expected.sums.values() {
        compared.events += sums.events;
        compared.tokens += sums.tokens;
    }
    ensure!(compared.events > 0, "nothing was counted, so there is nothing to compare");
    Ok(compared)
}

fn read_hour(
    reader: &Reader,
    all: &Submissions,
    hour: i64,
    into: &mut BTreeMap<Key, Sums>,
) -> anyhow::Result<()> {
    let (from, to) = span(hour)?;
    for model in MODELS {
        let filters = [("model", model.name), ("from", &from), ("to", &to)];
        for (agent, sums) in reader.spend("agent", &filters)? {
            let name = agent.as_str().unwrap_or_default();
            // Others may send to a deployment, too.
            let Some(agent) = name.strip_prefix(&format!("{}-", all.run)).and_then(|n| n.parse().ok()) else {
                continue;
            };
            if sums != Sums::default() {
                into.insert(Key { hour: Some(hour), model: Some(model.name.to_owned()), agent }, sums);
            }
        }
    }
    Ok(())
}

fn read_agents(reader: &Reader, all: &Submissions, into: &mut BTreeMap<Key, Sums>) -> anyhow::Result<()> {
    for agent in 0..all.scenario.agents {
        for (model, sums) in reader.spend("model", &[("agent", &all.agent(agent))])? {
            into.insert(Key { hour: None, model: model.as_str().map(str::to_owned), agent }, sums);
        }
    }
    Ok(())
}

/// The first events of a key that are missing, that are too many, or that are counted otherwise.
fn events(
    reader: &Reader,
    all: &Submissions,
    expected: &Expected,
    receipts: &super::expected::Numbers,
    key: &Key,
) -> anyhow::Result<Vec<String>> {
    let Some(calls) = reader.calls(key, &all.agent(key.agent))? else {
        return Ok(vec!["the events cannot be listed from here".to_owned()]);
    };
    if !all.bodies.is_empty() {
        return Ok(Vec::new());
    }
    let mut listed = BTreeMap::new();
    for call in &calls {
        let id = call["id"].as_str().context("an event without an id")?.to_owned();
        let voided = call["state"] == "voided";
        listed.insert(id, (call["tokens"].as_i64(), voided));
    }
    let mut lines = Vec::new();
    for n in receipts.iter() {
        let submission = all.submission(n);
        if submission.agent != key.agent || !matches!(submission.kind, super::submission::Kind::Usage { .. })
        {
            continue;
        }
        for (i, event) in (0..).zip(all.events(submission)) {
            let of_key = Some(event.time.as_second().div_euclid(3_600)) == key.hour
                && MODELS.get(event.model).map(|model| model.name) == key.model.as_deref();
            if !of_key {
                continue;
            }
            let id = all.id(n, i);
            let voided = expected.voided.contains(&(n, i));
            match listed.remove(&id) {
                None => lines.push(format!("{id} was sent and is not listed")),
                Some((_, was)) if was != voided => lines.push(format!(
                    "{id} is {} and was {} back",
                    word(was),
                    if voided { "taken" } else { "not taken" }
                )),
                Some((tokens, _)) if !voided && tokens != Some(event.total()) => {
                    lines.push(format!(
                        "{id} was sent with {} tokens and is listed with {tokens:?}",
                        event.total()
                    ));
                }
                Some(_) => {}
            }
        }
    }
    lines.extend(listed.into_keys().map(|id| format!("{id} is listed and was not sent, or has no receipt")));
    if lines.is_empty() {
        lines.push(
            "each of its events is listed as it was sent: the totals are wrong, not the records".to_owned(),
        );
    }
    lines.truncate(NAMED);
    Ok(lines)
}

fn word(voided: bool) -> &'static str {
    if voided { "voided" } else { "counted" }
}

fn shown(sums: Option<&Sums>) -> String {
    sums.map_or_else(
        || "nothing".to_owned(),
        |sums| {
            let Sums { events, tokens, cost, unpriced_events, unpriced_tokens } = sums;
            format!("{events} events, {tokens} tokens, ${cost}; without a price {unpriced_events} events, {unpriced_tokens} tokens")
        },
    )
}
