//! What a receiver gets: the alert as `GET /v1/alerts` shows it, with its words.

use serde::Serialize;
use shared::alert::Alert;

#[derive(Serialize)]
struct Message<'a> {
    r#type: &'static str,
    timestamp: jiff::Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(flatten)]
    alert: &'a Alert,
    text: String,
}

/// The body. The same alert has the same bytes, however often it is sent.
pub(crate) fn body(alert: &Alert) -> serde_json::Result<Vec<u8>> {
    let data = Data { alert, text: alert.text().to_string() };
    serde_json::to_vec(&Message { r#type: "agentledger.alert", timestamp: alert.at, data })
}
