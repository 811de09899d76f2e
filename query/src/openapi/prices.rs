//! The operations about prices: how a cost was worked out, what others said of it, and other prices for it.

use edge::Code;
use serde_json::json;
use shared::id::{AgentId, EventId};
use shared::repricing::{RepricingAnswer, RepricingForm, RepricingList};

use super::Schemas;
use super::paths::{CHANGE, Operation, Param, filters, list, ok};
use crate::{DifferenceReport, Explanation};

pub(super) fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let mut explain =
        list::<Explanation>("/v1/explain", "explain", "How the cost of one call was worked out", schemas);
    explain.params = vec![
        Param::query("agent", "Whose call.", schemas.of::<AgentId>()).required(),
        Param::query("event", "The id of the call.", schemas.of::<EventId>()).required(),
    ];
    explain.codes.push(Code::NoSuchEvent);
    let mut differences = list::<DifferenceReport>(
        "/v1/differences",
        "differences",
        "What providers said that calls cost, beside what the price book says",
        schemas,
    );
    differences.params = filters(schemas);
    differences.params.retain(|param| !matches!(param.name, "limit" | "next"));
    differences.codes.extend([Code::TooManyRows, Code::Overflow, Code::TeamNotAllowed]);
    let repricings =
        list::<RepricingList>("/v1/repricings", "repricings", "Repricings that were applied", schemas);
    let form =
        json!({"required": true, "content": {"application/json": {"schema": schemas.of::<RepricingForm>()}}});
    let more = [Code::InvalidRepricing, Code::RepricingClosed, Code::NoSuchRepricing, Code::Overflow];
    let reprice = Operation {
        path: "/v1/admin/reprice".to_owned(),
        method: "post",
        id: "reprice",
        summary: "One step of a repricing: looks at what would change, or applies it",
        params: Vec::new(),
        body: Some(form),
        answer: ok(&schemas.of::<RepricingAnswer>()),
        codes: [&CHANGE[..], &more].concat(),
    };
    vec![explain, differences, repricings, reprice]
}
