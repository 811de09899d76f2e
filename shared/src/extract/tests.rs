//! Small bodies of each family, and generated ones.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Answer, ExtractError, Extractor, Hints, Status, extract, extract_value};
use crate::usage::{Bucket, MAX_COUNT, Usage};

mod families;
mod generated;
mod streams;

fn by(provider: &str, body: &Value) -> Answer {
    extract_value(body, Hints { provider: Some(provider), ..Hints::default() })
}

fn alone(body: &Value) -> Answer {
    extract_value(body, Hints::default())
}

fn usage(counts: &[(Bucket, u64)]) -> Usage {
    Usage::new(counts.iter().copied()).unwrap()
}

/// The usage of the only call.
#[track_caller]
fn only(answer: &Answer) -> Usage {
    assert_eq!((answer.status, answer.calls.len()), (Status::Ok, 1), "{answer:?}");
    answer.calls[0].usage
}
