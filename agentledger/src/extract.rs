//! `agentledger extract`: what a provider's response says was used, and what that costs, without a ledger.

mod answer;
mod cost;
mod given;
mod lines;

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use shared::clock::{Clock, SystemClock};
use shared::extract::{Extractor, Hints};
use shared::price::PriceBook;

use crate::books;
use crate::cli::ExtractArgs;
use crate::config::Config;
use crate::source::Misuse;
use answer::Answer;

/// How much of a response is read at a time: memory does not grow with its length.
const CHUNK: usize = 64 * 1024;

/// Reads a response, or one for each line, and prints what was used.
pub(crate) fn run(args: &ExtractArgs) -> anyhow::Result<()> {
    let book = book(args.config.as_deref())?;
    let at = match &args.at {
        None => SystemClock.now(),
        Some(text) => text.parse().map_err(|e| Misuse(format!("--at {text:?} is not RFC 3339: {e}")))?,
    };
    let input: Box<dyn Read> = match args.file.as_deref() {
        None => Box::new(io::stdin().lock()),
        Some(path) if path == Path::new("-") => Box::new(io::stdin().lock()),
        Some(path) => Box::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = if args.jsonl {
        lines::answer_each(BufReader::with_capacity(CHUNK, input), &mut out, &book, at)?
    } else {
        let answer = match &args.usage {
            Some(usage) => given::answer(usage, args, &book, at)?,
            None => response(input, args, &book, at)?,
        };
        serde_json::to_writer(&mut out, &answer).map_err(io::Error::from).and_then(|()| writeln!(out))
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write to stdout"),
    }
}

/// The book that is compiled in, with what a configuration adds to it.
fn book(config: Option<&Path>) -> anyhow::Result<Arc<PriceBook>> {
    let config = config.map(Config::read).transpose().map_err(|e| Misuse(e.to_string()))?.unwrap_or_default();
    Ok(books::configured(&config)?.current())
}

fn response(
    mut input: impl Read,
    args: &ExtractArgs,
    book: &PriceBook,
    at: Timestamp,
) -> anyhow::Result<Answer> {
    let hints = Hints {
        provider: args.provider.as_deref(),
        path: args.path.as_deref(),
        model: args.model.as_deref(),
        content_type: args.content_type.as_deref(),
        status: args.status,
        headers: &[],
    };
    let mut extractor = Extractor::new(hints);
    let mut chunk = vec![0; CHUNK];
    loop {
        let n = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("cannot read the response"),
        };
        extractor.push(chunk.get(..n).unwrap_or_default());
    }
    Ok(Answer::of(extractor.finish(), book, at))
}
