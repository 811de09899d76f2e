//! What a topic's subscribers get.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use shared::alert::{Alert, AlertKind, UnpricedOf};

/// The most bytes of a message, over all protocols.
pub(super) const MAX_MESSAGE_BYTES: usize = 256 << 10;
/// The most characters of a subject.
const MAX_SUBJECT: usize = 100;
/// An SMS is cut at 1,600 characters by SNS, and each 140 bytes are paid for.
const MAX_SMS: usize = 480;

/// The alert as `GET /v1/alerts` shows it, with its words.
#[derive(Serialize)]
struct WithText<'a> {
    #[serde(flatten)]
    alert: &'a Alert,
    text: &'a str,
}

/// The message for `MessageStructure: json`: a text for each protocol.
pub(super) fn by_protocol(alert: &Alert) -> serde_json::Result<String> {
    let words = words(alert);
    let json = serde_json::to_string(&WithText { alert, text: &words })?;
    let mut texts = BTreeMap::from([("default", words.clone())]);
    texts.insert("sms", cut(&words, MAX_SMS));
    for protocol in ["sqs", "lambda", "http", "https", "firehose"] {
        texts.insert(protocol, json.clone());
    }
    let message = serde_json::to_string(&texts)?;
    if message.len() <= MAX_MESSAGE_BYTES {
        return Ok(message);
    }
    // Names are bounded, so no alert is this long. If one ever is, it is told shorter rather than never.
    tracing::error!(alert = alert.id, bytes = message.len(), "an alert is too long for a topic, and was cut");
    let short = cut(&words, MAX_MESSAGE_BYTES / 16);
    serde_json::to_string(&BTreeMap::from([("default", short)]))
}

/// The alert in words, on one line.
pub(super) fn words(alert: &Alert) -> String {
    plain(&alert.text().to_string())
}

/// The subject of an email: visible ASCII and spaces.
pub(super) fn subject(alert: &Alert) -> String {
    let subject = headline(alert);
    let ascii: String = subject.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
    cut(&ascii, MAX_SUBJECT)
}

/// What happened, in a few words.
pub(super) fn headline(alert: &Alert) -> String {
    let (budget, percent) = (&alert.budget, alert.threshold_percent);
    let blocked = alert.unpriced.as_ref().is_some_and(|unpriced| unpriced.blocked);
    let of = match alert.unpriced.as_ref().and_then(|unpriced| unpriced.of.as_ref()) {
        Some(UnpricedOf::Model(model)) => format!("model {model}"),
        Some(UnpricedOf::NotStated) => "calls that name no model".to_owned(),
        Some(UnpricedOf::Others) | None => "some models".to_owned(),
    };
    let mut said = plain(&match alert.kind {
        AlertKind::Threshold if blocked => format!("Budget {budget}: blocked by usage without a price"),
        AlertKind::Threshold => format!("Budget {budget}: {percent}% reached"),
        AlertKind::Recovered => format!("Budget {budget}: back below {percent}%"),
        AlertKind::Unpriced => format!("No price for {of}"),
        AlertKind::Priced => format!("All has a price again: {of}"),
    });
    if alert.late {
        said.push_str(" (a period that is over)");
    }
    said
}

/// Without anything that could begin a line, move the cursor or turn the direction of what follows: a name must
/// not forge a sentence.
pub(super) fn plain(text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    for c in text.chars() {
        let is_hidden = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if is_hidden {
            // Writing to a string does not fail.
            let _ = write!(said, "\\u{{{:x}}}", u32::from(c));
        } else {
            said.push(c);
        }
    }
    said
}

/// At most so many characters, with a sign that there were more.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(3)).collect();
    format!("{kept}...")
}
