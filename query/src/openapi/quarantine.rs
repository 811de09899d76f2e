//! The operations about what was put aside: shown, tried again, removed.

use edge::Code;
use serde_json::{Value, json};
use shared::ledger::Quarantined;
use shared::quarantine::{RetryAnswer, RetryForm};

use super::Schemas;
use super::paths::{CHANGE, Operation, Param, list, ok};

pub(super) fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let id =
        || vec![Param::path("id", "Its id, percent-encoded.", json!({"type": "string", "minLength": 1}))];
    let mut show =
        list::<Quarantined>("/v1/quarantine/{id}", "quarantined", "Something that was put aside", schemas);
    show.params = id();
    show.codes.push(Code::NoSuchQuarantined);
    let form =
        json!({"required": false, "content": {"application/json": {"schema": schemas.of::<RetryForm>()}}});
    let change =
        |path: &str, method, id, summary, params, body: Option<Value>, answer, more: &[Code]| Operation {
            path: path.to_owned(),
            method,
            id,
            summary,
            params,
            body,
            answer,
            codes: [&CHANGE[..], &[Code::NoSuchQuarantined], more].concat(),
        };
    let removed =
        ok(&json!({"type": "object", "properties": {"removed": {"const": true}}, "required": ["removed"]}));
    let retry = change(
        "/v1/admin/quarantine/{id}/retry",
        "post",
        "retry_quarantined",
        "Tries something again that was put aside; what is counted leaves the quarantine",
        id(),
        Some(form),
        ok(&schemas.of::<RetryAnswer>()),
        &[Code::InvalidRedrive],
    );
    let purge = change(
        "/v1/admin/quarantine/{id}",
        "delete",
        "purge_quarantined",
        "Removes something that was put aside, uncounted",
        id(),
        None,
        removed,
        &[],
    );
    vec![show, retry, purge]
}
