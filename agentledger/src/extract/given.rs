//! Counts that are given instead of a response, with the field names that providers' invoices suggest: input
//! with all that was cached, output with reasoning.

use anyhow::Context;
use jiff::Timestamp;
use serde_json::{Map, Value};
use shared::extract::{Extraction, Stated};
use shared::id::{ModelId, ProviderId};
use shared::price::PriceBook;
use shared::usage::{Bucket, MAX_COUNT, Usage};

use super::answer::Answer;
use crate::cli::ExtractArgs;
use crate::source::Misuse;

/// The answer for `--usage`.
pub(super) fn answer(
    usage: &str,
    args: &ExtractArgs,
    book: &PriceBook,
    at: Timestamp,
) -> anyhow::Result<Answer> {
    let usage: Value =
        serde_json::from_str(usage).map_err(|e| Misuse(format!("--usage is not JSON: {e}")))?;
    let model = args.model.as_deref();
    let call = call(&usage, args.provider.as_deref(), model, args.mode.as_deref());
    Ok(Answer::of_given(
        call.map_err(|reason| Misuse(format!("--usage: {reason}"))).context("not priced")?,
        book,
        at,
    ))
}

/// Counts as a call of a model.
pub(super) fn call(
    usage: &Value,
    provider: Option<&str>,
    model: Option<&str>,
    mode: Option<&str>,
) -> Result<Extraction, String> {
    let usage = usage.as_object().ok_or("the usage is not an object")?;
    let provider = provider.ok_or("a provider is needed to price counts")?;
    let model = model.map(ModelId::parse).transpose().map_err(|e| format!("the model {e}"))?;
    let service_tier = match mode {
        None | Some("standard") => None,
        Some(tier @ ("batch" | "flex" | "priority")) => Some(tier.to_owned()),
        Some(other) => return Err(format!("mode {other:?} is none of standard, batch, flex, priority")),
    };
    Ok(Extraction {
        provider: ProviderId::parse(provider).map_err(|e| format!("the provider {e}"))?,
        model,
        requested_model: None,
        service_tier,
        usage: disjoint(usage)?,
        reported_cost_usd: None,
        stated: Stated::default(),
        operation: None,
    })
}

/// The parts of the input, each with the name it is given under.
const INPUT_PARTS: [(Bucket, &[&str]); 4] = [
    (Bucket::CacheReadAudio, &["cache_audio_read_tokens", "cache_read_audio_tokens"]),
    (Bucket::CacheReadImage, &["cache_image_read_tokens", "cache_read_image_tokens"]),
    (Bucket::InputAudio, &["input_audio_tokens"]),
    (Bucket::InputImage, &["input_image_tokens"]),
];

const OUTPUT_PARTS: [(Bucket, &[&str]); 3] = [
    (Bucket::Reasoning, &["output_reasoning_tokens", "reasoning_tokens"]),
    (Bucket::OutputAudio, &["output_audio_tokens"]),
    (Bucket::OutputImage, &["output_image_tokens"]),
];

