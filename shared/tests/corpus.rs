//! Extraction against recorded provider responses, read in place from `AGENTLEDGER_CORPUS` and kept nowhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use base64::Engine;
use serde_json::Value;
use shared::extract::{Answer, Extraction, Extractor, Hints, Status, extract};
use shared::usage::{Bucket, Usage};

/// A class of responses that may differ from what is expected: what it is, why ours is right, and who is of it.
type Exception = (&'static str, &'static str, fn(&Case) -> bool);

/// Of these, all may differ from what two libraries agree on; each is told apart by the provider's own usage, never
/// by the name of a case.
const EXCEPTIONS: [Exception; 5] = [
    (
        "cached tokens above the prompt",
        "some of xAI's calls state a hidden prefix as cached, and leave it out of the prompt and the total; what is \
         cached is of the prompt (docs.x.ai, prompt caching: cached_tokens are at most prompt_tokens)",
        |case| case.inclusive("cache_read_tokens") > case.inclusive("input_tokens"),
    ),
    (
        "reasoning above the completion, through Vercel's gateway",
        "the cost that it states is that of completion and reasoning together: reasoning stands beside the completion",
        |case| case.provider == "vercel-gateway" && case.reasons_above_output(),
    ),
    (
        "reasoning above the completion, through OpenRouter",
        "OpenRouter estimates reasoning from its text; it bills completion_tokens, which contain it",
        |case| case.provider == "openrouter" && case.reasons_above_output(),
    ),
    (
        "written and read at once, through OpenRouter",
        "the cost that it states is that of both: the tokens are in both buckets",
        |case| {
            let both = ["cache_read_tokens", "cache_write_tokens"].map(|name| case.inclusive(name));
            case.provider == "openrouter" && both.iter().sum::<u64>() > case.inclusive("input_tokens")
        },
    ),
    (
        "audio beside the prompt",
        "Mistral's total is prompt, audio and completion: the audio is left out of prompt_tokens, but not of the call",
        |case| {
            let audio = case.native["prompt_tokens_details"]["audio_tokens"].as_u64().unwrap_or(0);
            let parts =
                ["prompt_tokens", "completion_tokens"].map(|name| case.native[name].as_u64().unwrap_or(0));
            audio > 0 && case.native["total_tokens"].as_u64() == Some(parts.iter().sum::<u64>() + audio)
        },
    ),
];

/// One recorded response, and what is expected of it.
struct Case {
    name: String,
    provider: String,
    recorded: Value,
    body: Vec<u8>,
    headers: Vec<(String, String)>,
    usage_status: String,
    expected: Value,
    additional: Vec<Value>,
    native: Value,
}

impl Case {
    fn inclusive(&self, name: &str) -> u64 {
        self.expected[name].as_u64().unwrap_or(0)
    }

    fn reasons_above_output(&self) -> bool {
        self.inclusive("output_reasoning_tokens") > self.inclusive("output_tokens")
    }

    /// The answer with all that is known, or by the body alone.
    fn answer(&self, hinted: bool) -> Answer {
        let text = |name: &str| self.recorded[name].as_str();
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let status = self.recorded["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        extract(
            &self.body,
            Hints {
                provider: text("provider").filter(|_| hinted),
                path: text("endpoint_path").filter(|_| hinted),
                model: text("request_model").filter(|_| hinted),
                content_type: text("response_content_type"),
                status,
                headers: &headers,
            },
        )
    }

