//! `/openapi.json`: the description of the HTTP interface, made from the types that answer and the constants
//! that bound.
//!
//! The committed `docs/openapi.json` is this document; a test fails where they differ. What the document says
//! of answers is put to the test by a generator of requests in the second tier.

mod bodies;
mod paths;
mod prices;
mod quarantine;

use edge::Code;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use paths::{Operation, Param, operations};

/// The document.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = Schemas(settings.into_generator());
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations(&mut schemas) {
        let (path, method) = (operation.path.clone(), operation.method);
        paths.entry(path).or_insert_with(|| json!({}))[method] = describe(operation, &mut schemas);
    }
    let mut components = schemas.0.take_definitions(true);
    components.extend(bodies::schemas());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "AgentLedger",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Which AI agent, on which task, spent what, on which model.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWS, EdDSA",
            "description": "Made by `agentledger token mint`. Not asked for where authentication is off.",
        }}},
        // Where authentication is off, nothing is asked for.
        "security": [{"token": []}, {}],
    })
}

/// Collects the schemas of the types that are named.
struct Schemas(SchemaGenerator);

impl Schemas {
    fn of<T: JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }
}

fn describe(operation: Operation, schemas: &mut Schemas) -> Value {
    let Operation { id, summary, params, body, answer, mut codes, .. } = operation;
    codes.extend(paths::CREDENTIALS);
    let mut described = json!({
        "operationId": id,
        "summary": summary,
        "parameters": params.into_iter().map(Param::describe).collect::<Vec<_>>(),
        "responses": responses(&answer, &codes, schemas),
    });
    if let Some(body) = body {
        described["requestBody"] = body;
    }
    described
}

fn responses(answer: &Value, codes: &[Code], schemas: &mut Schemas) -> Value {
    let mut responses = json!({"200": answer});
    let problem = schemas.of::<edge::ProblemBody>();
    for code in codes {
        let status = code.status().as_u16().to_string();
        let names: Vec<_> =
            codes.iter().filter(|other| other.status() == code.status()).map(|code| code.name()).collect();
        let mut headers = json!({"x-request-id": {"schema": {"type": "string"}}});
        if code.status().as_u16() == 503 || code.status().as_u16() == 429 {
            headers["retry-after"] = json!({"schema": {"type": "string"}});
        }
        responses[status] = json!({
            "description": format!("`code` is one of {}.", names.join(", ")),
            "headers": headers,
            "content": {"application/problem+json": {"schema": {
                "allOf": [problem, {"properties": {"code": {"enum": names}}}]
            }}},
        });
    }
    responses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_the_code_s() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let made = openapi();
        if std::env::var_os("AGENTLEDGER_OPENAPI").is_some() {
            let text = serde_json::to_string_pretty(&made).unwrap();
            std::fs::write(&path, format!("{text}\n")).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        // Not as text, whose order a feature of serde_json decides.
        assert!(
            serde_json::from_str(&kept).is_ok_and(|kept: Value| kept == made),
            "docs/openapi.json has drifted: AGENTLEDGER_OPENAPI=1 cargo test -p query openapi writes it"
        );
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_route_is_described() {
        let document = openapi();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
        for route in crate::http::ROUTES {
            assert!(document["paths"][route]["get"].is_object(), "{route}");
        }
        let described = |code: &Code| text.contains(&format!("\"{}\"", code.name()));
        // Connections that are turned away, and bodies that break off, belong to no operation.
        let unseen = [Code::TooManyConnections, Code::NotFound, Code::MethodNotAllowed];
        for code in Code::ALL {
            assert!(described(code) || unseen.contains(code), "{code} is in no operation");
        }
    }
}
