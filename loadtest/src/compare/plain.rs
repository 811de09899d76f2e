//! What a user would write instead: a handler in the manner of a Lambda function that puts one item and one metric for each
//! event, here over the same HTTP and on the same embedded store as `agentledger up`, and as durable: it answers when
//! SQLite has synced what was put.
//!
//! It is kept as short as one would write it. It knows no retries, corrections, windows, budgets or tokens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use clap::{Args, ValueEnum};
use rusqlite::Connection;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::say;

#[derive(Args)]
pub(crate) struct Options {
    /// Where to keep its database.
    #[arg(long)]
    data: PathBuf,
    /// What is one transaction.
    #[arg(long, value_enum)]
    commit: Commit,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Commit {
    /// Each event, as a call of a table for each.
    Event,
    /// All of a request.
    Submission,
}

/// Dollars of a thousand million tokens, so nano-dollars of one, of input and output.
const PRICES: [(&str, i64, i64); 2] = [("gpt-4o-mini", 150, 600), ("gpt-4o", 2_500, 10_000)];

const TABLES: &str = "
    CREATE TABLE items (pk TEXT NOT NULL, sk TEXT NOT NULL, model TEXT, input INTEGER, output INTEGER, cost_nano INTEGER,
        body TEXT NOT NULL, PRIMARY KEY (pk, sk)) WITHOUT ROWID;
    CREATE TABLE metrics (name TEXT NOT NULL, agent TEXT NOT NULL, minute INTEGER NOT NULL, count INTEGER NOT NULL,
        tokens INTEGER NOT NULL, cost_nano INTEGER NOT NULL, PRIMARY KEY (name, agent, minute)) WITHOUT ROWID;";

#[derive(Deserialize)]
struct Event {
    agent_id: String,
    model: String,
    usage: BTreeMap<String, i64>,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Submission {
    events: Vec<Event>,
}

/// The server's only connection: SQLite has one writer.
type Store = Arc<Mutex<Connection>>;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    std::fs::create_dir_all(&options.data)?;
    let store = Arc::new(Mutex::new(open(&options.data.join("plain.sqlite"))?));
    let commit = options.commit;
    let put = move |State(store): State<Store>, headers: HeaderMap, body: Bytes| async move {
        let key =
            headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or("none").to_owned();
        // The disk is waited for where it does not hold up other connections.
        match tokio::task::spawn_blocking(move || handle(&store, &key, &body, commit)).await {
            Ok(Ok(accepted)) => (StatusCode::OK, json!({"accepted": accepted}).to_string()),
            Ok(Err(error)) => (StatusCode::BAD_REQUEST, format!("{error:#}")),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    };
    let report = async |State(store): State<Store>| match report(&store) {
        Ok(report) => (StatusCode::OK, report.to_string()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
    };
    let routes =
        Router::new().route("/v1/usage", post(put)).route("/v1/spend", get(report)).with_state(store);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        say(&format!("listening on http://{}", listener.local_addr()?));
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            let _ = stream.set_nodelay(true);
        });
        Ok(axum::serve(listener, routes).await?)
    })
}

fn open(path: &std::path::Path) -> anyhow::Result<Connection> {
    let store = Connection::open(path)?;
    store.pragma_update(None, "journal_mode", "WAL")?;
    // Synced at each commit: what is answered is on the disk.
    store.pragma_update(None, "synchronous", "FULL")?;
    store.pragma_update(None, "cache_size", -16_384)?;
    store.execute_batch(TABLES)?;
    Ok(store)
}

fn handle(store: &Mutex<Connection>, key: &str, body: &[u8], commit: Commit) -> anyhow::Result<usize> {
    let events = match serde_json::from_slice::<Submission>(body) {
        Ok(submission) => submission.events,
        Err(_) => vec![serde_json::from_slice::<Event>(body).context("neither an event nor events")?],
    };
    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
    let minute = shared_minute();
    for (at, group) in
        events.chunks(if commit == Commit::Event { 1 } else { events.len().max(1) }).enumerate()
    {
        let transaction = store.transaction()?;
        for (within, event) in group.iter().enumerate() {
            put(&transaction, &format!("{key}#{}", at + within), minute, event)?;
        }
        transaction.commit()?;
    }
    Ok(events.len())
}

/// One item and one metric.
fn put(store: &Connection, sk: &str, minute: i64, event: &Event) -> anyhow::Result<()> {
    let count = |name: &str| event.usage.get(name).copied().unwrap_or_default();
    let (input, output) = (count("input"), count("output"));
    let price = PRICES.iter().find(|(model, ..)| *model == event.model);
    let cost = price.map(|(_, of_input, of_output)| of_input * input + of_output * output);
    let body = serde_json::to_string(&event.rest)?;
    store.prepare_cached("INSERT OR REPLACE INTO items VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute((
        &event.agent_id,
        sk,
        &event.model,
        input,
        output,
        cost,
        body,
    ))?;
    store
        .prepare_cached(
            "INSERT INTO metrics VALUES ('TokenCost', ?1, ?2, 1, ?3, ?4) ON CONFLICT DO UPDATE SET count = count + 1, \
             tokens = tokens + excluded.tokens, cost_nano = cost_nano + excluded.cost_nano",
        )?
        .execute((&event.agent_id, minute, input + output, cost.unwrap_or_default()))?;
    Ok(())
}

/// What a metric is stamped with.
fn shared_minute() -> i64 {
    use shared::clock::{Clock, SystemClock};
    SystemClock.now().as_second() / 60
}

/// The metrics' sums by agent, in the form of `/v1/spend`.
fn report(store: &Mutex<Connection>) -> anyhow::Result<Value> {
    let store = store.lock().unwrap_or_else(PoisonError::into_inner);
    let mut sums = store.prepare(
        "SELECT agent, sum(count), sum(tokens), sum(cost_nano) FROM metrics GROUP BY agent ORDER BY agent",
    )?;
    let rows = sums.query_map((), |row| {
        let (agent, events): (String, i64) = (row.get(0)?, row.get(1)?);
        let (tokens, nano): (i64, i64) = (row.get(2)?, row.get(3)?);
        let cost = Decimal::new(nano, 9).normalize();
        Ok(json!({"key": {"agent": agent}, "events": events, "tokens": tokens, "cost_usd": cost}))
    })?;
    Ok(json!({"rows": rows.collect::<Result<Vec<_>, _>>()?}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_an_item_and_is_in_its_metric() {
        let directory = tempfile::tempdir().unwrap();
        for commit in [Commit::Event, Commit::Submission] {
            let path = directory.path().join(if commit == Commit::Event { "a" } else { "b" });
            let store = Mutex::new(open(&path).unwrap());
            let event = json!({"agent_id": "a", "model": "gpt-4o-mini", "usage": {"input": 10, "output": 2}});
            let several = json!({"events": [event, event, event]}).to_string();
            assert_eq!(handle(&store, "k", several.as_bytes(), commit).unwrap(), 3);
            assert_eq!(handle(&store, "l", event.to_string().as_bytes(), commit).unwrap(), 1);
            let items = "SELECT count(*) FROM items";
            let items: i64 = store.lock().unwrap().query_row(items, (), |row| row.get(0)).unwrap();
            assert_eq!(items, 4);
            let row = &report(&store).unwrap()["rows"][0];
            assert_eq!((&row["events"], &row["tokens"]), (&json!(4), &json!(48)));
            assert_eq!(row["cost_usd"], "0.0000108");
        }
    }
}
