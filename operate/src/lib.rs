//! What operators do to a ledger: count a stream again, repair rollups, bring back what was put aside, and look
//! whether all is well.
//!
//! Everything is counted by the aggregator's own code. What is here decides what it is given, and says what came of it.

pub mod archive;
pub mod doctor;
mod dry;
pub mod redrive;
mod refusals;
pub mod replay;
pub mod shadow;
mod source;

pub use dry::Dry;
pub use source::{Page, Replayed, SourceError, Start, arrived, compare_sequence};
