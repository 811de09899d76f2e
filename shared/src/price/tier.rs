//! Names of processing tiers, as providers spell them.

/// The tier that no price list names.
pub(super) const STANDARD: &str = "";

/// What providers call their tiers, and the book's name for each. What is not here has no price: it may be
/// prepaid (`provisioned`, `scale`, `reserved`) or something new, and the standard price would be a guess. Google's
/// provisioned throughput is prepaid, too; both libraries that we compare with value its tokens at the standard price,
/// and so do we: it says what they are worth, and the invoice has the commitment instead.
///
/// Sources: <https://platform.openai.com/docs/guides/flex-processing>,
/// <https://platform.openai.com/docs/guides/priority-processing>, <https://docs.claude.com/en/api/service-tiers>,
/// <https://console.groq.com/docs/service-tiers>,
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html>,
/// <https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse#TrafficType>.
const NAMES: [(&str, &str); 20] = [
    ("", STANDARD),
    ("default", STANDARD),
    ("standard", STANDARD),
    ("auto", STANDARD),
    ("on_demand", STANDARD),
    ("on-demand", STANDARD),
    ("standard_only", STANDARD),
    ("traffic_type_unspecified", STANDARD),
    ("service_tier_default", STANDARD),
    ("provisioned_throughput", STANDARD),
    ("batch", "batch"),
    ("batches", "batch"),
    ("flex", "flex"),
    ("on_demand_flex", "flex"),
    ("service_tier_flex", "flex"),
    ("priority", "priority"),
    ("on_demand_priority", "priority"),
    ("service_tier_priority", "priority"),
    ("fast", "fast"),
    ("ultrafast", "ultrafast"),
];

/// The book's name of a tier, whatever its case; none if it is none that a provider documents.
pub(super) fn canonical(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, tier)| *tier)
}

/// Whether a provider's name of a tier means its standard one.
pub fn is_standard(name: &str) -> bool {
    canonical(name) == Some(STANDARD)
}

/// [`canonical`] at one provider. `OpenRouter` hands on what its upstream called the capacity that it used, and bills
/// the same for it: its stated costs of such calls are those of the standard price.
pub(super) fn at(provider: &str, name: &str) -> Option<&'static str> {
    canonical(name).or((provider == "openrouter").then_some(STANDARD))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_known_in_any_case_and_an_unknown_one_is_not_the_standard_one() {
        assert_eq!(canonical("ON_DEMAND"), Some(STANDARD));
        assert_eq!(canonical("Flex"), Some("flex"));
        for unknown in ["provisioned", "scale", "reserved", "batchy"] {
            assert_eq!(at("openai", unknown), None, "{unknown}");
        }
        assert_eq!(at("openrouter", "provisioned"), Some(STANDARD));
    }
}
