//! The embedded book against two other price lists: the grid of made-up usages, and the recorded responses with
//! the usage that is expected of them. Both are read in place, from the directory that `AGENTLEDGER_CORPUS` names.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rust_decimal::Decimal;
use serde_json::Value;
use shared::price::PriceBook;
use shared::usage::{Bucket, Usage};

fn corpus() -> PathBuf {
    std::env::var_os("AGENTLEDGER_CORPUS").expect("AGENTLEDGER_CORPUS names the corpus").into()
}

fn lines(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(corpus().join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn count(usage: &Value, name: &str) -> u64 {
    usage.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// Inclusive counts as disjoint buckets; none where they contradict each other.
fn buckets(usage: &Value) -> Option<Usage> {
    let of = |name| count(usage, name);
    let one_hour = of("cache_write_1h_tokens");
    let five_minutes = of("cache_write_tokens").max(of("cache_write_5m_tokens") + one_hour) - one_hour;
    let cached_audio = of("cache_audio_read_tokens");
    let read = of("cache_read_tokens").checked_sub(cached_audio)?;
    let audio = of("input_audio_tokens").checked_sub(cached_audio)?;
    let image = of("input_image_tokens");
    let apart = read + cached_audio + five_minutes + one_hour + audio + image;
    let input = of("input_tokens").checked_sub(apart)?;
    let (reasoning, spoken, drawn) =
        (of("output_reasoning_tokens"), of("output_audio_tokens"), of("output_image_tokens"));
    let output = of("output_tokens").checked_sub(reasoning + spoken + drawn)?;
    let counts = [
        (Bucket::Input, input),
        (Bucket::CacheRead, read),
        (Bucket::CacheReadAudio, cached_audio),
        (Bucket::CacheWrite5m, five_minutes),
        (Bucket::CacheWrite1h, one_hour),
        (Bucket::InputAudio, audio),
        (Bucket::InputImage, image),
        (Bucket::Output, output),
        (Bucket::Reasoning, reasoning),
        (Bucket::OutputAudio, spoken),
        (Bucket::OutputImage, drawn),
    ];
    Usage::new(counts).ok()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn decimal(value: &Value, name: &str) -> Option<Decimal> {
    text(value, name).and_then(|t| Decimal::from_str_exact(t).ok())
}

/// Within 1e-9 of the larger.
fn equal(a: Decimal, b: Decimal) -> bool {
    (a - b).abs() * Decimal::from(1_000_000_000) <= a.abs().max(b.abs())
}

#[test]
#[ignore = "needs the corpus in AGENTLEDGER_CORPUS"]
fn the_grid_is_priced_as_both_lists_do_where_they_agree() {
    let book = PriceBook::embedded().unwrap();
    let (mut agreed, mut wrong) = (0, Vec::new());
    let mut classes: BTreeMap<String, u32> = BTreeMap::new();
    for line in lines("price_grid.jsonl") {
        let usage = buckets(&line["usage"]).unwrap();
        let (provider, model, mode) =
            (text(&line, "provider").unwrap(), text(&line, "model").unwrap(), text(&line, "mode").unwrap());
        let time = text(&line, "priced_as_of").unwrap().parse().unwrap();
        let price = book.price(Some(provider), model, mode, time);
        let ours = price.and_then(|price| price.cost_parts(&usage)).map(|cost| Decimal::from(cost.tokens));
        let is = |name| ours.zip(decimal(&line, name)).is_some_and(|(a, b)| equal(a, b));
        let (genai, litellm) = (is("genai_prices"), is("litellm"));
        if line["agreed"] == true {
            agreed += 1;
            if !(genai && litellm) {
                wrong.push(format!(
                    "{provider} {model} {mode} {} ours {ours:?} {}",
                    line["usage"], line["litellm"]
                ));
            }
        } else {
            let side = match (genai, litellm) {
                (true, _) => "genai-prices",
                (_, true) => "litellm",
                _ => "neither",
            };
            *classes.entry(format!("{provider} {model} {mode}: as {side}")).or_default() += 1;
        }
    }
    println!("grid: {} of {agreed} agreed are equal", agreed - wrong.len());
    classes.iter().for_each(|(class, n)| println!("grid, not agreed: {n} {class}"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "needs the corpus in AGENTLEDGER_CORPUS"]
fn the_corpus_is_priced_as_agreed_or_as_judged() {
    let book = PriceBook::embedded().unwrap();
    let (mut agreed, mut wrong) = (0, Vec::new());
    let (mut judged, mut misjudged) = (0, Vec::new());
    let mut rest: BTreeMap<String, u32> = BTreeMap::new();
    for line in lines("expected.jsonl") {
        if line["usage_status"] == "error_response" || line["usage_status"] == "no_usage_in_response" {
            continue;
        }
        let provider = text(&line, "provider").unwrap();
        let models: Vec<&str> =
            line["model_refs"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let is_batch = line["genai_prices"]["price_context"]["processing"] == "batch";
        let tier = if is_batch { "batch" } else { text(&line, "service_tier").unwrap_or_default() };
        let time = text(&line, "priced_as_of").unwrap().parse().unwrap();
        let price = models.iter().find_map(|model| book.price(Some(provider), model, tier, time));
        let cost = |usage: &Value| {
            let cost = price?.cost_parts(&buckets(usage)?)?;
            Some(Decimal::from(cost.tokens))
        };
        let genai = (&line["genai_prices"], "token_cost_usd");
        let litellm = (&line["litellm"], "cost_usd");
        let name = format!("{} {models:?} tier {tier:?}", text(&line, "case").unwrap());
        // Each list is compared at the counts it has read, as reading is another test's matter.
        let as_side = |(side, field): (&Value, &str)| {
            let ours = cost(&side["usage"]).or_else(|| cost(&line["expected_usage"]));
            let theirs = decimal(side, field);
            // What neither has is as unknown there as here. Perplexity's fee is for a search context of the
            // default size, and the cost that it states has five places.
            let fee = side == &line["litellm"] && provider == "perplexity";
            let fee = price.filter(|_| fee).and_then(|price| price.unit.get("web_searches_low")).copied();
            let ours = match fee {
                Some(fee) => ours.map(|ours| (ours + Decimal::from(fee)).round_dp(5)),
                None => ours,
            };
            let same = ours.zip(theirs).map_or(ours == theirs, |(a, b)| equal(a, b));
            (same, ours, theirs)
        };
        if line["agreed"] == true {
            agreed += 1;
            let (equal, ours, theirs) = as_side(genai);
            if !equal && line["expected_cost_usd"] != Value::Null {
                wrong.push(format!("{name} {} ours {ours:?} expected {theirs:?}", line["expected_usage"]));
            }
        } else if let Some(judgement) = line.get("judgement").filter(|j| !j.is_null()) {
            let right = text(judgement, "right").unwrap();
            let id = text(judgement, "id").unwrap();
            let side =
                if right.contains("litellm") && !right.starts_with("undecided") { litellm } else { genai };
            if right.starts_with("undecided (lean litellm)")
                || !(right.starts_with("undecided") || right == "neither")
            {
                let side = if right.starts_with("undecided") { litellm } else { side };
                judged += 1;
                let (equal, ours, theirs) = as_side(side);
                if !equal {
                    misjudged.push(format!(
                        "{id} {right} {name} {} ours {ours:?} theirs {theirs:?} {:?}",
                        line["expected_usage"],
                        price.map(|p| &p.entry)
                    ));
                }
            } else {
                let ours = |side| if as_side(side).0 { "=" } else { "≠" };
                *rest
                    .entry(format!("{id} {right}: {}genai {}litellm", ours(genai), ours(litellm)))
                    .or_default() += 1;
            }
        } else {
            let class = text(&line["agreement"], "class").unwrap_or("none");
            let stated = decimal(&line, "provider_stated_cost_usd")
                .map(|stated| cost(&line["expected_usage"]).is_some_and(|ours| equal(ours, stated)));
            let against = match class {
                "usage-agrees-only-litellm-priced" => Some(as_side(litellm)),
                "usage-agrees-only-genai-priced" => Some(as_side(genai)),
                _ => None,
            };
            let how = against.map(|(equal, ours, _)| match (equal, ours) {
                (true, _) => "equal",
                (_, None) => "unpriced",
                _ => "other",
            });
            let unpriced = price.is_none();
            if against.is_some_and(|(equal, ..)| !equal) {
                println!("{class} {provider} {models:?} {tier} {against:?} {:?}", price.map(|p| &p.entry));
            }
            *rest.entry(format!("{class}: {how:?} unpriced {unpriced} as stated {stated:?}")).or_default() +=
                1;
        }
    }
    println!("corpus: {} of {agreed} agreed are equal", agreed - wrong.len());
    println!("corpus: {} of {judged} judged are equal", judged - misjudged.len());
    misjudged.iter().for_each(|case| println!("judged otherwise: {case}"));
    rest.iter().for_each(|(class, n)| println!("corpus, {n}: {class}"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(misjudged.len() * 20 <= judged, "{}", misjudged.join("\n"));
}
