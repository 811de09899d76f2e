//! One connection: submissions out, receipts in, reports read.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

/// A client that keeps its connection.
pub(crate) struct Client(ureq::Agent);

impl Client {
    pub(crate) fn new() -> Self {
        Self::waiting(Duration::from_secs(30))
    }

    /// One that waits so long for an answer.
    pub(crate) fn waiting(most: Duration) -> Self {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(most)).http_status_as_error(false).build();
        Self(config.into())
    }

    /// Posts a submission; true if there is a receipt for it, an error if it can never get one.
    pub(crate) fn post(&self, url: &str, key: Option<&str>, body: &str) -> anyhow::Result<bool> {
        let mut request = self.0.post(format!("{url}/v1/usage")).header("content-type", "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        // No answer is no receipt: the server may be gone.
        let Ok(mut response) = request.send(body) else { return Ok(false) };
        let status = response.status().as_u16();
        let Ok(text) = response.body_mut().read_to_string() else { return Ok(false) };
        match status {
            200 => Ok(true),
            429 | 500.. => Ok(false),
            _ => anyhow::bail!("a valid submission was answered {status}: {text}"),
        }
    }

    /// Sets a budget.
    pub(crate) fn set_budget(&self, url: &str, name: &str, body: &Value) -> anyhow::Result<()> {
        let sent = self.0.put(format!("{url}/v1/admin/budgets/{name}")).send(body.to_string());
        let mut response = sent.with_context(|| format!("cannot set a budget at {url}"))?;
        let text = response.body_mut().read_to_string()?;
        anyhow::ensure!(
            response.status().is_success(),
            "a budget was answered {}: {text}",
            response.status()
        );
        Ok(())
    }

    /// Reads JSON.
    pub(crate) fn get(&self, url: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.text(url)?)?)
    }

    /// Reads text.
    pub(crate) fn text(&self, url: &str) -> anyhow::Result<String> {
        let mut response = self.0.get(url).call().with_context(|| format!("cannot read {url}"))?;
        let text = response.body_mut().read_to_string()?;
        anyhow::ensure!(response.status().is_success(), "{url} was answered {}: {text}", response.status());
        Ok(text)
    }
}
