//! One JSON document of a response: the whole body, or one event of a stream.

use serde_json::Value;

/// What is kept of one document ([`super::keep`]).
#[derive(Clone, Copy, Debug)]
pub(super) struct Document<'a> {
    /// The name that its frame gave it: `event:` of SSE, `:event-type` of an AWS event stream.
    pub(super) event: Option<&'a str>,
    /// What is kept of it.
    pub(super) value: &'a Value,
}