/// Takes the parts out of their wholes. A bucket's own name is a count of that bucket alone.
fn disjoint(given: &Map<String, Value>) -> Result<Usage, String> {
    let mut counts = Vec::new();
    for (name, value) in given {
        let own = Bucket::from_name(name);
        if let Some(bucket) = own {
            counts.push((bucket, count(name, value)?));
        } else if !is_known(name) {
            return Err(format!("{name:?} is no count that is known"));
        }
    }
    let get = |names: &[&str]| -> Result<Option<u64>, String> {
        let found = names.iter().find_map(|name| given.get(*name).map(|value| (name, value)));
        found.map(|(name, value)| count(name, value)).transpose()
    };
    let part_of = |whole: u64, part: u64, names: (&str, &str)| {
        whole.checked_sub(part).ok_or(format!("{} is larger than {}, which contains it", names.1, names.0))
    };

    let long = get(&["cache_write_1h_tokens"])?.unwrap_or(0);
    let short = get(&["cache_write_5m_tokens"])?;
    let written = get(&["cache_write_tokens"])?;
    // Without a lifetime it is the default one, of five minutes.
    let short = match (written, short) {
        (Some(all), _) => part_of(all, long, ("cache_write_tokens", "cache_write_1h_tokens"))?,
        (None, short) => short.unwrap_or(0),
    };
    let mut input = get(&["input_tokens"])?.unwrap_or(0);
    for (bucket, part, name) in [
        (Bucket::CacheWrite1h, long, "cache_write_1h_tokens"),
        (Bucket::CacheWrite5m, short, "cache_write_5m_tokens"),
    ] {
        input = part_of(input, part, ("input_tokens", name))?;
        counts.push((bucket, part));
    }
    let mut cached = get(&["cache_read_tokens"])?.unwrap_or(0);
    input = part_of(input, cached, ("input_tokens", "cache_read_tokens"))?;
    for (bucket, names) in INPUT_PARTS {
        let part = get(names)?.unwrap_or(0);
        let name = names.first().copied().unwrap_or_default();
        if matches!(bucket, Bucket::CacheReadAudio | Bucket::CacheReadImage) {
            cached = part_of(cached, part, ("cache_read_tokens", name))?;
        } else {
            input = part_of(input, part, ("input_tokens", name))?;
        }
        counts.push((bucket, part));
    }
    let mut output = get(&["output_tokens"])?.unwrap_or(0);
    for (bucket, names) in OUTPUT_PARTS {
        let part = get(names)?.unwrap_or(0);
        output = part_of(output, part, ("output_tokens", names.first().copied().unwrap_or_default()))?;
        counts.push((bucket, part));
    }
    counts.extend([(Bucket::Input, input), (Bucket::CacheRead, cached), (Bucket::Output, output)]);
    Usage::new(counts).map_err(|e| e.to_string())
}

fn is_known(name: &str) -> bool {
    // What is neither cached nor of another kind is text: these say so once more.
    const OTHERS: [&str; 8] = [
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "input_text_tokens",
        "output_text_tokens",
    ];
    let parts = INPUT_PARTS.iter().chain(&OUTPUT_PARTS);
    OTHERS.contains(&name) || parts.clone().any(|(_, names)| names.contains(&name))
}

fn count(name: &str, value: &Value) -> Result<u64, String> {
    match value {
        Value::Null => Ok(0),
        value => {
            let whole = value.as_u64().filter(|n| *n <= MAX_COUNT);
            whole.ok_or_else(|| format!("{name:?} is not a whole number from 0 to 2^53"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(usage: &Value) -> Result<Usage, String> {
        call(usage, Some("openai"), Some("m"), None).map(|call| call.usage)
    }

    #[test]
    fn inclusive_counts_become_disjoint() {
        let usage = json!({"input_tokens": 100, "cache_read_tokens": 40, "cache_write_tokens": 20,
            "cache_write_1h_tokens": 5, "input_audio_tokens": 7, "output_tokens": 30, "output_reasoning_tokens": 12});
        let want = [
            (Bucket::Input, 33),
            (Bucket::CacheRead, 40),
            (Bucket::CacheWrite5m, 15),
            (Bucket::CacheWrite1h, 5),
            (Bucket::InputAudio, 7),
            (Bucket::Output, 18),
            (Bucket::Reasoning, 12),
        ];
        assert_eq!(read(&usage).unwrap(), Usage::new(want).unwrap());
        assert_eq!(read(&usage).unwrap().tokens(), 130);
    }

    #[test]
    fn buckets_go_by_their_own_names_too() {
        let usage = json!({"input": 3, "output": 4, "web_searches": 1});
        let want = [(Bucket::Input, 3), (Bucket::Output, 4), (Bucket::WebSearches, 1)];
        assert_eq!(read(&usage).unwrap(), Usage::new(want).unwrap());
    }

    #[test]
    fn contradictions_are_said_not_guessed() {
        for (usage, wanted) in [
            (
                json!({"input_tokens": 1, "cache_read_tokens": 2}),
                "cache_read_tokens is larger than input_tokens",
            ),
            (json!({"output_tokens": 1, "output_reasoning_tokens": 2}), "output_reasoning_tokens is larger"),
            (json!({"cache_write_tokens": 1, "cache_write_1h_tokens": 2}), "cache_write_1h_tokens is larger"),
            (json!({"input_tokens": 1.5}), "is not a whole number"),
            (json!({"inputs": 1}), "is no count that is known"),
            (json!([1]), "not an object"),
        ] {
            let refused = read(&usage).unwrap_err();
            assert!(refused.contains(wanted), "{usage}: {refused}");
        }
        assert!(call(&json!({}), None, Some("m"), None).is_err());
        assert!(call(&json!({}), Some("openai"), Some("m"), Some("fast")).is_err());
    }
}
