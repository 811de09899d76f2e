//! `docs/capacity.md` shows what the program prints. `AGENTLEDGER_CAPACITY=1` writes it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::float_arithmetic, reason = "how far apart two printed figures are")]

use clap::Parser;

use crate::plan::{Options, report};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

const BEGINS: &str = "```text\n$ cargo run --release -p loadtest -- plan ";

#[test]
fn the_committed_page_shows_what_is_printed() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/capacity.md");
    let committed = std::fs::read_to_string(&path).unwrap();
    let mut blocks = committed.split(BEGINS);
    let mut page = blocks.next().unwrap().to_owned();
    let mut shown = 0;
    for block in blocks {
        let (command, rest) = block.split_once('\n').unwrap();
        let (_, after) = rest.split_once("\n```\n").unwrap();
        let words = std::iter::once("plan").chain(command.split_whitespace());
        let printed = report(&Cli::try_parse_from(words).unwrap().options).unwrap().join("\n");
        let block = format!("{BEGINS}{command}\n{printed}\n```\n{after}");
        page.push_str(&block);
        shown += 1;
    }
    assert!(shown >= 3, "{shown} commands are shown");
    if std::env::var_os("AGENTLEDGER_CAPACITY").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    if let Some((line, printed)) = committed.lines().zip(page.lines()).find(|(a, b)| !alike(a, b)) {
        panic!(
            "docs/capacity.md has drifted: `{line}` is now `{printed}`; AGENTLEDGER_CAPACITY=1 cargo test -p loadtest \
             the_committed_page writes it"
        );
    }
    assert_eq!(committed.lines().count(), page.lines().count());
}

/// Whether two lines say the same: their words are equal, and their numbers as near as another library of logarithms may
/// put those that were played.
fn alike(committed: &str, printed: &str) -> bool {
    let number = |word: &str| {
        let digits: String = word.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
        digits.trim_end_matches('.').parse::<f64>().ok()
    };
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (committed, printed) = (words(committed), words(printed));
    committed.len() == printed.len()
        && committed.iter().zip(&printed).all(|(a, b)| {
            a == b
                || number(a).zip(number(b)).is_some_and(|(a, b)| (a - b).abs() <= 0.02 * a.abs().max(b.abs()))
        })
}

#[test]
fn another_figure_or_word_is_seen() {
    assert!(alike("  lanes  12,170 events, $7,806", "  lanes 12,180 events,  $7,806"));
    assert!(!alike("lanes 12", "lanes 13"));
    assert!(!alike("lanes 12", "shards 12"));
    assert!(!alike("lanes 12", "lanes"));
}
