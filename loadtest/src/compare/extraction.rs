//! Reading and pricing, beside two libraries that do the same: from the bytes of a response to its cost.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use rust_decimal::Decimal;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use shared::event::UsageEvent;
use shared::extract::{Hints, extract};
use shared::price::PriceBook;

use super::bodies::Body;
use super::figures::{OURS, Part, Unit, median, percentile};
use super::worker::{Environment, Worker, decimal};
use crate::say;

/// As in the markers of the page.
pub(super) const NAME: &str = "extraction";
const GENAI: &str = "genai-prices";
const LITELLM: &str = "LiteLLM";
const SUBJECTS: [&str; 3] = [OURS, GENAI, LITELLM];
const VERSIONS: [&str; 2] = ["genai-prices==0.2.3", "litellm==1.106.2"];
/// How often a body is read in a row: the clock of a thread's processor time costs as much as a tenth of one of ours.
const OUR_REPETITIONS: u64 = 10;
const THEIR_REPETITIONS: u64 = 2;
/// How often each goes through all bodies in its turn. The least of a body's times counts: whatever else runs on the
/// other core makes a time longer, and never shorter.
const OUR_PASSES: usize = 30;
const THEIR_PASSES: usize = 10;

const MEDIAN: &str = "processor time of a body, median";
const P99: &str = "processor time of a body, p99";
const PRICED: &str = "bodies with a cost";
const EXPECTED: &str = "bodies whose cost is known";
const AGREED: &str = "of these, with that cost";

/// Of each body: nanoseconds of one reading, and the cost if it was found.
type Pass = Vec<(u64, Option<Decimal>)>;

/// The three of them, ready.
pub(super) struct Extraction {
    book: PriceBook,
    bodies: Vec<Body>,
    workers: Vec<Worker>,
    /// What each found in the round that runs.
    round: Vec<(usize, Pass)>,
    part: Part,
}

impl Extraction {
    /// Reads the bodies and starts the peers, which are installed under `directory` when that is needed.
    pub(super) fn prepare(
        bodies: Vec<Body>,
        recorded: bool,
        directory: &Path,
        python: &str,
    ) -> anyhow::Result<Self> {
        let environment = Environment::with(directory, python, &VERSIONS)?;
        let path = directory.join("peer.py");
        fs::write(&path, include_str!("peer.py"))?;
        // Beside the environment, not in the repository, and gone when this ends.
        let lines = tempfile::NamedTempFile::new_in(directory)?;
        fs::write(lines.path(), bodies.iter().map(|body| body.line() + "\n").collect::<String>())?;
        let (mut workers, mut versions) = (Vec::new(), Vec::new());
        for name in [GENAI, "litellm"] {
            let mut command = Command::new(&environment.python);
            let (worker, hello) = Worker::start(command.arg(&path).arg(name).arg(lines.path()))?;
            let version = |of: &str| hello[of].as_str().unwrap_or("of an unknown version").to_owned();
            versions.push(format!("{name} {}, Python {}", version("version"), version("python")));
            workers.push(worker);
        }
        let note = if recorded {
            "Bodies: the recorded responses of the corpus that are one piece of JSON and have usage. The expected cost is \
             what the corpus found both libraries to agree on, when it put the usage together with care: who is right \
             where they differ is not asked here, and a body of which only one knew the price is not in that row. \
             DeepSeek's are left out of it too, as their price goes by the hour, and LiteLLM takes its own clock's."
        } else {
            "Bodies: a few that were written for this, as no corpus was at hand (`AGENTLEDGER_CORPUS`). Each has the cost \
             that was worked out by hand."
        };
        let part = Part::new(
            NAME,
            vec![
                "From the bytes to the cost: AgentLedger in this process, the libraries from the text of the JSON in a \
                 Python process each, which are started once. All are told provider, shape and model, as their callers \
                 know them. Processor time of the thread, and only over bodies that all three give a cost for. Each is \
                 read a few times in a row, in several passes, of which the least counts, as other programs can only \
                 make it longer. Streams are left out, as the libraries \
                 do not read them."
                    .to_owned(),
                note.to_owned(),
                format!("The others: {}.", versions.join("; ")),
                "The costs of LiteLLM contain fees of searches where the response tells of some, the expected ones do \
                 not. genai-prices is read by OpenAI's reader where a provider has none of its own for OpenAI's shape; \
                 LiteLLM by the function that its own transformation of such a response calls, where its price function \
                 does not take the response as it came."
                    .to_owned(),
            ],
        );
        Ok(Self { book: PriceBook::embedded()?, bodies, workers, round: Vec::new(), part })
    }

    pub(super) fn subjects() -> usize {
        SUBJECTS.len()
    }

    /// One pass of one of them over all bodies.
    pub(super) fn measure(&mut self, subject: usize) -> anyhow::Result<()> {
        let pass = match subject.checked_sub(1) {
            None => least((0..OUR_PASSES).map(|_| self.ours()))?,
            Some(peer) => {
                let worker = self.workers.get_mut(peer).context("there is no such peer")?;
                let ask = |_| theirs(&worker.ask(&THEIR_REPETITIONS.to_string())?);
                least((0..THEIR_PASSES).map(ask))?
            }
        };
        anyhow::ensure!(pass.len() == self.bodies.len(), "a peer answered for {} bodies", pass.len());
        self.round.push((subject, pass));
        Ok(())
    }

