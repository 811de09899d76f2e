//! `agentledger up`: the whole pipeline in one process.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use http::StatusCode;
use local::ledger::SqliteLedger;
use query::{Query, problem};
use shared::clock::{Clock, SystemClock};
use shared::ledger::BudgetStore;
use tokio::net::TcpListener;

use crate::admin::Admin;
use crate::cli::UpArgs;
use crate::config::Config;
use crate::embedded::LEDGER_FILE;
use crate::serve::{Handler, Routes, listen_address, serve};
use crate::source::Misuse;

/// Runs until a signal.
pub(crate) fn run(args: &UpArgs) -> anyhow::Result<()> {
    let config = match &args.config {
        Some(path) => Config::read(path).map_err(|e| Misuse(e.to_string()))?,
        None => Config::default(),
    };
    let address = listen_address(&args.listen).map_err(Misuse)?;
    std::fs::create_dir_all(&args.data)
        .with_context(|| format!("cannot make the data directory {}", args.data.display()))?;
    let ledger = Arc::new(SqliteLedger::open(&args.data.join(LEDGER_FILE))?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        for budget in &config.budgets {
            ledger.set_budget(budget, SystemClock.now()).await?;
        }
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let bound = listener.local_addr().context("cannot tell the address listened on")?;
        let signal = stop_signal()?;
        say_ready(&format!("agentledger ready on http://{bound} (data in {})", args.data.display()))?;
        serve(listener, routes(ledger), signal).await.context("the server failed")
    })
}

fn routes(ledger: Arc<SqliteLedger>) -> Routes {
    let query = Arc::new(Query::new(Arc::clone(&ledger), SystemClock));
    let admin = Arc::new(Admin::new(ledger, SystemClock));
    Routes {
        ingest: Handler::new(|request| async move {
            let id = request.request_context.request_id.as_deref();
            let detail = "this server takes no usage yet";
            problem(StatusCode::SERVICE_UNAVAILABLE, "no_pipeline", detail, id)
        }),
        query: Handler::blocking(move |request| {
            let query = Arc::clone(&query);
            async move { query.handle(request).await }
        }),
        admin: Handler::blocking(move |request| {
            let admin = Arc::clone(&admin);
            async move { admin.handle(request).await }
        }),
        health: Arc::new(|| r#"{"status":"ok"}"#.to_owned()),
    }
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
        tracing::info!("stopping: finishing requests");
    })
}
