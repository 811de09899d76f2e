//! `agentledger demo`: the whole pipeline, as `up` runs it, on a temporary directory, and a working day of fifty
//! simulated agents that send to it over HTTP.

mod behaviour;
mod budgets;
mod cast;
mod clock;
mod player;
mod rng;
mod scenario;
mod summary;
mod voice;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use auth::Access;
use local::dir::DataDir;
use local::host::{Pipeline, Status};
use shared::clock::{Clock, SystemClock};
use shared::price::PriceBook;
use tempfile::TempDir;

use crate::cli::DemoArgs;
use crate::config::Config;
use crate::output::say;
use crate::serve::{DRAIN, listen_address, serve};
use crate::source::{Misuse, Source};
use crate::stop::Stop;
use crate::up;
use clock::{Day, DayClock};
use player::{News, Player};
use scenario::Scenario;
use voice::Voice;

/// How long the pipeline may take to count what was accepted last.
const SETTLE: Duration = Duration::from_secs(60);

/// Plays the day, and serves until a signal.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let address = listen_address(&args.listen, false).map_err(Misuse)?;
    let place = Place::new(args.data.as_deref())?;
    let config = up::pipeline_config(&Config::default(), Access::open())?;
    let day = Day::before(SystemClock.now());
    let clock = DayClock::new(&day);
    let budgets = budgets::budgets(&day.zone).context("the demo's own budgets are wrong")?;
    let voice = Voice::new(day.clone(), clock.clone());
    let dir = DataDir::create(place.path())?;
    let mut pipeline = Pipeline::start(dir, &config, voice.clone(), clock.clone())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let stop = Arc::new(Stop::default());
    let served = runtime.block_on(async {
        let (listener, bound) = up::listen(&pipeline, &budgets, &clock, address).await?;
        let signal = up::stop_signal()?;
        let show = Show {
            seed: args.seed,
            speed: args.speed,
            exit: args.exit,
            url: format!("http://{bound}"),
            book: config.books.current(),
            day,
            clock: clock.clone(),
            voice,
            stop: Arc::clone(&stop),
        };
        say(&show.opening(&place))?;
        let status = pipeline.status();
        let (over, ended) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("show".to_owned()).spawn(move || {
            // Dropped at the end, also in a panic: that ends the server.
            let _over = over;
            show.run(&status)
        });
        let thread = thread.context("cannot start a thread")?;
        let told = Arc::clone(&stop);
        let shutdown = async move {
            tokio::select! {
                () = signal => {}
                _ = ended => {}
            }
            told.tell();
        };
        let served = serve(
            listener,
            up::routes(&pipeline, clock, &Config::default(), Access::open(), Arc::new([])),
            shutdown,
        )
        .await;
        stop.tell();
        let shown = tokio::task::spawn_blocking(|| thread.join()).await;
        served.context("the server failed")?;
        shown.context("the demo was not waited for")?.map_err(|_| anyhow!("the demo panicked"))?
    });
    // A report that takes too long is left behind.
    runtime.shutdown_timeout(DRAIN);
    pipeline.stop();
    served
}

/// Where the data is.
enum Place {
    /// Removed when this is dropped.
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Place {
    fn new(data: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = data else {
            let made = tempfile::Builder::new().prefix("agentledger-demo-").tempdir();
            return made
                .map(Self::Temporary)
                .context("cannot make a temporary directory; give one by --data");
        };
        let used = path.read_dir().is_ok_and(|mut entries| entries.next().is_some());
        if used || path.is_file() {
            let path = path.display();
            let text = format!("--data {path} is in use; the demo takes a directory that is new or empty");
            return Err(Misuse(text).into());
        }
        Ok(Self::Kept(path.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(path) => path,
        }
    }
}

/// What runs beside the server.
struct Show {
    seed: u64,
    speed: u32,
    exit: bool,
    url: String,
    book: Arc<PriceBook>,
    day: Day,
    clock: DayClock,
    voice: Voice,
    stop: Arc<Stop>,
}

impl Show {
    fn run(&self, status: &impl Fn() -> Status) -> anyhow::Result<()> {
        let scenario = Scenario::of(self.seed);
        let truth = scenario.truth(&self.book, self.day.start).context("the sums of the day do not fit")?;
        let source = Source::server(&self.url, None)?;
        let player = Player {
            url: &self.url,
            day: &self.day,
            clock: &self.clock,
            speed: self.speed,
            stop: &self.stop,
        };
        let played = player.play(&scenario, |news| match news {
            News::Story(words) => self.voice.tell(words),
            News::Progress => self.voice.tell(&summary::progress(&source)?),
        })?;
        if !played || !self.settled(status)? {
            return say("\nStopped before the day was over.\n");
        }
        self.voice.tell("the day is over, and all that was accepted is counted")?;
        self.clock.end();
        summary::summary(&source, &scenario, &truth)?;
        if !self.exit {
            say(&format!("\nStill serving on {}. Look around, and stop with Ctrl-C.\n", self.url))?;
            self.stop.wait_for_it();
        }
        Ok(())
    }

    /// Waits until everything accepted is counted and its alerts are delivered; false if it was stopped before.
    fn settled(&self, status: &impl Fn() -> Status) -> anyhow::Result<bool> {
        let since = Instant::now();
        loop {
            let status = status();
            if status.stream.iter().chain([&status.changes]).all(|lag| lag.consumed >= lag.latest) {
                return Ok(true);
            }
            if since.elapsed() > SETTLE {
                let trouble = status.trouble().unwrap_or("the machine is too slow for this speed");
                bail!("what was accepted is not counted after {} seconds: {trouble}", SETTLE.as_secs());
            }
            if self.stop.wait(Duration::from_millis(20)) {
                return Ok(false);
            }
        }
    }

    /// What a newcomer reads first.
    fn opening(&self, place: &Place) -> String {
        let program = std::env::args().next().unwrap_or_else(|| "agentledger".to_owned());
        let (url, zone) = (&self.url, self.day.zone.name());
        let long = match 8 * 3600 / self.speed {
            0..10 => "a few seconds".to_owned(),
            seconds @ 10..120 => format!("about {seconds} seconds"),
            seconds @ 120..7200 => format!("about {} minutes", seconds / 60),
            seconds => format!("about {} hours", seconds / 3600),
        };
        let data = match place {
            Place::Temporary(_) => "temporary, and removed when this ends".to_owned(),
            Place::Kept(path) => format!("kept in {}", path.display()),
        };
        format!(
            "AgentLedger demo on {url}\n\n\
             Fifty simulated agents work a day of eight hours, in {long}. Every model call is metered over HTTP,\n\
             as a real agent would send it. One of them will get stuck in a loop, and run into its budget.\n\
             This is day {seed}; --seed gives another. The data is {data}.\n\n\
             Try in a second terminal, now or when the day is over:\n\n  \
             {program} watch --url {url}\n  \
             {program} report --by team --url {url}\n  \
             {program} report --by hour --tz {zone} --url {url}\n  \
             {program} alerts --url {url}\n\n\
             Ctrl-C stops it. The times are those of {zone}, where such a day ended less than an hour ago.\n\n\
             09:00  the agents begin\n",
            seed = self.seed,
        )
    }
}
