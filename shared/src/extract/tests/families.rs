//! Each family's counting rule.

use super::*;
use crate::extract::Stated;

#[test]
fn openai_s_parts_are_inside_their_whole() {
    let body = json!({"object": "chat.completion", "model": "gpt-4o-mini-2024-07-18", "service_tier": "default",
        "usage": {"prompt_tokens": 1200, "completion_tokens": 300, "total_tokens": 1500,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 100},
            "completion_tokens_details": {"reasoning_tokens": 64}}});
    let answer = alone(&body);
    let want = [
        (Bucket::Input, 76),
        (Bucket::CacheRead, 1024),
        (Bucket::InputAudio, 100),
        (Bucket::Output, 236),
        (Bucket::Reasoning, 64),
    ];
    assert_eq!(only(&answer), usage(&want));
    let call = &answer.calls[0];
    assert_eq!(call.model.as_ref().unwrap().as_str(), "gpt-4o-mini-2024-07-18");
    assert_eq!((call.provider.as_str(), call.service_tier.as_deref()), ("openai", Some("default")));
    assert_eq!((answer.shape, call.operation), (Some("openai.chat"), Some("chat")));
}

#[test]
fn cache_writes_are_inside_the_input_too() {
    let body = json!({"object": "chat.completion", "usage": {"prompt_tokens": 4020, "completion_tokens": 4,
        "total_tokens": 4024, "prompt_tokens_details": {"cache_write_tokens": 4012, "cached_tokens": 0}}});
    assert_eq!(
        only(&alone(&body)),
        usage(&[(Bucket::Input, 8), (Bucket::CacheWrite5m, 4012), (Bucket::Output, 4)])
    );
}

#[test]
fn contradictions_are_said_and_what_has_a_price_counts() {
    let read = |usage: Value| by("openai", &json!({"object": "chat.completion", "usage": usage}));
    let above = read(json!({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}}));
    assert!(matches!(
        above.contradiction,
        Some(ExtractError::PartAboveWhole { part: "prompt_tokens_details", whole: "prompt_tokens" })
    ));
    assert_eq!(only(&above), usage(&[(Bucket::CacheRead, 5)]));
    assert_eq!(above.calls[0].stated, Stated { cache_read: Some(6), ..Stated::default() });
    let total = read(json!({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 7}));
    assert!(matches!(total.contradiction, Some(ExtractError::Usage(_))), "{total:?}");
    assert_eq!(only(&total), usage(&[(Bucket::Input, 5), (Bucket::Output, 1)]));
    let problem = |usage: Value| {
        let answer = read(usage);
        assert_eq!((answer.status, answer.calls.len()), (Status::NoUsage, 0));
        answer.problem
    };
    assert!(matches!(problem(json!({"prompt_tokens": 1.5})), Some(ExtractError::Count(_))));
    assert!(matches!(problem(json!({"prompt_tokens": -1})), Some(ExtractError::Count(_))));
    assert_eq!(problem(json!(null)), None);
}

