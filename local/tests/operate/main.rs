//! What operators do, over the embedded ledger: replays, repairs, retries, against the model of the exactly-once suite.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod late;
mod redrive;
mod replay;
mod shadow;
mod support;
