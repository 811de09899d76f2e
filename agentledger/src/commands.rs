//! The commands that ask a ledger and print its answer.

mod budget;
mod lists;
mod report;

pub(crate) use budget::budget;
pub(crate) use lists::{alerts, conflicts, corrections, events, quarantine};
pub(crate) use report::report;

use anyhow::Context;
use serde::de::DeserializeOwned;

/// Reads an answer.
fn read<T: DeserializeOwned>(answer: &str) -> anyhow::Result<T> {
    serde_json::from_str(answer).context("the answer is not understood; is the server of another version?")
}

/// An optional value in a cell.
fn cell<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}
