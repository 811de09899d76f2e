//! Every limit that a sender or a reader can meet, in one place: `GET /v1/limits` shows this list, and a test
//! holds `docs/limits.md` to it.

use schemars::JsonSchema;
use serde::Serialize;
use shared::{event, extract, id, sequence, usage};

use crate::Code;

/// The largest request body, in bytes, as sent and when inflated.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// The most events of one submission.
pub const MAX_EVENTS: usize = 500;
/// The most faults that one answer names.
pub const MAX_FAULTS: usize = 20;
/// The most rows of one page.
pub const MAX_PAGE_ROWS: usize = 10_000;
/// The most rows of one report.
pub const MAX_REPORT_ROWS: usize = 200_000;
/// The most agents named in one question: each is a read of its own.
pub const MAX_AGENTS_ASKED: usize = 100;
/// How deep JSON may be nested; the parser's own bound.
pub const MAX_JSON_DEPTH: usize = 127;

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Limit {
    /// Its name, stable.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
    /// What is counted.
    pub unit: &'static str,
    /// Of what.
    pub about: &'static str,
    /// The code of the answer past it; none where the connection ends instead.
    #[serde(serialize_with = "code_name")]
    #[schemars(with = "Option<String>")]
    pub code: Option<Code>,
}

#[expect(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to the field"
)]
fn code_name<S: serde::Serializer>(code: &Option<Code>, serializer: S) -> Result<S::Ok, S::Error> {
    code.map(Code::name).serialize(serializer)
}

/// What every host has in common.
pub fn common() -> Vec<Limit> {
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let event = Some(Code::InvalidEvent);
    let asked = Some(Code::BadParameter);
    let limit = |name, value, unit, about, code| Limit { name, value, unit, about, code };
    vec![
        limit(
            "body_bytes",
            wide(MAX_BODY_BYTES),
            "bytes",
            "a request body, as sent and when inflated",
            Some(Code::BodyTooLarge),
        ),
        limit(
            "submission_events",
            wide(MAX_EVENTS),
            "events",
            "events of one submission",
            Some(Code::TooManyEvents),
        ),
        limit("json_depth", wide(MAX_JSON_DEPTH), "levels", "nesting of JSON", Some(Code::InvalidJson)),
        limit("event_bytes", wide(event::MAX_EVENT_BYTES), "bytes", "an event in its stored form", event),
        limit(
            "id_length",
            wide(id::MAX_ID_LEN),
            "visible ASCII characters",
            "agent, task, session, team, provider and sender; own ids and keys hold no # besides",
            event,
        ),
        limit("model_length", wide(id::MAX_MODEL_LEN), "visible ASCII characters", "a model's name", event),
        limit("count", usage::MAX_COUNT, "tokens or units", "one count of an event", event),
        limit("sequence", sequence::MAX_SEQUENCE, "", "the number in x-sequence", event),
        limit("tags", wide(event::MAX_TAGS), "tags", "tags of an event", event),
        limit("tag_value_bytes", wide(event::MAX_TAG_VALUE), "bytes", "the value of a tag", event),
        limit(
            "ahead_seconds",
            event::MAX_AHEAD.as_secs().unsigned_abs(),
            "seconds",
            "how far an event's time may be ahead of the server's",
            event,
        ),
        limit(
            "response_models",
            wide(extract::MAX_MODELS + 1),
            "models",
            "models that take part in one response",
            event,
        ),
        limit(
            "faults",
            wide(MAX_FAULTS),
            "faults",
            "faults that an answer names; it counts the others",
            None,
        ),
        limit("page_rows", wide(MAX_PAGE_ROWS), "rows", "rows of one page", asked),
        limit(
            "report_rows",
            wide(MAX_REPORT_ROWS),
            "rows",
            "rows of a report over all its pages",
            Some(Code::TooManyRows),
        ),
        limit("agents_asked", wide(MAX_AGENTS_ASKED), "agents", "agents named in one question", asked),
    ]
}

/// The answer of `GET /v1/limits`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LimitReport {
    /// By name.
    pub limits: Vec<Limit>,
    /// None: there is one page.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_each_limit_as_it_is() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/limits.md");
        let page = std::fs::read_to_string(path).unwrap();
        for limit in common() {
            let code = limit.code.map_or_else(String::new, |code| format!("[`{code}`](errors/{code}.md)"));
            let Limit { name, value, unit, about, .. } = limit;
            let row = format!("| `{name}` | {value} {unit} | {about} | {code} |").replace("  ", " ");
            assert!(page.contains(&row), "docs/limits.md lacks: {row}");
        }
    }
}
