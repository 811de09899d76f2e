//! `agentledger explain`: the arithmetic of one call, line by line.

use query::{EventState, Explanation, PriceShown, RepricedBy, SentCorrection};
use shared::price::PriceSource;

use super::{cell, read};
use crate::cli::{ExplainArgs, Format};
use crate::output::{Grid, number, print, say, table, text, visible};
use crate::source::Source;

/// Explains one call.
pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<()> {
    let params = [("agent", args.agent.clone()), ("event", args.event.clone())];
    let answer = Source::open(&args.ledger)?.get("/v1/explain", &params)?;
    let explained: Explanation = read(&answer)?;
    match args.output.format {
        Format::Table => say(&in_words(&explained)),
        format => print(format, &grid(&explained), &answer),
    }
}

fn grid(explained: &Explanation) -> Grid {
    let unknown = || "unknown".to_owned();
    let rows = explained.lines.iter().map(|line| {
        vec![
            line.bucket.clone(),
            line.count.to_string(),
            line.unit_price_usd.map_or_else(|| "none".to_owned(), |price| price.as_decimal().to_string()),
            line.amount_usd.map_or_else(unknown, |amount| amount.to_string()),
        ]
    });
    let total = explained.cost_usd.map_or_else(unknown, |cost| cost.to_string());
    let counts = explained.event.state != EventState::Voided;
    Grid {
        columns: vec![text("bucket"), number("count"), number("unit_price_usd"), number("amount_usd")],
        rows: rows.collect(),
        total: counts.then(|| vec!["cost".to_owned(), String::new(), String::new(), total]),
        note: None,
    }
}

fn in_words(explained: &Explanation) -> String {
    let event = &explained.event;
    let mut lines = vec![format!("event {} of {} at {}", event.id, event.agent_id, event.time)];
    lines.push(format!(
        "model: {}, provider: {}, service tier: {}",
        or_not_stated(cell(event.model.as_ref())),
        or_not_stated(cell(event.provider.as_ref())),
        or_not_stated(event.service_tier.clone().unwrap_or_default()),
    ));
    lines.extend(explained.price.as_ref().map(|price| format!("price: {}", price_in_words(price))));
    lines.extend(explained.repriced_by.as_ref().map(|by| format!("given by {}", run_in_words(by))));
    let mut text = lines.join("\n");
    text.push('\n');
    lines.clear();
    if event.state == EventState::Voided {
        lines.push("it was voided: nothing of it counts".to_owned());
    } else {
        text = visible_lines(&text) + &table(&grid(explained));
    }
    if let (Some(tokens), Some(fees)) = (explained.token_cost_usd, explained.fees_usd) {
        lines.push(format!(
            "tokens {tokens} + fees {fees} = {} US dollars",
            cell(explained.cost_usd.as_ref())
        ));
    }
    lines.extend(explained.unpriced.as_ref().map(|unknown| format!("unknown: {}", unknown.advice)));
    for correction in &event.corrections {
        lines.push(match correction {
            SentCorrection::Void { id } => format!("voided by {id}"),
            SentCorrection::Amend { id, revision, .. } => format!("amended by {id}, revision {revision}"),
        });
    }
    if let Some(sent) = &event.sent_usage {
        let counts: Vec<_> = sent.iter().map(|(bucket, n)| format!("{} {n}", bucket.name())).collect();
        lines.push(format!("sent as: {}", counts.join(", ")));
    }
    for earlier in &explained.earlier {
        let by = earlier.by.as_ref().map_or_else(|| "at first".to_owned(), run_in_words);
        let price = earlier.price.as_ref().map_or_else(|| "no price".to_owned(), price_in_words);
        let cost = earlier.cost_usd.map_or_else(|| "unknown".to_owned(), |cost| cost.to_string());
        lines.push(format!("before: {cost} by {price} ({by})"));
    }
    if let Some(stated) = event.reported_cost_usd {
        let difference =
            explained.difference_usd.map_or_else(String::new, |d| format!("; ours less theirs: {d}"));
        lines.push(format!("the provider stated {stated}{difference}"));
    }
    text + &visible_lines(&lines.join("\n"))
}

/// Names come from outside.
fn visible_lines(text: &str) -> String {
    text.lines().map(|line| visible(line) + "\n").collect()
}

fn or_not_stated(name: String) -> String {
    if name.is_empty() { "not stated".to_owned() } else { name }
}

fn price_in_words(price: &PriceShown) -> String {
    let entry = match price.source {
        PriceSource::Book => format!("entry {}", price.entry),
        PriceSource::Fallback => "the operator's price for tokens that it lacks".to_owned(),
    };
    let long =
        price.long_input_above.map(|above| format!(", input above {above} tokens")).unwrap_or_default();
    format!("book {}, {entry}, tier {}{long}", price.book, price.tier)
}

fn run_in_words(by: &RepricedBy) -> String {
    format!("repricing {} at {} with book {}", by.run, by.at, by.book)
}
