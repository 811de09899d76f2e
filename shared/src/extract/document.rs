//! One JSON document of a response: the whole body, or one event of a stream.

use serde_json::Value;

/// What is kept of one document ([`super::keep`]).
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// The name that its frame gave it: `event:` of SSE; `:event-type`, `:exception-type` or `:error-code` of an
    /// AWS event stream.
    pub event: Option<&'a str>,
    /// Whether its frame says that the call failed: a frame of an AWS event stream that is an exception or an
    /// error.
    pub exception: bool,
    /// What is kept of it; null where its frame has none.
    pub value: &'a Value,
}