    /// What is wrong with an answer; nothing if it is as expected.
    fn wrong(&self, answer: &Answer) -> Vec<String> {
        let status = match self.usage_status.as_str() {
            "ok" | "batch" => Status::Ok,
            "error_response" => Status::ErrorResponse,
            _ => Status::NoUsage,
        };
        if answer.status != status {
            return vec![format!("is {:?} ({:?}), not {status:?}", answer.status, answer.problem)];
        }
        let Some(first) = answer.calls.first() else { return Vec::new() };
        let mut wrong = Vec::new();
        if let Some(expected) = self.expected.as_object() {
            let names = [
                "input_tokens",
                "output_tokens",
                "cache_read_tokens",
                "cache_write_tokens",
                "output_reasoning_tokens",
            ];
            let beside = expected.keys().map(String::as_str).filter(|name| !names.contains(name));
            for name in names.into_iter().chain(beside) {
                let (counted, stated) = (counted(&first.usage, name), self.inclusive(name));
                if counted != Some(stated) {
                    wrong.push(format!("{name} is {counted:?}, expected {stated}"));
                }
            }
        }
        for (other, call) in self.additional.iter().zip(answer.calls.iter().skip(1)) {
            let model = call.model.as_ref().map(shared::id::ModelId::as_str);
            if model != other["model"].as_str()
                || Some(call.usage.input_tokens()) != other["input_tokens"].as_u64()
            {
                wrong.push(format!("{model:?} is not as in {other}"));
            }
        }
        if self.additional.len() + 1 != answer.calls.len() {
            wrong.push(format!("holds {} calls", answer.calls.len()));
        }
        if answer.partial {
            wrong.push("is partial".to_owned());
        }
        wrong
    }

    /// What the provider says is the total, where that is the sum of what it bills.
    fn total(&self) -> Option<u64> {
        let names = ["total_tokens", "totalTokens", "totalTokenCount"];
        names.iter().find_map(|name| self.native[*name].as_u64())
    }
}

/// A count under the corpus's inclusive name.
fn counted(usage: &Usage, name: &str) -> Option<u64> {
    Some(match name {
        "input_tokens" => usage.input_tokens(),
        "output_tokens" => usage.output_tokens(),
        "cache_read_tokens" => usage.cache_read_tokens(),
        "cache_write_tokens" => usage.cache_write_tokens(),
        "cache_write_5m_tokens" => usage.get(Bucket::CacheWrite5m),
        "cache_write_1h_tokens" => usage.get(Bucket::CacheWrite1h),
        "output_reasoning_tokens" => usage.get(Bucket::Reasoning),
        "input_audio_tokens" => usage.get(Bucket::InputAudio) + usage.get(Bucket::CacheReadAudio),
        "input_image_tokens" => usage.get(Bucket::InputImage) + usage.get(Bucket::CacheReadImage),
        "output_audio_tokens" => usage.get(Bucket::OutputAudio),
        "output_image_tokens" => usage.get(Bucket::OutputImage),
        other => usage.get(Bucket::from_name(other)?),
    })
}

