//! What is wrong with a submission, as one problem that names each bad event.

use edge::{Code, Fault, Problem};

/// What is echoed of a name from outside.
pub(crate) fn cut(name: &str) -> String {
    name.chars().take(64).collect()
}

/// A submission of which nothing was accepted.
pub(crate) fn invalid(faults: Vec<Fault>) -> Problem {
    let closed = !faults.is_empty() && faults.iter().all(|fault| fault.closed);
    Problem::of_faults(if closed { Code::ClosedPeriod } else { Code::InvalidEvent }, faults)
}

/// A failure that is ours.
pub(crate) fn internal(what: &str, error: &serde_json::Error) -> Problem {
    Problem::new(Code::Internal, format!("{what} cannot be encoded: {error}"))
}
