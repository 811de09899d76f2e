//! Recorded responses of providers: read where they lie, and each sent once ahead, so that the run knows what one of them
//! is counted as. Whether that is right is the business of the extraction's own tests; here it has to be that, times how
//! often it was sent.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use rust_decimal::Decimal;
use serde_json::Value;

use super::expected::Sums;
use crate::client::Client;

/// How many of them, at most: enough for every provider, and few enough to be sent ahead in a second.
const MOST: usize = 200;

/// Providers whose prices go by the hour of the day: what one of their responses costs can change in the middle of a run.
const BY_THE_HOUR: &str = "deepseek";

/// A recorded response.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) headers: String,
    pub(crate) bytes: Vec<u8>,
    /// What it is counted as, by model.
    pub(crate) counted: BTreeMap<Option<String>, Sums>,
}

/// Reads responses that were text, of calls that went well.
pub(crate) fn read(corpus: &Path) -> anyhow::Result<Vec<Body>> {
    let mut files = Vec::new();
    for provider in std::fs::read_dir(corpus.join("cases"))? {
        for file in std::fs::read_dir(provider?.path())? {
            files.push(file?.path());
        }
    }
    files.sort_unstable();
    // Spread over all of them: they are ordered by provider.
    let every = files.len().div_ceil(MOST).max(1);
    let mut bodies = Vec::new();
    for path in files.iter().step_by(every) {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let case: Value =
            serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
        if case["status"] != 200 || case["body_encoding"] != "utf-8" || text.contains(BY_THE_HOUR) {
            continue;
        }
        let Some(body) = case["response_body"].as_str() else { continue };
        let kind = case["response_content_type"].as_str().unwrap_or("application/json");
        let mut headers = format!("content-type: {}\r\n", kind.trim());
        for (name, field) in [("x-provider", "provider"), ("x-model", "request_model")] {
            if let Some(value) =
                case[field].as_str().filter(|v| v.bytes().all(|b| b.is_ascii_graphic()) && v.len() <= 128)
            {
                // Writing to a string cannot fail.
                let _ = write!(headers, "{name}: {value}\r\n");
            }
        }
        bodies.push(Body { headers, bytes: body.as_bytes().to_vec(), counted: BTreeMap::new() });
    }
    ensure!(!bodies.is_empty(), "{} holds no response that can be sent", corpus.display());
    Ok(bodies)
}

/// Sends each once, under an agent of its own, and keeps those that are counted, with what they count.
pub(crate) fn calibrate(bodies: Vec<Body>, url: &str, run: &str) -> anyhow::Result<Vec<Body>> {
    let client = Client::new();
    let agent = |n: usize| format!("{run}-body-{n}");
    let mut taken = Vec::new();
    for (n, body) in bodies.into_iter().enumerate() {
        if client.post_body(url, &agent(n), &format!("{run}-body"), &body.headers, &body.bytes)? {
            taken.push((n, body));
        }
    }
    ensure!(!taken.is_empty(), "the server refuses every recorded response");
    client.caught_up(url, Duration::from_secs(60))?;
    let mut bodies = Vec::new();
    for (n, mut body) in taken {
        let listed = client.get(&format!("{url}/v1/events?agent={}&limit=1000", agent(n)))?;
        for event in listed["events"].as_array().context("/v1/events lists no events")? {
            let model = event["model"].as_str().map(str::to_owned);
            let tokens = event["tokens"].as_i64().context("an event without tokens")?;
            let cost = event["cost_usd"].as_str().map(str::parse::<Decimal>).transpose()?;
            let unpriced = i64::from(cost.is_none());
            let sums = Sums {
                events: 1,
                tokens,
                cost: cost.unwrap_or_default().normalize(),
                unpriced_events: unpriced,
                unpriced_tokens: unpriced * tokens,
            };
            body.counted.entry(model).or_default().add(&sums);
        }
        bodies.push(body);
    }
    Ok(bodies)
}
