//! `GET /metrics`: what the process did and how it is, in Prometheus' text format.
//!
//! Everything is counted exactly and becomes a float only here, where it is shown. Nothing is stored: the
//! ledger is the truth, and a restart begins from zero, as Prometheus expects of a counter.

mod exposition;
mod process;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use aws_lambda_events::encodings::Body;
use http::{HeaderValue, header};
use jiff::Timestamp;
use local::host::Gauges;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;
use shared::clock::Clock;

use crate::serve::{Admission, Traffic};

/// The text format of Prometheus, which every scraper reads.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers with the metrics of a process.
pub(crate) struct Metrics {
    registry: Registry,
}

/// Where the metrics come from.
struct Sources<C> {
    gauges: Box<dyn Fn() -> Gauges + Send + Sync>,
    traffic: Arc<Traffic>,
    submissions: Admission,
    clock: C,
    started: Timestamp,
}

impl<C> fmt::Debug for Sources<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}

impl Metrics {
    /// Of a pipeline, of what is asked of it, and of the limit of submissions.
    pub(crate) fn new<C: Clock + 'static>(
        gauges: impl Fn() -> Gauges + Send + Sync + 'static,
        traffic: Arc<Traffic>,
        submissions: Admission,
        clock: C,
    ) -> Self {
        let started = clock.now();
        let mut registry = Registry::default();
        let sources = Sources { gauges: Box::new(gauges), traffic, submissions, clock, started };
        registry.register_collector(Box::new(sources));
        Self { registry }
    }

    /// The text. It reads the disk.
    fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Answers a scrape.
    pub(crate) fn answer(&self) -> ApiGatewayV2httpResponse {
        let mut response = ApiGatewayV2httpResponse::default();
        match self.text() {
            Ok(text) => {
                response.status_code = 200;
                response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
                response.body = Some(Body::Text(text));
            }
            Err(error) => {
                tracing::error!(%error, "the metrics cannot be written");
                response.status_code = 500;
            }
        }
        response
    }
}
