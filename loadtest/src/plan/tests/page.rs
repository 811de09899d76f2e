//! `docs/capacity.md` shows what the program prints. `AGENTLEDGER_CAPACITY=1` writes it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

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
    assert!(
        page == std::fs::read_to_string(&path).unwrap(),
        "docs/capacity.md has drifted: AGENTLEDGER_CAPACITY=1 cargo test -p loadtest the_committed_page writes it"
    );
}