fn cases() -> Vec<Case> {
    let corpus = PathBuf::from(std::env::var_os("AGENTLEDGER_CORPUS").unwrap());
    let expected = fs::read_to_string(corpus.join("expected.jsonl")).unwrap();
    expected
        .lines()
        .map(|line| {
            let case: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
            let recorded: Value =
                serde_json::from_str(&fs::read_to_string(corpus.join(text("case"))).unwrap()).unwrap();
            let body = recorded["response_body"].as_str().unwrap();
            let body = if recorded["body_encoding"] == "base64" {
                base64::engine::general_purpose::STANDARD.decode(body).unwrap()
            } else {
                body.as_bytes().to_vec()
            };
            let headers = recorded["response_headers"].as_object().into_iter().flatten();
            let headers = headers.filter_map(|(n, v)| Some((n.clone(), v.as_str()?.to_owned()))).collect();
            Case {
                name: text("case"),
                provider: text("provider"),
                body,
                headers,
                usage_status: text("usage_status"),
                expected: case["expected_usage"].clone(),
                additional: case["rule_additional_usage_other_models"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default(),
                native: case["native_usage"].clone(),
                recorded,
            }
        })
        .collect()
}

#[test]
#[ignore = "needs recorded responses: set AGENTLEDGER_CORPUS, as scripts/second-tier.sh does"]
fn recorded_responses_are_counted_by_their_providers_rules() {
    let (mut wrong, mut excepted, mut compared) = (Vec::new(), BTreeMap::<&str, usize>::new(), 0);
    let cases = cases();
    for case in &cases {
        let answer = case.answer(true);
        compared += usize::from(case.expected.is_object());
        let faults = case.wrong(&answer);
        let exception = EXCEPTIONS.iter().find(|(_, _, holds)| holds(case));
        match (faults.is_empty(), exception) {
            (true, _) => {}
            (false, Some((class, _, _))) if answer.status == Status::Ok => {
                *excepted.entry(class).or_default() += 1;
            }
            (false, _) => wrong.push(format!("{}: {}", case.name, faults.join("; "))),
        }
        // An answer is never a zero that stands for something unknown.
        assert_eq!(answer.calls.is_empty(), answer.status != Status::Ok, "{}", case.name);
    }
    println!("{} recorded responses, {compared} of them with an expected usage", cases.len());
    for (class, why, _) in EXCEPTIONS {
        println!("{} differ: {class}: {why}", excepted.get(class).unwrap_or(&0));
    }
    assert!(compared > 500, "only {compared} responses were found");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
#[ignore = "needs recorded responses: set AGENTLEDGER_CORPUS, as scripts/second-tier.sh does"]
fn the_body_alone_tells_most_of_it() {
    let cases = cases();
    let strip = |calls: Vec<Extraction>| calls.into_iter().map(|call| call.usage).collect::<Vec<_>>();
    let mut unlike = Vec::new();
    for case in &cases {
        let (hinted, alone) = (case.answer(true), case.answer(false));
        if hinted.status != alone.status || strip(hinted.calls.clone()) != strip(alone.calls.clone()) {
            unlike.push(format!(
                "{}: {:?} {:?}, not {:?} {:?}",
                case.name,
                alone.status,
                alone.calls.first().map(|call| call.usage),
                hinted.status,
                hinted.shape
            ));
        }
    }
    println!("{} of {} agree without provider, path and model", cases.len() - unlike.len(), cases.len());
    println!("{}", unlike.join("\n"));
    assert!(unlike.len() * 50 < cases.len(), "{} do not", unlike.len());
}

#[test]
#[ignore = "needs recorded responses: set AGENTLEDGER_CORPUS, as scripts/second-tier.sh does"]
fn buckets_sum_to_the_providers_own_total() {
    let (mut checked, mut unlike) = (0, BTreeMap::<String, usize>::new());
    for case in cases() {
        let answer = case.answer(true);
        let (Some(total), [call]) = (case.total(), answer.calls.as_slice()) else { continue };
        checked += 1;
        if call.usage.tokens() != total {
            *unlike.entry(format!("{} {:?}", case.provider, answer.shape)).or_default() += 1;
        }
    }
    println!("{checked} state a total; it is another sum, by a rule that the family states, for {unlike:?}");
    assert!(checked > 400, "only {checked} were found");
    assert!(unlike.values().sum::<usize>() * 50 < checked, "{unlike:?}");
}

#[test]
#[ignore = "needs recorded responses: set AGENTLEDGER_CORPUS, as scripts/second-tier.sh does"]
fn recorded_bodies_may_be_cut_anywhere() {
    let mut took = Vec::new();
    for case in cases() {
        let hints = Hints { provider: case.recorded["provider"].as_str(), ..Hints::default() };
        let started = Instant::now();
        let whole = extract(&case.body, hints);
        took.push(started.elapsed());
        let mut extractor = Extractor::new(hints);
        case.body.chunks(7).for_each(|piece| extractor.push(piece));
        assert_eq!(extractor.finish(), whole, "{}", case.name);
        for eighth in 1..8 {
            let cut = extract(&case.body[..case.body.len() * eighth / 8], hints);
            let usage = |answer: &Answer| answer.calls.iter().map(|call| call.usage).collect::<Vec<_>>();
            if cut.status == Status::Ok && !cut.partial {
                assert_eq!(usage(&cut), usage(&whole), "{} at {eighth}/8", case.name);
            }
        }
    }
    took.sort_unstable();
    println!("a body takes {:?}, in the median of {}", took[took.len() / 2], took.len());
}
