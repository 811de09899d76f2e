//! `agentledger redrive --aws`: the quarantine, and beside it the messages of the queues of failures.

use anyhow::{Context, bail};
use aws::env;
use jiff::{SignedDuration, Timestamp};
use operate::redrive::{DeadLetter, DeadLetters, retry_letter};
use operate::replay::{Bound, Options, Position, Report, replay};
use serde::Serialize;
use shared::quarantine::{Retried, RetryAnswer};

use super::letters::{Found, Letters};
use super::streams::Records;
use super::{Cloud, of};
use crate::books;
use crate::cli::{ListArgs, RedriveArgs, RedriveCommand, RetryArgs};
use crate::commands::redrive as plain;
use crate::config::Config;
use crate::output::{print, say, visible};
use crate::source::Misuse;

/// What the alerter takes for a sweep.
const SWEEP: &str = r#"{"agentledger":"sweep","budgets":[]}"#;
/// A table's stream tells when a change was made to a second; an inbox item's time is its sender's clock.
const AROUND: SignedDuration = SignedDuration::from_mins(2);
/// The most messages that are listed.
const MOST: usize = 1_000;

/// Lists, shows, tries again, or removes.
pub(crate) fn redrive(args: &RedriveArgs) -> anyhow::Result<()> {
    match &args.command {
        RedriveCommand::List(args) => list(args),
        RedriveCommand::Show { id, ledger } if is_letter(id) => {
            let cloud = Cloud::open()?;
            let letters = cloud.letters()?;
            match cloud.runtime.block_on(letters.find(id))? {
                Some(found) => say(&format!("{}\n", serde_json::to_string(&found.letter)?)),
                None => plain::show(id, ledger),
            }
        }
        RedriveCommand::Show { id, ledger } => plain::show(id, ledger),
        RedriveCommand::Retry(args) => retry(args),
        RedriveCommand::Purge { id, yes, ledger } if is_letter(id) => {
            if !yes && !plain::confirmed(id)? {
                bail!("nothing was removed");
            }
            let cloud = Cloud::open()?;
            let letters = cloud.letters()?;
            if cloud.runtime.block_on(letters.remove(id))? {
                return say(&format!("removed {}\n", visible(id)));
            }
            plain::purge(id, true, ledger)
        }
        RedriveCommand::Purge { id, yes, ledger } => plain::purge(id, *yes, ledger),
    }
}

/// Whether an id can be that of a message: those of the quarantine have spaces in them.
fn is_letter(id: &str) -> bool {
    uuid::Uuid::parse_str(id).is_ok()
}

#[derive(Serialize)]
struct Both {
    #[serde(flatten)]
    quarantine: serde_json::Value,
    dead_letters: Vec<DeadLetter>,
}

fn list(args: &ListArgs) -> anyhow::Result<()> {
    let cloud = Cloud::open()?;
    let letters = cloud.letters()?;
    let letters = cloud.runtime.block_on(letters.letters(MOST.min(usize::try_from(args.limit)?)))?;
    let (mut grid, answer) = plain::listed(&of(cloud, None)?, args.limit)?;
    let row = |letter: &DeadLetter| {
        let (at, code) = (letter.at.to_string(), "dead_letter".to_owned());
        vec![at, code, "open".to_owned(), letter.reason.clone(), letter.id.clone()]
    };
    grid.rows.extend(letters.iter().map(row));
    if !letters.is_empty() {
        grid.note = None;
    }
    let both = Both { quarantine: serde_json::from_str(&answer)?, dead_letters: letters };
    print(args.output.format, &grid, &serde_json::to_string(&both)?)
}

fn retry(args: &RetryArgs) -> anyhow::Result<()> {
    let form = plain::form(args)?;
    let config = match &args.config {
        Some(path) => Config::read(path).map_err(|e| Misuse(e.to_string()))?,
        None => Config::default(),
    };
    let cloud = Cloud::open()?;
    let letters = cloud.letters()?;
    let source = of(Cloud::open()?, Some(books::configured(&config)?))?;
    let mut ids = if args.all { plain::every(&source, args.stuck)? } else { args.ids.clone() };
    let mut found = Vec::new();
    if args.all || ids.iter().any(|id| is_letter(id)) {
        found = cloud.runtime.block_on(letters.all(MOST))?;
    }
    if args.all {
        ids.extend(found.iter().rev().map(|found| found.letter.id.clone()));
    }
    let again = Again { cloud: &cloud, letters: &letters, config: &config };
    let tried = plain::retry_each(args, &ids, |id| match found.iter().find(|found| found.letter.id == id) {
        Some(_) if form.is_some() => {
            Err(Misuse("a message of a queue has no payload to mend".to_owned()).into())
        }
        Some(found) => again.letter(found),
        None => plain::retry_one(&source, id, form.clone()),
    });
    // Also what was counted before something failed.
    cloud.runtime.block_on(cloud.table.settle_all())?;
    tried
}

