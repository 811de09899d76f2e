//! The embedded book is what the import makes of its source. It runs where the source's JSON is at hand, named by
//! `AGENTLEDGER_PRICES`; with `AGENTLEDGER_WRITE` it writes the book anew:
//! `AGENTLEDGER_PRICES=genai_prices_0.2.3.json AGENTLEDGER_WRITE=1 cargo test -p shared --test prices_data -- --ignored`

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;

use shared::price::import::genai;

const VERSION: &str = "genai-prices-0.2.3";
const SOURCE: &str = "genai-prices 0.2.3, MIT, https://github.com/pydantic/genai-prices";

#[test]
#[ignore = "needs the source's JSON in AGENTLEDGER_PRICES"]
fn the_embedded_book_is_what_the_import_makes() {
    let source = std::env::var("AGENTLEDGER_PRICES").expect("AGENTLEDGER_PRICES names the source's JSON");
    let imported = genai(&fs::read_to_string(source).unwrap(), VERSION, SOURCE).unwrap();
    let book = imported.file.write().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/prices.json");
    for left_out in &imported.left_out {
        println!("left out: {}: {}", left_out.model, left_out.what);
    }
    if std::env::var_os("AGENTLEDGER_WRITE").is_some() {
        fs::write(&data, &book).unwrap();
    }
    assert!(book == fs::read_to_string(&data).unwrap(), "data/prices.json is not what the import makes");
}

#[test]
#[ignore = "needs LiteLLM's JSON in AGENTLEDGER_LITELLM"]
fn the_list_of_litellm_is_read_in_full() {
    let source = std::env::var("AGENTLEDGER_LITELLM").expect("AGENTLEDGER_LITELLM names the list");
    let imported =
        shared::price::import::litellm(&fs::read_to_string(source).unwrap(), "l", "LiteLLM").unwrap();
    let written = imported.file.write().unwrap();
    println!(
        "{} models, {} bytes, {} left out",
        imported.file.models.len(),
        written.len(),
        imported.left_out.len()
    );
    let mut kinds = std::collections::BTreeMap::new();
    imported.left_out.iter().for_each(|left| *kinds.entry(&left.what).or_insert(0) += 1);
    kinds.iter().for_each(|(what, n)| println!("left out {n}: {what}"));
    let below = shared::price::embedded_file().unwrap();
    shared::price::PriceBook::from_file(&below.with_layer(imported.file)).unwrap();
}
