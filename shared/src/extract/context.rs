//! What is known of a response besides its body: the provider, the endpoint, the model asked for, the headers.

use percent_encoding::percent_decode_str;

use super::Hints;
use crate::id::{ModelId, ProviderId};
use crate::usage::{Bucket, MAX_COUNT, Usage};

/// The hints, as far as they say something.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    /// Who served it, as named or as its path tells.
    pub(super) provider: Option<ProviderId>,
    /// Whether anything says which endpoint it was.
    pub(super) hinted: bool,
    pub(super) path: String,
    pub(super) requested: Option<ModelId>,
    pub(super) status: Option<u16>,
    /// The tokens that the headers state ([`header_counts`]).
    pub(super) headers: Option<Usage>,
    pub(super) header_tier: Option<String>,
}

impl Context {
    pub(super) fn new(hints: &Hints<'_>) -> Self {
        let path = hints.path.unwrap_or_default().split(['?', '#']).next().unwrap_or_default().to_owned();
        let named = hints.provider.and_then(|name| ProviderId::parse(&name.to_ascii_lowercase()).ok());
        let provider = named.or_else(|| provider_of(&path).and_then(|name| ProviderId::parse(name).ok()));
        let asked = hints.model.map(str::to_owned).or_else(|| model_of(&path));
        let tier = hints.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-groq-service-tier"));
        Self {
            hinted: provider.is_some() || !path.is_empty(),
            provider,
            path,
            requested: asked.and_then(|model| ModelId::parse(&model).ok()),
            status: hints.status,
            headers: header_counts(hints.headers),
            header_tier: tier.map(|(_, value)| (*value).to_owned()),
        }
    }

    pub(super) fn provider(&self) -> &str {
        self.provider.as_ref().map_or("", ProviderId::as_str)
    }

    pub(super) fn path_has(&self, part: &str) -> bool {
        self.path.contains(part)
    }
}

/// Whose path it is, where only one provider has such paths.
fn provider_of(path: &str) -> Option<&'static str> {
    let known = [
        ("/openai/deployments/", "azure"),
        ("/publishers/", "vertex"),
        ("/v1beta/models/", "google"),
        ("/v1beta/interactions", "google"),
        ("/inference-profile/", "bedrock"),
        ("/api/v1/chat/completions", "openrouter"),
        ("/cortex/", "snowflake"),
        ("/compatible-mode/", "alibaba"),
        ("/api/paas/", "zai"),
        ("/api/coding/paas/", "zai"),
        ("/ml/v1", "watsonx"),
        ("/xai_api.", "xai"),
        ("/v1/messages", "anthropic"),
        ("/v1/complete", "anthropic"),
        ("/v2/chat", "cohere"),
        ("/v2/embed", "cohere"),
        ("/v2/rerank", "cohere"),
        ("/api/generate", "ollama"),
        ("/api/chat", "ollama"),
        ("/api/embed", "ollama"),
        ("/v1/predictions", "replicate"),
    ];
    if path.starts_with("/model/") && path.contains("/converse") || path.contains("/invoke") {
        return Some("bedrock");
    }
    // `/v1/complete` begins `/v1/completions`, whose provider is anyone.
    let of = |part: &str| match part {
        "/v1/complete" | "/api/chat" => path.ends_with(part),
        _ => path.contains(part),
    };
    known.iter().find(|(part, _)| of(part)).map(|(_, provider)| *provider)
}

/// The model that a path names: Gemini's `/models/M:method`, Bedrock's `/model/M/converse`, Azure's
/// `/deployments/D/…`.
fn model_of(path: &str) -> Option<String> {
    let after = |part: &str| path.split_once(part).map(|(_, rest)| rest);
    let raw = if let Some(rest) = after("/deployments/") {
        rest.split('/').next()
    } else if let Some(rest) = after("/models/") {
        rest.rsplit_once(':').map(|(model, _)| model)
    } else if let Some(rest) = path.strip_prefix("/model/") {
        rest.rsplit_once('/').map(|(model, _)| model)
    } else {
        None
    }?;
    let decoded = percent_decode_str(raw).decode_utf8().ok()?;
    (!decoded.is_empty() && !decoded.contains(['{', '}'])).then(|| decoded.into_owned())
}

/// What Bedrock's headers of `InvokeModel` count: `x-amzn-bedrock-*-token-count`. The cached tokens stand beside
/// the input, as in Converse.
/// Source: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html>.
fn header_counts(headers: &[(&str, &str)]) -> Option<Usage> {
    let known = [
        ("input", Bucket::Input),
        ("output", Bucket::Output),
        ("cache-read-input", Bucket::CacheRead),
        ("cache-write-input", Bucket::CacheWrite5m),
    ];
    let count = |(name, value): &(&str, &str)| {
        let name = name.to_ascii_lowercase();
        let what = name.strip_prefix("x-amzn-bedrock-")?.strip_suffix("-token-count")?;
        let bucket = known.iter().find(|(known, _)| *known == what)?.1;
        let count = value.trim().parse::<u64>().ok().filter(|count| *count <= MAX_COUNT)?;
        Some((bucket, count))
    };
    let counts: Vec<_> = headers.iter().filter_map(count).collect();
    if counts.is_empty() { None } else { Usage::new(counts).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_providers_and_models() {
        for (path, provider, model) in [
            ("/v1/chat/completions", "", None),
            ("/openai/deployments/my-gpt/chat/completions?api-version=1", "azure", Some("my-gpt")),
            (
                "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
                "google",
                Some("gemini-2.5-flash"),
            ),
            ("/v1/projects/P/locations/l/publishers/google/models/m:generateContent", "vertex", Some("m")),
            (
                "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/converse",
                "bedrock",
                Some("us.anthropic.claude-haiku-4-5-20251001-v1:0"),
            ),
            ("/v1/complete", "anthropic", None),
            ("/v1/completions", "", None),
        ] {
            let context = Context::new(&Hints { path: Some(path), ..Hints::default() });
            assert_eq!(context.provider(), provider, "{path}");
            assert_eq!(context.requested.as_ref().map(ModelId::as_str), model, "{path}");
        }
    }
}
