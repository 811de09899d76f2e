//! The operations: parameters, bodies, answers and the errors of each.

use auth::RevocationReport;
use edge::Code;
use edge::limits::{LimitReport, MAX_AGENTS_ASKED, MAX_PAGE_ROWS};
use schemars::JsonSchema;
use serde_json::{Value, json};
use shared::budget::Budget;
use shared::id::{
    AgentId, BudgetName, ModelId, ProviderId, SealKey, SenderId, SessionId, TaskId, TeamId, TokenId,
};
use shared::price::{BookLine, BookReport, MAX_VERSION_BYTES};
use shared::revocation::{MAX_REASON_BYTES, Revocation};
use shared::sequence::MAX_SEQUENCE;

use super::{Schemas, bodies, prices, quarantine};
use crate::{
    AlertReport, AwaitedReport, BudgetReport, By, CompletenessReport, ConflictReport, DeliveryReport,
    EventReport, QuarantineReport, SpendReport, UnpricedReport,
};

/// One method of one path.
pub(super) struct Operation {
    pub(super) path: String,
    pub(super) method: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) params: Vec<Param>,
    pub(super) body: Option<Value>,
    pub(super) answer: Value,
    pub(super) codes: Vec<Code>,
}

/// A parameter.
pub(super) struct Param {
    pub(super) name: &'static str,
    place: &'static str,
    about: &'static str,
    required: bool,
    schema: Value,
}

impl Param {
    pub(super) fn query(name: &'static str, about: &'static str, schema: Value) -> Self {
        Self { name, place: "query", about, required: false, schema }
    }

    fn header(name: &'static str, about: &'static str, schema: Value) -> Self {
        Self { name, place: "header", about, required: false, schema }
    }

    pub(super) fn path(name: &'static str, about: &'static str, schema: Value) -> Self {
        Self { name, place: "path", about, required: true, schema }
    }

    pub(super) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    pub(super) fn describe(self) -> Value {
        let Self { name, place, about, required, schema } = self;
        json!({"name": name, "in": place, "description": about, "required": required, "schema": schema})
    }
}

/// What any request can meet.
const ANY: [Code; 3] = [Code::ForeignRequest, Code::Internal, Code::BadParameter];
/// What a read of the ledger can meet besides.
const READ: [Code; 4] = [Code::LedgerBroken, Code::LedgerUnavailable, Code::Forbidden, Code::Overloaded];

/// What a change can meet.
pub(super) const CHANGE: [Code; 11] = [
    Code::ForeignRequest,
    Code::Forbidden,
    Code::NotFound,
    Code::BodyTooLarge,
    Code::BodyIncomplete,
    Code::InvalidBody,
    Code::UnsupportedEncoding,
    Code::Internal,
    Code::LedgerBroken,
    Code::LedgerUnavailable,
    Code::Overloaded,
];
/// What credentials that do not hold are told.
pub(super) const CREDENTIALS: [Code; 4] =
    [Code::Unauthorized, Code::InvalidToken, Code::TokenExpired, Code::TokenRevoked];

pub(super) fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let mut operations = vec![usage(schemas), spend(schemas), events(schemas), unpriced(schemas)];
    operations.push(alerts(schemas));
    operations.extend([
        list::<ConflictReport>("/v1/conflicts", "conflicts", "What came again with other content", schemas),
        list::<QuarantineReport>("/v1/quarantine", "quarantine", "What could not be counted", schemas),
        list::<AwaitedReport>("/v1/corrections", "corrections", "Corrections that take no effect", schemas),
    ]);
    operations.push(Operation {
        params: Vec::new(),
        ..list::<RevocationReport>("/v1/revocations", "revocations", "Revoked tokens", schemas)
    });
    operations.extend(prices(schemas));
    let mut deliveries =
        list::<DeliveryReport>("/v1/deliveries", "deliveries", "Attempts to deliver alerts", schemas);
    deliveries.params.push(Param::query("alert", "Of this alert.", json!({"type": "string"})));
    operations.push(deliveries);
    let mut completeness = list::<CompletenessReport>(
        "/v1/completeness",
        "completeness",
        "Numbered submissions that did not arrive",
        schemas,
    );
    completeness.params.push(next());
    operations.push(completeness);
    let mut budgets = list::<BudgetReport>("/v1/budgets", "budgets", "Budgets", schemas);
    budgets.params.clear();
    operations.push(budgets);
    operations.push(Operation {
        codes: ANY.to_vec(),
        params: Vec::new(),
        ..list::<LimitReport>("/v1/limits", "limits", "The limits of this server", schemas)
    });
    operations.extend(prices::operations(schemas));
    operations.extend(quarantine::operations(schemas));
    operations.extend(admin(schemas));
    operations.push(revoke(schemas));
    operations.extend(documents());
    operations
}

