//! JSON Schemas of values that are text on the wire, for the description of the HTTP interface.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::usage::{Bucket, MAX_COUNT, Usage};

/// An exact decimal, as a string.
#[derive(Debug)]
pub struct DecimalText;

impl JsonSchema for DecimalText {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
            "description": "An exact decimal. Never a JSON number, which readers would round.",
        })
    }
}

/// An instant, RFC 3339.
#[derive(Debug)]
pub struct Instant;

impl JsonSchema for Instant {
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

impl JsonSchema for Usage {
    fn schema_name() -> Cow<'static, str> {
        "Usage".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let count = |bucket: Bucket| {
            (
                bucket.name().to_owned(),
                serde_json::json!({"type": "integer", "minimum": 0, "maximum": MAX_COUNT}),
            )
        };
        let buckets: serde_json::Map<_, _> = Bucket::ALL.into_iter().map(count).collect();
        json_schema!({
            "type": "object",
            "properties": buckets,
            "additionalProperties": false,
            "description": "Disjoint counts by bucket; what is not named is 0.",
        })
    }
}
