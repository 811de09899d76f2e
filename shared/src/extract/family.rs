//! What each provider family says of itself, and what was gathered of a response so far.

use serde_json::Value;

use super::context::Context;
use super::document::Document;
use super::read::text;
use super::{ExtractError, Stated, Usage, Usd};

/// One family of response shapes. Without state: what it gathers is a [`Seen`].
pub(super) trait Family: Sync {
    /// The shape's name.
    fn shape(&self) -> &'static str;

    /// Whose shape it is.
    fn provider(&self) -> &'static str;

    /// What such a call does, in the words of OpenTelemetry's `gen_ai.operation.name`.
    fn operation(&self) -> &'static str {
        "chat"
    }

    /// Whether a document is of this family. Exact: what two families could claim is left to the hints.
    fn claims(&self, document: &Document<'_>, context: &Context) -> bool;

    /// Takes from a document what it says of usage, model and tier.
    fn gather(&self, seen: &mut Seen, document: &Document<'_>) {
        seen.latest(document.value, "usage");
        // A body that is one document is whole.
        seen.complete = true;
    }

    /// Whether each document with usage is a call of its own.
    fn each(&self) -> bool {
        false
    }

    /// Counts what was gathered, if there is usage in it ([`Seen::usage`] is not null).
    fn count(&self, seen: &Seen, context: &Context) -> Result<Counted, ExtractError>;
}

/// What was gathered of one response.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The provider's usage, as its last state is known; null if there is none.
    pub(super) usage: Value,
    pub(super) model: Option<String>,
    pub(super) tier: Option<String>,
    /// Whether what ends the response was there.
    pub(super) complete: bool,
    /// Web searches that are listed outside of the usage.
    pub(super) searches: u64,
    /// File searches that are listed outside of the usage.
    pub(super) file_searches: u64,
    /// The images that the response holds.
    pub(super) images: u64,
    /// Who serves such a body, as it tells itself.
    pub(super) signature: Option<&'static str>,
}

impl Seen {
    /// Takes an object's model, tier, and the usage under `name`; the latest that is there holds.
    pub(super) fn latest(&mut self, object: &Value, name: &str) {
        self.names(object);
        self.usage_of(&object[name]);
    }

    /// Takes a usage that says something.
    pub(super) fn usage_of(&mut self, usage: &Value) {
        if usage.as_object().is_some_and(|usage| !usage.is_empty()) {
            self.usage = usage.clone();
        }
    }

    /// Takes an object's model and tier.
    pub(super) fn names(&mut self, object: &Value) {
        for (slot, name) in [(&mut self.model, "model"), (&mut self.tier, "service_tier")] {
            if let Some(text) = text(object, name)
                && slot.as_deref() != Some(text)
            {
                *slot = Some(text.to_owned());
            }
        }
    }
}

/// What a response was counted as.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    pub(super) usage: Usage,
    /// What the provider says that it cost.
    pub(super) reported: Option<Usd>,
    /// A tier that the usage itself states.
    pub(super) tier: Option<String>,
    /// What other models used that took part, by name.
    pub(super) others: Vec<(String, Usage)>,
    /// What contradicts itself.
    pub(super) contradiction: Option<ExtractError>,
    pub(super) stated: Stated,
}

impl Counted {
    /// Notes a total that the parts do not add up to: the parts are what has prices.
    pub(super) fn check_total(mut self, total: Option<u64>) -> Self {
        if let Some(Err(error)) = total.map(|total| self.usage.check_total(total)) {
            self.contradiction.get_or_insert(error.into());
        }
        self
    }
}

impl From<Usage> for Counted {
    fn from(usage: Usage) -> Self {
        Self { usage, ..Self::default() }
    }
}