/// Tries messages again.
struct Again<'a> {
    cloud: &'a Cloud,
    letters: &'a Letters,
    config: &'a Config,
}

impl Again<'_> {
    fn letter(&self, found: &Found) -> anyhow::Result<RetryAnswer> {
        let alerter = env::function(env::ALERTER, "alerter");
        let answer = if found.is_of_alerter(alerter.as_deref()) {
            self.sweep(found, alerter.as_deref())
        } else {
            self.count(found)?
        };
        if answer.outcome != Retried::Stuck {
            self.cloud
                .runtime
                .block_on(self.letters.remove(&found.letter.id))
                .context("it is done, but the message stays; trying it again changes nothing more")?;
        }
        Ok(answer)
    }

    /// Changes that the alerter did not see: it looks at all budgets instead.
    fn sweep(&self, found: &Found, alerter: Option<&str>) -> RetryAnswer {
        let Some(alerter) = alerter else {
            let why = format!("{} says that there is no alerter", env::ALERTER);
            return answer(found, Retried::Stuck, why);
        };
        match self.cloud.runtime.block_on(self.cloud.deployed().invoke(alerter, SWEEP)) {
            Ok(()) => {
                let how = format!("{alerter} has looked at the running period of all budgets");
                answer(found, Retried::Known, how)
            }
            Err(error) => answer(found, Retried::Stuck, error.to_string()),
        }
    }

    /// Records that the aggregator did not see.
    fn count(&self, found: &Found) -> anyhow::Result<RetryAnswer> {
        let Some(batch) = &found.batch else {
            return Ok(answer(
                found,
                Retried::Stuck,
                "it names no records; see `show`, and purge it".to_owned(),
            ));
        };
        let ports = self.cloud.ports(self.config, true)?;
        let replayed = if let Some(about) = &found.letter.about {
            let to = Some(Bound::Sequence(about.to.clone()));
            let origin = self.cloud.origin(&Options { to, ..Options::default() })?;
            let mut records = Records::of(origin);
            let retried = retry_letter(ports, &mut records, &found.letter);
            self.cloud.runtime.block_on(Box::pin(retried))
        } else {
            let (Some(first), Some(last)) = (batch.first_arrived, batch.last_arrived) else {
                let why =
                    "it does not say when its records arrived; replay the inbox around then, and purge it";
                return Ok(answer(found, Retried::Stuck, why.to_owned()));
            };
            let around = |at: Timestamp, by: SignedDuration| at.checked_add(by).ok().map(Bound::Time);
            let options = Options {
                from: around(first, -AROUND),
                to: around(last, AROUND),
                apply: true,
                ..Options::default()
            };
            let mut records = Records::of(self.cloud.origin(&options)?);
            let mut told = |_: &_, _, _| Ok(());
            let done = replay(ports, &mut records, &options, Position::default(), &mut told);
            self.cloud.runtime.block_on(Box::pin(done)).map(Some)
        };
        Ok(match replayed {
            Ok(Some(report)) => judged(found, batch.size, &report),
            Ok(None) => answer(found, Retried::Stuck, "it names no records".to_owned()),
            Err(error) => answer(found, Retried::Stuck, error.to_string()),
        })
    }
}

fn answer(found: &Found, outcome: Retried, reason: String) -> RetryAnswer {
    RetryAnswer { id: found.letter.id.clone(), outcome, reason: Some(reason), put_aside: Vec::new() }
}

/// What became of a batch of `size` records.
fn judged(found: &Found, size: u64, report: &Report) -> RetryAnswer {
    if let Some(why) = &report.stopped {
        return answer(found, Retried::Stuck, why.clone());
    }
    if report.records < size {
        let lost = size - report.records;
        let why = format!(
            "{lost} of {size} records have expired, the others are counted: `agentledger replay --from-archive` counts \
             these if there is an archive; then purge it"
        );
        return answer(found, Retried::Stuck, why);
    }
    let outcome = match (report.quarantined, report.rows.is_empty()) {
        (0, true) => Retried::Known,
        (0, false) => Retried::Counted,
        _ => Retried::PutAside,
    };
    let put_aside = report.aside.iter().map(|item| item.id.clone()).collect();
    RetryAnswer { id: found.letter.id.clone(), outcome, reason: None, put_aside }
}

impl Cloud {
    pub(super) fn letters(&self) -> anyhow::Result<Letters> {
        let client = aws_sdk_sqs::Client::new(&self.config);
        Ok(self.runtime.block_on(Letters::open(&client))?)
    }
}
