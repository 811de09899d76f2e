//! Our functions beside a handler as users write it, on the local AWS of `scripts/emulator`: what they call there, the
//! capacity that this takes, and their time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::figures::{OURS, Part, Unit};
use super::worker::Worker;

/// As in the markers of the page.
pub(super) const NAME: &str = "functions";
const PLAIN: &str = "a handler in Python";
const EMULATOR: &str = "scripts/emulator";
const RUNTIME: &str = "scripts/lambda-bench/runtime.py";
/// Not the port of a bench that may run already.
const PORT: &str = "4583";

/// Who has a turn, with what size of submissions, as the program in Python is told.
const CONTESTS: [(&str, &str, &str); 4] = [
    (OURS, "ours 1", "single events"),
    (PLAIN, "plain 1", "single events"),
    (OURS, "ours 100", "submissions of 100"),
    (PLAIN, "plain 100", "submissions of 100"),
];

/// What is measured, of 1,000 events each: where the answer has it, its unit, and whether a second run has to find it again.
const FIELDS: [(&str, &str, Unit, bool); 6] = [
    ("calls to AWS", "calls", Unit::Count, true),
    ("of these, PutMetricData", "metrics", Unit::Count, false),
    ("DynamoDB write units", "write_units", Unit::Thousandths, true),
    ("Kinesis records", "records", Unit::Count, false),
    ("processor time", "processor_ns", Unit::Nanoseconds, true),
    ("time that passed", "passed_ns", Unit::Nanoseconds, false),
];

/// The emulator, and what runs against it.
pub(super) struct Functions {
    worker: Option<Worker>,
    emulator: PathBuf,
    part: Part,
}

impl Functions {
    /// Starts the emulator, which installs itself when that is needed.
    pub(super) fn prepare(bootstraps: Option<&PathBuf>, directory: &Path) -> anyhow::Result<Self> {
        let bootstraps = bootstraps.cloned().or_else(|| std::env::var_os("BOOTSTRAPS").map(PathBuf::from));
        let bootstraps =
            bootstraps.unwrap_or_else(|| PathBuf::from("target/x86_64-unknown-linux-gnu/lambda"));
        for name in ["ingest-lambda", "aggregator-lambda"] {
            anyhow::ensure!(
                bootstraps.join(name).exists(),
                "{} is not there: run cargo xtask package --arch x86_64 --for-this-machine, or leave the functions out",
                bootstraps.join(name).display()
            );
        }
        anyhow::ensure!(
            Path::new(RUNTIME).exists(),
            "{RUNTIME} is not there: run this in the repository's root"
        );
        let emulator = directory.join("emulator");
        let started = Command::new(format!("{EMULATOR}/start.sh")).arg(&emulator).arg(PORT).status()?;
        anyhow::ensure!(started.success(), "the emulator did not start: {started}");
        let notes = [
            "1,000 events on the local AWS of `scripts/emulator`: 1,000 invocations with one event, or 10 with a submission \
             of 100. Ours: the packaged ingest function, then the aggregator with all that ingest had put into the stream, \
             in batches of 1,000 records at most, as an event source mapping hands over what comes within its window. Theirs: \
             one function in Python with boto3, \
             as users write it, a put_item and a put_metric_data for each event. Both are processes that ask the same \
             stand-in of the Lambda Runtime API for work. The events are the same in both sizes, of ten agents with a task \
             each.",
            "Calls are counted, and write units added up, by a proxy between function and emulator, from what the emulator \
             says that each call consumed (`ReturnConsumedCapacity`); it follows AWS's rules (docs/cost.md). Processor time \
             is what the kernel counts of the functions' threads. The time that passed is mostly the emulator's own, which \
             is slower than AWS, and one function at a time: it says little.",
            "The handler does less: a retry overwrites its item and counts twice in its metric, there are no rollups to \
             read, and no corrections or budgets. Our alerter is not in it, and not in theirs.",
        ];
        let mut part = Part::new(NAME, notes.map(str::to_owned).to_vec());
        let installed = fs::read_to_string(emulator.join("installed")).unwrap_or_default();
        part.notes.push(format!(
            "The emulator and the handler: {}.",
            installed.split_whitespace().collect::<Vec<_>>().join(", ").replace("==", " ")
        ));
        // From here on the emulator is stopped whatever happens.
        let mut functions = Self { worker: None, emulator: fs::canonicalize(emulator)?, part };
        let program = functions.emulator.join("functions.py");
        fs::write(&program, include_str!("functions.py"))?;
        fs::write(functions.emulator.join("plain_handler.py"), include_str!("plain_handler.py"))?;
        let mut command = Command::new(functions.emulator.join("venv/bin/python"));
        command.arg(program).arg(PORT).arg(&functions.emulator).arg(fs::canonicalize(bootstraps)?);
        command.arg(fs::canonicalize(RUNTIME)?.parent().context("the runtime is in a directory")?);
        let (worker, _) = Worker::start(&mut command)?;
        functions.worker = Some(worker);
        Ok(functions)
    }

    pub(super) fn subjects() -> usize {
        CONTESTS.len()
    }

    pub(super) fn measure(&mut self, subject: usize) -> anyhow::Result<()> {
        let (name, order, what) = CONTESTS.get(subject).context("there is no such contest")?;
        let worker = self.worker.as_mut().context("the functions were not started")?;
        let answer = worker.ask(order)?;
        for (shown, field, unit, compared) in FIELDS {
            let value =
                answer[field].as_u64().with_context(|| format!("the answer has no {field}: {answer}"))?;
            self.part.add(&format!("{what}: {shown}"), unit, compared, name, value);
        }
        Ok(())
    }

    pub(super) fn into_part(mut self) -> Part {
        let mut part = std::mem::replace(&mut self.part, Part::new(NAME, Vec::new()));
        let measures: Vec<String> = ["single events", "submissions of 100"]
            .iter()
            .flat_map(|what| FIELDS.map(|(shown, ..)| format!("{what}: {shown}")))
            .collect();
        part.order(&[OURS, PLAIN], &measures.iter().map(String::as_str).collect::<Vec<_>>());
        part
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        // What runs against it first.
        self.worker = None;
        let stopped = Command::new(format!("{EMULATOR}/stop.sh")).arg(&self.emulator).status();
        if !stopped.is_ok_and(|status| status.success()) {
            crate::say(&format!("the emulator in {} could not be stopped", self.emulator.display()));
        }
    }
}
