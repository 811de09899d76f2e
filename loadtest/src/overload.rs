//! Three times what can be taken: what is accepted stays fast, what is not is told so at once, memory stays
//! bounded, and in the end the totals are what got a receipt, to the token and the last decimal.

mod arrivals;
mod exchange;
mod phase;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use clap::Args;

use crate::client::Client;
use crate::server::Server;
use crate::tally::Tally;
use crate::wire::Endpoint;
use crate::{agentledger, say};
use arrivals::Arrivals;
use phase::{Seen, play, settle};

/// How long the rollups may take to catch up.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Args)]
pub(crate) struct Options {
    /// How long each phase is, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Arrivals a second without load.
    #[arg(long, default_value_t = 100)]
    low_rate: u64,
    /// Connections that find out what can be sustained.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Connections that bring the overload.
    #[arg(long, default_value_t = 256)]
    overload_connections: usize,
    /// How many times what can be sustained is sent.
    #[arg(long, default_value_t = 3)]
    times: u64,
    /// `[limits] in_flight` of the server; its default if left out.
    #[arg(long)]
    in_flight: Option<u32>,
    /// Chooses the gaps between arrivals.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The program to run.
    #[arg(long)]
    agentledger: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let program = agentledger(options.agentledger.as_ref())?;
    let temporary = tempfile::tempdir()?;
    let config = temporary.path().join("agentledger.toml");
    if let Some(in_flight) = options.in_flight {
        std::fs::write(&config, format!("[limits]\nin_flight = {in_flight}\n"))?;
    }
    let config = options.in_flight.map(|_| config.as_path());
    let server = Server::start_with(&program, &temporary.path().join("data"), config)?;
    // One thread: what the generator burns is bounded, and the rest of the machine is the server's.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(phases(options, &server))
}

async fn phases(options: &Options, server: &Server) -> anyhow::Result<()> {
    let address = Endpoint::new(&server.url).await?;
    let reader = Client::new();
    let next = Arc::new(AtomicU64::new(0));
    let span = Duration::from_secs(options.seconds);
    let mut used = server.processor().unwrap_or_default();
    let mut footprint = || {
        if let (Some((now, most)), Some(total)) = (server.memory(), server.processor()) {
            let [its, ours] = [total[0].saturating_sub(used[0]), total[1].saturating_sub(used[1])];
            used = total;
            say(&format!(
                "    server: {now} MB resident, at most {most} MB so far; processor time: server {its:.1?}, generator {ours:.1?}"
            ));
        }
    };
    // So that the first phase does not measure the first of everything.
    let warm = play(&address, 1, &next, closed(span / 10)).await?;

    let before = play(&address, 1, &next, || Arrivals::open(options.low_rate, span, options.seed)).await?;
    before.print("A, unloaded");
    footprint();

    let began = Instant::now();
    let sustained = play(&address, options.connections, &next, closed(span)).await?;
    sustained.print("B, closed loop");
    reader.caught_up(&server.url, PATIENCE)?;
    // What is acknowledged faster than it is committed only waits: this is what can go on for ever.
    let committed = sustained.accepted.len() * 1000
        / u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    say(&format!(
        "    acknowledged {} events/s, sustained to rollups {committed} events/s",
        sustained.rate()
    ));
    footprint();

    let rate = committed * options.times;
    let arrivals = || Arrivals::open(rate, span, options.seed + 1);
    let over = play(&address, options.overload_connections, &next, arrivals).await?;
    let behind = reader.lag(&server.url)?;
    over.print(&format!("C, open loop at {rate}/s"));
    say(&format!("    accepted {} events/s; {behind} stream records not in the rollups yet", over.rate()));
    footprint();

    let after = play(&address, 1, &next, || Arrivals::open(options.low_rate, span, options.seed + 2)).await?;
    after.print("D, unloaded again");
    let took = reader.caught_up(&server.url, PATIENCE)?;
    say(&format!("    the rollups had everything {took:.1?} after it"));
    footprint();

    let times = |seen: &Seen| {
        let p99 = |seen: &Seen| seen.accepted.value_at_quantile(0.99);
        let tenths = 10 * p99(seen) / p99(&before).max(1);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    say(&format!(
        "p99 of what was accepted: {} times the unloaded one under overload, {} times after it",
        times(&over),
        times(&after)
    ));
    check(&address, &reader, server, &[warm, before, sustained, over, after]).await
}

/// For so long, as fast as it is answered.
fn closed(span: Duration) -> impl FnOnce() -> std::io::Result<Arrivals> {
    move || Ok(Arrivals::Closed(Instant::now() + span))
}

/// The totals are what got a receipt, and every refusal said when to come back.
async fn check(address: &Endpoint, reader: &Client, server: &Server, phases: &[Seen]) -> anyhow::Result<()> {
    let mut expected = Tally::default();
    for seen in phases {
        expected.merge(&seen.tally);
        settle(address, &seen.unknown, &mut expected).await?;
        anyhow::ensure!(seen.unhinted == 0, "{} refusals did not say when to come back", seen.unhinted);
    }
    reader.caught_up(&server.url, PATIENCE)?;
    let reported = Tally::of_report(&reader.get(&format!("{}/v1/spend?by=agent&limit=10000", server.url))?);
    if let Some(difference) = expected.difference(&reported) {
        anyhow::bail!("what is reported is not what got a receipt: {difference}");
    }
    say(&format!("totals: equal to the {} events with a receipt, per agent", expected.events()));
    Ok(())
}
