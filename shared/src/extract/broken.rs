//! Why a document of a response, or its frame, cannot be believed.

/// Why a document is left out. Nothing of a broken document is ever handed on: half of it would be a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// No JSON.
    #[error("it is no JSON")]
    Syntax,
    /// A number that is none in JSON.
    #[error("a number is none in JSON")]
    Number,
    /// A string with a bad escape, a bare control character, or no UTF-8.
    #[error("a string is no JSON string of UTF-8")]
    Text,
    /// A member that is kept stands in its object twice.
    #[error("a member that counts stands there twice")]
    Repeated,
    /// There is more to keep of it than [`MAX_KEPT`](super::keep::MAX_KEPT).
    #[error("there is more in it to keep than a response has")]
    TooMuch,
    /// What is kept nests deeper than [`MAX_DEPTH`](super::keep::MAX_DEPTH).
    #[error("it nests too deep")]
    TooDeep,
    /// A frame holds more documents than one.
    #[error("a frame holds more than one document")]
    Several,
    /// A frame's lengths or headers contradict each other.
    #[error("a frame contradicts itself")]
    Frame,
    /// A frame is not what was sent.
    #[error("a frame's checksum is wrong")]
    Checksum,
    /// A frame's content is no base64.
    #[error("a frame's content is no base64")]
    Base64,
}
