//! Extraction against recorded provider responses, read in place from `AGENTLEDGER_CORPUS` and kept nowhere.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use shared::extract::{Extraction, Hints, recognise};
use shared::invariant;
use shared::usage::Bucket;

/// The shapes that there are extractors for, with the providers whose own shapes they are.
const COVERED: [(&str, &str); 3] =
    [("openai.chat", "openai"), ("openai.responses", "openai"), ("anthropic.messages", "anthropic")];

/// The sums that the corpus states: input with all that was cached, output with reasoning.
fn inclusive(found: &Extraction) -> [(&'static str, u64); 4] {
    let sum = |buckets: &[Bucket]| buckets.iter().map(|b| found.usage.get(*b)).sum::<u64>();
    let written = [Bucket::CacheWrite5m, Bucket::CacheWrite1h];
    let input = [Bucket::Input, Bucket::CacheRead, Bucket::InputAudio, Bucket::InputImage];
    let output = [Bucket::Output, Bucket::Reasoning, Bucket::OutputAudio, Bucket::OutputImage];
    [
        ("input_tokens", sum(&input) + sum(&written)),
        ("output_tokens", sum(&output)),
        ("cache_read_tokens", sum(&[Bucket::CacheRead])),
        ("cache_write_tokens", sum(&written)),
    ]
}

#[test]
#[ignore = "needs recorded responses: set AGENTLEDGER_CORPUS, as scripts/second-tier.sh does"]
fn recorded_responses_are_counted_as_two_libraries_count_them() {
    let corpus = PathBuf::from(std::env::var_os("AGENTLEDGER_CORPUS").unwrap());
    let expected = fs::read_to_string(corpus.join("expected.jsonl")).unwrap();
    let (mut checked, mut wrong) = (0, Vec::new());
    for line in expected.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap_or_default();
        let covered = COVERED.contains(&(text("shape"), text("provider")));
        if !covered || case["streaming"] == true || text("usage_status") != "ok" {
            continue;
        }
        let recorded: Value =
            serde_json::from_str(&fs::read_to_string(corpus.join(text("case"))).unwrap()).unwrap();
        let body: Value = serde_json::from_str(recorded["response_body"].as_str().unwrap()).unwrap();
        let found = recognise(&body, Hints::default()).map(|family| family.extract(&body, Hints::default()));
        checked += 1;
        match found {
            Some(Ok(found)) => {
                let total = case["native_usage"]["total_tokens"].as_u64();
                if total.is_some_and(|total| !invariant::tokens_conserved(&found[0].usage, total)) {
                    wrong.push(format!("{}: {}", text("case"), invariant::TOKENS_CONSERVED.law));
                }
                for (name, counted) in inclusive(&found[0]) {
                    let stated = case["expected_usage"][name].as_u64().unwrap_or(0);
                    if counted != stated {
                        wrong.push(format!("{}: {name} is {counted}, expected {stated}", text("case")));
                    }
                }
            }
            other => wrong.push(format!("{}: {other:?}", text("case"))),
        }
    }
    println!("{checked} recorded responses");
    assert!(checked > 50, "only {checked} responses were found");
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
}
