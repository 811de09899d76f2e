//! Load as a scenario describes it, at times fixed in advance; the generator's own ledger; and whether the pipeline came to
//! the same.

mod arrivals;
mod bodies;
mod check;
mod conduct;
mod disk;
mod expected;
mod fresh;
mod html;
mod local;
mod outcome;
mod play;
mod progress;
mod reader;
mod remote;
mod scenario;
mod seen;
mod slow;
mod submission;
mod svg;
mod table;

pub(crate) use local::{LocalOptions, run as run_local};
pub(crate) use remote::{RemoteOptions, run as run_remote};
