//! What the pipeline on AWS costs, from item sizes by AWS's formulas: `docs/cost.md`.
//!
//! Prints the page. `AGENTLEDGER_COST=1 cargo test -p aws --features dynamodb --example cost` writes it.

mod bill;
mod ledger;
mod page;
mod prices;
mod run;
mod traffic;

use std::io::Write;

/// Whatever goes wrong here ends the program.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    Ok(std::io::stdout().write_all(page::page()?.as_bytes())?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_page_is_what_the_code_comes_to() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cost.md");
        let page = super::page::page().unwrap();
        if std::env::var_os("AGENTLEDGER_COST").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).is_ok_and(|committed| committed == page),
            "docs/cost.md has drifted: AGENTLEDGER_COST=1 cargo test -p aws --features dynamodb --example cost writes it"
        );
    }
}
