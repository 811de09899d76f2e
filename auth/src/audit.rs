//! One line in the log for each administrative change, done or refused.

use http::Method;
use percent_encoding::percent_decode_str;
use shared::id::{BudgetName, TokenId};

use crate::access::Caller;

/// The longest id of something put aside that is named.
const MAX_QUARANTINE_ID: usize = 512;

/// Says who did what, on which object, and how it ended: `done`, or the code of the problem. Who is the id and
/// role of a token, `local` where there are none, `unknown` if the credentials did not hold.
pub fn audit(who: Option<&Caller>, method: &Method, object: &str, request_id: Option<&str>, outcome: &str) {
    let (who, role) = who.map_or(("unknown", "none"), Caller::names);
    let (action, request_id) = (method.as_str(), request_id.unwrap_or_default());
    tracing::info!(
        target: "agentledger::audit",
        who, role, action, object, request_id, outcome,
        "an administrative change"
    );
}

/// What an administrative path is about. A name that is none is left out: it could be anything, a token that
/// was pasted into the wrong place too.
pub fn object_of(path: &str) -> String {
    let name = |prefix: &str| {
        let rest = path.strip_prefix(prefix)?;
        Some(percent_decode_str(rest).decode_utf8().ok()?.into_owned())
    };
    if let Some(name) = name("/v1/admin/budgets/") {
        return BudgetName::parse(&name).map_or("budget".to_owned(), |name| format!("budget {name}"));
    }
    if let Some(jti) = name("/v1/admin/revocations/") {
        return TokenId::parse(&jti).map_or("revocation".to_owned(), |jti| format!("revocation {jti}"));
    }
    if let Some(id) = name("/v1/admin/quarantine/") {
        // An id is ours, with names of senders in it: these are visible ASCII.
        let id = id.strip_suffix("/retry").unwrap_or(&id);
        let is_one =
            (1..=MAX_QUARANTINE_ID).contains(&id.len()) && id.bytes().all(|b| (0x20..=0x7e).contains(&b));
        return if is_one { format!("quarantined {id}") } else { "quarantined".to_owned() };
    }
    if path == "/v1/admin/reprice" {
        return "repricing".to_owned();
    }
    if path == "/v1/admin/prices" {
        return "price book".to_owned();
    }
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_named_only_if_it_can_be_one() {
        for (path, object) in [
            ("/v1/admin/prices", "price book"),
            ("/v1/admin/budgets/growth", "budget growth"),
            ("/v1/admin/budgets/a%2Fb", "budget a/b"),
            ("/v1/admin/budgets/a%0Ab", "budget"),
            ("/v1/admin/revocations/0199", "revocation 0199"),
            (&format!("/v1/admin/revocations/{}", "x".repeat(65)), "revocation"),
            ("/v1/admin/reprice", "repricing"),
            ("/v1/admin/quarantine/unreadable%20s:1%20ff/retry", "quarantined unreadable s:1 ff"),
            ("/v1/admin/quarantine/unreadable%20s:1%20ff", "quarantined unreadable s:1 ff"),
            ("/v1/admin/quarantine/x%0Ay", "quarantined"),
            ("/v1/admin/else/x", "unknown"),
            ("/v1/spend", "unknown"),
        ] {
            assert_eq!(object_of(path), object, "{path}");
        }
    }
}