    fn ours(&self) -> anyhow::Result<Pass> {
        let mut pass = Pass::new();
        for body in &self.bodies {
            let found = cost(&self.book, body);
            let begun = processor_time()?;
            for _ in 0..OUR_REPETITIONS {
                black_box(cost(&self.book, black_box(body)));
            }
            pass.push(((processor_time()? - begun) / OUR_REPETITIONS, found));
        }
        Ok(pass)
    }

    /// Adds a round up, when each had its turn.
    pub(super) fn end_round(&mut self) {
        let round = std::mem::take(&mut self.round);
        let common: Vec<bool> = (0..self.bodies.len())
            .map(|at| round.iter().all(|(_, pass)| pass.get(at).is_some_and(|(_, cost)| cost.is_some())))
            .collect();
        let count = |found: usize| u64::try_from(found).unwrap_or(u64::MAX);
        let first = self.part.measures.is_empty();
        for (subject, pass) in round {
            let name = SUBJECTS.get(subject).copied().unwrap_or_default();
            let shared = pass.iter().zip(&common).filter(|(_, common)| **common);
            let took: Vec<u64> = shared.map(|((took, _), _)| *took).collect();
            let costs = pass.iter().map(|(_, cost)| *cost);
            let expected = costs.clone().zip(&self.bodies).filter(|(_, body)| body.expected.is_some());
            let mut add = |measure: &str, unit, value| self.part.add(measure, unit, true, name, value);
            add(MEDIAN, Unit::Nanoseconds, median(&took).unwrap_or_default());
            add(P99, Unit::Nanoseconds, percentile(&took, 99).unwrap_or_default());
            add("bodies that all three price", Unit::Count, count(took.len()));
            add(PRICED, Unit::Count, count(costs.flatten().count()));
            add(EXPECTED, Unit::Count, count(expected.clone().count()));
            let agrees = |(cost, body): &(Option<Decimal>, &Body)| {
                cost.zip(body.expected).is_some_and(|(cost, expected)| agree(cost, expected))
            };
            add(AGREED, Unit::Count, count(expected.clone().filter(agrees).count()));
            for (cost, body) in expected.filter(|one| first && !agrees(one)) {
                let (shape, models) = (&body.shape, body.models.join(", "));
                say(&format!("{name}: {shape} of {models}: {cost:?}, expected {:?}", body.expected));
            }
        }
    }

    pub(super) fn into_part(mut self) -> Part {
        self.part.order(&SUBJECTS, &[MEDIAN, P99, "bodies that all three price", PRICED, EXPECTED, AGREED]);
        self.part
    }
}

/// Of each body the least time of several passes.
fn least(mut passes: impl Iterator<Item = anyhow::Result<Pass>>) -> anyhow::Result<Pass> {
    let mut best = passes.next().context("there is no pass")??;
    for pass in passes {
        for (best, (took, _)) in best.iter_mut().zip(pass?) {
            best.0 = best.0.min(took);
        }
    }
    Ok(best)
}

/// What a peer answered.
fn theirs(answer: &Value) -> anyhow::Result<Pass> {
    let read = |body: &Value| {
        let took = body[0].as_u64().context("a peer answered without a time")?;
        Ok((took, body[1].as_str().map(decimal).transpose()?))
    };
    answer.as_array().context("a peer answered something else than a list")?.iter().map(read).collect()
}

/// From the bytes to the cost of the tokens; none where a price is missing.
pub(super) fn cost(book: &PriceBook, body: &Body) -> Option<Decimal> {
    let answer = extract(
        body.text.as_bytes(),
        Hints {
            provider: Some(&body.provider),
            path: body.path.as_deref(),
            model: body.requested_model.as_deref(),
            content_type: body.content_type.as_deref(),
            ..Hints::default()
        },
    );
    if answer.calls.is_empty() {
        return None;
    }
    let at = body.at.parse().ok()?;
    answer.calls.into_iter().try_fold(Decimal::ZERO, |sum, call| {
        let mut event = UsageEvent::new(at, call.usage);
        (event.provider, event.model) = (Some(call.provider), call.model);
        event.service_tier = call.service_tier;
        let cost = book.candidates(&event).find_map(|price| price.cost_parts(&event.usage))?;
        sum.checked_add(Decimal::from(cost.tokens))
    })
}

/// Within a billionth of the larger: two of the three calculate in floats.
pub(super) fn agree(a: Decimal, b: Decimal) -> bool {
    (a - b).abs() * Decimal::from(1_000_000_000) <= a.abs().max(b.abs())
}

/// What this thread has run, in nanoseconds.
fn processor_time() -> anyhow::Result<u64> {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Ok(u64::try_from(time.tv_sec)? * 1_000_000_000 + u64::try_from(time.tv_nsec)?)
}
