//! What of a response is kept for the families: names, and the subtrees that hold usage.

use super::keep::Keep::{self, All, Members, Presence, Scalar};

type Tree = &'static [(&'static str, Keep)];

const CHOICE: Tree = &[("finish_reason", Scalar), ("text", Presence), ("usage", All)];

const CANDIDATE: Tree =
    &[("finishReason", Scalar), ("groundingMetadata", Members(&[("webSearchQueries", All)]))];

/// An item of what a response holds: which tool of the provider's was called.
const ITEM: Tree = &[("type", Scalar), ("action", Members(&[("type", Scalar)])), ("message", Presence)];

const BILLED: Tree = &[("billed_units", All), ("tokens", All)];

/// An Anthropic message, inside of an event or a line of a batch.
const MESSAGE: Tree = &[("model", Scalar), ("role", Scalar), ("type", Scalar), ("usage", All)];

/// An element of what embedding, image and reranking endpoints answer.
const DATUM: Tree =
    &[("b64_json", Presence), ("embedding", Presence), ("relevance_score", Presence), ("url", Presence)];

/// A whole response, inside of an event or a line of a batch.
const INNER: Tree = &[
    ("candidates", Members(CANDIDATE)),
    ("choices", Members(CHOICE)),
    ("data", Members(DATUM)),
    ("error", Presence),
    ("meta", Members(BILLED)),
    ("model", Scalar),
    ("modelVersion", Scalar),
    ("object", Scalar),
    ("output", Members(ITEM)),
    ("role", Scalar),
    ("service_tier", Scalar),
    ("status", Scalar),
    ("stopReason", Scalar),
    ("stop_reason", Scalar),
    ("type", Scalar),
    ("usage", All),
    ("usageMetadata", All),
];

const RESPONSE: Tree = &[
    ("body", Members(INNER)),
    ("candidates", Members(CANDIDATE)),
    ("error", Presence),
    ("meta", Members(BILLED)),
    ("model", Scalar),
    ("modelVersion", Scalar),
    ("object", Scalar),
    ("output", Members(ITEM)),
    ("role", Scalar),
    ("service_tier", Scalar),
    ("status", Scalar),
    ("status_code", Scalar),
    ("type", Scalar),
    ("usage", All),
    ("usageMetadata", All),
];

/// What is kept of a document of any family.
pub(super) static KEEP: Keep = Members(&[
    ("Message", Presence),
    ("__type", Scalar),
    ("agent_id", Presence),
    ("amazon-bedrock-invocationMetrics", All),
    ("candidates", Members(CANDIDATE)),
    ("choices", Members(CHOICE)),
    ("citations", Presence),
    ("completion", Presence),
    ("contentBlockDelta", Presence),
    ("custom_id", Scalar),
    ("data", Members(DATUM)),
    ("delta", Members(&[("usage", All)])),
    ("detail", Presence),
    ("done", Scalar),
    ("embedding", Members(&[("values", Presence)])),
    ("embeddings", Members(&[("values", Presence)])),
    ("error", Presence),
    ("errors", Presence),
    ("eval_count", Scalar),
    ("event_type", Scalar),
    ("generation_token_count", Scalar),
    ("inputTextTokenCount", Scalar),
    (
        "interaction",
        Members(&[
            ("model", Scalar),
            ("object", Scalar),
            ("service_tier", Scalar),
            ("status", Scalar),
            ("usage", All),
        ]),
    ),
    ("key", Scalar),
    ("message", Members(MESSAGE)),
    ("messageStart", Presence),
    ("messageStop", Presence),
    ("meta", Members(BILLED)),
    ("metadata", Members(&[("usage", All)])),
    (
        "metrics",
        Members(&[("input_token_count", Scalar), ("output_token_count", Scalar), ("predict_time", Scalar)]),
    ),
    ("model", Scalar),
    ("modelOutput", Members(INNER)),
    ("modelVersion", Scalar),
    ("model_id", Scalar),
    ("object", Scalar),
    ("output", Members(ITEM)),
    ("outputText", Presence),
    ("outputs", Presence),
    ("pages", Presence),
    (
        "predictions",
        Members(&[("embeddings", Members(&[("statistics", Members(&[("token_count", Scalar)]))]))]),
    ),
    ("promptFeedback", Presence),
    ("prompt_eval_count", Scalar),
    ("prompt_filter_results", Presence),
    ("prompt_token_count", Scalar),
    ("provider", Scalar),
    ("recordId", Scalar),
    ("request", Presence),
    ("response", Members(RESPONSE)),
    ("result", Members(&[("error", Presence), ("message", Members(MESSAGE)), ("type", Scalar)])),
    (
        "results",
        Members(&[
            ("generated_token_count", Scalar),
            ("input_token_count", Scalar),
            ("relevance_score", Presence),
            ("tokenCount", Scalar),
        ]),
    ),
    ("role", Scalar),
    ("search_results", Presence),
    ("serverContent", Presence),
    ("serviceTier", All),
    ("service_tier", Scalar),
    ("setupComplete", Presence),
    ("status", Scalar),
    ("status_code", Scalar),
    ("stopReason", Scalar),
    ("stop_reason", Scalar),
    ("timings", Presence),
    ("toolCall", Presence),
    ("type", Scalar),
    ("urls", Presence),
    ("usage", All),
    ("usageMetadata", All),
    ("usage_info", All),
    ("usage_metadata", All),
    ("version", Scalar),
    ("x_groq", Members(&[("usage", All)])),
]);