#[test]
fn responses_count_the_searches_that_are_searches() {
    let item = |action: &str| json!({"type": "web_search_call", "action": {"type": action, "query": "x"}});
    let body = json!({"object": "response", "model": "o4-mini", "output": [item("search"), item("open_page"),
        {"type": "web_search_call"}, {"type": "file_search_call"}, {"type": "message", "content": "x"}],
        "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 17}});
    let want = [
        (Bucket::Input, 6),
        (Bucket::CacheRead, 4),
        (Bucket::Output, 2),
        (Bucket::Reasoning, 5),
        (Bucket::WebSearches, 2),
        (Bucket::FileSearches, 1),
    ];
    assert_eq!(only(&alone(&body)), usage(&want));
}

#[test]
fn realtime_says_of_what_modality_the_cached_tokens_are() {
    let body = json!({"type": "response.done", "response": {"object": "realtime.response", "usage": {
        "total_tokens": 200, "input_tokens": 150, "output_tokens": 50,
        "input_token_details": {"text_tokens": 60, "audio_tokens": 80, "image_tokens": 10, "cached_tokens": 90,
            "cached_tokens_details": {"text_tokens": 30, "audio_tokens": 55, "image_tokens": 5}},
        "output_token_details": {"text_tokens": 20, "audio_tokens": 30}}}});
    let want = [
        (Bucket::Input, 30),
        (Bucket::CacheRead, 30),
        (Bucket::CacheReadAudio, 55),
        (Bucket::CacheReadImage, 5),
        (Bucket::InputAudio, 25),
        (Bucket::InputImage, 5),
        (Bucket::Output, 20),
        (Bucket::OutputAudio, 30),
    ];
    assert_eq!(only(&alone(&body)), usage(&want));
}

#[test]
fn what_is_made_or_heard_has_units_of_its_own() {
    let image = json!({"created": 1, "data": [{"b64_json": "AAAA"}], "usage": {"input_tokens": 50,
        "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}, "output_tokens": 1000, "total_tokens": 1050}});
    let want = [(Bucket::Input, 10), (Bucket::InputImage, 40), (Bucket::OutputImage, 1000)];
    assert_eq!(only(&by("openai", &image)), usage(&want));
    let grok = json!({"data": [{"url": "https://example.com/1"}, {"url": "https://example.com/2"}],
        "usage": {"cost_in_usd_ticks": 400_000_000_u64}});
    let answer = by("xai", &grok);
    assert_eq!(only(&answer), usage(&[(Bucket::Images, 2)]));
    assert_eq!(answer.calls[0].reported_cost_usd.unwrap().to_string(), "0.04");
    let dall_e = json!({"created": 1, "data": [{"url": "https://example.com/1"}]});
    assert_eq!(alone(&dall_e).status, Status::NoUsage);
    let heard = json!({"text": "x", "usage": {"type": "duration", "seconds": 3.2}});
    assert_eq!(only(&alone(&heard)), usage(&[(Bucket::AudioSeconds, 4)]));
    let spoken = json!({"type": "speech.audio.done", "usage": {"input_tokens": 9, "output_tokens": 100,
        "total_tokens": 109}});
    assert_eq!(only(&alone(&spoken)), usage(&[(Bucket::Input, 9), (Bucket::OutputAudio, 100)]));
    let read = json!({"pages": [{}], "model": "mistral-ocr-latest", "usage_info": {"pages_processed": 3}});
    assert_eq!(only(&alone(&read)), usage(&[(Bucket::Pages, 3)]));
    let computed = json!({"version": "v", "urls": {"get": "x"}, "metrics": {"predict_time": 2.811_363}});
    assert_eq!(only(&alone(&computed)), usage(&[(Bucket::ComputeMs, 2812)]));
}

#[test]
fn anthropic_s_cache_tokens_are_beside_the_input() {
    let body = json!({"type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001",
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 500,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 300},
            "output_tokens": 50, "server_tool_use": {"web_search_requests": 2}, "service_tier": "standard"}});
    let want = [
        (Bucket::Input, 10),
        (Bucket::CacheRead, 2000),
        (Bucket::CacheWrite5m, 200),
        (Bucket::CacheWrite1h, 300),
        (Bucket::Output, 50),
        (Bucket::WebSearches, 2),
    ];
    assert_eq!(only(&alone(&body)), usage(&want));
}

#[test]
fn iterations_are_what_is_billed_each_to_its_model() {
    let iteration = |kind: &str, input: u64, output: u64| json!({"type": kind, "input_tokens": input, "output_tokens": output});
    let mut advice = iteration("advisor_message", 1000, 20);
    advice["model"] = json!("claude-opus-4-8");
    let iterations =
        [iteration("compaction", 55_000, 125), advice.clone(), iteration("message", 220, 8), advice];
    let body = json!({"type": "message", "role": "assistant", "model": "claude-sonnet-4-6",
        "usage": {"input_tokens": 220, "output_tokens": 8, "output_tokens_details": {"thinking_tokens": 3},
            "iterations": iterations}});
    let answer = alone(&body);
    let shown: Vec<_> = answer
        .calls
        .iter()
        .map(|f| (f.model.as_ref().unwrap().as_str(), f.usage.get(Bucket::Input), f.usage.tokens()))
        .collect();
    assert_eq!(shown, [("claude-sonnet-4-6", 55_220, 55_353), ("claude-opus-4-8", 2000, 2040)]);
    assert_eq!(answer.calls[0].usage.get(Bucket::Reasoning), 3);
}

#[test]
fn a_response_of_absurdly_many_models_is_refused() {
    let iterations: Vec<_> = (0..100).map(|n| json!({"model": format!("m{n}"), "input_tokens": 1})).collect();
    let body = json!({"type": "message", "role": "assistant",
        "usage": {"input_tokens": 1, "iterations": iterations}});
    assert!(matches!(alone(&body).problem, Some(ExtractError::TooManyModels { .. })));
}

#[test]
fn more_thinking_than_output_is_said() {
    let counts = json!({"output_tokens": 2, "output_tokens_details": {"thinking_tokens": 3}});
    let answer = alone(&json!({"type": "message", "role": "assistant", "usage": counts}));
    assert!(matches!(answer.contradiction, Some(ExtractError::PartAboveWhole { .. })), "{answer:?}");
    assert_eq!(only(&answer), usage(&[(Bucket::Reasoning, 2)]));
}

#[test]
fn google_s_thoughts_and_tool_prompts_are_beside() {
    let body = json!({"candidates": [{"finishReason": "STOP"}], "modelVersion": "gemini-2.5-flash", "usageMetadata": {
        "promptTokenCount": 3284, "candidatesTokenCount": 84, "thoughtsTokenCount": 38, "toolUsePromptTokenCount": 16,
        "totalTokenCount": 3422, "cachedContentTokenCount": 2917, "trafficType": "ON_DEMAND_FLEX",
        "cacheTokensDetails": [{"modality": "VIDEO", "tokenCount": 2570}, {"modality": "TEXT", "tokenCount": 62},
            {"modality": "AUDIO", "tokenCount": 285}],
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 70}, {"modality": "VIDEO", "tokenCount": 2893},
            {"modality": "AUDIO", "tokenCount": 321}]}});
    let want = [
        (Bucket::Input, 24),
        (Bucket::CacheRead, 62),
        (Bucket::CacheReadAudio, 285),
        (Bucket::CacheReadImage, 2570),
        (Bucket::InputAudio, 36),
        (Bucket::InputImage, 323),
        (Bucket::Output, 84),
        (Bucket::Reasoning, 38),
    ];
    // What the details leave out is text.
    let mut counted = want;
    counted[0].1 = 3284 + 16 - 2917 - 36 - 323;
    let answer = alone(&body);
    assert_eq!(only(&answer), usage(&counted));
    assert_eq!(answer.calls[0].service_tier.as_deref(), Some("flex"));
}

#[test]
fn grounding_is_billed_by_the_query_from_gemini_3_on() {
    let searched = |model: &str| {
        let body = json!({"modelVersion": model, "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1},
            "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "", "b"]}}]});
        only(&alone(&body)).get(Bucket::WebSearches)
    };
    assert_eq!((searched("gemini-3-flash-preview"), searched("gemini-2.5-pro")), (2, 1));
}

#[test]
fn live_leaves_thoughts_out_of_its_total() {
    let body = json!({"serverContent": {"turnComplete": true}, "usageMetadata": {"promptTokenCount": 417,
        "responseTokenCount": 74, "totalTokenCount": 491, "thoughtsTokenCount": 77,
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 74}]}});
    let want = [(Bucket::Input, 417), (Bucket::Reasoning, 77), (Bucket::OutputAudio, 74)];
    assert_eq!(only(&alone(&body)), usage(&want));
}

#[test]
fn interactions_name_them_totals() {
    let body = json!({"object": "interaction", "status": "completed", "model": "gemini-2.5-flash", "usage": {
        "total_tokens": 1373, "total_input_tokens": 22, "total_cached_tokens": 2, "total_output_tokens": 973,
        "total_tool_use_tokens": 129, "total_thought_tokens": 249,
        "input_tokens_by_modality": [{"modality": "text", "tokens": 22}]}});
    let want =
        [(Bucket::Input, 149), (Bucket::CacheRead, 2), (Bucket::Output, 973), (Bucket::Reasoning, 249)];
    assert_eq!(only(&alone(&body)), usage(&want));
}

#[test]
fn converse_splits_writes_by_lifetime() {
    let body = json!({"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 10, "outputTokens": 4, "totalTokens": 114, "cacheReadInputTokens": 40,
            "cacheWriteInputTokens": 60, "cacheDetails": [{"inputTokens": 50, "ttl": "1h"}]}});
    let want = [
        (Bucket::Input, 10),
        (Bucket::CacheRead, 40),
        (Bucket::CacheWrite5m, 10),
        (Bucket::CacheWrite1h, 50),
        (Bucket::Output, 4),
    ];
    let answer = alone(&body);
    assert_eq!(only(&answer), usage(&want));
    assert_eq!(answer.provider.unwrap().as_str(), "bedrock");
}

