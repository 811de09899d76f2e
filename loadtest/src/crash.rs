//! `kill -9` at random moments under load: what had no receipt is sent again with the same key, and in the end
//! the totals are what was sent, to the token and the last decimal, and each crossing of a budget is one alert.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use clap::Args;
use fastrand::Rng;
use serde_json::json;

use crate::client::Client;
use crate::server::Server;
use crate::tally::{MODEL, Tally};
use crate::{agentledger, say};

#[derive(Args)]
pub(crate) struct Options {
    /// How often to kill it.
    #[arg(long, default_value_t = 30)]
    kills: u32,
    /// Chooses the moments and the load.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Clients at once.
    #[arg(long, default_value_t = 6)]
    clients: u64,
    /// The program to run.
    #[arg(long)]
    agentledger: Option<PathBuf>,
}

/// The budget that the load crosses on its way.
const BUDGET: &str = "crash";
const LIMIT: i64 = 50_000_000;
const THRESHOLDS: [i64; 4] = [1, 10, 50, 100];

/// Where the server listens; empty while there is none.
type Address = RwLock<String>;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = agentledger(options.agentledger.as_ref())?;
    let temporary = tempfile::tempdir()?;
    let data = temporary.path().join("data");
    let mut rng = Rng::with_seed(options.seed);
    let address = Address::default();
    let stop = AtomicBool::new(false);
    let mut sent = Tally::default();
    let (server, tallies) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..options.clients)
            .map(|n| {
                let seed = options.seed.wrapping_mul(1000) + n;
                let (address, stop) = (&address, &stop);
                scope.spawn(move || client(n, seed, address, stop))
            })
            .collect();
        let server = kill_repeatedly(options, &program, &data, &mut rng, &address);
        stop.store(true, Ordering::Relaxed);
        let tallies: anyhow::Result<Vec<Tally>> = clients
            .into_iter()
            .map(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
            .collect();
        (server, tallies)
    });
    let server = server?;
    tallies?.iter().for_each(|tally| sent.merge(tally));
    let reader = Client::new();
    let url = format!("{}/v1/spend?by=agent", server.url);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let Some(difference) = sent.difference(&Tally::of_report(&reader.get(&url)?)) else { break };
        anyhow::ensure!(Instant::now() < deadline, "after {} kills: {difference}", options.kills);
        std::thread::sleep(Duration::from_millis(50));
    }
    let alerts = check_alerts(&reader, &server.url, sent.tokens())?;
    let shown: Vec<_> = sent.0.iter().map(|(agent, sums)| format!("{agent} ${}", sums.cost)).collect();
    say(&format!(
        "{} kills, {} events: totals equal what was sent ({}), and {alerts} alerts are one for each crossing",
        options.kills,
        sent.events(),
        shown.join(", ")
    ));
    Ok(())
}

/// Every threshold that the totals reach has one standing alert, every other one none, and each that was
/// crossed and fallen back from in between has its notice; all of them delivered, each id once.
fn check_alerts(reader: &Client, url: &str, tokens: i64) -> anyhow::Result<usize> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = reader.get(&format!("{url}/v1/alerts?budget={BUDGET}&limit=10000"))?;
        let alerts = answer["alerts"].as_array().cloned().unwrap_or_default();
        let ids: std::collections::BTreeSet<_> = alerts.iter().map(|a| a["id"].to_string()).collect();
        let standing = |percent: i64| {
            let of = |kind: &str| {
                let same = |a: &&serde_json::Value| a["threshold_percent"] == percent && a["kind"] == kind;
                alerts.iter().filter(same).count()
            };
            of("threshold").checked_sub(of("recovered"))
        };
        let right = |percent: &i64| standing(*percent) == Some(usize::from(tokens * 100 >= LIMIT * *percent));
        let delivered = alerts.iter().all(|a| a["state"] == "delivered");
        if THRESHOLDS.iter().all(right) && delivered && ids.len() == alerts.len() {
            return Ok(alerts.len());
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "{tokens} tokens were spent, and the alerts are {alerts:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn kill_repeatedly(
    options: &Options,
    program: &std::path::Path,
    data: &std::path::Path,
    rng: &mut Rng,
    address: &Address,
) -> anyhow::Result<Server> {
    for kill in 0..options.kills {
        let server = Server::start(program, data)?;
        if kill == 0 {
            let budget =
                json!({"scope": "org", "limit_tokens": LIMIT, "period": "month", "thresholds": THRESHOLDS});
            Client::new().set_budget(&server.url, BUDGET, &budget)?;
        }
        *address.write().unwrap_or_else(PoisonError::into_inner) = server.url.clone();
        std::thread::sleep(Duration::from_millis(rng.u64(5..500)));
        server.kill()?;
        say(&format!("kill {} of {}", kill + 1, options.kills));
    }
    let server = Server::start(program, data)?;
    *address.write().unwrap_or_else(PoisonError::into_inner) = server.url.clone();
    // Some load after the last kill, too.
    std::thread::sleep(Duration::from_millis(300));
    Ok(server)
}

fn client(n: u64, seed: u64, address: &Address, stop: &AtomicBool) -> anyhow::Result<Tally> {
    let mut rng = Rng::with_seed(seed);
    let http = Client::new();
    let mut tally = Tally::default();
    let deadline = Instant::now() + Duration::from_secs(300);
    let mut submission = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        submission += 1;
        let key = rng.bool().then(|| format!("c{n}-{submission}"));
        let agent = format!("agent-{}", rng.u32(..5));
        let mut events = Vec::new();
        let count = rng.u32(1..30);
        for i in 0..count {
            let (input, output) = (rng.u32(1..5000), rng.u32(..800));
            let mut event = json!({"agent_id": agent, "provider": "openai", "model": MODEL,
                "task_id": format!("T-{}", rng.u32(..9)), "usage": {"input": input, "output": output}});
            if key.is_none() {
                event["id"] = json!(format!("c{n}-{submission}-{i}"));
            }
            // Some calls are taken back in the same submission.
            let voided = rng.u32(..20) == 0;
            events.push(event);
            tally.add(&agent, input, output, 1);
            if voided {
                let target = match &key {
                    Some(key) => format!("{key}#{}", events.len() - 1),
                    None => format!("c{n}-{submission}-{i}"),
                };
                events.push(json!({"type": "void", "id": format!("v{n}-{submission}-{i}"),
                    "agent_id": agent, "corrects": target}));
                tally.add(&agent, input, output, -1);
            }
        }
        let body = json!({"events": events}).to_string();
        loop {
            let url = address.read().unwrap_or_else(PoisonError::into_inner).clone();
            if !url.is_empty() && http.post(&url, key.as_deref(), &body)? {
                break;
            }
            anyhow::ensure!(Instant::now() < deadline, "client {n} had no receipt for minutes");
            std::thread::sleep(Duration::from_millis(10));
        }
        // Now and then a receipt is not believed.
        if rng.u32(..10) == 0 {
            let url = address.read().unwrap_or_else(PoisonError::into_inner).clone();
            http.post(&url, key.as_deref(), &body)?;
        }
    }
    Ok(tally)
}