pub(super) fn ok(schema: &Value) -> Value {
    json!({
        "description": "Done.",
        "headers": {"x-request-id": {"schema": {"type": "string"}}},
        "content": {"application/json": {"schema": schema}},
    })
}

pub(super) fn list<T: JsonSchema>(
    path: &str,
    id: &'static str,
    summary: &'static str,
    schemas: &mut Schemas,
) -> Operation {
    Operation {
        path: path.to_owned(),
        method: "get",
        id,
        summary,
        params: vec![limit()],
        body: None,
        answer: ok(&schemas.of::<T>()),
        codes: [&ANY[..], &READ].concat(),
    }
}

pub(super) fn limit() -> Param {
    let schema = json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE_ROWS});
    Param::query("limit", "Rows of a page.", schema)
}

fn next() -> Param {
    let about = "Continues an earlier answer to the same question: its `next`.";
    Param::query("next", about, json!({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}))
}

/// Which calls count.
pub(super) fn filters(schemas: &mut Schemas) -> Vec<Param> {
    let agents = json!({"type": "array", "items": schemas.of::<AgentId>(), "maxItems": MAX_AGENTS_ASKED});
    let instant = |date: &str, time: &str| {
        json!({"anyOf": [
            {"type": "string", "format": "date", "examples": [date]},
            {"type": "string", "format": "date-time", "examples": [time]},
        ]})
    };
    let (from, to) =
        (instant("2026-11-24", "2026-11-24T09:30:00Z"), instant("2026-11-25", "2026-11-25T09:30:00Z"));
    vec![
        Param::query("agent", "Of these agents.", agents),
        Param::query("team", "Paid by this team.", schemas.of::<TeamId>()),
        Param::query("task", "Of this task.", schemas.of::<TaskId>()),
        Param::query("session", "Of this conversation or run.", schemas.of::<SessionId>()),
        Param::query("model", "By this model.", schemas.of::<ModelId>()),
        Param::query("from", "First instant counted: a date in `tz`, or RFC 3339.", from),
        Param::query("to", "First instant not counted; after `from`.", to),
        Param::query("tz", "The IANA time zone of dates, days and hours.", bodies::zone()),
        limit(),
        next(),
    ]
}

fn spend(schemas: &mut Schemas) -> Operation {
    let by = json!({"type": "string", "enum": By::ALL.map(By::name)});
    let mut described = list::<SpendReport>("/v1/spend", "spend", "Sums by one dimension", schemas);
    described.params = filters(schemas);
    described.params.insert(0, Param::query("by", "One row for each of these.", by).required());
    described.codes.extend([Code::TooManyRows, Code::Overflow, Code::TeamNotAllowed]);
    described
}

fn events(schemas: &mut Schemas) -> Operation {
    let mut described = list::<EventReport>("/v1/events", "events", "The calls behind a number", schemas);
    described.params = filters(schemas);
    described.codes.push(Code::TeamNotAllowed);
    let unpriced = json!({"type": "boolean"});
    described.params.push(Param::query("unpriced", "Only calls whose cost is unknown.", unpriced));
    described
}