#[test]
fn bedrock_s_headers_count_where_a_body_does_not() {
    let headers = [("X-Amzn-Bedrock-Input-Token-Count", "10"), ("x-amzn-bedrock-output-token-count", "7")];
    let path = Some("/model/ai21.j2-mid-v1/invoke");
    let hints = Hints { path, headers: &headers, ..Hints::default() };
    let answer = extract_value(&json!({"id": 1, "completions": [{}]}), hints);
    assert_eq!(only(&answer), usage(&[(Bucket::Input, 10), (Bucket::Output, 7)]));
    assert_eq!(answer.model.as_ref().unwrap().as_str(), "ai21.j2-mid-v1");
    // A body that states them decides.
    let titan = json!({"inputTextTokenCount": 5, "results": [{"tokenCount": 6}]});
    assert_eq!(only(&extract_value(&titan, hints)), usage(&[(Bucket::Input, 5), (Bucket::Output, 6)]));
    let refused = extract_value(&json!({"message": "no"}), Hints { status: Some(400), ..hints });
    assert_eq!(refused.status, Status::ErrorResponse);
}

#[test]
fn cohere_bills_its_billed_units() {
    let chat = json!({"id": "x", "message": {"role": "assistant"}, "usage": {"cached_tokens": 480,
        "billed_units": {"input_tokens": 5.0, "output_tokens": 10}, "tokens": {"input_tokens": 607, "output_tokens": 13}}});
    assert_eq!(only(&alone(&chat)), usage(&[(Bucket::Input, 5), (Bucket::Output, 10)]));
    let rerank =
        json!({"results": [{"relevance_score": 0.9}], "meta": {"billed_units": {"search_units": 2}}});
    assert_eq!(only(&alone(&rerank)), usage(&[(Bucket::RerankSearches, 2)]));
    let embed = json!({"embeddings": {"float": []}, "meta": {"billed_units": {"images": 3}}});
    assert_eq!(only(&alone(&embed)), usage(&[(Bucket::Images, 3)]));
}

