//! What is wrong with a submission, as one problem that names each bad event.

use edge::limits::MAX_FAULTS;
use edge::{Code, Fault, Problem};

/// What is echoed of a name from outside.
pub(crate) fn cut(name: &str) -> String {
    name.chars().take(64).collect()
}

/// A submission of which nothing was accepted.
pub(crate) fn invalid(mut faults: Vec<Fault>) -> Problem {
    let more = faults.len().saturating_sub(MAX_FAULTS);
    let detail = match faults.first() {
        Some(Fault { index: Some(index), field, reason, .. }) => {
            format!("event {index}, `{field}` {reason}; nothing of the submission was accepted")
        }
        Some(Fault { field, reason, .. }) => format!("`{field}` {reason}; nothing was accepted"),
        None => "nothing was accepted".to_owned(),
    };
    let closed = !faults.is_empty() && faults.iter().all(|fault| fault.closed);
    faults.truncate(MAX_FAULTS);
    let detail = if more > 0 { format!("{detail}; {more} further faults are not listed") } else { detail };
    let code = if closed { Code::ClosedPeriod } else { Code::InvalidEvent };
    Problem { faults, ..Problem::new(code, detail) }
}

/// A failure that is ours.
pub(crate) fn internal(what: &str, error: &serde_json::Error) -> Problem {
    Problem::new(Code::Internal, format!("{what} cannot be encoded: {error}"))
}
