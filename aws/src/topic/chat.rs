//! Alerts for a chat channel: the schema of custom notifications of Amazon Q Developer in chat applications
//! (formerly AWS Chatbot), which brings them to Slack and Teams.
//!
//! <https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html>

use std::collections::BTreeMap;

use serde::Serialize;
use shared::alert::{Alert, AlertKind};

use super::Severity;
use super::message::{cut, headline, words};

// Well within what the schema takes.
const MAX_TITLE: usize = 200;
const MAX_DESCRIPTION: usize = 3_000;

#[derive(Serialize)]
struct Notification<'a> {
    version: &'static str,
    source: &'static str,
    id: &'a str,
    content: Content,
    metadata: Metadata,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    text_type: &'static str,
    title: String,
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next_steps: Vec<&'static str>,
    keywords: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    thread_id: String,
    summary: String,
    event_type: &'static str,
    related_resources: Vec<String>,
    additional_context: BTreeMap<&'static str, String>,
}

/// The whole message of an alert.
pub(super) fn notification(alert: &Alert, severity: Severity) -> serde_json::Result<String> {
    // As characters: `:warning:` is a sign in Slack, and text in Teams.
    let mark = match severity {
        Severity::Info => '\u{2139}',
        Severity::Warning => '\u{26a0}',
        Severity::Critical => '\u{1f6a8}',
    };
    let title = inert(&headline(alert));
    let mut context = BTreeMap::from([
        ("alert_id", alert.id.clone()),
        ("severity", severity.name().to_owned()),
        ("threshold_percent", alert.threshold_percent.to_string()),
        ("spend_tokens", alert.spend_tokens.to_string()),
    ]);
    let amounts = [
        ("spend_usd", alert.spend_usd.map(|usd| usd.to_string())),
        ("limit_usd", alert.limit_usd.map(|usd| usd.to_string())),
        ("limit_tokens", alert.limit_tokens.map(|tokens| tokens.to_string())),
    ];
    context.extend(amounts.into_iter().filter_map(|(name, amount)| Some((name, amount?))));
    let notification = Notification {
        version: "1.0",
        source: "custom",
        id: &alert.id,
        content: Content {
            text_type: "client-markdown",
            title: cut(&format!("{mark} {title}"), MAX_TITLE),
            description: cut(&inert(&words(alert)), MAX_DESCRIPTION),
            next_steps: next_steps(alert),
            keywords: vec![severity.name().to_owned(), inert(alert.budget.as_str())],
        },
        metadata: Metadata {
            // One thread for what a budget says of a period: 50%, 80%, 100%, and back below. The alert's id would
            // make each a thread of its own.
            thread_id: format!(
                "{}.v{}.{}",
                alert.budget,
                alert.budget_version,
                alert.period_start.as_second()
            ),
            summary: cut(&title, MAX_TITLE),
            event_type: alert.kind.name(),
            related_resources: vec![inert(&alert.scope.to_string())],
            additional_context: context,
        },
    };
    serde_json::to_string(&notification)
}

fn next_steps(alert: &Alert) -> Vec<&'static str> {
    match alert.kind {
        AlertKind::Threshold => vec!["`agentledger report --by agent` shows who spent it"],
        AlertKind::Unpriced => vec!["`agentledger unpriced` lists it, and says how it gets a price"],
        AlertKind::Recovered | AlertKind::Priced => Vec::new(),
    }
}

/// Text that no chat client reads as markup, a mention or a link: names come from agents. The signs that would
/// are replaced by others that look like them; the JSON of the other topics has the exact name.
fn inert(text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // As Slack asks for; Teams reads HTML.
            '&' => said.push_str("&amp;"),
            '<' => said.push_str("&lt;"),
            '>' => said.push_str("&gt;"),
            '*' => said.push('\u{2217}'),
            '`' => said.push('\u{2019}'),
            '~' => said.push('\u{223c}'),
            '[' => said.push('\u{ff3b}'),
            ']' => said.push('\u{ff3d}'),
            '@' => said.push('\u{ff20}'),
            // `://` makes a link wherever it stands.
            '/' if said.ends_with(':') => said.push('\u{2215}'),
            c => said.push(c),
        }
    }
    said
}
