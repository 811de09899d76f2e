//! `agentledger up`: the whole pipeline in one process.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use alerter::admin::Admin;
use anyhow::{Context, anyhow};
use local::dir::DataDir;
use local::host::{Pipeline, PipelineConfig, Status};
use local::notify::LogNotifier;
use query::Query;
use shared::clock::{Clock, SystemClock};
use shared::ledger::BudgetStore;
use shared::price::PriceBook;
use tokio::net::TcpListener;

use crate::cli::UpArgs;
use crate::config::Config;
use crate::serve::{Admission, DRAIN, Handler, Routes, listen_address, serve};
use crate::source::Misuse;

/// Runs until a signal.
pub(crate) fn run(args: &UpArgs) -> anyhow::Result<()> {
    let config = match &args.config {
        Some(path) => Config::read(path).map_err(|e| Misuse(e.to_string()))?,
        None => Config::default(),
    };
    let address = listen_address(&args.listen).map_err(Misuse)?;
    let dir = DataDir::create(&args.data)?;
    let mut pipeline = Pipeline::start(dir, &pipeline_config(&config)?, LogNotifier, SystemClock)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let served = runtime.block_on(async {
        for budget in &config.budgets {
            pipeline.ledger().set_budget(budget, SystemClock.now()).await?;
        }
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let bound = listener.local_addr().context("cannot tell the address listened on")?;
        let signal = stop_signal()?;
        say_ready(&format!("agentledger ready on http://{bound} (data in {})", args.data.display()))?;
        serve(listener, routes(&pipeline, &config), signal).await.context("the server failed")
    });
    // A report that takes too long is left behind.
    runtime.shutdown_timeout(DRAIN);
    // What was accepted is counted before the process ends.
    pipeline.stop();
    served
}

fn pipeline_config(config: &Config) -> anyhow::Result<PipelineConfig> {
    let mut book = PriceBook::embedded()?;
    if let Some(usd_per_token) = config.fallback {
        book = book.with_fallback(usd_per_token);
    }
    let hours = |n: u32| Duration::from_secs(u64::from(n) * 3600);
    Ok(PipelineConfig {
        stream_retention: hours(config.stream_hours),
        max_event_age: hours(config.late_days * 24),
        ..PipelineConfig::new(Arc::new(book))
    })
}

fn routes(pipeline: &Pipeline<SystemClock>, config: &Config) -> Routes {
    let ingest = Arc::clone(pipeline.ingest());
    let query = Arc::new(Query::new(Arc::clone(pipeline.ledger()), SystemClock));
    let admin = Arc::new(Admin::new(Arc::clone(pipeline.ledger()), SystemClock));
    let status = pipeline.status();
    let admission = Admission::of_submissions(config.in_flight);
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
        health: Arc::new(move || health(&status(), turned_away.refused())),
    }
}

/// Healthy is who takes events: what hinders the consumers is said beside it, and nothing accepted is lost.
fn health(status: &Status, turned_away: u64) -> String {
    #[derive(serde::Serialize)]
    struct Health<'a> {
        status: &'static str,
        /// Submissions that met too many others.
        turned_away: u64,
        pipeline: &'a Status,
    }
    let word = if status.trouble().is_some() { "degraded" } else { "ok" };
    // Strings and numbers always serialise.
    serde_json::to_string(&Health { status: word, turned_away, pipeline: status }).unwrap_or_default()
}

/// The one line on stdout: scripts wait for it.
fn say_ready(line: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|e| anyhow!("cannot write to stdout: {e}"))
}

/// Resolves at SIGTERM or SIGINT. Registered at once, so that no signal after the ready line is missed.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
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
