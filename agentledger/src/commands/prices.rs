//! `agentledger prices show`, `import`, `diff` and `list`.

mod list;

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use http::Method;
use query::{parse_instant, show_instant};
use serde::Serialize;
use shared::clock::{Clock, SystemClock};
use shared::price::{BookFile, BookLine, BookReport, PriceBook, diff, embedded_file};
use shared::window::Zone;

use super::{cell, read};
use crate::cli::{LedgerArgs, PricesArgs, PricesCommand, PricesDiffArgs, PricesImportArgs, PricesShowArgs};
use crate::output::{Grid, number, print, say, text};
use crate::source::{Misuse, Source, escape};

pub(crate) use list::overrides;

/// Shows, compares and imports price books.
pub(crate) fn prices(args: &PricesArgs) -> anyhow::Result<()> {
    match &args.command {
        PricesCommand::Show(args) => show(args),
        PricesCommand::Import(args) => import(args),
        PricesCommand::Diff(args) => compare(args),
        PricesCommand::List { output, ledger } => {
            let answer = Source::open(ledger)?.get("/v1/prices", &[])?;
            print(output.format, &listed(&read(&answer)?), &answer)
        }
    }
}

fn listed(report: &BookReport) -> Grid {
    let rows = report.books.iter().map(|book| {
        let current = if book.version == report.current { "in force" } else { "" };
        vec![
            book.version.clone(),
            current.to_owned(),
            book.models.to_string(),
            cell(book.at.as_ref()),
            book.source.clone(),
        ]
    });
    Grid {
        columns: vec![text("version"), text("state"), number("models"), text("imported_at"), text("source")],
        rows: rows.collect(),
        total: None,
        note: None,
    }
}

/// The text of a book: a file of that name, or a version in the ledger, or the one that is compiled in.
fn book_text(name: Option<&str>, ledger: &LedgerArgs) -> anyhow::Result<String> {
    let embedded = embedded_file()?;
    if let Some(name) = name {
        if Path::new(name).is_file() {
            return list::read(Path::new(name), None, None)?
                .file
                .write()
                .context("the book cannot be written");
        }
        if name == embedded.version.as_str() {
            return Ok(embedded.write()?);
        }
    } else if ledger.url.is_none() && !ledger.is_opened() {
        return Ok(embedded.write()?);
    }
    let source = Source::open(ledger)?;
    let version = match name {
        Some(name) => name.to_owned(),
        None => read::<BookReport>(&source.get("/v1/prices", &[])?)?.current,
    };
    source.get(&format!("/v1/prices/{}", escape(&version)), &[])
}

/// One price, as it is shown.
#[derive(Debug, Serialize)]
struct PriceLine {
    entry: String,
    tier: String,
    bucket: String,
    /// Input tokens that have to be passed.
    above: Option<u64>,
    usd_per_unit: String,
    /// Null for what is no token.
    usd_per_million: Option<String>,
}

#[derive(Debug, Serialize)]
struct PriceReport {
    book: String,
    source: String,
    prices: Vec<PriceLine>,
    next: Option<String>,
}

fn show(args: &PricesShowArgs) -> anyhow::Result<()> {
    let at = match &args.at {
        Some(text) => parse_instant(text, &Zone::utc())
            .ok_or_else(|| Misuse(format!("--at {text:?} is no time such as 2026-11-24T09:30:00Z")))?,
        None => SystemClock.now(),
    };
    let text = book_text(args.book.as_deref(), &args.ledger)?;
    let book = PriceBook::from_json(&text)?;
    let prices: Vec<PriceLine> = match &args.model {
        Some(model) => {
            let price = book.price(args.provider.as_deref(), model, &args.tier, at);
            let price = price.with_context(|| unknown(args, model, &book, at))?;
            price_lines(price)
        }
        None => {
            let file = BookFile::read(&text)?;
            let wanted = args.provider.as_deref().map(|name| file.provider_id(name));
            let models = file.models.iter().filter(|m| wanted.is_none_or(|id| m.provider.as_str() == id));
            let priced = models.filter_map(|model| {
                book.price(Some(model.provider.as_str()), model.model.as_str(), &args.tier, at)
            });
            priced.flat_map(|price| price_lines(price)).collect()
        }
    };
    let report =
        PriceReport { book: book.version().to_owned(), source: book.source().to_owned(), prices, next: None };
    print(args.output.format, &grid(&report), &serde_json::to_string(&report)?)
}

