//! One connection: submissions out, receipts in, reports read.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

/// A client that keeps its connection.
pub(crate) struct Client {
    agent: ureq::Agent,
    /// What it shows with each request, if the server asks for a token.
    authorization: Option<String>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::with(None)
    }

    /// A client with a token.
    pub(crate) fn with(token: Option<&str>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .build();
        Self { agent: config.into(), authorization: token.map(|token| format!("Bearer {token}")) }
    }

    /// Posts a submission; true if there is a receipt for it, an error if it can never get one.
    pub(crate) fn post(&self, url: &str, key: Option<&str>, body: &str) -> anyhow::Result<bool> {
        let mut request =
            self.agent.post(format!("{url}/v1/usage")).header("content-type", "application/json");
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
        let sent =
            self.shown(self.agent.put(format!("{url}/v1/admin/budgets/{name}"))).send(body.to_string());
        let mut response = sent.with_context(|| format!("cannot set a budget at {url}"))?;
        let text = response.body_mut().read_to_string()?;
        anyhow::ensure!(
            response.status().is_success(),
            "a budget was answered {}: {text}",
            response.status()
        );
        Ok(())
    }

    /// Sends a provider's response as it came; true if there is a receipt, false if it is refused.
    pub(crate) fn post_body(
        &self,
        url: &str,
        agent: &str,
        team: &str,
        headers: &str,
        body: &[u8],
    ) -> anyhow::Result<bool> {
        let mut request = self
            .shown(self.agent.post(format!("{url}/v1/usage")))
            .header("x-agent-id", agent)
            .header("x-team-id", team);
        for line in headers.lines() {
            let (name, value) = line.split_once(": ").with_context(|| format!("`{line}` is no header"))?;
            request = request.header(name, value);
        }
        let mut response = request.send(body).with_context(|| format!("cannot send to {url}"))?;
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string()?;
        anyhow::ensure!(
            matches!(status, 200 | 400 | 422),
            "a provider's response was answered {status}: {text}"
        );
        Ok(status == 200)
    }

    /// Stream records that are accepted and not committed.
    pub(crate) fn lag(&self, url: &str) -> anyhow::Result<u64> {
        let health = self.get(&format!("{url}/healthz"))?;
        let shards = health["pipeline"]["stream"].as_array().context("healthz names no shards")?;
        let of = |shard: &Value| Some(shard["latest"].as_u64()?.saturating_sub(shard["consumed"].as_u64()?));
        Ok(shards.iter().filter_map(of).sum())
    }

    /// Waits until everything accepted is committed.
    pub(crate) fn caught_up(&self, url: &str, most: Duration) -> anyhow::Result<Duration> {
        let begun = std::time::Instant::now();
        while self.lag(url)? > 0 {
            anyhow::ensure!(begun.elapsed() < most, "the rollups do not catch up within {most:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(begun.elapsed())
    }

    fn shown<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }

    /// Reads JSON.
    pub(crate) fn get(&self, url: &str) -> anyhow::Result<Value> {
        let mut response =
            self.shown(self.agent.get(url)).call().with_context(|| format!("cannot read {url}"))?;
        let text = response.body_mut().read_to_string()?;
        anyhow::ensure!(response.status().is_success(), "{url} was answered {}: {text}", response.status());
        Ok(serde_json::from_str(&text)?)
    }
}
