//! `agentledger up`: the whole pipeline in one process.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use auth::Access;
use local::dir::DataDir;
use local::host::{Counters, Pipeline, PipelineConfig, Status};
use local::ledger::SqliteLedger;
use local::notify::LogAnd;
use shared::budget::BudgetSpec;
use shared::clock::{Clock, SystemClock};
use shared::delivery::DeliveryAttempt;
use shared::ledger::BudgetStore;
use tokio::net::TcpListener;
use webhook::Webhook;

use crate::authority::Authority;
use crate::books;
use crate::cli::UpArgs;
use crate::config::Config;
use crate::handlers::{Handlers, Parts};
use crate::metrics::Metrics;
use crate::serve::{Admission, DRAIN, Handler, Routes, Traffic, limits, listen_address, serve};
use crate::source::Misuse;

/// Runs until a signal.
pub(crate) fn run(args: &UpArgs) -> anyhow::Result<()> {
    let config = match &args.config {
        Some(path) => Config::read(path).map_err(|e| Misuse(e.to_string()))?,
        None => Config::default(),
    };
    let authority = config.auth.as_ref().map(Authority::open).transpose();
    let authority = authority.map_err(|e| Misuse(format!("[auth] public_keys: {e}")))?;
    let access = authority.as_ref().map_or_else(Access::open, Authority::access);
    let address = listen_address(&args.listen, authority.is_some()).map_err(Misuse)?;
    let dir = DataDir::create(&args.data)?;
    let webhook = match &config.webhook {
        Some(settings) => Some(settings.open().map_err(|e| Misuse(e.to_string()))?),
        None => None,
    };
    let notifier = |ledger: &Arc<SqliteLedger>, counters: &Arc<Counters>| {
        let counters = Arc::clone(counters);
        let count = Arc::new(move |attempt: &DeliveryAttempt| counters.attempted(attempt));
        LogAnd::new(webhook.map(|config| Webhook::new(config, Arc::clone(ledger), SystemClock, count)))
    };
    let settings = pipeline_config(&config, access.clone())?;
    let mut pipeline = Pipeline::start_with(dir, &settings, notifier, SystemClock)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let served = runtime.block_on(async {
        let (listener, bound) = listen(&pipeline, &config.budgets, &SystemClock, address).await?;
        if let Some(authority) = &authority {
            // Before anybody is let in.
            authority.refresh(pipeline.ledger()).await?;
        }
        let signal = stop_signal()?;
        say_ready(&format!("agentledger ready on http://{bound} (data in {})", args.data.display()))?;
        let hosts = config.auth.iter().flat_map(|auth| auth.hosts.clone()).collect();
        let routes = routes(&pipeline, SystemClock, &config, access, hosts);
        let served = serve(listener, routes, signal);
        let Some(authority) = authority else { return served.await.context("the server failed") };
        tokio::select! {
            served = served => served.context("the server failed"),
            never = authority.keep(Arc::clone(pipeline.ledger())) => match never {},
        }
    });
    // A report that takes too long is left behind.
    runtime.shutdown_timeout(DRAIN);
    // What was accepted is counted before the process ends.
    pipeline.stop();
    served
}

/// Sets the budgets, and begins to listen.
pub(crate) async fn listen<C: Clock + 'static>(
    pipeline: &Pipeline<C>,
    budgets: &[BudgetSpec],
    clock: &C,
    address: SocketAddr,
) -> anyhow::Result<(TcpListener, SocketAddr)> {
    for budget in budgets {
        pipeline.ledger().set_budget(budget, clock.now()).await?;
    }
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let bound = listener.local_addr().context("cannot tell the address listened on")?;
    Ok((listener, bound))
}

pub(crate) fn pipeline_config(config: &Config, access: Access) -> anyhow::Result<PipelineConfig> {
    let hours = |n: u32| Duration::from_secs(u64::from(n) * 3600);
    Ok(PipelineConfig {
        stream_retention: hours(config.stream_hours),
        max_event_age: hours(config.late_days * 24),
        access,
        ..PipelineConfig::new(books::configured(config)?)
    })
}

pub(crate) fn routes<C: Clock + Clone + 'static>(
    pipeline: &Pipeline<C>,
    clock: C,
    config: &Config,
    access: Access,
    hosts: Arc<[String]>,
) -> Routes {
    let (ingest, refused) = (Arc::clone(pipeline.ingest()), Arc::clone(pipeline.ingest()));
    let (ledger, counters) = (Arc::clone(pipeline.ledger()), Arc::clone(pipeline.counters()));
    let parts = Parts { ledger, counters, books: Some(pipeline.books().clone()) };
    let query = Handlers::new(parts, clock, &access).with_host_limits(limits(config.in_flight));
    let query = Arc::new(query);
    let admin = Arc::clone(&query);
    let status = pipeline.status();
    let traffic = Arc::<Traffic>::default();
    let admission = Admission::of_submissions(config.in_flight);
    let metrics = Metrics::new(pipeline.gauges(), Arc::clone(&traffic), admission.clone(), SystemClock);
    let metrics = Arc::new(metrics);
    let turned_away = admission.clone();
    Routes {
        ingest: Handler::new(move |request| {
            let ingest = Arc::clone(&ingest);
            async move { ingest.handle(request).await }
        })
        .limited(admission),
        query: Handler::blocking(move |request| {
            let query = Arc::clone(&query);
            async move { query.handle(request).await }
        }),
        admin: Handler::blocking(move |request| {
            let admin = Arc::clone(&admin);
            async move { admin.handle(request).await }
        }),
        health: Arc::new(move |whole| health(&status(), turned_away.refused(), whole)),
        refused: Arc::new(move || refused.count_rejected()),
        metrics: Handler::blocking(move |_| {
            let metrics = Arc::clone(&metrics);
            async move { metrics.answer() }
        }),
        traffic,
        access,
        hosts,
    }
}

/// Healthy is who takes events: what hinders the consumers is said beside it, and nothing accepted is lost.
fn health(status: &Status, turned_away: u64, whole: bool) -> String {
    #[derive(serde::Serialize)]
    struct Health<'a> {
        status: &'static str,
        /// Submissions that met too many others.
        #[serde(skip_serializing_if = "Option::is_none")]
        turned_away: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pipeline: Option<&'a Status>,
    }
    let status_word = if status.trouble().is_some() { "degraded" } else { "ok" };
    let (turned_away, pipeline) = if whole { (Some(turned_away), Some(status)) } else { (None, None) };
    // Strings and numbers always serialise.
    serde_json::to_string(&Health { status: status_word, turned_away, pipeline }).unwrap_or_default()
}

/// The one line on stdout: scripts wait for it.
fn say_ready(line: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|e| anyhow!("cannot write to stdout: {e}"))
}

/// Resolves at SIGTERM or SIGINT. Registered at once, so that no signal after the ready line is missed.
pub(crate) fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: finishing what was accepted");
    })
}