fn unknown(args: &PricesShowArgs, model: &str, book: &PriceBook, at: jiff::Timestamp) -> String {
    let provider = args.provider.as_deref();
    let whose = provider.map_or_else(|| "no provider named".to_owned(), |p| format!("provider {p}"));
    match book.entry(provider, model) {
        Some(entry) => format!(
            "{entry} has no known price at {}, tier {:?}; what is used of it is unpriced",
            show_instant(at.as_second(), &Zone::utc()),
            args.tier
        ),
        None => {
            format!("the book {} has no {model} ({whose}); what is used of it is unpriced", book.version())
        }
    }
}

fn price_lines(price: &shared::price::AppliedPrice) -> Vec<PriceLine> {
    let steps = price.long.iter().map(|long| (Some(long.above), &long.unit));
    let lines = std::iter::once((None, &price.unit)).chain(steps).flat_map(|(above, unit)| {
        unit.iter().map(move |(bucket, unit)| {
            let is_token =
                shared::usage::Bucket::from_name(bucket).is_some_and(shared::usage::Bucket::is_token);
            let million = unit.times(1_000_000).ok().filter(|_| is_token);
            PriceLine {
                entry: price.entry.clone(),
                tier: price.tier.clone(),
                bucket: bucket.to_string(),
                above,
                usd_per_unit: unit.as_decimal().to_string(),
                usd_per_million: million.map(|usd| usd.to_string()),
            }
        })
    });
    lines.collect()
}

fn grid(report: &PriceReport) -> Grid {
    let rows = report.prices.iter().map(|line| {
        vec![
            line.entry.clone(),
            line.tier.clone(),
            line.bucket.clone(),
            cell(line.above.as_ref()),
            cell(line.usd_per_million.as_ref()),
            line.usd_per_unit.clone(),
        ]
    });
    Grid {
        columns: vec![
            text("entry"),
            text("tier"),
            text("bucket"),
            number("above"),
            number("usd_per_million"),
            number("usd_per_unit"),
        ],
        rows: rows.collect(),
        total: None,
        note: Some(format!("price book {}", report.book)),
    }
}

fn import(args: &PricesImportArgs) -> anyhow::Result<()> {
    let below = match (&args.over, args.replace) {
        (Some(version), _) => Some(book_text(Some(version), &args.ledger)?),
        (None, false) => Some(embedded_file()?.write()?),
        (None, true) => None,
    };
    let kind = Some(args.format);
    let list = list::read_over(&args.file, args.name.as_deref(), kind, below.as_deref())?;
    if args.left_out {
        let mut told = String::new();
        for left in &list.left_out {
            // Writing to a String cannot fail.
            let _ = writeln!(told, "{}: {}", left.model, left.what);
        }
        return say(&told);
    }
    let query = match (&args.over, args.replace) {
        (Some(version), _) => format!("over={}", escape(version)),
        (None, true) => "replace=true".to_owned(),
        (None, false) => String::new(),
    };
    let body = serde_json::to_string(&list.file)?;
    let answer = Source::open(&args.ledger)?.send(Method::POST, "/v1/admin/prices", &query, Some(body))?;
    let line: BookLine = read(&answer)?;
    let read_models = list.file.models.len();
    say(&format!(
        "price book {} is in force: {} models, {read_models} of them from the file\n",
        line.version, line.models
    ))?;
    if !list.left_out.is_empty() {
        say(&format!("{} facts of the file were left out; --left-out lists them\n", list.left_out.len()))?;
    }
    Ok(())
}

fn compare(args: &PricesDiffArgs) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        model: &'a str,
        price: &'a str,
        from: Option<&'a str>,
        to: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Report<'a> {
        differences: Vec<Line<'a>>,
        next: Option<String>,
    }
    let (a, b) = (book_text(Some(&args.a), &args.ledger)?, book_text(Some(&args.b), &args.ledger)?);
    let differences = diff(&BookFile::read(&a)?, &BookFile::read(&b)?);
    let lines = differences.iter().map(|d| Line {
        model: &d.model,
        price: &d.price,
        from: d.from.as_deref(),
        to: d.to.as_deref(),
    });
    let json = serde_json::to_string(&Report { differences: lines.collect(), next: None })?;
    let rows = differences.iter().map(|d| {
        let change = match (&d.from, &d.to) {
            (None, Some(_)) => "added",
            (Some(_), None) => "removed",
            _ => "changed",
        };
        vec![
            change.to_owned(),
            d.model.clone(),
            d.price.clone(),
            d.from.clone().unwrap_or_default(),
            "→".to_owned(),
            d.to.clone().unwrap_or_default(),
        ]
    });
    let grid = Grid {
        columns: vec![text("change"), text("model"), text("price"), number("from"), text(""), number("to")],
        rows: rows.collect(),
        total: None,
        note: Some(format!("{} prices differ", differences.len())),
    };
    print(args.output.format, &grid, &json)
}
