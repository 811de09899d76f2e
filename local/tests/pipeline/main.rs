//! The whole pipeline in one process, on a real directory, with a clock that the test moves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod budgets;
mod host;
mod reprice;
mod support;
mod unpriced;