#[test]
fn the_total_tells_whether_reasoning_and_audio_are_beside() {
    let chat = |usage: Value| json!({"object": "chat.completion", "usage": usage});
    let grok = chat(
        json!({"prompt_tokens": 741, "completion_tokens": 15, "total_tokens": 866, "num_sources_used": 3,
        "prompt_tokens_details": {"cached_tokens": 640}, "completion_tokens_details": {"reasoning_tokens": 110},
        "cost_in_usd_ticks": 2_205_000}),
    );
    let answer = alone(&grok);
    let want =
        [(Bucket::Input, 101), (Bucket::CacheRead, 640), (Bucket::Output, 15), (Bucket::Reasoning, 110)];
    assert_eq!(only(&answer), usage(&want));
    assert_eq!(answer.calls[0].provider.as_str(), "xai");
    assert_eq!(answer.calls[0].reported_cost_usd.unwrap().to_string(), "0.0002205");
    let voxtral = chat(json!({"prompt_tokens": 9, "completion_tokens": 248, "total_tokens": 632,
        "prompt_audio_seconds": 3, "prompt_tokens_details": {"audio_tokens": 375}}));
    let want = [(Bucket::Input, 9), (Bucket::InputAudio, 375), (Bucket::Output, 248)];
    assert_eq!(only(&by("mistral", &voxtral)), usage(&want));
    let gateway =
        chat(json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, "cost": "7.02e-05",
        "market_cost": "7.02e-05", "completion_tokens_details": {"reasoning_tokens": 25}}));
    let answer = alone(&gateway);
    assert_eq!(only(&answer), usage(&[(Bucket::Input, 9), (Bucket::Output, 2), (Bucket::Reasoning, 25)]));
    assert_eq!(answer.calls[0].reported_cost_usd.unwrap().to_string(), "0.0000702");
}