fn unpriced(schemas: &mut Schemas) -> Operation {
    let mut described =
        list::<UnpricedReport>("/v1/unpriced", "unpriced", "What has no price, and why", schemas);
    described.params = filters(schemas);
    described.codes.extend([Code::TooManyRows, Code::Overflow, Code::TeamNotAllowed]);
    described
}

fn alerts(schemas: &mut Schemas) -> Operation {
    let mut described = list::<AlertReport>("/v1/alerts", "alerts", "Alerts, newest first", schemas);
    let state = json!({"type": "string", "enum": ["pending", "delivered"]});
    described.params.extend([
        Param::query("budget", "Of this budget.", schemas.of::<BudgetName>()),
        Param::query("state", "In this state.", state),
        next(),
    ]);
    described
}

fn usage(schemas: &mut Schemas) -> Operation {
    let sequence = json!({"type": "integer", "minimum": 0, "maximum": MAX_SEQUENCE});
    let path = json!({"type": "string", "pattern": "^/[!-~]*$", "maxLength": 1024});
    Operation {
        path: "/v1/usage".to_owned(),
        method: "post",
        id: "usage",
        summary: "Takes a submission; 200 is a receipt: every event of it is durable",
        params: vec![
            Param::header("x-agent-id", "The agent of every event that names none.", schemas.of::<AgentId>()),
            Param::header("idempotency-key", "Seals the submission.", schemas.of::<SealKey>()),
            Param::header("x-task-id", "The task, where an event names none.", schemas.of::<TaskId>()),
            Param::header("x-session-id", "The session, likewise.", schemas.of::<SessionId>()),
            Param::header("x-team-id", "The team, likewise.", schemas.of::<TeamId>()),
            Param::header("x-parent-agent-id", "Who delegated the work.", schemas.of::<AgentId>()),
            Param::header("x-provider", "The provider of a response.", schemas.of::<ProviderId>()),
            Param::header("x-provider-path", "The path that a response was asked for at.", path),
            Param::header("x-model", "The model that a response was asked of.", schemas.of::<ModelId>()),
            Param::header("x-sender-id", "Who numbers its submissions.", schemas.of::<SenderId>()),
            Param::header("x-sequence", "The number of this one; needs `x-sender-id`.", sequence),
        ],
        body: Some(bodies::submission()),
        answer: ok(&json!({"$ref": "#/components/schemas/Receipt"})),
        codes: vec![
            Code::ForeignRequest,
            Code::InvalidJson,
            Code::InvalidEvent,
            Code::ClosedPeriod,
            Code::EventCount,
            Code::InvalidBody,
            Code::BodyIncomplete,
            Code::BodyTooLarge,
            Code::TooManyEvents,
            Code::UnsupportedMediaType,
            Code::UnsupportedEncoding,
            Code::Internal,
            Code::StreamRefused,
            Code::StreamUnavailable,
            Code::Overloaded,
            Code::Forbidden,
            Code::AgentNotAllowed,
            Code::TeamNotAllowed,
        ],
    }
}

fn admin(schemas: &mut Schemas) -> Vec<Operation> {
    let name =
        |schemas: &mut Schemas| vec![Param::path("name", "The budget's name.", schemas.of::<BudgetName>())];
    let budget = |method, id, summary, body, answer, more: &[Code], schemas: &mut Schemas| Operation {
        path: "/v1/admin/budgets/{name}".to_owned(),
        method,
        id,
        summary,
        params: name(schemas),
        body,
        answer,
        codes: [&CHANGE[..], &[Code::InvalidBudget], more].concat(),
    };
    let body = json!({"required": true, "content": {"application/json": {"schema": bodies::budget()}}});
    let set = ok(&schemas.of::<Budget>());
    let removed =
        ok(&json!({"type": "object", "properties": {"removed": {"const": true}}, "required": ["removed"]}));
    vec![
        budget(
            "put",
            "set_budget",
            "Sets a budget; other content is a new version",
            Some(body),
            set,
            &[],
            schemas,
        ),
        budget("delete", "remove_budget", "Removes a budget", None, removed, &[Code::NoSuchBudget], schemas),
    ]
}

