//! The responses that are read and priced: recorded ones where a corpus is at hand, which are read in place and kept
//! nowhere, or else the few that were written for this.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Value, json};

/// Where recorded responses are looked for if no place is named.
const BESIDE: &str = "../shared/corpus";
const WRITTEN: &str = include_str!("bodies.jsonl");

/// A response in one piece, and what is known of it beforehand.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    pub(super) provider: String,
    pub(super) shape: String,
    /// The model of the response, then the one that was asked for.
    pub(super) models: Vec<String>,
    pub(super) path: Option<String>,
    pub(super) requested_model: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) text: String,
    /// The time that it is priced at.
    pub(super) at: String,
    /// What it costs in US dollars without fees, where that is known.
    pub(super) expected: Option<Decimal>,
}

/// The corpus to use: the one that is named, or the one beside the repository if it is there.
pub(super) fn corpus(named: Option<&PathBuf>) -> Option<PathBuf> {
    let named = named.cloned().or_else(|| std::env::var_os("AGENTLEDGER_CORPUS").map(PathBuf::from));
    named.or_else(|| Some(PathBuf::from(BESIDE)).filter(|path| path.join("expected.jsonl").exists()))
}

/// All bodies, in the corpus's order.
pub(super) fn load(corpus: Option<&Path>) -> anyhow::Result<Vec<Body>> {
    let Some(corpus) = corpus else { return written() };
    let path = corpus.join("expected.jsonl");
    let expected = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}: name a corpus that has it", path.display()))?;
    let mut bodies = Vec::new();
    for line in expected.lines() {
        let case: Value = serde_json::from_str(line)?;
        // A stream has to be put together before a library of prices can look at it.
        if case["usage_status"] != "ok" || case["streaming"] != false {
            continue;
        }
        let path = corpus.join(case["case"].as_str().context("a line of expected.jsonl names no case")?);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let recorded: Value = serde_json::from_str(&text)?;
        let text = |of: &Value, name: &str| of[name].as_str().map(str::to_owned);
        let Some(body) = text(&recorded, "response_body").filter(|body| is_json(&recorded, body)) else {
            continue;
        };
        let provider = text(&case, "provider").unwrap_or_default();
        let models = case["model_refs"].as_array().into_iter().flatten();
        bodies.push(Body {
            shape: text(&case, "shape").unwrap_or_default(),
            models: models.filter_map(|model| Some(model.as_str()?.to_owned())).collect(),
            path: text(&recorded, "endpoint_path"),
            requested_model: text(&recorded, "request_model"),
            content_type: text(&recorded, "response_content_type"),
            text: body,
            at: text(&case, "priced_as_of").context("a case has no priced_as_of")?,
            // Its prices go by the hour, and LiteLLM takes the hour of its own clock.
            expected: text(&case, "expected_cost_usd")
                .filter(|_| provider != "deepseek")
                .map(|cost| Decimal::from_str_exact(&cost))
                .transpose()?,
            provider,
        });
    }
    anyhow::ensure!(!bodies.is_empty(), "{} has no response in one piece of JSON", corpus.display());
    Ok(bodies)
}

fn is_json(recorded: &Value, body: &str) -> bool {
    recorded["body_encoding"] == "utf-8" && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok()
}

fn written() -> anyhow::Result<Vec<Body>> {
    WRITTEN.lines().map(|line| serde_json::from_str(line).context("bodies.jsonl")).collect()
}

impl Body {
    /// What a peer is told, as one line.
    pub(super) fn line(&self) -> String {
        json!({"provider": self.provider, "shape": self.shape, "models": self.models, "text": self.text,
            "at": self.at})
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::extraction::{agree, cost};
    use shared::price::PriceBook;

    #[test]
    fn what_was_written_for_this_is_priced_as_was_worked_out_by_hand() {
        let book = PriceBook::embedded().unwrap();
        let bodies = written().unwrap();
        assert!(bodies.len() >= 6);
        for body in bodies {
            let (found, expected) = (cost(&book, &body).unwrap(), body.expected.unwrap());
            assert!(agree(found, expected), "{} {:?}: {found}, not {expected}", body.provider, body.models);
        }
    }
}