#[test]
fn each_spells_the_cached_tokens_its_own_way() {
    let details = json!({"prompt_token_details": {"cached_tokens": 4}});
    for (provider, more) in [
        ("deepseek", json!({"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6})),
        ("together", json!({"cached_tokens": 4})),
        ("writer", details),
    ] {
        let mut counts = json!({"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13});
        counts.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = by(provider, &json!({"object": "chat.completion", "usage": counts}));
        assert_eq!(
            only(&answer),
            usage(&[(Bucket::Input, 6), (Bucket::CacheRead, 4), (Bucket::Output, 3)]),
            "{provider}"
        );
    }
}

#[test]
fn perplexity_charges_each_request_by_its_size_and_research_by_its_parts() {
    let sonar = json!({"object": "chat.completion", "usage": {"prompt_tokens": 8, "completion_tokens": 15,
        "total_tokens": 23, "search_context_size": "low", "cost": {"total_cost": 0.00502}}});
    let answer = alone(&sonar);
    let want = [(Bucket::Input, 8), (Bucket::Output, 15), (Bucket::WebSearchesLow, 1)];
    assert_eq!(only(&answer), usage(&want));
    assert_eq!(answer.calls[0].reported_cost_usd.unwrap().to_string(), "0.00502");
    let research = json!({"object": "chat.completion", "usage": {"prompt_tokens": 33, "completion_tokens": 7163,
        "total_tokens": 7196, "citation_tokens": 20016, "num_search_queries": 26, "reasoning_tokens": 122_067}});
    let want = [
        (Bucket::Input, 33 + 20016),
        (Bucket::Output, 7163),
        (Bucket::Reasoning, 122_067),
        (Bucket::WebSearches, 26),
    ];
    assert_eq!(only(&by("perplexity", &research)), usage(&want));
}

#[test]
fn a_lone_total_is_the_input_where_the_body_says_whose_it_is() {
    let counts = json!({"total_tokens": 18});
    let voyage =
        json!({"object": "list", "data": [{"embedding": [0.1]}], "model": "voyage-3", "usage": counts});
    assert_eq!(only(&alone(&voyage)), usage(&[(Bucket::Input, 18)]));
    assert_eq!(alone(&json!({"usage": counts})).status, Status::Unrecognised);
    assert_eq!(by("voyage", &json!({"usage": counts})).shape, None);
}

#[test]
fn events_of_our_own_are_claimed_by_no_family() {
    for body in [
        json!({"agent_id": "a", "object": "chat.completion", "usage": {"prompt_tokens": 1}}),
        json!({"usage": {"input": 5, "output": 2}, "choices": [], "request": {}, "response": {}}),
        json!({"usage": {"total_tokens": 7}, "model": "gpt-4o", "results": []}),
        json!({"type": "void", "corrects": "x", "detail": "y"}),
        json!({"type": "task_outcome", "task_id": "t", "outcome": "success"}),
        json!({}),
    ] {
        for answer in [alone(&body), by("openai", &body)] {
            assert_eq!((answer.shape, answer.calls.len()), (None, 0), "{body}");
            assert_ne!(answer.status, Status::ErrorResponse, "{body}");
        }
    }
}

#[test]
fn failures_are_no_zeros() {
    for body in [
        json!({"error": {"message": "no", "type": "invalid_request_error"}}),
        json!({"type": "error", "error": {"type": "overloaded_error"}}),
        json!({"message": "The provided model identifier is invalid."}),
        json!({"message": "m".repeat(5000), "id": "x"}),
        json!({"detail": [{"loc": ["body"], "msg": "field required"}]}),
        json!({"object": "error", "message": "no", "type": "invalid_model", "code": "1500"}),
        json!({"errors": [{"code": "x"}], "trace": "t", "status_code": 404}),
        json!({"error": "model not found"}),
    ] {
        assert_eq!(alone(&body).status, Status::ErrorResponse, "{body}");
        let hints = |status| Hints { provider: Some("openai"), status: Some(status), ..Hints::default() };
        assert_eq!(extract_value(&body, hints(429)).status, Status::ErrorResponse, "{body}");
        // A call that succeeded and says that it failed: what it used is unknown.
        assert_eq!(extract_value(&body, hints(200)).status, Status::NoUsage, "{body}");
    }
    assert_eq!(
        extract(b"<html>", Hints { status: Some(502), ..Hints::default() }).status,
        Status::ErrorResponse
    );
    assert_eq!(extract(b"", Hints::default()).status, Status::Unrecognised);
    let path = Hints { path: Some("/v1/completions"), ..Hints::default() };
    assert_eq!(extract(b"{\"value\":\"x\"}", path).status, Status::NoUsage);
    assert_eq!(extract(b"{\"value\":\"x\"}", Hints::default()).status, Status::Unrecognised);
}

#[test]
fn a_response_without_usage_is_unknown_whatever_its_shape() {
    for body in [
        json!({"object": "chat.completion", "choices": [{"finish_reason": "stop"}]}),
        json!({"object": "response", "status": "queued", "usage": null}),
        json!({"object": "thread.run", "usage": null}),
        json!({"type": "completion", "completion": "x", "model": "claude-2.1"}),
        json!({"embeddings": [{"values": [0.1]}]}),
        json!({"type": "message", "role": "assistant", "usage": {}}),
        json!({"usageMetadata": {"trafficType": "ON_DEMAND"}}),
    ] {
        assert_eq!(alone(&body).status, Status::NoUsage, "{body}");
    }
}

#[test]
fn each_round_is_billed_once_whether_its_model_is_named_or_not() {
    let body = |answered: &str, rounds: Value| {
        alone(&json!({"type": "message", "role": "assistant", "model": answered,
            "usage": {"input_tokens": 1000, "output_tokens": 100, "iterations": rounds}}))
    };
    let round = |kind: &str, model: &str, input: u64, output: u64| json!({"type": kind, "model": model, "input_tokens": input, "output_tokens": output});
    let own = usage(&[(Bucket::Input, 1000), (Bucket::Output, 100)]);
    assert_eq!(only(&body("a", json!([round("message", "a", 1000, 100)]))), own);
    assert_eq!(only(&body("a-20260101", json!([round("message", "a", 1000, 100)]))), own);
    let compacted = body("a", json!([round("compaction", "a", 5000, 9), round("message", "a", 1000, 100)]));
    assert_eq!(only(&compacted), usage(&[(Bucket::Input, 6000), (Bucket::Output, 109)]));
    let declined =
        body("b", json!([round("message", "a", 1000, 1), round("fallback_message", "b", 1000, 100)]));
    let shown: Vec<_> = declined
        .calls
        .iter()
        .map(|call| (call.model.as_ref().unwrap().as_str(), call.usage.tokens()))
        .collect();
    assert_eq!(shown, [("b", 1100), ("a", 1001)]);
}

#[test]
fn agents_of_mistral_are_no_grpc_of_xai() {
    let body = json!({"object": "conversation.response", "outputs": [{"type": "message.output"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 150, "connector_tokens": 30,
            "connectors": {"web_search": 1}}});
    let want = [(Bucket::Input, 130), (Bucket::Output, 20), (Bucket::WebSearches, 1)];
    assert_eq!(only(&by("mistral", &body)), usage(&want));
}

#[test]
fn results_of_batches_are_read_wherever_they_were_made() {
    let message = json!({"type": "message", "role": "assistant", "model": "claude-haiku-4-5",
        "usage": {"input_tokens": 10, "output_tokens": 5}});
    for (provider, line) in [
        ("vertex", json!({"custom_id": "1", "request": {}, "response": message, "status": ""})),
        ("bedrock", json!({"recordId": "1", "modelInput": {}, "modelOutput": message})),
    ] {
        let answer = by(provider, &line);
        assert_eq!(only(&answer), usage(&[(Bucket::Input, 10), (Bucket::Output, 5)]), "{provider}");
        assert_eq!(answer.calls[0].service_tier.as_deref(), Some("batch"), "{provider}");
    }
    // The batch itself sums up what its results state.
    let batch = json!({"object": "batch", "model": "gpt-5", "usage": {"input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 100, "total_tokens": 1100}});
    assert_eq!(by("openai", &batch).status, Status::NoUsage);
}

#[test]
fn a_name_that_is_no_id_loses_no_counts() {
    let body = json!({"object": "chat.completion", "model": "/models/My Model.gguf", "service_tier": "my tier",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}});
    let answer = by("llama-cpp", &body);
    assert_eq!(only(&answer), usage(&[(Bucket::Input, 1), (Bucket::Output, 2)]));
    assert_eq!(
        (&answer.calls[0].model, answer.calls[0].service_tier.as_deref()),
        (&None, Some("unreadable"))
    );
}

#[test]
fn a_list_of_embeddings_is_no_chat() {
    let body = json!({"object": "list", "data": [{"object": "embedding", "embedding": [0.1]}], "model": "m",
        "usage": {"prompt_tokens": 8, "total_tokens": 8}});
    assert_eq!(alone(&body).calls[0].operation, Some("embeddings"));
}

#[test]
fn a_region_is_kept_where_the_model_answers_without_it() {
    let body = json!({"type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001",
        "usage": {"input_tokens": 10, "output_tokens": 5}})
    .to_string();
    let asked = "global.anthropic.claude-haiku-4-5-20251001-v1:0";
    let path = format!("/model/{asked}/invoke");
    let answer = extract(body.as_bytes(), Hints { path: Some(&path), ..Hints::default() });
    assert_eq!(answer.calls[0].model.as_ref().unwrap().as_str(), asked);
}