fn revoke(schemas: &mut Schemas) -> Operation {
    let form = json!({"type": "object", "additionalProperties": false, "properties": {
        "reason": {"type": ["string", "null"], "maxLength": MAX_REASON_BYTES},
        "until": {"type": ["string", "null"], "format": "date-time"},
    }});
    Operation {
        path: "/v1/admin/revocations/{jti}".to_owned(),
        method: "put",
        id: "revoke",
        summary: "Revokes a token, for good",
        params: vec![Param::path("jti", "The token's id, not the token.", schemas.of::<TokenId>())],
        body: Some(json!({"required": false, "content": {"application/json": {"schema": form}}})),
        answer: ok(&schemas.of::<Revocation>()),
        codes: [&CHANGE[..], &[Code::InvalidRevocation, Code::TooManyRevocations]].concat(),
    }
}

fn prices(schemas: &mut Schemas) -> Vec<Operation> {
    let version =
        || json!({"type": "string", "maxLength": MAX_VERSION_BYTES, "pattern": "^[A-Za-z0-9._+-]+$"});
    let book = json!({"type": "object", "required": ["version", "source", "models"], "properties": {
        "version": version(),
        "source": {"type": "string"},
        "inherit": {"type": "boolean"},
        "providers": {"type": "array", "items": {"type": "object"}},
        "models": {"type": "array", "items": {"type": "object"}},
    }});
    let reads: Vec<Code> = [&ANY[..], &READ].concat();
    let list = Operation {
        params: Vec::new(),
        ..list::<BookReport>("/v1/prices", "price_books", "Price books, and which is in force", schemas)
    };
    let show = Operation {
        path: "/v1/prices/{version}".to_owned(),
        method: "get",
        id: "price_book",
        summary: "A price book, whole",
        params: vec![Param::path("version", "The version of the book.", version())],
        body: None,
        answer: ok(&book),
        codes: [&reads[..], &[Code::NotFound]].concat(),
    };
    let import = Operation {
        path: "/v1/admin/prices".to_owned(),
        method: "post",
        id: "import_prices",
        summary: "Lays a price book over another and puts it in force",
        params: vec![
            Param::query("over", "The book below; the one that is compiled in if left out.", version()),
            Param::query("replace", "Over nothing; not with `over`.", json!({"const": "true"})),
        ],
        body: Some(json!({"required": true, "content": {"application/json": {"schema": book}}})),
        answer: ok(&schemas.of::<BookLine>()),
        codes: [&CHANGE[..], &[Code::BadParameter, Code::InvalidPrices, Code::PriceBookExists]].concat(),
    };
    vec![list, show, import]
}

/// What is not about the ledger.
fn documents() -> Vec<Operation> {
    let content =
        |media: &str, schema: Value| json!({"description": "Done.", "content": {media: {"schema": schema}}});
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
    let code = Param::path("code", "The code of an answer.", json!({"type": "string", "enum": codes}));
    let health = json!({"type": "object", "required": ["status"],
        "properties": {"status": {"enum": ["ok", "degraded"]}}});
    let page = |path: &str, id, summary, params, answer, codes: &[Code]| Operation {
        path: path.to_owned(),
        method: "get",
        id,
        summary,
        params,
        body: None,
        answer,
        codes: [&[Code::ForeignRequest, Code::Internal][..], codes].concat(),
    };
    vec![
        page("/healthz", "health", "How the pipeline is", vec![], ok(&health), &[]),
        page(
            "/errors/{code}",
            "error_page",
            "What an error code means and what to do",
            vec![code],
            content("text/markdown", json!({"type": "string"})),
            &[Code::NotFound],
        ),
        page(
            "/metrics",
            "metrics",
            "Metrics of this process for Prometheus",
            vec![],
            content("text/plain", json!({"type": "string"})),
            &[Code::Forbidden, Code::Overloaded],
        ),
        page("/openapi.json", "openapi", "This document", vec![], ok(&json!({"type": "object"})), &[]),
    ]
}
