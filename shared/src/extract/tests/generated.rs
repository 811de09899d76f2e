//! Generated usages: built into each provider's body from disjoint buckets, and read back.

use super::*;

/// Counts that no sum of takes past what a usage may hold.
fn tokens() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1_u64..1000, 0_u64..(1 << 40)]
}

prop_compose! {
    /// Cache reads with audio and images, writes of both lifetimes, input and output of three modalities, reasoning.
    fn counts()(n in prop::array::uniform12(tokens())) -> [u64; 12] {
        n
    }
}

fn read(body: &Value, provider: &str) -> Result<Usage, TestCaseError> {
    for answer in [by(provider, body), alone(body)] {
        prop_assert_eq!(answer.status, Status::Ok, "{:?} {}", answer.problem, body);
        prop_assert_eq!(answer.calls.len(), 1);
    }
    Ok(alone(body).calls[0].usage)
}

proptest! {
    #[test]
    fn openai(n in counts(), responses: bool) {
        let [text, cached, cached_audio, cached_image, written, audio, image, output, reasoning, spoken, drawn, _] = n;
        let input = text + cached + cached_audio + cached_image + written + audio + image;
        let whole = output + reasoning + spoken + drawn;
        let inside = json!({"cached_tokens": cached + cached_audio + cached_image, "cache_write_tokens": written,
            "audio_tokens": audio + cached_audio, "image_tokens": image + cached_image,
            "cached_tokens_details": {"audio_tokens": cached_audio, "image_tokens": cached_image}});
        let outside = json!({"reasoning_tokens": reasoning, "audio_tokens": spoken, "image_tokens": drawn});
        let body = if responses {
            json!({"object": "response", "usage": {"input_tokens": input, "input_tokens_details": inside,
                "output_tokens": whole, "output_tokens_details": outside, "total_tokens": input + whole}})
        } else {
            json!({"object": "chat.completion", "usage": {"prompt_tokens": input, "prompt_tokens_details": inside,
                "completion_tokens": whole, "completion_tokens_details": outside, "total_tokens": input + whole}})
        };
        let want = [(Bucket::Input, text), (Bucket::CacheRead, cached), (Bucket::CacheReadAudio, cached_audio),
            (Bucket::CacheReadImage, cached_image), (Bucket::CacheWrite5m, written), (Bucket::InputAudio, audio),
            (Bucket::InputImage, image), (Bucket::Output, output), (Bucket::Reasoning, reasoning),
            (Bucket::OutputAudio, spoken), (Bucket::OutputImage, drawn)];
        let found = read(&body, "openai")?;
        prop_assert_eq!(found, usage(&want));
        prop_assert_eq!(found.tokens(), input + whole);
    }

    #[test]
    fn anthropic(n in counts(), split: bool) {
        let [text, cached, short, long, output, thinking, ..] = n;
        let split = if split {
            json!({"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long})
        } else {
            json!({"ephemeral_1h_input_tokens": long})
        };
        let body = json!({"type": "message", "role": "assistant", "usage": {"input_tokens": text,
            "cache_read_input_tokens": cached, "cache_creation_input_tokens": short + long, "cache_creation": split,
            "output_tokens": output + thinking, "output_tokens_details": {"thinking_tokens": thinking}}});
        let want = [(Bucket::Input, text), (Bucket::CacheRead, cached), (Bucket::CacheWrite5m, short),
            (Bucket::CacheWrite1h, long), (Bucket::Output, output), (Bucket::Reasoning, thinking)];
        prop_assert_eq!(read(&body, "anthropic")?, usage(&want));
    }

    #[test]
    fn google(n in counts(), live: bool) {
        let [text, cached, cached_audio, cached_image, tool, audio, image, output, thoughts, spoken, drawn, _] = n;
        let input = text + cached + cached_audio + cached_image + audio + image;
        let whole = output + spoken + drawn;
        let parts = |audio: u64, image: u64| json!([{"modality": "AUDIO", "tokenCount": audio},
            {"modality": "VIDEO", "tokenCount": image}]);
        let (counted, details) = if live {
            ("responseTokenCount", "responseTokensDetails")
        } else {
            ("candidatesTokenCount", "candidatesTokensDetails")
        };
        let mut metadata = json!({"promptTokenCount": input, "toolUsePromptTokenCount": tool,
            "cachedContentTokenCount": cached + cached_audio + cached_image, "thoughtsTokenCount": thoughts,
            "promptTokensDetails": parts(audio + cached_audio, image + cached_image),
            "cacheTokensDetails": parts(cached_audio, cached_image),
            "totalTokenCount": input + tool + whole + if live { 0 } else { thoughts }});
        metadata[counted] = whole.into();
        metadata[details] = parts(spoken, drawn);
        let want = [(Bucket::Input, text + tool), (Bucket::CacheRead, cached), (Bucket::CacheReadAudio, cached_audio),
            (Bucket::CacheReadImage, cached_image), (Bucket::InputAudio, audio), (Bucket::InputImage, image),
            (Bucket::Output, output), (Bucket::Reasoning, thoughts), (Bucket::OutputAudio, spoken),
            (Bucket::OutputImage, drawn)];
        prop_assert_eq!(read(&json!({"usageMetadata": metadata}), "google")?, usage(&want));
    }

    #[test]
    fn bedrock(n in counts()) {
        let [text, cached, short, long, output, ..] = n;
        let body = json!({"usage": {"inputTokens": text, "cacheReadInputTokens": cached,
            "cacheWriteInputTokens": short + long, "outputTokens": output,
            "cacheDetails": [{"ttl": "1h", "inputTokens": long}, {"ttl": "5m", "inputTokens": short}],
            "totalTokens": text + cached + short + long + output}});
        let want = [(Bucket::Input, text), (Bucket::CacheRead, cached), (Bucket::CacheWrite5m, short),
            (Bucket::CacheWrite1h, long), (Bucket::Output, output)];
        prop_assert_eq!(read(&body, "bedrock")?, usage(&want));
    }

    #[test]
    fn xai(n in counts(), grpc: bool) {
        let [text, cached, image, output, reasoning, ..] = n;
        // A cached image is not told apart, so none is cached here.
        let input = text + cached + image;
        let total = input + output + reasoning;
        let body = if grpc {
            json!({"usage": {"prompt_tokens": input, "prompt_text_tokens": text + cached, "prompt_image_tokens": image,
                "cached_prompt_text_tokens": cached, "completion_tokens": output, "reasoning_tokens": reasoning,
                "total_tokens": total}})
        } else {
            json!({"object": "chat.completion", "usage": {"prompt_tokens": input, "completion_tokens": output,
                "total_tokens": total, "num_sources_used": 0, "prompt_tokens_details": {"cached_tokens": cached,
                "image_tokens": image}, "completion_tokens_details": {"reasoning_tokens": reasoning}}})
        };
        let want = [(Bucket::Input, text), (Bucket::CacheRead, cached), (Bucket::InputImage, image),
            (Bucket::Output, output), (Bucket::Reasoning, reasoning)];
        prop_assert_eq!(read(&body, "xai")?, usage(&want));
    }

    #[test]
    fn whatever_a_usage_says_is_counted_or_refused(
        names in prop::collection::vec(0..NAMES.len(), 0..8),
        counts in prop::collection::vec(prop_oneof![tokens(), Just(MAX_COUNT), any::<u64>()], 8),
        shape in 0..SHAPES.len(),
    ) {
        let (key, mut body) = (SHAPES[shape].0, serde_json::from_str::<Value>(SHAPES[shape].1).unwrap());
        body[key] = json!({});
        for (name, count) in names.iter().zip(&counts) {
            let mut place = &mut body[key];
            for step in NAMES[*name].split('.') {
                place = &mut place[step];
                if !place.is_object() {
                    *place = json!({});
                }
            }
            *place = json!(count);
        }
        let answer = alone(&body);
        prop_assert_eq!(answer.status == Status::Ok, !answer.calls.is_empty());
        for call in &answer.calls {
            prop_assert!(call.usage.cache_read_tokens() <= call.usage.input_tokens());
            prop_assert!(call.usage.get(Bucket::Reasoning) <= call.usage.output_tokens());
        }
    }
}

const SHAPES: [(&str, &str); 6] = [
    ("usage", r#"{"object":"chat.completion"}"#),
    ("usage", r#"{"object":"response"}"#),
    ("usage", r#"{"type":"message","role":"assistant"}"#),
    ("usageMetadata", r#"{"candidates":[]}"#),
    ("usage", r#"{"object":"interaction"}"#),
    ("usage", r#"{"stopReason":"x","output":{"message":{}}}"#),
];

const NAMES: [&str; 24] = [
    "prompt_tokens",
    "completion_tokens",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "prompt_tokens_details.cached_tokens",
    "prompt_tokens_details.audio_tokens",
    "input_tokens_details.cached_tokens",
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "citation_tokens",
    "prompt_audio_seconds",
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "cachedContentTokenCount",
    "totalTokenCount",
    "inputTokens",
    "outputTokens",
    "cacheWriteInputTokens",
    "total_input_tokens",
];
